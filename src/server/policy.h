/* policy: who is let in: the access_policy of wire with the memory behind its pointers. */
#pragma once
#include "config/settings.h"
#include "server/secrets.h"
#include "wire/access.h"

enum { POLICY_HOSTS_MAX = 64, POLICY_HOST_BYTES = 127 };

/* The keys of the configuration, read. */
struct key_ring {
	char names[SETTINGS_KEY_COUNT][SETTINGS_KEY_NAME_BYTES + 1];
	char secrets[SETTINGS_KEY_COUNT][SECRET_TEXT_BYTES];
	uint32_t count;
};

struct policy {
	struct access_policy access; /* points into the rest, and into settings and page keys */
	struct access_throttle tcp_throttle, unix_throttle;
	struct page_keys keys;
	struct key_ring ring;
	struct access_key key_views[SETTINGS_KEY_COUNT];
	char hosts[POLICY_HOSTS_MAX][POLICY_HOST_BYTES + 1];
	const char *host_views[POLICY_HOSTS_MAX];
	const char *origin_views[SETTINGS_ORIGIN_COUNT + 1];
	char cookie_name[16];
	char token[256], admin_token[SECRET_HEX_BYTES];
	bool bridge;
};

/* Reads the key files. 0 or -ERR_CONFIG with detail, which never has a secret. */
int policy_read_keys(const struct settings *settings, struct key_ring *ret_ring, char *detail,
		     size_t detail_size);
/* From now on these are good, and those of before are not. */
void policy_take_keys(struct policy *policy, const struct key_ring *ring);

/* The tokens and kept keys must be in place. Borrows itself: do not move it. */
void policy_init(struct policy *policy, bool bridge);
/* The Host values that name this listener: for a wildcard, all addresses of this machine. */
void policy_add_listener(struct policy *policy, const char *address, uint16_t port);
/* Takes the origins of the settings, which are borrowed until the next call. */
void policy_set_origins(struct policy *policy, const struct settings *settings);
/* After a page got its key. */
void policy_refresh(struct policy *policy);
