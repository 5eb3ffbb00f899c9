/* listen: the sockets that a net accepts connections on: TCP addresses and Unix sockets. Each
 * function that can fail explains why in `detail` (may be NULL). */
#pragma once
#include "net/net.h"

/* "127.0.0.1:8470", "[::1]:0"; the port really used comes back (0 asks for any).
 * -ERR_ALREADY_RUNNING: somebody listens there. */
int net_listen_tcp(struct net *net, const char *address, uint16_t *ret_port, char *detail,
		   size_t detail_size);
/* Replaces a socket file that nobody listens on; mode 0600. `http`: HTTP, else line sessions. */
int net_listen_unix(struct net *net, const char *path, bool http, char *detail, size_t detail_size);
/* Binds again what does not lie at its path any more; `path` as it was given to net_listen_unix.
 * Connections stay. 1: bound again, 0: it is in its place, -ERR_ALREADY_RUNNING: somebody else
 * listens there, or another negative enum err; the old listener then stays as it is. */
int net_listen_again(struct net *net, const char *path, char *detail, size_t detail_size);
void net_stop_listening(struct net *net);
