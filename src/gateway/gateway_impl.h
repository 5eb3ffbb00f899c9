/* gateway_impl: private to gateway.c and relay_*.c. */
#pragma once
#include "base/hash.h"
#include "gateway/catalog.h"
#include "gateway/gateway.h"
#include "gateway/held.h"
#include "gateway/residence.h"
#include "gateway/stored_request.h"
#include "gateway/switch_log.h"
#include "gateway/worker.h"
#include "http/field.h"

struct lease_port;
struct log;
struct loop;
struct model;
struct model_server;
struct net;
struct relay;
struct send_effect;
struct upstream;

struct gateway {
	struct loop *loop;
	struct net *net;
	struct upstream *upstream;
	struct upstream *pages_upstream; /* what only passes takes no place of requests */
	struct list proxies, proxied;    /* listeners of pages; their requests, oldest first */
	struct held_store held;
	const struct lease_port *port;
	struct log *log;
	struct gateway_options options;
	struct catalog catalog;
	struct residences residences;
	struct switch_log switches;
	struct workers workers;
	struct hash by_conn;
	struct list relays; /* oldest first */
	struct stored_requests stored_requests;
	uint64_t party_next; /* odd numbers */
	uint64_t body_bytes; /* held in all */
	bool workers_changed, draining;
	bool flush_deferred, destroyed;
};

/* gateway.c: at the end of the iteration it looks at what follows from a change. */
void gateway_look_later(struct gateway *gateway);
/* gateway_reload.c: forgets servers that were removed, once nothing is left of them. */
void gateway_forget_removed(struct gateway *gateway);

/* gateway.c: who asks, for those who are told on whose behalf it is; for all. */
const char *relay_client(const struct relay *relay);
const char *relay_public_name(const struct relay *relay);
