/* api_keys: see api_keys.h. A file of which any line cannot be read counts for nothing, so that
 * what is left of it is never written over it. */
#include "server/access/api_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/token.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-"

enum { LINE_BYTES = 40 + 64 + 2 * 20 + 4 * 10 + API_KEY_MODELS_BYTES + 9 };
static_assert(API_KEYS_MAX * LINE_BYTES + 16 < API_KEYS_TEXT_BYTES, "they all fit");

bool api_key_name_ok(const char *name)
{
	size_t length = strlen(name);
	return length >= 1 && length <= SETTINGS_KEY_NAME_BYTES &&
	       strspn(name, NAME_LETTERS) == length;
}

bool api_key_models_ok(const char *models)
{
	size_t length = strlen(models);

	if (length < 1 || length > API_KEY_MODELS_BYTES || models[0] == ',' ||
	    models[length - 1] == ',' || strstr(models, ",,"))
		return false;
	for (; *models; models++)
		if ((unsigned char)*models <= 0x20 || *models == 0x7f)
			return false;
	return true;
}

/* Revoked or not. */
static struct api_key *row_of_name(struct api_keys *keys, const char *name)
{
	for (uint32_t i = 0; i < keys->count; i++)
		if (strcmp(keys->v[i].name, name) == 0)
			return &keys->v[i];
	return NULL;
}

struct api_key *api_keys_find(struct api_keys *keys, const char *name)
{
	struct api_key *key = row_of_name(keys, name);
	return key && !key->revoked ? key : NULL;
}

/* All are compared, so that time does not tell which one it was. */
struct api_key *api_keys_of_secret(struct api_keys *keys, const char *shown, size_t length)
{
	uint8_t hash[SECRET_HASH_BYTES];
	struct api_key *found = NULL;

	secret_hash(shown, length, hash);
	for (uint32_t i = 0; i < keys->count; i++)
		if (token_bytes_equal(keys->v[i].hash, hash, sizeof(hash)) && !keys->v[i].revoked)
			found = &keys->v[i];
	return found;
}

int api_keys_add(struct api_keys *keys, const char *name, const struct api_key_limits *limits,
		 const uint8_t random[32], struct wall_ms wall, char ret_secret[API_KEY_BYTES])
{
	char hex[SECRET_HEX_BYTES];
	struct api_key *key = row_of_name(keys, name);

	if (key && !key->revoked)
		return -ERR_NAME_TAKEN;
	if (!key && keys->count == API_KEYS_MAX)
		return -ERR_KEYS_FULL;
	if (!key)
		key = &keys->v[keys->count++];

	secret_to_hex(random, hex);
	snprintf(ret_secret, API_KEY_BYTES, API_KEY_PREFIX "%s", hex);
	explicit_bzero(hex, sizeof(hex));

	*key = (struct api_key){.limits = *limits, .made = wall};
	snprintf(key->name, sizeof(key->name), "%s", name);
	secret_hash(ret_secret, strlen(ret_secret), key->hash);
	return 0;
}

bool api_keys_revoke(struct api_keys *keys, const char *name)
{
	struct api_key *key = row_of_name(keys, name);
	if (key)
		key->revoked = true;
	return key != NULL;
}

/* "NAME HASH MADE USED CLASSES QUEUE HELD REQUESTS MODELS", the last ones 0 and * where nothing was
 * said. */
static bool take_line(const char *line, struct api_key *ret_key)
{
	char hash[2 * SECRET_HASH_BYTES + 1];
	struct api_key key = {0};
	struct api_key_limits *limits = &key.limits;
	int end = 0;

	static_assert(SECRET_HASH_BYTES == 32 && SETTINGS_KEY_NAME_BYTES == 40 &&
			      API_KEY_MODELS_BYTES == 255,
		      "the widths below");
	if (sscanf(line, "%40s %64s %" SCNd64 " %" SCNd64 " %u %u %u %u %255s%n", key.name, hash,
		   &key.made.v, &key.used.v, &limits->classes, &limits->queue_max,
		   &limits->held_max, &limits->requests_max, limits->models, &end) != 9 ||
	    line[end] || !api_key_name_ok(key.name) || !secret_hash_from_hex(hash, key.hash) ||
	    limits->classes >> LEASE_CLASS_COUNT || !api_key_models_ok(limits->models))
		return false;

	if (strcmp(limits->models, "*") == 0)
		limits->models[0] = '\0';
	key.kept = key.used;
	*ret_key = key;
	return true;
}

/* The last line says how many there are: a file that was cut short has none. */
unsigned api_keys_take(struct api_keys *keys, char *text)
{
	struct api_keys taken = {0};
	struct api_key key;
	unsigned number = 1, count = 0;
	int end = 0;
	char *line = text, *after;

	for (; (after = strchr(line, '\n')) != NULL; line = after + 1, number++) {
		*after = '\0';
		if (sscanf(line, "%u keys%n", &count, &end) == 1 && end && !line[end]) {
			if (count != taken.count || after[1])
				return number;
			*keys = taken;
			return 0;
		}
		if (taken.count == API_KEYS_MAX || !take_line(line, &key) ||
		    row_of_name(&taken, key.name))
			return number;
		taken.v[taken.count++] = key;
	}
	return number;
}

static void keys_path(const char *dir, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/api-keys", dir);
}

int api_keys_load(struct api_keys *keys, const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32], all[API_KEYS_TEXT_BYTES];

	*keys = (struct api_keys){0};
	keys_path(dir, path, sizeof(path));
	int rc = private_read(path, all, sizeof(all), "chmod 600 it", detail, detail_size);
	if (rc <= 0)
		return rc;

	unsigned line = api_keys_take(keys, all);
	if (line == 0)
		return 0;
	snprintf(detail, detail_size,
		 "%s:%u: damaged, so none of its keys counts; mend it, or remove it and make them "
		 "anew",
		 path, line);
	return -ERR_IO;
}

static size_t write_rows(const struct api_keys *keys, char *all, size_t size)
{
	size_t length = 0;
	unsigned count = 0;

	for (uint32_t i = 0; i < keys->count; i++) {
		const struct api_key *key = &keys->v[i];
		const struct api_key_limits *limits = &key->limits;
		char hash[SECRET_HEX_BYTES];
		if (key->revoked)
			continue;
		secret_to_hex(key->hash, hash);
		length +=
			(size_t)snprintf(all + length, size - length,
					 "%s %s %" PRId64 " %" PRId64 " %u %u %u %u %s\n",
					 key->name, hash, key->made.v, key->used.v, limits->classes,
					 limits->queue_max, limits->held_max, limits->requests_max,
					 limits->models[0] ? limits->models : "*");
		count++;
	}
	return length + (size_t)snprintf(all + length, size - length, "%u keys\n", count);
}

static void drop_revoked(struct api_keys *keys)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < keys->count; i++)
		if (!keys->v[i].revoked)
			keys->v[kept++] = keys->v[i];
	keys->count = kept;
}

int api_keys_save(struct api_keys *keys, const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32], all[API_KEYS_TEXT_BYTES];

	keys_path(dir, path, sizeof(path));
	int rc = private_write(path, all, write_rows(keys, all, sizeof(all)), detail, detail_size);
	if (rc)
		return rc;

	drop_revoked(keys);
	for (uint32_t i = 0; i < keys->count; i++)
		keys->v[i].kept = keys->v[i].used;
	return 0;
}
