/* sessions: WebSocket and Unix sessions from hello to close. */
#pragma once
#include "base/mono.h"
#include "net/net.h"
#include "wire/route.h"

struct server;

/* The callbacks of net for sessions; `ctx` is the server. */
void sessions_on_open(void *ctx, uint64_t conn, const struct net_peer *peer);
void sessions_on_message(void *ctx, uint64_t conn, const char *text, size_t length);
void sessions_on_closed(void *ctx, uint64_t conn, bool clean);
const char *sessions_rights_name(enum access_right rights);
/* Of a site that the operator let queue: how many there are, and their end. */
unsigned sessions_of_site(const struct server *server, uint64_t site);
void sessions_end_site(struct server *server, uint64_t site);
/* Closes those that did not say hello in time (CASES.md C9). */
void sessions_expire(struct server *server, struct mono_ms now);
/* When sessions_expire has work; MONO_NEVER: none. */
struct mono_ms sessions_wake(const struct server *server);
/* Tells all pages that a file of theirs was changed (--dev); `ctx` is the server. */
void sessions_tell_reload(void *ctx, const char *path);

extern const struct endpoint_ops greeting_ops, session_ops, leaving_ops;
