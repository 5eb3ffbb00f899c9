/* addresses: the TCP addresses that the broker listens on. */
#pragma once
#include "server/access/access_setup.h"

struct active_config;
struct loop;
struct net;
struct net_handlers;

enum { HOME_BYTES = ACCESS_HOST_BYTES + 16 };

/* All is borrowed. */
struct addresses {
	struct loop *loop;
	const struct active_config *active;
	struct access_setup *access; /* learns which Host values are ours */
	char *home;                  /* http://host:port of the first listener; HOME_BYTES */
};

/* Makes net and listens, before anything is made on the disk, so that an address that is taken
 * changes nothing. Who connects meanwhile is let in by the first turn. 0 or a negative enum err
 * with detail; net is there in any case but for its own failure. */
int addresses_open(const struct addresses *addresses, const struct net_handlers *handlers,
		   void *ctx, struct net **ret_net, char *detail, size_t detail_size);
