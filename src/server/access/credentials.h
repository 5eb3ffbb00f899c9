/* credentials: the install token and the admin token in the state folder, and the keys of pages. */
#pragma once
#include <stddef.h>

#include "base/mono.h"

enum {
	SECRET_HEX_BYTES = 64 + 1, /* 256 bits */
	SECRET_TEXT_BYTES = 128 + 1,
	PAGE_KEYS_MAX = 32,
	LINKS_MAX = 8,
	LINK_TIME_MS = 60 * 1000,
	COOKIE_MAX_AGE_S = 400 * 24 * 3600, /* the longest that browsers keep one */
};

void secret_to_hex(const uint8_t bytes[32], char ret_hex[SECRET_HEX_BYTES]);
/* The whole of a file that is ours alone, as text. 1: read; 0: there is no such file; else -ERR_IO
 * with detail. */
int private_read(const char *path, char *ret_text, size_t size, const char *remedy, char *detail,
		 size_t detail_size);
/* Written beside, synced and renamed, so that a crash leaves no half file. 0 or -ERR_IO with
 * detail. */
int private_write(const char *path, const char *text, size_t length, char *detail,
		  size_t detail_size);
/* Reads DIR/name, or makes it: 0600, 256 random bits as hex. Refuses a file that others can read or
 * that belongs to somebody else. 0 or -ERR_IO with detail. `writable` false: the disk is known to
 * be full, and one that cannot be written is good until the end of this run. */
int credential_file(const char *dir, const char *name, bool writable,
		    char ret_hex[SECRET_HEX_BYTES], char *detail, size_t detail_size);
/* The secret that an operator put into a file: one line of 16 to 128 printable bytes, in a file
 * that nobody else can read. 0 or -ERR_IO with detail. */
int credential_read(const char *path, char ret_secret[SECRET_TEXT_BYTES], char *detail,
		    size_t detail_size);
/* Writes a secret of this run to where it is missing. */
void credential_keep(const char *dir, const char *name, const char *hex);

/* One-time links of `baton open`, lost on a restart, and the keys that pages got for them, which
 * are not. */
struct page_keys {
	struct {
		char hex[SECRET_HEX_BYTES]; /* "": free */
		struct mono_ms until;
	} links[LINKS_MAX];
	char keys[PAGE_KEYS_MAX][SECRET_HEX_BYTES]; /* oldest first */
	const char *views[PAGE_KEYS_MAX];           /* the live ones, for access_policy */
	unsigned count;
};
/* A new link's key; the oldest goes when there are too many. */
const char *page_link_new(struct page_keys *keys, const uint8_t random[32], struct mono_ms now);
/* Spends the link: the page's key, or NULL if it is unknown, used or old. The oldest key
 * goes when there are too many. */
const char *page_link_spend(struct page_keys *keys, const char *hex, const uint8_t random[32],
			    struct mono_ms now);
/* The keys in DIR/page-keys, so that open pages stay signed in over a restart. 0; or -ERR_IO with
 * detail: others can read the file, and it counts as none, or a row of it is none of ours, and only
 * the others count. */
int page_keys_load(struct page_keys *keys, const char *dir, char *detail, size_t detail_size);
/* 0 or -ERR_IO with detail. */
int page_keys_save(const struct page_keys *keys, const char *dir, char *detail, size_t detail_size);
