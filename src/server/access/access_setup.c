/* access_setup: fills wire's access_policy from settings, listeners and tokens. Judges nothing.
 * Called at start, on reload and when a page logs in. */
#include "server/access/access_setup.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define BRIDGE_ORIGIN "http://localhost:8000"

void access_setup_init(struct access_setup *setup, bool bridge)
{
	setup->bridge = bridge;
	setup->policy.hosts = setup->host_views;
	setup->policy.origins = setup->origin_views;
	setup->policy.token = setup->token;
	setup->policy.admin_token = setup->admin_token;
	setup->policy.keys = setup->key_views;
	setup->policy.cookie_name = setup->cookie_name;
	setup->policy.page_keys = setup->keys.views;
	setup->policy.uid = geteuid();
	setup->policy.bearer_is_admin = bridge;
	access_setup_refresh(setup);
}

int access_setup_read_keys(const struct settings *settings, struct key_ring *ret_ring, char *detail,
			   size_t detail_size)
{
	ret_ring->count = 0;
	for (uint32_t i = 0; i < settings->key_count; i++) {
		const struct settings_key *key = &settings->keys[i];
		char why[SETTINGS_KEY_PATH_BYTES * 2 + 128];
		if (credential_read(key->file, ret_ring->secrets[i], why, sizeof(why))) {
			snprintf(detail, detail_size, "keys: %s: %s", key->name, why);
			return -ERR_CONFIG;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(ret_ring->secrets[j], ret_ring->secrets[i]) != 0)
				continue;
			snprintf(detail, detail_size, "keys: %s and %s have the same secret",
				 ret_ring->names[j], key->name);
			return -ERR_CONFIG;
		}
		snprintf(ret_ring->names[i], sizeof(ret_ring->names[i]), "%s", key->name);
		ret_ring->count = i + 1;
	}

	return 0;
}

bool key_ring_has(const struct key_ring *ring, const char *name, const char *secret)
{
	for (uint32_t i = 0; i < ring->count; i++)
		if (strcmp(ring->names[i], name) == 0 && strcmp(ring->secrets[i], secret) == 0)
			return true;
	return false;
}

void access_setup_take_keys(struct access_setup *setup, const struct key_ring *ring)
{
	if (ring != &setup->ring)
		setup->ring = *ring;
	for (uint32_t i = 0; i < setup->ring.count; i++)
		setup->key_views[i] =
			(struct access_key){setup->ring.names[i], setup->ring.secrets[i]};
	setup->policy.key_count = setup->ring.count;
}

static void add_host(struct access_setup *setup, const char *host, uint16_t port)
{
	size_t at = setup->policy.host_count;
	if (at == POLICY_HOSTS_MAX)
		return;
	snprintf(setup->hosts[at], sizeof(setup->hosts[at]), "%.120s:%u", host, port);
	setup->host_views[at] = setup->hosts[at];
	setup->policy.host_count++;
}

static void add_every_interface(struct access_setup *setup, uint16_t port)
{
	struct ifaddrs *all;
	char host[NI_MAXHOST], bracketed[NI_MAXHOST + 2], name[HOST_NAME_MAX + 1];

	if (gethostname(name, sizeof(name)) == 0) {
		name[sizeof(name) - 1] = 0;
		add_host(setup, name, port);
	}

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		socklen_t length = family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in);
		if ((family != AF_INET && family != AF_INET6) ||
		    getnameinfo(i->ifa_addr, length, host, sizeof(host), NULL, 0, NI_NUMERICHOST))
			continue;
		snprintf(bracketed, sizeof(bracketed), "[%s]", host);
		add_host(setup, family == AF_INET6 ? bracketed : host, port);
	}

	freeifaddrs(all);
}

void access_setup_add_listener(struct access_setup *setup, const char *address, uint16_t port)
{
	char host[ACCESS_HOST_BYTES + 1];
	/* Cookies are the host's, whatever the port: two brokers have one each. */
	if (!setup->cookie_name[0])
		snprintf(setup->cookie_name, sizeof(setup->cookie_name), "baton-%u", port);
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : strlen(address);
	snprintf(host, sizeof(host), "%.*s", (int)length, address);
	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0)
		add_every_interface(setup, port);
	else
		add_host(setup, host, port);
	add_host(setup, "localhost", port);
}

void access_setup_set_origins(struct access_setup *setup, const struct settings *settings)
{
	size_t count = 0;
	for (uint32_t i = 0; i < settings->origin_count; i++)
		setup->origin_views[count++] = settings->origins[i];
	if (setup->bridge)
		setup->origin_views[count++] = BRIDGE_ORIGIN;
	setup->policy.origin_count = count;
}

void access_setup_refresh(struct access_setup *setup)
{
	setup->policy.page_key_count = setup->keys.count;
}

const char *access_setup_bridge_token(const struct access_setup *setup)
{
	const char *token = setup->bridge ? getenv("BRIDGE_TOKEN") : NULL;
	return token && token[0] ? token : NULL;
}

int access_setup_read_tokens(struct access_setup *setup, const char *dir, bool writable,
			     char *detail, size_t detail_size)
{
	const char *bridge = access_setup_bridge_token(setup);
	int rc = credential_file(dir, "token", writable, setup->token, detail, detail_size);

	if (!rc)
		rc = credential_file(dir, "admin-token", writable, setup->admin_token, detail,
				     detail_size);
	if (rc || !bridge)
		return rc;
	if ((size_t)snprintf(setup->token, sizeof(setup->token), "%s", bridge) >=
	    sizeof(setup->token)) {
		snprintf(detail, detail_size, "BRIDGE_TOKEN is longer than %zu bytes",
			 sizeof(setup->token) - 1);
		return -ERR_CONFIG;
	}

	return 0;
}

void access_setup_keep_tokens(const struct access_setup *setup, const char *dir)
{
	if (!access_setup_bridge_token(setup))
		credential_keep(dir, "token", setup->token);
	credential_keep(dir, "admin-token", setup->admin_token);
}
