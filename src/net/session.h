/* session: sending to WebSocket and line sessions, and closing them, by number. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct net;

/* Copies the message; beyond LIMIT_SEND_BUFFER_BYTES of unread output the session is closed (1008).
 */
void net_session_send(struct net *net, uint64_t conn, const char *text, size_t length);
/* A binary frame, of a WebSocket session only: 8 bytes, `number` (big-endian), then `bytes`. */
void net_session_send_bytes(struct net *net, uint64_t conn, uint64_t number, const char *bytes,
			    size_t length);
/* So many messages a second are let in, instead of LIMIT_MESSAGES_PER_S. */
void net_session_rate(struct net *net, uint64_t conn, unsigned messages_per_s);
/* Bytes that the session has not read yet; 0 if it is gone. */
size_t net_session_pending(const struct net *net, uint64_t conn);
/* Closes after pending output. `code`: 1000, 1008, 4401, ..; a line session gets
 * {"type":"close","code":..} first. */
void net_session_close(struct net *net, uint64_t conn, int code, const char *reason);

/* For the other files of src/net. */
/* session.c: charges one message against the rate limit; false: over it. */
bool session_take_token(struct conn *conn);
