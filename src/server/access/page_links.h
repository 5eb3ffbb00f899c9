/* page_links: the links that sign a browser in, once each. */
#pragma once

struct page_keys;
struct random_pool;
struct text;

/* All is borrowed. */
struct page_links {
	struct page_keys *keys;
	struct random_pool *random;
	const char *home; /* http://host:port */
};

/* Adds a new link to `out`, which then holds a secret. */
void page_links_write(const struct page_links *links, struct text *out);
