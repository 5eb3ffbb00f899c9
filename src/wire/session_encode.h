/* session_encode: what the core sends to a session, as the text of the session protocol. Asks
 * nothing of the core: all that a message says besides its effect comes in as an argument. */
#pragma once
#include "core/send.h"
#include "core/view.h"
#include "wire/told.h"

struct core_config;
struct text;

enum { AHEAD_NAMES_MAX = 8 };

/* What a message says besides its effect, looked up when it is written; zeroed where unknown. */
struct encode_context {
	const struct core_config *config;
	uint64_t epoch;     /* welcome */
	int64_t linger_ms;  /* welcome: how long a broken connection keeps all it has */
	const char *server; /* welcome: "baton/0.1.0" */
	const char *rights; /* welcome: "admin", "token" or "queue" */
	bool dev;           /* welcome: `reload` messages come */
	bool has_place;     /* queued: the next four are known */
	int64_t position;   /* 0: next */
	struct told told;
	const struct why *why;
	const char *holder_name; /* of why->holder, or all of why->holders */
	const char *ahead[AHEAD_NAMES_MAX];
	size_t ahead_count;
	const char *other_name; /* of send.other: yield's `for` */
};

/* Adds one JSON object without a newline. */
void session_encode(struct text *out, const struct send_effect *send,
		    const struct encode_context *facts);
/* `denied` for what never reached the core: a malformed message, a missing right. */
void session_encode_denied(struct text *out, uint64_t ref, int err, const char *detail);
/* {"type":"ok","count":..}, {"type":"log","line":..}, {"type":"link","url":..}, and
 * {"type":"reloaded","changed":[..]} from a list of words. */
void session_encode_ok(struct text *out, uint64_t count);
void session_encode_log(struct text *out, const char *line);
void session_encode_link(struct text *out, const char *url);
void session_encode_reloaded(struct text *out, const char *const *changed, size_t count);
const char *send_kind_name(enum send_kind msg);
