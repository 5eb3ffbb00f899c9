/* session: one client's connection and identity. A session whose connection is gone is detached: it
 * keeps its places and leases until a deadline, or until it resumes with its secret. */
#pragma once
#include "core/types.h"

struct claim;
struct core;
struct event;
struct session;
struct session_record;
struct token;

struct session *session_by_conn(const struct core *core, uint64_t conn); /* NULL: none */
struct session *session_by_id(const struct core *core, uint64_t id);
struct session *session_by_secret(const struct core *core, const struct token *secret);

struct session *session_alloc(const struct session_record *rec); /* not indexed */
void session_index(struct core *core, struct session *session);  /* by id, secret and conn */
/* hello: a new session, or an old one that presents its secret. */
void session_open(struct core *core, const struct event *event);
/* A row of the journal, before START. */
void session_restore(struct core *core, const struct session_record *rec);
/* Attaches the connection; 0: detaches. */
void session_set_conn(struct core *core, struct session *session, uint64_t conn);
void session_seen(struct core *core, struct session *session);
/* Its connection is gone. */
void session_detach(struct core *core, struct session *session, bool peer_gone);
/* The native process is dead. Unless `rest_lives`, nothing of it can still use a GPU. */
void session_peer_exit(struct core *core, struct session *session, bool rest_lives);
void session_peer_reach(struct core *core, const struct event *event);
/* Native: some process of it can be signalled, and its capacity is free once that is gone. */
bool session_stoppable(const struct session *session);
/* The processes that use the GPU for it besides its peer; replaces the earlier list. */
void session_processes(struct core *core, const struct event *event);
void session_bye(struct core *core, struct session *session);
/* Ends all its claims, those with room as `held_end` says. The session ends with them. */
void session_end_all(struct core *core, struct session *session, enum end_reason queued_end,
		     enum end_reason held_end);
/* Its timer came due: silence of a tab, or the end of a linger. */
void session_due(struct core *core, struct session *session);
/* How long it may be silent: what WELCOME announced, or more. */
int64_t session_ttl_ms(const struct core *core, const struct session *session);
bool session_silent(const struct core *core, const struct session *session);
void session_free(struct core *core, struct session *session);

/* Told by claim.c. */
void session_took_room(struct claim *claim);
void session_gave_turn(struct core *core, const struct claim *claim);
void session_gave_room(struct claim *claim);
void session_claim_ended(struct core *core, struct session *session);
void session_dirty(struct core *core, struct session *session);
