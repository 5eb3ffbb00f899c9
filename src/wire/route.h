/* route: the const table of routes (DESIGN.md section 5) and how a path finds its row. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum access_right {
	ACCESS_NONE,  /* any request that passes the checks of Host and Origin */
	ACCESS_QUEUE, /* a site that the operator let queue: in a session, for claims of its own */
	ACCESS_TOKEN, /* the install token, a page's key, or a Unix peer of the same user */
	ACCESS_ADMIN, /* the Unix socket, the admin token, or the dashboard's own origin */
};

enum route_id {
	ROUTE_PAGE, /* GET / and the other pages */
	ROUTE_FILE, /* what pages are made of */
	ROUTE_LOCK,
	ROUTE_UNLOCK,
	ROUTE_RENEW,
	ROUTE_STATUS,
	ROUTE_RESET,
	ROUTE_FORCE_RELEASE_ALL,
	ROUTE_LEASE_YIELD,
	ROUTE_LEASE_REVOKE,
	ROUTE_CLAIM_CANCEL,
	ROUTE_PAUSE,
	ROUTE_RESUME,
	ROUTE_HISTORY,
	ROUTE_EVENTS,
	ROUTE_SESSION, /* WebSocket; its token comes in hello */
	ROUTE_HEALTH,
	ROUTE_METRICS,
	ROUTE_LOGS,
	ROUTE_LOGS_CLEAR,
	ROUTE_AUDIT_LOGS,
	ROUTE_HOT_RELOAD,
	ROUTE_PAIR,  /* a page of another origin asks to queue */
	ROUTE_SITES, /* who asks, and who is allowed */
	ROUTE_SITE_ALLOW,
	ROUTE_SITE_REFUSE,
	ROUTE_SITE_REVOKE,
	ROUTE_COUNT
};

struct route {
	enum route_id id;
	const char *method, *path; /* `{lease}` or `{site}` in a path stands for one number,
				      `{path}` at its end for anything but nothing */
	enum access_right rights;
	bool takes_body; /* a body, where there is one, must be application/json */
	bool navigable;  /* a link of another site may lead here */
	bool open;       /* any other site may read what is answered */
	bool html; /* only for clients that accept text/html; the same path may have another row */
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
 * size, or holds a NUL. */
int route_query_text(const char *query, const char *name, char *ret_text, size_t size);
