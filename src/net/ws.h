/* ws: the WebSocket upgrade of an HTTP exchange. The session is then used through net/session.h. */
#pragma once
#include <stdint.h>

struct net;

/* Turns the exchange into a session with the same number. `conn` must be that of a request with
 * websocket set. */
int http_accept_websocket(struct net *net, uint64_t conn);
