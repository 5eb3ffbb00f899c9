/* key_marks: what the journal keeps of the secrets of configured keys, so that a start can tell a
 * key from another one of its name. */
#pragma once
#include "server/access/access_setup.h"
#include "server/access/secret_hash.h"

enum { KEY_SALT_BYTES = 16 };

/* Stored as it is. People choose some of these secrets, so each has its salt. */
struct key_marks {
	uint8_t salt[KEY_SALT_BYTES];
	uint32_t count;
	struct key_mark {
		char name[SETTINGS_KEY_NAME_BYTES + 1];
		uint8_t hash[SECRET_HASH_BYTES];
	} v[SETTINGS_KEY_COUNT];
};

void key_marks_make(const struct key_ring *ring, const uint8_t salt[KEY_SALT_BYTES],
		    struct key_marks *ret_marks);
/* The ring has a key of this name, which is another one than was kept, or new. */
bool key_marks_differ(const struct key_marks *kept, const struct key_ring *ring, const char *name);
