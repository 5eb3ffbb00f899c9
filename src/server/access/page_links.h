/* page_links: the links that sign a browser in, once each. */
#pragma once
#include "base/text.h"
#include "server/access/credentials.h"
#include "server/random_pool.h"

/* All is borrowed. */
struct page_links {
	struct page_keys *keys;
	struct random_pool *random;
	const char *home; /* http://host:port */
};

/* Adds a new link to `out`, which then holds a secret. */
void page_links_write(const struct page_links *links, struct text *out);
