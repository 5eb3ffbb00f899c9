/* line_session: private to src/net: sessions of a Unix socket, a line a message. */
#pragma once
#include <stddef.h>

struct conn;
void line_conn_begin(struct conn *conn);
void line_conn_send(struct conn *conn, const char *text, size_t length);
void line_conn_close(struct conn *conn, int code, const char *reason);
