/* principal: on whose behalf a claim is made: "uid:1000" over the Unix socket, "token" or
 * "key:NAME" over HTTP, "origin:URL" for a page. Caps, rights and fairness are the principal's;
 * names are for people. It exists while it has sessions or claims, or a tag in the future. */
#pragma once
#include "base/hash.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mono.h"
#include "core/types.h"

struct claim;
struct core;
struct session;

struct principal {
	char name[LIMIT_PRINCIPAL_BYTES + 1];
	uint32_t refs; /* sessions and claims that point here */
	uint32_t waiting[LEASE_CLASS_COUNT], held[LEASE_CLASS_COUNT];
	struct mono_ms last_tag[LEASE_CLASS_COUNT]; /* of its newest claim */
	struct shape {
		struct need need;
		uint32_t waiting;
	} * shapes; /* the distinct needs of its waiting claims */
	uint32_t shape_count, shape_size;
	struct hash_node by_name; /* core.principals_by_name */
	struct list in_core;      /* core.principals, or core.idle_principals: refs 0 */
};

/* The name for a record: `given`, else from the socket's uid, else "token". */
void principal_name(char *ret_name, const char *given, int64_t uid);
/* NULL: none of that name. */
struct principal *principal_find(const struct core *core, const char *name);
/* The session's, whose claims have its principal; without a session the one of that name, or NULL.
 */
struct principal *principal_of(const struct core *core, const struct session *session,
			       const char *name);
/* Finds or creates it and takes a reference; never NULL. */
struct principal *principal_join(struct core *core, const struct session *session,
				 const char *name);
struct principal *principal_leave(struct core *core, struct principal *principal); /* -> NULL */
/* Its claim enters or leaves the queue, takes capacity or gives it back. */
void principal_waits(struct claim *claim);
void principal_waits_no_more(struct claim *claim);
void principal_holds(struct claim *claim);
void principal_holds_no_more(struct claim *claim);

/* Does one of its claims wait for exactly this need? */
bool principal_wants(const struct principal *principal, const struct need *need);
/* Of the classes down to this one: LEASE_BACKGROUND: all. */
uint32_t principal_waiting(const struct principal *principal, enum lease_class cls);
uint32_t principal_held(const struct principal *principal, enum lease_class cls);
/* It has tags: state beyond its claims and sessions. */
bool principal_remembered(const struct principal *principal);
/* Frees one idle principal; called on every tick. */
void principal_sweep(struct core *core);
void principal_finish(struct core *core);
void principal_check(const struct core *core);
