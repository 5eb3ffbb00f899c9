/* http_decode: what claims say, on both doors: HTTP bodies, and the fields that `acquire` shares
 * with them. Events point into `parsed`, which the caller keeps until core_step is done. The caller
 * adds conn, now, wall, random, and for acquire binding and browser. */
#pragma once
#include "core/event.h"

struct core_config;
struct json;
struct parsed;

/* The class of a client that names none comes from the first rule whose glob matches its id. */
struct class_rule {
	const char *glob;
	enum lease_class cls;
};

/* Of the principals whose name matches the glob; the first match counts. */
struct class_rights {
	const char *glob;
	uint32_t classes;               /* bit = enum lease_class */
	uint32_t waiting_max, held_max; /* 0: the default */
	uint32_t requests_max;          /* to models, at the same time; 0: any number */
	const char *models;             /* globs with commas between; NULL: all */
};

struct wire_context {
	const struct core_config *config; /* GPU names, default timeout and TTL limits */
	const struct class_rule *rules;
	size_t rule_count;
	const struct class_rights *rights; /* whom none matches may ask for every class */
	size_t right_count;
	const char *principal; /* of the caller; NULL: not checked */
};

/* NULL: whom no row matches. */
const struct class_rights *class_rights_of(const struct wire_context *ctx);
/* The nearest class that is allowed, rather a lower one. */
enum lease_class class_nearest(uint32_t allowed, enum lease_class cls);

/* All return 0 or a negative enum err with parsed->detail in words for the client. */

/* The body of POST /v1/gpu/lock: protocol/http/lock.json. */
int http_decode_lock(const char *body, size_t length, const struct wire_context *ctx,
		     enum binding binding, struct parsed *ret_parsed, struct event *ret_event);
/* {id?, token?}: one of them. An id alone serves --compat bridge; the caller refuses it otherwise.
 */
int http_decode_unlock(const char *body, size_t length, struct parsed *ret_parsed,
		       struct event *ret_event);
/* {token, ttl_s?}; or {token, need_ms}: a plain holder's answer to yield, EVENT_YIELDING. */
int http_decode_renew(const char *body, size_t length, const struct wire_context *ctx,
		      struct parsed *ret_parsed, struct event *ret_event);
/* {session}: its secret in parsed->token. The caller finds the connection that is meant. */
int http_decode_alive(const char *body, size_t length, struct parsed *ret_parsed,
		      struct event *ret_event);
/* {reason?}, or no body at all. `who` is borrowed into the event. */
int http_decode_admin(const char *body, size_t length, enum admin_act act, uint64_t lease,
		      const char *who, struct parsed *ret_parsed, struct event *ret_event);

/* The shared part: `object` into event->acquire but ref. `name` is what class rules see. */
int decode_acquire(const struct json *object, const struct wire_context *ctx, const char *name,
		   enum binding binding, struct parsed *parsed, struct event *ret_event);
/* A GPU's index by name, uuid or index text; -1: none such. */
int gpu_index(const struct core_config *config, const char *name);
enum lease_class class_of_name(const struct wire_context *ctx, const char *name);
