/* policy: fills wire's access_policy from settings, listeners and tokens. Judges nothing. Called at
 * start, on reload and when a page logs in. */
#include "server/policy.h"

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

void policy_init(struct policy *policy, bool bridge)
{
	policy->bridge = bridge;
	policy->access.hosts = policy->host_views;
	policy->access.origins = policy->origin_views;
	policy->access.token = policy->token;
	policy->access.admin_token = policy->admin_token;
	policy->access.keys = policy->key_views;
	policy->access.cookie_name = policy->cookie_name;
	policy->access.page_keys = policy->keys.views;
	policy->access.uid = geteuid();
	policy->access.bearer_is_admin = bridge;
	policy_refresh(policy);
}

int policy_read_keys(const struct settings *settings, struct key_ring *ret_ring, char *detail,
		     size_t detail_size)
{
	ret_ring->count = 0;
	for (uint32_t i = 0; i < settings->key_count; i++) {
		const struct settings_key *key = &settings->keys[i];
		char why[SETTINGS_KEY_PATH_BYTES * 2 + 128];
		if (secret_read(key->file, ret_ring->secrets[i], why, sizeof why)) {
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
		snprintf(ret_ring->names[i], sizeof ret_ring->names[i], "%s", key->name);
		ret_ring->count = i + 1;
	}
	return 0;
}

void policy_take_keys(struct policy *policy, const struct key_ring *ring)
{
	if (ring != &policy->ring)
		policy->ring = *ring;
	for (uint32_t i = 0; i < policy->ring.count; i++)
		policy->key_views[i] =
			(struct access_key){policy->ring.names[i], policy->ring.secrets[i]};
	policy->access.key_count = policy->ring.count;
}

static void add_host(struct policy *policy, const char *host, uint16_t port)
{
	size_t at = policy->access.host_count;
	if (at == POLICY_HOSTS_MAX)
		return;
	snprintf(policy->hosts[at], sizeof policy->hosts[at], "%.120s:%u", host, port);
	policy->host_views[at] = policy->hosts[at];
	policy->access.host_count++;
}

static void add_every_interface(struct policy *policy, uint16_t port)
{
	struct ifaddrs *all;
	char host[NI_MAXHOST], bracketed[NI_MAXHOST + 2], name[HOST_NAME_MAX + 1];
	if (gethostname(name, sizeof name) == 0) {
		name[sizeof name - 1] = 0;
		add_host(policy, name, port);
	}
	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		socklen_t length = family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in);
		if ((family != AF_INET && family != AF_INET6) ||
		    getnameinfo(i->ifa_addr, length, host, sizeof host, NULL, 0, NI_NUMERICHOST))
			continue;
		snprintf(bracketed, sizeof bracketed, "[%s]", host);
		add_host(policy, family == AF_INET6 ? bracketed : host, port);
	}
	freeifaddrs(all);
}

void policy_add_listener(struct policy *policy, const char *address, uint16_t port)
{
	char host[POLICY_HOST_BYTES + 1];
	/* Cookies are the host's, whatever the port: two brokers have one each. */
	if (!policy->cookie_name[0])
		snprintf(policy->cookie_name, sizeof policy->cookie_name, "baton-%u", port);
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : strlen(address);
	snprintf(host, sizeof host, "%.*s", (int)length, address);
	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0)
		add_every_interface(policy, port);
	else
		add_host(policy, host, port);
	add_host(policy, "localhost", port);
}

void policy_set_origins(struct policy *policy, const struct settings *settings)
{
	size_t count = 0;
	for (uint32_t i = 0; i < settings->origin_count; i++)
		policy->origin_views[count++] = settings->origins[i];
	if (policy->bridge)
		policy->origin_views[count++] = BRIDGE_ORIGIN;
	policy->access.origin_count = count;
}

void policy_refresh(struct policy *policy)
{
	policy->access.page_key_count = policy->keys.count;
}
