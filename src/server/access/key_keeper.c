/* key_keeper: see key_keeper.h. Who may make keys, and what ends with one, is said elsewhere. */
#include "server/access/key_keeper.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "config/paths.h"
#include "net/loop.h"
#include "server/access/access_setup.h"

enum { KEEP_EVERY_MS = 3600 * 1000 };

static void tell_change(const struct key_keeper *keeper)
{
	if (keeper->changed)
		keeper->changed(keeper->ctx);
}

static int save_keys(const struct key_keeper *keeper, char *detail, size_t detail_size)
{
	int rc = api_keys_save(keeper->keys, keeper->paths->state_dir, detail, detail_size);
	if (rc)
		log_event(keeper->log, LOG_WARN, "cannot keep the made keys",
			  log_str("error", detail));
	tell_change(keeper);
	return rc;
}

/* Of the policy. That it was used is written once an hour at most. */
static const char *find_key(void *ctx, const char *shown, size_t length)
{
	const struct key_keeper *keeper = ctx;
	struct api_key *key = api_keys_of_secret(keeper->keys, shown, length);
	char detail[512];

	if (!key)
		return NULL;
	key->used = loop_wall_now();
	if (key->used.v - key->kept.v >= KEEP_EVERY_MS) {
		key->kept = key->used; /* not tried again at once on a full disk */
		(void)save_keys(keeper, detail, sizeof(detail));
		key = api_keys_of_secret(keeper->keys, shown, length); /* rows may have moved */
	}
	return key->name;
}

int key_keeper_clash(const struct key_keeper *keeper, const struct key_ring *ring, char *detail,
		     size_t detail_size)
{
	for (uint32_t i = 0; i < ring->count; i++) {
		if (!api_keys_find(keeper->keys, ring->names[i]))
			continue;
		snprintf(detail, detail_size,
			 "keys: %s: there is a key of that name that `baton keys new` made; name "
			 "this one otherwise, or revoke that one",
			 ring->names[i]);
		return -ERR_CONFIG;
	}
	return 0;
}

static int load_keys(const struct key_keeper *keeper, char *detail, size_t detail_size)
{
	struct access_policy *policy = &keeper->access->policy;
	int rc = api_keys_load(keeper->keys, keeper->paths->state_dir, detail, detail_size);

	policy->key_of = rc == 0 ? find_key : NULL;
	tell_change(keeper);
	return rc;
}

int key_keeper_begin(struct key_keeper *keeper, char *detail, size_t detail_size)
{
	keeper->access->policy.key_ctx = keeper;
	if (load_keys(keeper, detail, detail_size)) {
		log_event(keeper->log, LOG_ERROR, "cannot read the made keys",
			  log_str("error", detail));
		return 0;
	}
	return key_keeper_clash(keeper, &keeper->access->ring, detail, detail_size);
}

int key_keeper_ready(const struct key_keeper *keeper, char *detail, size_t detail_size)
{
	if (keeper->access->policy.key_of)
		return 0;

	int rc = load_keys(keeper, detail, detail_size);
	if (!rc)
		rc = key_keeper_clash(keeper, &keeper->access->ring, detail, detail_size);
	if (rc) {
		*keeper->keys = (struct api_keys){0};
		keeper->access->policy.key_of = NULL;
		tell_change(keeper);
	}
	return rc;
}

static bool is_configured(const struct key_keeper *keeper, const char *name)
{
	const struct key_ring *ring = &keeper->access->ring;

	for (uint32_t i = 0; i < ring->count; i++)
		if (strcmp(ring->names[i], name) == 0)
			return true;
	return false;
}

bool key_keeper_knows(const struct key_keeper *keeper, const char *name)
{
	return is_configured(keeper, name) || api_keys_find(keeper->keys, name);
}

int key_keeper_make(const struct key_keeper *keeper, const char *name,
		    const struct api_key_limits *limits, const uint8_t random[32],
		    char ret_secret[API_KEY_BYTES], char *detail, size_t detail_size)
{
	int rc = key_keeper_ready(keeper, detail, detail_size);
	if (rc)
		return rc;

	struct api_keys before = *keeper->keys;
	rc = is_configured(keeper, name) ? -ERR_NAME_TAKEN
					 : api_keys_add(keeper->keys, name, limits, random,
							loop_wall_now(), ret_secret);
	if (rc) {
		snprintf(detail, detail_size, "%s", err_text(rc));
		return rc;
	}

	rc = save_keys(keeper, detail, detail_size);
	if (rc) {
		*keeper->keys = before;
		tell_change(keeper);
	}
	return rc;
}

int key_keeper_revoke(const struct key_keeper *keeper, const char *name, bool *ret_ended,
		      char *detail, size_t detail_size)
{
	char why[512];
	int rc = key_keeper_ready(keeper, detail, detail_size);

	*ret_ended = false;
	if (rc)
		return rc;

	*ret_ended = api_keys_revoke(keeper->keys, name);
	if (!*ret_ended) {
		snprintf(detail, detail_size, "%s",
			 is_configured(keeper, name)
				 ? "it stands in the configuration; take it out there"
				 : "no key has this name; see: baton keys list");
		return -ERR_NOT_FOUND;
	}

	rc = save_keys(keeper, why, sizeof(why));
	if (rc)
		snprintf(detail, detail_size,
			 "it is revoked now, but a restart would know it again: %s; mend that, and "
			 "revoke it again",
			 why);
	return rc;
}
