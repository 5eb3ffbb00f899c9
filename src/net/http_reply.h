/* http_reply: the words of an answer. Private to net/http*.c and ws.c. */
#pragma once
#include "http/fault.h"

struct conn;
struct buf;

/* net's own answer to a request that is no request; closes behind it. */
void http_write_refusal(struct conn *conn, const struct http_fault *fault);
/* The same as bytes for a connection that is one too many; false: no memory. */
bool http_format_refusal(struct buf *out, const struct http_fault *fault);
