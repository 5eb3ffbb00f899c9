/* proxy_gate: see proxy_gate.h. To a browser all ports of a host are one site, so only its own
 * origin counts as own; a link from elsewhere may lead to the first page and no further. */
#include "gateway/proxy_gate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

static void add_host(struct proxy_hosts *hosts, const char *host, int length, uint16_t port)
{
	snprintf(hosts->v[hosts->count++], PROXY_HOST_BYTES, "%.*s:%u", length, host, port);
	if (port == 80)
		snprintf(hosts->v[hosts->count++], PROXY_HOST_BYTES, "%.*s", length, host);
}

void proxy_hosts_of(const char *address, uint16_t port, struct proxy_hosts *ret_hosts)
{
	const char *colon = strrchr(address, ':');
	int length = (int)(colon - address);

	*ret_hosts = (struct proxy_hosts){.count = 0};
	add_host(ret_hosts, address, length, port);
	if (!strncmp(address, "127.0.0.1:", 10) || !strncmp(address, "[::1]:", 6))
		add_host(ret_hosts, "localhost", 9, port);
}

static bool is_host(const struct proxy_hosts *hosts, const char *host)
{
	for (unsigned i = 0; i < hosts->count; i++)
		if (!strcasecmp(hosts->v[i], host))
			return true;
	return false;
}

static bool is_word(const char *value, const char *word)
{
	return value && !strcasecmp(value, word);
}

/* Typed or followed by a person, in a window of its own. */
static bool is_visit(const struct proxy_facts *facts)
{
	return !strcmp(facts->method, "GET") && !strcmp(facts->path, "/") &&
	       is_word(facts->fetch_mode, "navigate") && is_word(facts->fetch_dest, "document");
}

int proxy_gate(const struct proxy_hosts *hosts, const struct proxy_facts *facts)
{
	static const char scheme[] = "http://";

	if (!facts->host || !is_host(hosts, facts->host))
		return -ERR_BAD_HOST;
	if (facts->origin) {
		bool own = !strncasecmp(facts->origin, scheme, sizeof(scheme) - 1) &&
			   !strcasecmp(facts->origin + sizeof(scheme) - 1, facts->host);
		return own ? 0 : -ERR_BAD_ORIGIN;
	}
	if (!facts->fetch_site || is_word(facts->fetch_site, "none") ||
	    is_word(facts->fetch_site, "same-origin"))
		return 0;
	return is_visit(facts) ? 0 : -ERR_BAD_ORIGIN;
}
