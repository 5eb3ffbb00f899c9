/* route: what a route is, and how a path finds its row in route_table.h. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/route_table.h"

enum access_right {
	ACCESS_NONE,  /* any request that passes the checks of Host and Origin */
	ACCESS_QUEUE, /* a site that the operator let queue: in a session, for claims of its own */
	ACCESS_TOKEN, /* the install token, a page's key, or a Unix peer of the same user */
	ACCESS_ADMIN, /* the Unix socket, the admin token, or the dashboard's own origin */
};

/* A row's number in the table. */
enum route_id {
#define ROUTE_ID(id, ...) id,
	ROUTE_TABLE(ROUTE_ID)
#undef ROUTE_ID
		ROUTE_COUNT
};

enum route_flag {
	ROUTE_JSON = 1 << 0,      /* a body, where there is one, must be application/json */
	ROUTE_NAVIGABLE = 1 << 1, /* a link of another site may lead here */
	ROUTE_OPEN = 1 << 2,      /* any other site may read the answer */
	ROUTE_HTML = 1 << 3,      /* only for clients that accept text/html; the same path may have
				     another row */
	ROUTE_RESERVED = 1 << 4, /* served on the last connections too: it frees something, or shows
				    what is wrong */
	ROUTE_STREAMED = 1 << 5, /* its body, of any size, is passed on as it comes */
	ROUTE_PATTERN = 1 << 6,  /* its path has a {..} */
};

struct route {
	enum route_id id;
	const char *method, *path;
	size_t path_bytes;
	enum access_right rights;
	unsigned flags; /* enum route_flag */
	const char *about;
};

struct route_match {
	const struct route *route; /* never NULL when route_find returned 0 */
	uint64_t lease;            /* the number in the path, else 0 */
};

/* 0; -ERR_NOT_FOUND; -ERR_METHOD when the path exists with another method (ret_match->route is that
 * row: its method belongs into `Allow`). OPTIONS finds any path. `html`: see route_wants_html. */
int route_find(const char *method, const char *path, bool html, struct route_match *ret_match);
/* Whether a request is a browser's that opens a page: `accept` may be NULL. */
bool route_wants_html(const char *method, const char *accept);
const struct route *route_table(size_t *ret_count);
/* Value of `name` in a raw query string as a whole number; false: absent or not a number. */
bool route_query_u64(const char *query, const char *name, uint64_t *ret_value);
/* The same as text, percent-decoded. 1: there, 0: absent, or -ERR_BAD_FIELD: it is no text of the
 * size, holds a NUL, or is no UTF-8. */
int route_query_text(const char *query, const char *name, char *ret_text, size_t size);
/* The rest of a path, percent-decoded; false as above. */
bool route_path_text(const char *path, char *ret_text, size_t size);
