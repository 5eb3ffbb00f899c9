/* sites: pages of other origins that the operator let queue: who asks, who is allowed, and the
 * token of each, of which only a hash is kept. A site is its origin and nothing that it says of
 * itself. Knows no connection and no lease. */
#pragma once
#include "base/limits.h"
#include "server/access/credentials.h"
#include "server/access/secret_hash.h"
#include "wire/access.h"

enum {
	SITES_MAX = 64,
	SITE_ASKS_MAX = 8,
	SITE_REFUSALS_MAX = 64,
	SITE_ORIGIN_BYTES = LIMIT_PRINCIPAL_BYTES - 7, /* behind "origin:", uncut */
	SITE_ASK_MS = 5 * 60 * 1000,                   /* then it has to ask again */
	SITE_REFUSED_MS = 10 * 60 * 1000,              /* before it may */
};

struct site {
	uint64_t id;
	char origin[SITE_ORIGIN_BYTES + 1];
	uint8_t hash[SECRET_HASH_BYTES]; /* SHA-256 of its token, which has 256 random bits */
	struct wall_ms allowed, used;    /* used 0: never */
	struct wall_ms kept;             /* `used` as it is on the disk */
	bool revoked;                    /* and on the disk it is not yet */
};

struct site_ask {
	uint64_t id; /* 0: free */
	char origin[SITE_ORIGIN_BYTES + 1];
	char secret[SECRET_HEX_BYTES]; /* shows that it is the page that asked */
	char token[SECRET_HEX_BYTES];  /* allowed, and not fetched yet; "": it waits */
	struct mono_ms since, until;
	struct access_throttle often; /* asks of this origin, each of which is logged */
};

struct sites {
	struct site v[SITES_MAX];
	const char *origins[SITES_MAX]; /* of those of v that count, for access_policy */
	uint32_t count, origin_count;
	struct site_ask asks[SITE_ASKS_MAX];
	struct site_refusal {
		char origin[SITE_ORIGIN_BYTES + 1];
		struct mono_ms until;
	} refusals[SITE_REFUSALS_MAX];
	uint64_t next_id;
	bool unread; /* what the disk has is damaged: nothing is written over it */
};

void sites_init(struct sites *sites);
/* A new ask in the place of an earlier one of this origin. 0; -ERR_TOO_LARGE: the origin is too
 * long; -ERR_RATE_LIMITED: it was refused, asks too often, or too many ask (`ret_wait_ms` until one
 * may). */
int sites_ask(struct sites *sites, const char *origin, const uint8_t random[32], struct mono_ms now,
	      const struct site_ask **ret_ask, int64_t *ret_wait_ms);
/* Of this origin and secret; NULL: none, or it is too old. */
struct site_ask *sites_find_ask(struct sites *sites, const char *origin, const char *secret,
				struct mono_ms now);
/* Its token was fetched, or it is over. */
void sites_end_ask(struct site_ask *ask);
/* The origin of what was allowed or refused, or NULL: nobody asks by that number. A site that is
 * allowed again is the same with a new token; -ERR_SITES_FULL in *ret_err if there are too many. */
const char *sites_allow(struct sites *sites, uint64_t id, const uint8_t random[32],
			struct mono_ms now, struct wall_ms wall, int *ret_err);
const char *sites_refuse(struct sites *sites, uint64_t id, struct mono_ms now);
/* Counts at once; its row goes when that was written. False: there is none. Its origin is written
 * to `ret_origin`. */
bool sites_revoke(struct sites *sites, uint64_t id, char ret_origin[SITE_ORIGIN_BYTES + 1]);
/* The site whose token this is, shown from its own origin; else NULL. */
struct site *sites_of_token(struct sites *sites, const char *origin, const char *token);
struct site *sites_of_origin(struct sites *sites, const char *origin);
/* The text of STATE/sites, which is cut up; an older one is rows alone. 0, or the line that is none
 * of ours, with whose it seems to be, or "": nothing is taken then. */
unsigned sites_take(struct sites *sites, char *text, char ret_origin[SITE_ORIGIN_BYTES + 1]);
/* 0, or -ERR_IO with detail: they stay as they were. No file is no site. */
int sites_load(struct sites *sites, const char *dir, char *detail, size_t detail_size);
/* 0, or -ERR_IO with detail. */
int sites_save(struct sites *sites, const char *dir, char *detail, size_t detail_size);
