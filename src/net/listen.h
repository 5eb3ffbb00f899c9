/* listen: the sockets that a net accepts connections on: TCP addresses and Unix sockets. Each
 * function that can fail explains why in `detail` (may be NULL). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;

/* "127.0.0.1:8470", "[::1]:0"; port 0 picks a free one; *ret_port is the port in use.
 * -ERR_ALREADY_RUNNING: the address is in use. */
int net_listen_tcp(struct net *net, const char *address, uint16_t *ret_port, char *detail,
		   size_t detail_size);
/* Replaces a stale socket file; mode 0600. `http`: HTTP, else line sessions. */
int net_listen_unix(struct net *net, const char *path, bool http, char *detail, size_t detail_size);
/* Binds a Unix socket again whose file is gone; `path` as given to net_listen_unix. Connections
 * stay. 1: bound again; 0: the file is in place; -ERR_ALREADY_RUNNING: another process listens
 * there; or another negative enum err. On failure the old listener is kept. */
int net_listen_again(struct net *net, const char *path, char *detail, size_t detail_size);
void net_stop_listening(struct net *net);

/* For the other files of src/net. */
/* listen.c */
void listen_init(struct net *net);
void net_accept_resume(struct net *net); /* a descriptor became free */
