/* api_keys: see api_keys.h. A file of which any line cannot be read, or is another than was
 * written, counts for nothing, so that what is left of it is never written over it. */
#include "server/access/api_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/token.h"
#include "server/access/marked_rows.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-"

enum { LINE_BYTES = 40 + 64 + 2 * 20 + 4 * 10 + API_KEY_MODELS_BYTES + 8 + MARKED_ROW_BYTES };
static_assert(API_KEYS_MAX * LINE_BYTES + 32 < API_KEYS_TEXT_BYTES, "they all fit");

static const char file_noun[] = "keys";

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

/* A hash costs more than all else that a request's head is asked. Neither the prefix nor the length
 * is a secret. */
static bool may_be_made(const char *shown, size_t length)
{
	return length == API_KEY_BYTES - 1 &&
	       strncmp(shown, API_KEY_PREFIX, strlen(API_KEY_PREFIX)) == 0;
}

/* All are compared, so that time does not tell which one it was. */
struct api_key *api_keys_of_secret(struct api_keys *keys, const char *shown, size_t length)
{
	uint8_t hash[SECRET_HASH_BYTES];
	struct api_key *found = NULL;

	if (!may_be_made(shown, length))
		return NULL;
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
static bool take_row(const char *row, struct api_key *ret_key)
{
	char hash[2 * SECRET_HASH_BYTES + 1];
	struct api_key key = {0};
	struct api_key_limits *limits = &key.limits;
	int end = 0;

	static_assert(SECRET_HASH_BYTES == 32 && SETTINGS_KEY_NAME_BYTES == 40 &&
			      API_KEY_MODELS_BYTES == 255,
		      "the widths below");
	if (sscanf(row, "%40s %64s %" SCNd64 " %" SCNd64 " %u %u %u %u %255s%n", key.name, hash,
		   &key.made.v, &key.used.v, &limits->classes, &limits->queue_max,
		   &limits->held_max, &limits->requests_max, limits->models, &end) != 9 ||
	    row[end] || !api_key_name_ok(key.name) || !secret_hash_from_hex(hash, key.hash) ||
	    limits->classes >> LEASE_CLASS_COUNT || !api_key_models_ok(limits->models))
		return false;

	if (strcmp(limits->models, "*") == 0)
		limits->models[0] = '\0';
	key.kept = key.used;
	*ret_key = key;
	return true;
}

static void name_of_line(const char *line, char ret_name[SETTINGS_KEY_NAME_BYTES + 1])
{
	snprintf(ret_name, SETTINGS_KEY_NAME_BYTES + 1, "%.*s", (int)strcspn(line, " "), line);
	if (!api_key_name_ok(ret_name))
		ret_name[0] = '\0';
}

static bool take_key(void *ctx, const char *row)
{
	struct api_keys *keys = ctx;
	struct api_key key;

	if (keys->count == API_KEYS_MAX || !take_row(row, &key) || row_of_name(keys, key.name))
		return false;
	keys->v[keys->count++] = key;
	return true;
}

unsigned api_keys_take(struct api_keys *keys, char *text,
		       char ret_name[SETTINGS_KEY_NAME_BYTES + 1])
{
	struct api_keys taken = {0};
	const char *row;
	unsigned line = marked_rows_read(text, file_noun, take_key, &taken, &row);

	name_of_line(row, ret_name);
	if (line == 0)
		*keys = taken;
	return line;
}

static void keys_path(const char *dir, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/api-keys", dir);
}

int api_keys_load(struct api_keys *keys, const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32], all[API_KEYS_TEXT_BYTES];
	char name[SETTINGS_KEY_NAME_BYTES + 1];

	*keys = (struct api_keys){0};
	keys_path(dir, path, sizeof(path));
	int rc = private_read(path, all, sizeof(all), "chmod 600 it", detail, detail_size);
	if (rc <= 0)
		return rc;

	unsigned line = api_keys_take(keys, all, name);
	if (line == 0)
		return 0;
	snprintf(detail, detail_size,
		 "%s:%u:%s%s damaged, so none of its keys counts; put back a copy of it, or remove "
		 "it and make them anew",
		 path, line, name[0] ? " key " : "", name);
	return -ERR_IO;
}

/* Without a line end. */
static size_t write_row(const struct api_key *key, char *row, size_t size)
{
	const struct api_key_limits *limits = &key->limits;
	char hash[SECRET_HEX_BYTES];

	secret_to_hex(key->hash, hash);
	return (size_t)snprintf(row, size, "%s %s %" PRId64 " %" PRId64 " %u %u %u %u %s",
				key->name, hash, key->made.v, key->used.v, limits->classes,
				limits->queue_max, limits->held_max, limits->requests_max,
				limits->models[0] ? limits->models : "*");
}

static size_t write_rows(const struct api_keys *keys, char *all, size_t size)
{
	size_t length = 0;
	unsigned count = 0;

	for (uint32_t i = 0; i < keys->count; i++) {
		char *row = all + length;
		if (keys->v[i].revoked)
			continue;
		size_t row_length = write_row(&keys->v[i], row, size - length);
		length += row_length + marked_row_end(row, row_length, size - length);
		count++;
	}
	return length + marked_rows_end(all + length, size - length, count, file_noun);
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
