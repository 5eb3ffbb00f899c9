/* access_setup: who is let in: the access_policy of wire with the memory behind its pointers. */
#pragma once
#include "config/settings.h"
#include "server/access/credentials.h"
#include "wire/access.h"

enum { POLICY_HOSTS_MAX = 64, ACCESS_HOST_BYTES = 127 };

/* The keys of the configuration, read. */
struct key_ring {
	char names[SETTINGS_KEY_COUNT][SETTINGS_KEY_NAME_BYTES + 1];
	char secrets[SETTINGS_KEY_COUNT][SECRET_TEXT_BYTES];
	uint32_t count;
};

struct access_setup {
	struct access_policy policy; /* points into the rest, and into settings and page keys */
	struct access_throttle tcp_throttle, unix_throttle;
	struct page_keys keys;
	struct key_ring ring;
	struct access_key key_views[SETTINGS_KEY_COUNT];
	char hosts[POLICY_HOSTS_MAX][ACCESS_HOST_BYTES + 1];
	const char *host_views[POLICY_HOSTS_MAX];
	const char *origin_views[SETTINGS_ORIGIN_COUNT + 1];
	char cookie_name[16];
	char token[256], admin_token[SECRET_HEX_BYTES];
	bool bridge;
};

/* Reads the key files. 0 or -ERR_CONFIG with detail, which never has a secret. */
int access_setup_read_keys(const struct settings *settings, struct key_ring *ret_ring, char *detail,
			   size_t detail_size);
bool key_ring_has(const struct key_ring *ring, const char *name, const char *secret);
/* From now on these are good, and those of before are not. */
void access_setup_take_keys(struct access_setup *setup, const struct key_ring *ring);

/* The tokens of the state folder, made if there are none; `writable` false: the disk is known to be
 * full. 0 or a negative enum err with detail. */
int access_setup_read_tokens(struct access_setup *setup, const char *dir, bool writable,
			     char *detail, size_t detail_size);
/* What stands in for the install token under --compat bridge; NULL: nothing. */
const char *access_setup_bridge_token(const struct access_setup *setup);
/* The folder may have been made anew: the tokens shall be in it. */
void access_setup_keep_tokens(const struct access_setup *setup, const char *dir);

/* The tokens and kept keys must be in place. Borrows itself: do not move it. */
void access_setup_init(struct access_setup *setup, bool bridge);
/* The Host values that name this listener: for a wildcard, all addresses of this machine. */
void access_setup_add_listener(struct access_setup *setup, const char *address, uint16_t port);
/* Takes the origins of the settings, which are borrowed until the next call. */
void access_setup_set_origins(struct access_setup *setup, const struct settings *settings);
/* After a page got its key. */
void access_setup_refresh(struct access_setup *setup);
