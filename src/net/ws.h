/* ws: the WebSocket upgrade of an HTTP exchange. The session is then used through net/session.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct conn;
struct net;

/* Turns the exchange into a session with the same number. `conn` must be that of a request with
 * websocket set. */
int http_accept_websocket(struct net *net, uint64_t conn);

/* For the other files of src/net. */
void ws_conn_send(struct conn *conn, const char *text, size_t length);
void ws_conn_send_bytes(struct conn *conn, uint64_t number, const char *bytes, size_t length);
void ws_conn_close(struct conn *conn, int code, const char *reason);
