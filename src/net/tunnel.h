/* tunnel: an HTTP exchange whose connection carries another protocol from now on: bytes, neither
 * read nor limited in time. They come by on_body, the end of the peer's side by on_body_end, its
 * loss by on_gone, and room for more by on_writable. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;

/* Sends the complete head of the answer (101); the exchange keeps its number. 0 or -ERR_STATE: it
 * is none that waits for its answer. */
int http_accept_tunnel(struct net *net, uint64_t conn, const char *head, size_t length);
/* Takes the bytes, copying if needed. False: more than 64 KiB are unsent, or it is gone; wait for
 * on_writable. A writer that carries on loses the connection beyond LIMIT_SEND_BUFFER_BYTES. */
bool tunnel_write(struct net *net, uint64_t conn, const char *bytes, size_t length);
/* While paused nothing is read, which slows the peer down. */
void tunnel_pause(struct net *net, uint64_t conn, bool paused);
/* Closes it once what was written is sent. No callback follows. */
void tunnel_end(struct net *net, uint64_t conn);
