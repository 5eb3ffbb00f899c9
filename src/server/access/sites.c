/* sites: the table of allowed sites and of those that ask. Called by site_routes.c, and by
 * greeting.c for each hello of a page. A file of which any line cannot be read, or is another than
 * was written, counts for nothing, so that what is left of it is never written over it. */
#include "server/access/sites.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/token.h"
#include "config/settings.h"
#include "server/access/marked_rows.h"
#include "wire/origin.h"

enum {
	LINE_BYTES = 3 * 20 + 2 * SECRET_HASH_BYTES + 4 + SITE_ORIGIN_BYTES + MARKED_ROW_BYTES,
	TEXT_BYTES = SITES_MAX * LINE_BYTES + 32,
};

static const char file_noun[] = "sites";

void sites_init(struct sites *sites)
{
	*sites = (struct sites){.next_id = 1};
}

static void list_origins(struct sites *sites)
{
	sites->origin_count = 0;
	for (uint32_t i = 0; i < sites->count; i++)
		if (!sites->v[i].revoked)
			sites->origins[sites->origin_count++] = sites->v[i].origin;
}

static struct site *row_of_origin(struct sites *sites, const char *origin)
{
	for (uint32_t i = 0; i < sites->count; i++)
		if (strcmp(sites->v[i].origin, origin) == 0)
			return &sites->v[i];
	return NULL;
}

static bool ask_lives(const struct site_ask *ask, struct mono_ms now)
{
	return ask->id != 0 && !mono_due(ask->until, now);
}

/* Until it may ask again; 0: it may. */
static int64_t refused_ms(const struct sites *sites, const char *origin, struct mono_ms now)
{
	for (int i = 0; i < SITE_REFUSALS_MAX; i++)
		if (strcmp(sites->refusals[i].origin, origin) == 0 &&
		    !mono_due(sites->refusals[i].until, now))
			return mono_since(sites->refusals[i].until, now);
	return 0;
}

/* Its own place, or a free one; NULL: all are taken, the first of them until *ret_wait_ms. */
static struct site_ask *place_of(struct sites *sites, const char *origin, struct mono_ms now,
				 int64_t *ret_wait_ms)
{
	struct site_ask *found = NULL;
	*ret_wait_ms = SITE_ASK_MS;
	for (int i = 0; i < SITE_ASKS_MAX; i++) {
		struct site_ask *ask = &sites->asks[i];
		if (ask->id && strcmp(ask->origin, origin) == 0)
			return ask;
		if (!ask_lives(ask, now))
			found = ask;
		else if (mono_since(ask->until, now) < *ret_wait_ms)
			*ret_wait_ms = mono_since(ask->until, now);
	}
	return found;
}

int sites_ask(struct sites *sites, const char *origin, const uint8_t random[32], struct mono_ms now,
	      const struct site_ask **ret_ask, int64_t *ret_wait_ms)
{
	if (strlen(origin) > SITE_ORIGIN_BYTES)
		return -ERR_TOO_LARGE;
	*ret_wait_ms = refused_ms(sites, origin, now);
	if (*ret_wait_ms > 0)
		return -ERR_RATE_LIMITED;

	struct site_ask *ask = place_of(sites, origin, now, ret_wait_ms);
	if (!ask)
		return -ERR_RATE_LIMITED;

	struct access_throttle often = {0};
	if (strcmp(ask->origin, origin) == 0)
		often = ask->often;
	if (access_throttle(&often, now) == ERR_RATE_LIMITED) {
		*ret_wait_ms = 1000;
		return -ERR_RATE_LIMITED;
	}

	*ask = (struct site_ask){.id = sites->next_id++,
				 .since = now,
				 .until = mono_after(now, SITE_ASK_MS),
				 .often = often};
	snprintf(ask->origin, sizeof(ask->origin), "%s", origin);
	secret_to_hex(random, ask->secret);
	*ret_ask = ask;

	return 0;
}

struct site_ask *sites_find_ask(struct sites *sites, const char *origin, const char *secret,
				struct mono_ms now)
{
	for (int i = 0; i < SITE_ASKS_MAX; i++) {
		struct site_ask *ask = &sites->asks[i];
		if (ask_lives(ask, now) && strcmp(ask->origin, origin) == 0 &&
		    strlen(secret) == SECRET_HEX_BYTES - 1 &&
		    token_bytes_equal(ask->secret, secret, SECRET_HEX_BYTES - 1))
			return ask;
	}
	return NULL;
}

void sites_end_ask(struct site_ask *ask)
{
	explicit_bzero(ask, sizeof(*ask));
}

/* Who waits for an answer, by its number: a later ask of the same origin has another. */
static struct site_ask *waiting_ask(struct sites *sites, uint64_t id, struct mono_ms now)
{
	for (int i = 0; id && i < SITE_ASKS_MAX; i++)
		if (sites->asks[i].id == id && !sites->asks[i].token[0] &&
		    ask_lives(&sites->asks[i], now))
			return &sites->asks[i];
	return NULL;
}

struct site *sites_of_origin(struct sites *sites, const char *origin)
{
	struct site *site = row_of_origin(sites, origin);
	return site && !site->revoked ? site : NULL;
}

const char *sites_allow(struct sites *sites, uint64_t id, const uint8_t random[32],
			struct mono_ms now, struct wall_ms wall, int *ret_err)
{
	struct site_ask *ask = waiting_ask(sites, id, now);

	*ret_err = -ERR_NOT_FOUND;
	if (!ask)
		return NULL;

	struct site *site = row_of_origin(sites, ask->origin);
	*ret_err = -ERR_SITES_FULL;
	if (!site && sites->count == SITES_MAX)
		return NULL;
	if (!site) {
		site = &sites->v[sites->count++];
		site->id = sites->next_id++;
		memcpy(site->origin, ask->origin, sizeof(site->origin));
	}

	site->allowed = wall;
	site->revoked = false;
	secret_to_hex(random, ask->token);
	secret_hash(ask->token, strlen(ask->token), site->hash);
	list_origins(sites);
	*ret_err = 0;
	return ask->origin;
}

const char *sites_refuse(struct sites *sites, uint64_t id, struct mono_ms now)
{
	struct site_ask *ask = waiting_ask(sites, id, now);
	struct site_refusal *oldest = &sites->refusals[0];
	if (!ask)
		return NULL;
	for (int i = 1; i < SITE_REFUSALS_MAX; i++)
		if (mono_before(sites->refusals[i].until, oldest->until))
			oldest = &sites->refusals[i];
	memcpy(oldest->origin, ask->origin, sizeof(oldest->origin));
	oldest->until = mono_after(now, SITE_REFUSED_MS);
	sites_end_ask(ask);
	return oldest->origin;
}

bool sites_revoke(struct sites *sites, uint64_t id, char ret_origin[SITE_ORIGIN_BYTES + 1])
{
	for (uint32_t i = 0; i < sites->count; i++) {
		if (sites->v[i].id != id)
			continue;
		memcpy(ret_origin, sites->v[i].origin, SITE_ORIGIN_BYTES + 1);
		sites->v[i].revoked = true;
		list_origins(sites);
		return true;
	}
	return false;
}

static void drop_revoked(struct sites *sites)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < sites->count; i++)
		if (!sites->v[i].revoked)
			sites->v[kept++] = sites->v[i];
	sites->count = kept;
	list_origins(sites);
}

struct site *sites_of_token(struct sites *sites, const char *origin, const char *token)
{
	uint8_t hash[SECRET_HASH_BYTES];
	struct site *found = NULL;
	secret_hash(token, strlen(token), hash);
	for (uint32_t i = 0; i < sites->count; i++)
		if (token_bytes_equal(sites->v[i].hash, hash, sizeof(hash)) &&
		    !sites->v[i].revoked && strcmp(sites->v[i].origin, origin) == 0)
			found = &sites->v[i];
	return found;
}

static void sites_path(const char *dir, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/sites", dir);
}

/* "ID HASH ALLOWED USED ORIGIN" */
static bool take_row(const char *row, struct site *ret_site)
{
	char hash[2 * SECRET_HASH_BYTES + 1], origin[SITE_ORIGIN_BYTES + 1];
	struct site site = {0};
	int end = 0;
	static_assert(SECRET_HASH_BYTES == 32 && SITE_ORIGIN_BYTES == 56, "the widths below");
	if (sscanf(row, "%" SCNu64 " %64[0-9a-f] %" SCNd64 " %" SCNd64 " %56[!-~]%n", &site.id,
		   hash, &site.allowed.v, &site.used.v, origin, &end) != 5 ||
	    row[end] || site.id == 0 || site.id > INT64_MAX || strlen(hash) != sizeof(hash) - 1 ||
	    !origin_is_normal(origin))
		return false;
	memcpy(site.origin, origin, strlen(origin) + 1);
	site.kept = site.used;
	*ret_site = site;
	return secret_hash_from_hex(hash, ret_site->hash);
}

static bool take_site(void *ctx, const char *row)
{
	struct sites *sites = ctx;
	struct site site;

	if (sites->count == SITES_MAX || !take_row(row, &site) || row_of_origin(sites, site.origin))
		return false;
	sites->v[sites->count++] = site;
	if (site.id >= sites->next_id)
		sites->next_id = site.id + 1;
	return true;
}

/* Of a broker that wrote rows alone, without marks and a last line. */
static bool is_older(const char *text)
{
	char row[LINE_BYTES];
	struct site site;

	snprintf(row, sizeof(row), "%.*s", (int)strcspn(text, "\n"), text);
	return take_row(row, &site);
}

/* 0, or the line that is damaged. */
static unsigned take_older(struct sites *sites, char *text, const char **ret_row)
{
	unsigned number = 1;

	*ret_row = "";
	for (char *line = text, *after; *line; line = after + 1, number++) {
		after = strchr(line, '\n');
		if (!after) /* it was cut short */
			return number;
		*after = '\0';
		if (take_site(sites, line))
			continue;
		*ret_row = line;
		return number;
	}
	return 0;
}

static void origin_of_row(const char *row, char ret_origin[SITE_ORIGIN_BYTES + 1])
{
	if (sscanf(row, "%*s %*s %*s %*s %56[!-~]", ret_origin) != 1 ||
	    !origin_is_normal(ret_origin))
		ret_origin[0] = '\0';
}

unsigned sites_take(struct sites *sites, char *text, char ret_origin[SITE_ORIGIN_BYTES + 1])
{
	struct sites taken = *sites;
	const char *row;

	taken.count = 0;
	unsigned line = is_older(text) ? take_older(&taken, text, &row)
				       : marked_rows_read(text, file_noun, take_site, &taken, &row);

	origin_of_row(row, ret_origin);
	if (line == 0)
		*sites = taken;
	list_origins(sites);
	return line;
}

int sites_load(struct sites *sites, const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32], all[TEXT_BYTES], origin[SITE_ORIGIN_BYTES + 1];

	sites_path(dir, path, sizeof(path));
	int rc = private_read(path, all, sizeof(all), "chmod 600 it", detail, detail_size);
	unsigned line = rc > 0 ? sites_take(sites, all, origin) : 0;
	if (line) {
		snprintf(detail, detail_size,
			 "%s:%u:%s%s damaged, so none of its sites counts; put back a copy of it, "
			 "or remove it and allow them anew",
			 path, line, origin[0] ? " site " : "", origin);
		rc = -ERR_IO;
	}
	sites->unread = rc < 0;
	return rc < 0 ? rc : 0;
}

/* Without a line end. */
static size_t write_row(const struct site *site, char *row, size_t size)
{
	char hash[SECRET_HEX_BYTES];

	secret_to_hex(site->hash, hash);
	return (size_t)snprintf(row, size, "%" PRIu64 " %s %" PRId64 " %" PRId64 " %s", site->id,
				hash, site->allowed.v, site->used.v, site->origin);
}

static size_t write_rows(const struct sites *sites, char *all, size_t size)
{
	size_t length = 0;
	unsigned count = 0;

	for (uint32_t i = 0; i < sites->count; i++) {
		char *row = all + length;
		if (sites->v[i].revoked)
			continue;
		size_t row_length = write_row(&sites->v[i], row, size - length);
		length += row_length + marked_row_end(row, row_length, size - length);
		count++;
	}
	return length + marked_rows_end(all + length, size - length, count, file_noun);
}

int sites_save(struct sites *sites, const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32], all[TEXT_BYTES];

	sites_path(dir, path, sizeof(path));
	int rc = private_write(path, all, write_rows(sites, all, sizeof(all)), detail, detail_size);
	if (rc)
		return rc;

	drop_revoked(sites);
	for (uint32_t i = 0; i < sites->count; i++)
		sites->v[i].kept = sites->v[i].used;
	return 0;
}
