/* secrets: the install token and the admin token in the state folder, and the cookies of pages. */
#pragma once
#include "base/mono.h"
#include "core/types.h"

enum {
	SECRET_HEX_BYTES = 64 + 1, /* 256 bits */
	SECRET_TEXT_BYTES = 128 + 1,
	COOKIES_MAX = 32,
	LINKS_MAX = 8,
	LINK_TIME_MS = 60 * 1000,
	COOKIE_MAX_AGE_S = 30 * 24 * 3600, /* then the browser forgets it */
};

/* Reads DIR/name, or makes it: 0600, 256 random bits as hex. Refuses a file that others can read or
 * that belongs to somebody else. 0 or -ERR_IO with detail. `writable` false: the disk is known to
 * be full, and one that cannot be written is good until the end of this run. */
int secret_file(const char *dir, const char *name, bool writable, char ret_hex[SECRET_HEX_BYTES],
		char *detail, size_t detail_size);
/* The secret that an operator put into a file: one line of 16 to 128 printable bytes, in a file
 * that nobody else can read. 0 or -ERR_IO with detail. */
int secret_read(const char *path, char ret_secret[SECRET_TEXT_BYTES], char *detail,
		size_t detail_size);
/* Writes a secret of this run to where it is missing. */
void secret_keep(const char *dir, const char *name, const char *hex);

/* One-time links of `baton open`, lost on a restart, and the cookies that pages got for them, which
 * are not. */
struct page_keys {
	struct {
		char hex[SECRET_HEX_BYTES]; /* "": free */
		struct mono_ms until;
	} links[LINKS_MAX];
	char cookies[COOKIES_MAX][SECRET_HEX_BYTES]; /* oldest first */
	const char *views[COOKIES_MAX];              /* the live ones, for access_policy */
	unsigned cookie_count;
};
/* A new link's key; the oldest goes when there are too many. */
const char *page_link_new(struct page_keys *keys, const uint8_t random[32], struct mono_ms now);
/* Spends the link: the cookie's value, or NULL if it is unknown, used or old. The oldest cookie
 * goes when there are too many. */
const char *page_link_spend(struct page_keys *keys, const char *hex, const uint8_t random[32],
			    struct mono_ms now);
/* The cookies in DIR/cookies, so that open pages stay signed in over a restart. A file that others
 * can read, or that is none of ours, counts as none: pages sign in again. */
void page_cookies_load(struct page_keys *keys, const char *dir);
/* 0 or -ERR_IO with detail. */
int page_cookies_save(const struct page_keys *keys, const char *dir, char *detail,
		      size_t detail_size);
