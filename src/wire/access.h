/* access: who may do what, decided from a request's head alone, in the order of DESIGN.md section
 * 7: size, method, Host, Origin and Sec-Fetch-Site, media type, token, route. Pure: no clock, no
 * state but what is given. Tokens are compared in constant time and never copied into a message. */
#pragma once
#include "base/limits.h"
#include "base/mono.h"
#include "wire/route.h"

/* Header values as net gives them, NULL when absent; borrowed for the call. */
struct request_facts {
	const char *method, *path;
	const char *host, *origin, *authorization, *accept, *content_type, *cookie, *sec_fetch_site;
	const char *api_key; /* x-api-key: shown in place of Authorization, or beside the same */
	const char *asked_headers; /* of a preflight: Access-Control-Request-Headers */
	size_t body_length;
	bool is_unix; /* came over a Unix socket .. */
	int64_t uid;  /* .. from this user; -1: unknown */
};

/* What is allowed here. Borrowed; the server owns it and may change it between calls. */
struct access_policy {
	const char *const *hosts; /* exact values of Host: "127.0.0.1:8470", "localhost:8470".
				     http:// and each of them are the own origins */
	size_t host_count;
	const char *const *origins; /* of other pages, from the configuration, never "null" */
	size_t origin_count;
	const char *const *sites; /* origins that the operator let queue: for sessions only */
	size_t site_count;
	const struct access_key {
		const char *name, *secret;
	} * keys; /* of the configuration: good for what the install token is */
	size_t key_count;
	/* The name of a made key, or NULL; may note that it was used. NULL: there are none. */
	const char *(*key_of)(void *ctx, const char *shown, size_t length);
	void *key_ctx;
	const char *token;       /* install token, text */
	const char *admin_token; /* may be NULL */
	/* Keys of the pages that came by `baton open`. The cookie says that a browser has one and
	 * is good for nothing else, since browsers show it to every server of the host. */
	const char *cookie_name;
	const char *const *page_keys;
	size_t page_key_count;
	int64_t uid;          /* of the daemon; over a Unix socket it and root are trusted */
	bool bearer_is_admin; /* --compat bridge */
};

/* What tells principals apart. Borrowed, like the rest of the verdict. */
struct access_who {
	const char *key; /* the name of the key that was shown, or NULL */
	bool is_unix;
	int64_t uid;        /* of the peer on a Unix socket; -1: unknown */
	const char *origin; /* allowed, or NULL */
	uint32_t sign_in;   /* tells the pages' keys apart; 0: none was needed */
};

struct access_verdict {
	int err;                  /* 0: go on; else a positive enum err to answer */
	struct route_match match; /* route is NULL when the path is unknown */
	enum access_right rights; /* what the caller has, not what the route needs */
	struct access_who who;
	const char *allow_origin;  /* the request's own Origin if allowed, "*" of an open route,
				      else NULL; borrowed */
	bool browser;              /* has an Origin */
	bool paired;               /* the Origin is allowed as a site's only */
	bool signed_in;            /* has the cookie: its page has a key, or had one */
	bool preflight;            /* answer 204 with the CORS headers and nothing else */
	const char *allow_headers; /* of a preflight; borrowed */
	bool bad_token; /* something was shown and was wrong: count it (access_throttle) */
};

/* Fills the verdict and returns 0 or a negative enum err (the same as verdict->err). */
int access_check(const struct access_policy *policy, const struct request_facts *facts,
		 struct access_verdict *ret_verdict);

/* Token of a session's hello, or of a Unix peer: the rights it has; `token` may be NULL. `who` is
 * what is known of it, with the allowed Origin; completed by what the token says. */
enum access_right access_token_rights(const struct access_policy *policy, const char *token,
				      struct access_who *who);

/* Of Baton's own pages: http:// and one of the hosts. */
bool access_origin_is_own(const struct access_policy *policy, const char *origin);

enum { ACCESS_MARK_BYTES = 16 };
/* What the cookie says of this key: which one it is. */
void access_mark(const char *page_key, char ret_mark[ACCESS_MARK_BYTES + 1]);
/* "key:NAME", else "uid:1000", else "origin:URL", with "+1a2b3c" behind it for a page that signed
 * in by a link, else "token". */
void access_principal(const struct access_who *who, char ret_name[LIMIT_PRINCIPAL_BYTES + 1]);

/* CORS headers of any answer, errors too, so that a page can tell 401 from down (CASES.md C10).
 * Values are borrowed from the verdict. Returns how many of at most ACCESS_HEADERS_MAX. */
struct access_header {
	const char *name, *value;
};
enum { ACCESS_HEADERS_MAX = 6 };
size_t access_headers(const struct access_verdict *verdict,
		      struct access_header ret_headers[ACCESS_HEADERS_MAX]);

/* Wrong tokens: 20 at once, then one a second; past that they read 429. The right token always
 * works, so a flood of wrong ones locks nobody out. Returns ERR_UNAUTHORIZED or ERR_RATE_LIMITED.
 */
struct access_throttle {
	struct mono_ms full_at; /* zeroed: never failed */
};
int access_throttle(struct access_throttle *throttle, struct mono_ms now);
