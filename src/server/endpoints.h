/* endpoints: what waits at the edge: each connection that an effect may name, or that has work
 * left, has an endpoint here. Knows numbers, not sockets (net has those) and not claims (core has
 * those). */
#pragma once
#include "base/hash.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mono.h"
#include "core/types.h"
#include "net/net.h"
#include "wire/client_info.h"
#include "wire/route.h"

struct endpoint_ops;
struct net;
struct text;

enum endpoint_kind {
	ENDPOINT_REQUEST,  /* a parked HTTP exchange: an effect will answer it */
	ENDPOINT_ANSWERED, /* a grant was answered; whether it arrives is not known yet */
	ENDPOINT_STREAM,   /* a lock over Server-Sent Events */
	ENDPOINT_FEED,     /* /v1/gpu/events */
	ENDPOINT_STATUS,   /* a status that is written in slices */
	ENDPOINT_GREETING, /* a session that has not said hello */
	ENDPOINT_SESSION,
	ENDPOINT_WORKER_GREETING, /* a worker that has not said hello */
	ENDPOINT_WORKER,
	ENDPOINT_LEAVING, /* a session that was told to go and has not gone yet */
	ENDPOINT_KIND_COUNT
};

enum { ENDPOINT_UNCONFIRMED_MAX = 16 };

/* The part of an endpoint that only sessions have. */
struct endpoint_session {
	struct net_peer peer;
	enum binding binding; /* BIND_NATIVE or BIND_TAB */
	enum access_right rights;
	bool browser;
	bool paired;                /* its Origin is allowed as a site's only */
	uint64_t site;              /* whose token it showed; 0: none */
	bool events, logs;          /* subscriptions */
	int pidfd;                  /* of the peer, until welcome hands it on; -1: none; owned */
	uint64_t id;                /* of the core; 0 until welcome */
	struct mono_ms hello_due;   /* of a greeting */
	struct mono_ms since, seen; /* its hello, its last message */
	char name[LIMIT_ID_BYTES + 1];
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	struct client_info about; /* what it says of itself, for people */
	/* Leases that were revoked and that it did not `release` yet; the newest of them. */
	uint64_t unconfirmed[ENDPOINT_UNCONFIRMED_MAX];
	unsigned unconfirmed_count;
};

struct endpoint {
	struct hash_node by_conn;    /* endpoints.by_conn */
	struct hash_node by_browser; /* endpoints.by_browser while browser_key is not 0 */
	struct list link;            /* endpoints.kinds[kind], oldest first */
	uint64_t conn, browser_key;
	enum endpoint_kind kind;
	enum route_id route;
	bool begun;      /* ENDPOINT_STREAM: the head of the answer is written */
	uint64_t sent;   /* ENDPOINT_FEED: id of the newest event written */
	char *origin;    /* that the request showed and that is allowed, or NULL; owned */
	char *principal; /* whose exchange stays open, or NULL; owned. Sessions have theirs */
	struct endpoint_session *session; /* owned; NULL for exchanges */
};

/* What serves the endpoints of one kind, see endpoint_ops.h. */
struct endpoint_server {
	const struct endpoint_ops *ops;
	void *ctx;
};

struct endpoints {
	struct net *net;
	struct hash by_conn, by_browser;
	struct list kinds[ENDPOINT_KIND_COUNT];
	unsigned counts[ENDPOINT_KIND_COUNT];
	struct endpoint_server servers[ENDPOINT_KIND_COUNT];
	uint32_t stream_kinds; /* bit per kind: it has a `keepalive` */
	struct text *message;  /* that is written right now; who writes one clears it first */
};

void endpoints_init(struct endpoints *endpoints, struct net *net);
void endpoints_finish(struct endpoints *endpoints); /* frees all endpoints, closes nothing */
/* `origin` is copied. Aborts on allocation failure. */
struct endpoint *endpoint_open(struct endpoints *endpoints, uint64_t conn, enum endpoint_kind kind,
			       const char *origin);
/* It ends when what let it in does, see endpoints_shut_out. Copied. */
void endpoint_belongs(struct endpoint *endpoint, const char *principal);
struct endpoint *endpoint_of(const struct endpoints *endpoints, uint64_t conn); /* NULL: none */
void endpoint_turn(struct endpoints *endpoints, struct endpoint *endpoint, enum endpoint_kind kind);
void endpoint_shut(struct endpoints *endpoints, struct endpoint *endpoint); /* takes it, and NULL */
/* A session was told that `lease` is revoked; it said, or was told, that it is released. */
void endpoint_revoked(struct endpoint *endpoint, uint64_t lease);
void endpoint_released(struct endpoint *endpoint, uint64_t lease);
/* The oldest endpoint of a kind, or NULL. */
struct endpoint *endpoint_oldest(const struct endpoints *endpoints, enum endpoint_kind kind);

/* Parked lock requests of one browser (Origin and User-Agent), at most LIMIT_WAITING_PER_BROWSER:
 * false, and nothing counted, when it is one too many. Counts until the endpoint shuts or turns. */
bool endpoint_count_browser(struct endpoints *endpoints, struct endpoint *endpoint,
			    const char *origin, const char *user_agent);
