/* addresses: see addresses.h. Called by startup.c. */
#include "server/addresses.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/err.h"
#include "config/paths.h"
#include "net/listen.h"
#include "net/net.h"
#include "server/active_config.h"
#include "server/taken.h"

enum { PAGE_DESCRIPTORS = 2 * 256 + 256 /* its connections, and what waits */ };
enum { HEADER_TIME_MS = LIMIT_HEADER_TIME_MS, BODY_TIME_MS = 10000, WRITE_TIME_MS = 10000 };

static int listen_tcp(const struct addresses *addresses, struct net *net, const char *address,
		      char *detail, size_t size)
{
	uint16_t port = 0;
	int rc = net_listen_tcp(net, address, &port, detail, size);
	if (rc == -ERR_ALREADY_RUNNING)
		taken_address(address, addresses->active->paths.state_dir, detail, size);
	if (rc)
		return rc;
	access_setup_add_listener(addresses->access, address, port);
	if (!addresses->home[0])
		snprintf(addresses->home, HOME_BYTES, "http://%s",
			 addresses->access->policy.hosts[0]);
	return 0;
}

static int listen_bridge(const struct addresses *addresses, struct net *net, char *detail,
			 size_t size)
{
	const char *port = getenv("BRIDGE_PORT");
	char address[64];
	snprintf(address, sizeof(address), "127.0.0.1:%.32s", port && port[0] ? port : "8080");
	if (!settings_take_address(address, NULL, NULL)) {
		snprintf(detail, size, "BRIDGE_PORT is not a port: '%.32s'", port);
		return -ERR_BAD_FIELD;
	}
	return listen_tcp(addresses, net, address, detail, size);
}

/* Descriptors for all connections, those for pages too; what the hard limit refuses, net handles by
 * pausing accept. */
static void raise_descriptors(const struct settings *settings)
{
	struct rlimit limit;
	rlim_t wanted = 2 * (rlim_t)settings->connections_max + 256;

	for (uint32_t i = 0; i < settings->upstream_count; i++)
		wanted += settings->upstreams[i].listen[0] ? PAGE_DESCRIPTORS : 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int addresses_open(const struct addresses *addresses, const struct net_handlers *handlers,
		   void *ctx, struct net **ret_net, char *detail, size_t detail_size)
{
	const struct settings *settings = &addresses->active->settings;
	bool bridge = addresses->active->options.bridge;
	const struct net_options options = {
		.connections_max = settings->connections_max,
		.connections_reserved_max = LIMIT_CONNECTIONS_RESERVED,
		.connections_per_process_max = settings->connections_per_process_max
						       ? settings->connections_per_process_max
						       : settings->connections_max / 2,
		.header_time_ms = HEADER_TIME_MS,
		.body_time_ms = BODY_TIME_MS,
		.write_time_ms = WRITE_TIME_MS,
	};

	raise_descriptors(settings);
	int rc = net_create(addresses->loop, &options, handlers, ctx, ret_net);
	if (rc)
		return rc;

	access_setup_init(addresses->access, bridge);
	access_setup_take_keys(addresses->access, &addresses->access->ring);
	for (uint32_t i = 0; i < settings->listen_count && !rc; i++)
		rc = listen_tcp(addresses, *ret_net, settings->listen[i], detail, detail_size);
	if (!rc && bridge)
		rc = listen_bridge(addresses, *ret_net, detail, detail_size);

	return rc;
}
