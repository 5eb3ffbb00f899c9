/* key_keeper: the made keys and the file that they are kept in: what the policy lets in follows
 * what there is. */
#pragma once
#include "server/access/api_keys.h"

struct access_setup;
struct key_ring;
struct log;
struct paths;

/* All is borrowed. */
struct key_keeper {
	struct api_keys *keys;
	struct access_setup *access; /* has the configuration's keys, and the policy */
	const struct paths *paths;
	struct log *log;
	void (*changed)(
		void *ctx); /* keys came or went, or stand elsewhere in the table; or NULL */
	void *ctx;
};

/* Reads what an earlier run kept, and has the policy ask for it; the keeper stays where it is. A
 * file that cannot be read is logged: there is no key then. 0, or -ERR_CONFIG with detail. */
int key_keeper_begin(struct key_keeper *keeper, char *detail, size_t detail_size);
/* Whether the file could be read, now if not before. 0, or a negative enum err with detail. */
int key_keeper_ready(const struct key_keeper *keeper, char *detail, size_t detail_size);
/* Whether a key of the configuration has the name of one of these: -ERR_CONFIG with detail. */
int key_keeper_clash(const struct key_keeper *keeper, const struct key_ring *ring, char *detail,
		     size_t detail_size);
/* Whether there is a key of this name, made or configured. */
bool key_keeper_knows(const struct key_keeper *keeper, const char *name);
/* What cannot be kept is not made. 0 or a negative enum err with detail. */
int key_keeper_make(const struct key_keeper *keeper, const char *name,
		    const struct api_key_limits *limits, const uint8_t random[32],
		    char ret_secret[API_KEY_BYTES], char *detail, size_t detail_size);
/* It is good no longer, whatever can be written. 0 or a negative enum err with detail; *ret_ended
 * then tells whether there was one. */
int key_keeper_revoke(const struct key_keeper *keeper, const char *name, bool *ret_ended,
		      char *detail, size_t detail_size);
