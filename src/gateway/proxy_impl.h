/* proxy_impl: private to proxy_*.c and gateway*.c: the steps that one part leaves to another. What
 * "takes it" ends the request and frees it. */
#pragma once
#include "base/hash.h"
#include "base/list.h"
#include "base/mono.h"
#include "gateway/proxy_gate.h"
#include "http/field.h"

struct gateway;
struct held_head;
struct http_request;
struct model;
struct net;
struct net_handlers;
struct proxied;
struct send_effect;

/* A person's wish that a server which Baton starts be started, since no page of it can be shown. */
#define PROXY_START_PATH "/.baton/start"

/* The listener of one server's pages. */
struct proxy {
	struct list link; /* gateway.proxies */
	struct gateway *gateway;
	struct net *net;
	char *server, *address; /* whose; as configured */
	uint16_t port;
	struct proxy_hosts hosts;
	struct hash by_conn;     /* struct proxied */
	bool pending;            /* not taken yet: a reload may be refused */
	struct mono_ms close_at; /* it was removed; MONO_NEVER: not */
};

/* proxy_receive.c: what net brings; `ctx` is the proxy. */
extern const struct net_handlers proxy_handlers;

/* proxy_status.c: the claim by which it waits in the queue, for its turn or for its model's memory;
 * 0: in none. */
uint64_t proxied_waiting_claim(const struct proxied *p);

/* proxy_turn.c: waits for its server's memory and its turn, then goes on; as it stands now. */
void proxied_want_model(struct proxied *p, struct mono_ms now);
void proxied_want_turn(struct proxied *p, struct mono_ms now);
/* Where nobody waits for its answer, it is tried again later; false: somebody does, or it was too
 * often. */
bool proxied_put_off(struct proxied *p, const char *why);
void proxied_leave_queue(struct proxied *p);
void proxied_give_back(struct proxied *p);
void proxied_news(struct proxied *p, const struct send_effect *send);
void proxied_model_changed(struct gateway *gateway, struct model *model);
struct proxied *proxied_of_party(const struct gateway *gateway, uint64_t party);
/* Of an earlier broker: at once, or when its server said that it does not have it. */
void proxied_try_again(struct proxied *p, struct mono_ms now);
/* Its work is not wanted any more: the server is told to stop. */
void proxied_stop_work(struct proxied *p);

/* proxy_forward.c, proxy_socket.c: to the server. */
void proxied_forward(struct proxied *p);
void proxied_open_socket(struct proxied *p);
void proxied_push_held(struct proxied *p);

/* It became this prompt, which outlives the broker, too. */
void proxied_take_prompt(struct proxied *p, const char *prompt);

/* proxy_work.c: its server may work until it says otherwise; whether it does is looked at. */
void proxied_begin_work(struct proxied *p, struct mono_ms now);
void proxied_tick(struct proxied *p, struct mono_ms now);

/* proxy_answer.c: to the client. */
/* False: it could not be, and ended. */
bool proxied_begin_answer(struct proxied *p, int status, struct http_field_iterator fields);
void proxied_answer_kept(struct proxied *p);
/* The server that it wanted to be started is there: back to its first page. Takes it. */
void proxied_answer_started(struct proxied *p);
/* An answer without a request on its way. */
void proxy_refuse(struct proxy *proxy, const struct http_request *request, int err,
		  const char *message);
/* The error and no more of it: its server may work. */
void proxied_refuse(struct proxied *p, int err, const char *message);
/* Ends it with an error, or cuts what was begun. Takes it. */
void proxied_fail(struct proxied *p, int err, const char *message, int64_t retry_ms);
/* Its client left, or has all. Takes it, unless its server works. */
void proxied_abandon(struct proxied *p, const char *outcome);
/* Its client hears no more of it. */
void proxied_forget_client(struct proxied *p);
/* Logs its outcome, gives back what it holds. Takes it. */
void proxied_end(struct proxied *p, const char *outcome);

/* proxy.c */
struct proxied *proxied_create(struct gateway *gateway, struct model *model);
struct proxied *proxied_of(const struct proxy *proxy, uint64_t conn);
struct model *proxy_model(const struct gateway *gateway, const char *server);
void proxied_head(const struct proxied *p, struct held_head *ret_head);
/* By what its kind says: other requests may take a turn as well, and have no ids. */
bool proxied_is_prompt(const struct proxied *p);
