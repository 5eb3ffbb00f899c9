/* key_marks: see key_marks.h. Called by reload.c. */
#include "server/access/key_marks.h"

#include <stdio.h>
#include <string.h>

#include "base/token.h"

static void hash_of(const uint8_t salt[KEY_SALT_BYTES], const char *secret,
		    uint8_t ret_hash[SECRET_HASH_BYTES])
{
	char salted[KEY_SALT_BYTES + SECRET_TEXT_BYTES];
	size_t length = strlen(secret);

	memcpy(salted, salt, KEY_SALT_BYTES);
	memcpy(salted + KEY_SALT_BYTES, secret, length);
	secret_hash(salted, KEY_SALT_BYTES + length, ret_hash);
	explicit_bzero(salted, sizeof(salted));
}

void key_marks_make(const struct key_ring *ring, const uint8_t salt[KEY_SALT_BYTES],
		    struct key_marks *ret_marks)
{
	memset(ret_marks, 0, sizeof(*ret_marks));
	memcpy(ret_marks->salt, salt, KEY_SALT_BYTES);
	ret_marks->count = ring->count;

	for (uint32_t i = 0; i < ring->count; i++) {
		struct key_mark *mark = &ret_marks->v[i];
		snprintf(mark->name, sizeof(mark->name), "%s", ring->names[i]);
		hash_of(salt, ring->secrets[i], mark->hash);
	}
}

static const char *secret_of(const struct key_ring *ring, const char *name)
{
	for (uint32_t i = 0; i < ring->count; i++)
		if (strcmp(ring->names[i], name) == 0)
			return ring->secrets[i];
	return NULL;
}

bool key_marks_differ(const struct key_marks *kept, const struct key_ring *ring, const char *name)
{
	const char *secret = secret_of(ring, name);
	uint8_t hash[SECRET_HASH_BYTES];

	if (!secret)
		return false;
	hash_of(kept->salt, secret, hash);
	for (uint32_t i = 0; i < kept->count && i < SETTINGS_KEY_COUNT; i++)
		if (strncmp(kept->v[i].name, name, sizeof(kept->v[i].name)) == 0)
			return !token_bytes_equal(kept->v[i].hash, hash, sizeof(hash));
	return true;
}
