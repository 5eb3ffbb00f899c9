/* http_receive: flow control of request bodies that are passed on in pieces. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct http_fault;
struct net;

/* Stops reading a streamed body until it is resumed, which slows its client down. At most one read
 * (64 KiB) is buffered meanwhile. A response that is complete before the body ends both: the rest
 * is discarded and the connection closed. */
void http_pause_body(struct net *net, uint64_t conn, bool paused);

/* For the other files of src/net: as feed; while http.receiving. */
size_t http_receive(struct conn *conn, char *bytes, size_t length);
void http_receive_refuse(struct conn *conn, const struct http_fault *fault);
