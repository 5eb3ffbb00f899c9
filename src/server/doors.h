/* doors: what waits at the edge: each connection that an effect may name, or that has work left,
 * has a door here. Knows numbers, not sockets (net has those) and not claims (core has those). */
#pragma once
#include "base/hash.h"
#include "base/list.h"
#include "core/types.h"
#include "net/http.h"
#include "wire/about.h"
#include "wire/access.h"

enum door_kind {
	DOOR_REQUEST,  /* a parked HTTP exchange: an effect will answer it */
	DOOR_ANSWERED, /* a grant was answered; whether it arrives is not known yet */
	DOOR_STREAM,   /* a lock over Server-Sent Events */
	DOOR_FEED,     /* /v1/gpu/events */
	DOOR_LISTING,  /* a status that is written in slices */
	DOOR_GREETING, /* a session that has not said hello */
	DOOR_SESSION,
	DOOR_LEAVING, /* a session that was told to go and has not gone yet */
	DOOR_KIND_COUNT
};

enum { DOOR_UNCONFIRMED_MAX = 16 };

/* The part of a door that only sessions have. */
struct door_session {
	struct net_peer peer;
	enum binding binding; /* BIND_NATIVE or BIND_TAB */
	enum access_right rights;
	bool browser;
	bool paired;                /* its Origin is allowed as a site's only */
	uint64_t site;              /* whose token it showed; 0: none */
	bool events, logs;          /* subscriptions */
	int pidfd;                  /* of the peer, until welcome hands it on; -1: none; owned */
	uint64_t id;                /* of the core; 0 until welcome */
	struct mono_ms hello_due;   /* DOOR_GREETING */
	struct mono_ms since, seen; /* its hello, its last message */
	char name[LIMIT_ID_BYTES + 1];
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	struct about about; /* what it says of itself, for people */
	/* Leases that were revoked and that it did not `release` yet; the newest of them. */
	uint64_t unconfirmed[DOOR_UNCONFIRMED_MAX];
	unsigned unconfirmed_count;
};

struct door {
	struct hash_node by_conn;    /* doors.by_conn */
	struct hash_node by_browser; /* doors.by_browser while browser_key is not 0 */
	struct list link;            /* doors.kinds[kind], oldest first */
	uint64_t conn, browser_key;
	enum door_kind kind;
	enum route_id route;
	bool begun;    /* DOOR_STREAM: the head of the answer is written */
	uint64_t sent; /* DOOR_FEED: id of the newest event written */
	char *origin;  /* that the request showed and that is allowed, or NULL; owned */
	struct door_session *session; /* owned; NULL for exchanges */
};

struct doors {
	struct net *net;
	struct hash by_conn, by_browser;
	struct list kinds[DOOR_KIND_COUNT];
	unsigned counts[DOOR_KIND_COUNT];
};

void doors_init(struct doors *doors, struct net *net);
void doors_finish(struct doors *doors); /* frees all doors, closes nothing */
/* `origin` is copied. Aborts when memory is out. */
struct door *door_open(struct doors *doors, uint64_t conn, enum door_kind kind, const char *origin);
struct door *door_of(const struct doors *doors, uint64_t conn); /* NULL: none */
void door_turn(struct doors *doors, struct door *door, enum door_kind kind);
void door_shut(struct doors *doors, struct door *door); /* takes it, and NULL */
/* A session was told that `lease` is revoked; it said, or was told, that it is released. */
void door_revoked(struct door *door, uint64_t lease);
void door_released(struct door *door, uint64_t lease);
/* The oldest door of a kind, or NULL. */
struct door *door_oldest(const struct doors *doors, enum door_kind kind);

/* Parked lock requests of one browser (Origin and User-Agent), at most LIMIT_WAITING_PER_BROWSER:
 * false, and nothing counted, when it is one too many. Counts until the door shuts or turns. */
bool door_count_browser(struct doors *doors, struct door *door, const char *origin,
			const char *user_agent);
