/* Goal: no text makes of the kept sites what cannot be: each has a number below the next, an origin
 * as browsers send it, no origin is there twice, and a file of which a line is none of ours gives
 * no site. Method: libFuzzer, or the corpus as a test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/sites.h"
#include "wire/origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sites sites;
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	sites_init(&sites);
	char origin[SITE_ORIGIN_BYTES + 1];
	unsigned line = sites_take(&sites, text, origin);
	assert(!origin[0] || (line && origin_is_normal(origin)));
	assert(line == 0 || sites.count == 0);
	assert(sites.count <= SITES_MAX);
	for (uint32_t i = 0; i < sites.count; i++) {
		assert(sites.v[i].id > 0 && sites.v[i].id < sites.next_id);
		assert(origin_is_normal(sites.v[i].origin));
		assert(sites_of_origin(&sites, sites.v[i].origin) == &sites.v[i]);
	}
	free(text);
	return 0;
}
