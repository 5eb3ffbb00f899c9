/* api_keys: the keys that the operator had made while the broker runs, and the file that keeps
 * them: of each its name and a hash. Knows no connection and no lease. */
#pragma once
#include "base/mono.h"
#include "config/settings.h"
#include "server/access/credentials.h"
#include "server/access/secret_hash.h"

#define API_KEY_PREFIX "baton_"

enum {
	API_KEYS_MAX = 64,
	API_KEY_BYTES = sizeof(API_KEY_PREFIX) - 1 + SECRET_HEX_BYTES,
	API_KEY_MODELS_BYTES = 255,
	API_KEYS_TEXT_BYTES = 32 * 1024,
};

/* Zeroed: none of its own. */
struct api_key_limits {
	uint32_t classes;                      /* bit = enum lease_class; 0: not said */
	uint32_t queue_max, held_max;          /* 0: not said */
	uint32_t requests_max;                 /* to models, at the same time; 0: any number */
	char models[API_KEY_MODELS_BYTES + 1]; /* globs with commas between; "": all */
};

struct api_key {
	char name[SETTINGS_KEY_NAME_BYTES + 1];
	uint8_t hash[SECRET_HASH_BYTES]; /* of the whole key, its prefix too */
	struct api_key_limits limits;
	struct wall_ms made, used; /* used 0: never */
	struct wall_ms kept;       /* `used` as it is on the disk */
	bool revoked;              /* and on the disk it is not yet */
};

/* Zeroed: none. */
struct api_keys {
	struct api_key v[API_KEYS_MAX];
	uint32_t count;
};

/* One that is not revoked; NULL: none. */
struct api_key *api_keys_find(struct api_keys *keys, const char *name);
struct api_key *api_keys_of_secret(struct api_keys *keys, const char *shown, size_t length);
/* What may be the name of a key: that of the configuration's, too. */
bool api_key_name_ok(const char *name);
/* Globs without spaces, none of them empty. */
bool api_key_models_ok(const char *models);
/* Writes the key, which is in no other place, to ret_secret. 0; -ERR_NAME_TAKEN; -ERR_KEYS_FULL. */
int api_keys_add(struct api_keys *keys, const char *name, const struct api_key_limits *limits,
		 const uint8_t random[32], struct wall_ms wall, char ret_secret[API_KEY_BYTES]);
/* Counts at once; its row goes when that was written. False: there is none. */
bool api_keys_revoke(struct api_keys *keys, const char *name);
/* The text of STATE/api-keys, which is cut up; an older one has no marks. 0, or the line that is
 * none of ours, with whose it seems to be, or "": nothing is taken then. */
unsigned api_keys_take(struct api_keys *keys, char *text,
		       char ret_name[SETTINGS_KEY_NAME_BYTES + 1]);
/* 0, or -ERR_IO with detail: there are no keys then. No file is no key. */
int api_keys_load(struct api_keys *keys, const char *dir, char *detail, size_t detail_size);
/* 0, and rows may have moved; or -ERR_IO with detail: nothing changed, here and on the disk. */
int api_keys_save(struct api_keys *keys, const char *dir, char *detail, size_t detail_size);
