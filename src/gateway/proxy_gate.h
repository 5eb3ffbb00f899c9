/* proxy_gate: who may reach the pages of a server: whoever could reach the server itself, but no
 * page of another site, also not by a name that leads here (DNS rebinding). Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { PROXY_HOST_BYTES = 64, PROXY_HOSTS_MAX = 4 };

struct proxy_hosts {
	char v[PROXY_HOSTS_MAX][PROXY_HOST_BYTES];
	unsigned count;
};

struct proxy_facts {
	const char *method, *path, *host, *origin;        /* origin NULL: none */
	const char *fetch_site, *fetch_mode, *fetch_dest; /* Sec-Fetch-*; NULL: none */
};

/* The values of Host that mean this listener: of "127.0.0.1:8189" that and "localhost:8189". */
void proxy_hosts_of(const char *address, uint16_t port, struct proxy_hosts *ret_hosts);
/* 0, -ERR_BAD_HOST or -ERR_BAD_ORIGIN. */
int proxy_gate(const struct proxy_hosts *hosts, const struct proxy_facts *facts);
