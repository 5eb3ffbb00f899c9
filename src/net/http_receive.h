/* http_receive: flow control of request bodies that are passed on in pieces. */
#pragma once
#include "net/http.h"

/* A streamed body: nothing more is read until it goes on, and the client feels it. At most one read
 * (64 KiB) is kept meanwhile. An answer that is whole before the body is ends both: the rest is
 * thrown away and the connection closed. */
void http_pause_body(struct net *net, uint64_t conn, bool paused);
