/* session: sending to WebSocket and line sessions, and closing them, by number. */
#pragma once
#include "net/net.h"

/* Copies the message; beyond LIMIT_SEND_BUFFER_BYTES of unread output the session is closed (1008).
 */
void net_session_send(struct net *net, uint64_t conn, const char *text, size_t length);
/* Bytes that the session has not read yet; 0 if it is gone. */
size_t net_session_pending(const struct net *net, uint64_t conn);
/* Closes after pending output. `code`: 1000, 1008, 4401, ..; a line session gets
 * {"type":"close","code":..} first. */
void net_session_close(struct net *net, uint64_t conn, int code, const char *reason);
