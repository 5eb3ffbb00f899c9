/* net: simulated connections. Order is kept in each direction; a message arrives late, or not at
 * all when the connection breaks first. */
#pragma once
#include "envelope.h"

struct world;

struct conn {
	uint64_t id; /* index + 1; never used twice in a run */
	int client;  /* -1: the operator's */
	uint32_t life;
	uint64_t job;         /* HTTP and streams: the job it is about; 0 */
	enum event_type asks; /* .. and what it asks */
	uint64_t session;     /* once WELCOME was sent */
	bool taken;           /* .. or was to be: the core took it for its session's */
	bool client_open, broker_open;
	bool exchange;        /* plain HTTP: closed by the broker after one answer */
	bool stream;          /* closed by the broker after the last message */
	bool gateway;         /* a stream inside the broker: nobody closes it but its client */
	bool answered;        /* the answer is wholly with the kernel */
	int64_t up_t, down_t; /* when the latest message arrives */
	int64_t heard_ms;     /* .. was stepped, on the clock of the daemon while it is awake */
};

struct net {
	struct conn *conns;
	size_t count, capacity;
	struct envelope *spare; /* for reuse */
};

/* NULL: refused, the broker is down or has no free descriptor. */
struct conn *net_connect(struct world *w, int client);
struct conn *net_conn(struct world *w, uint64_t id); /* NULL for 0 */
struct party net_party(const struct conn *conn);
struct envelope *net_envelope(struct world *w, enum envelope_kind kind, uint64_t conn);
void net_free(struct world *w, struct envelope *envelope);
/* Both take the envelope. */
void net_up(struct world *w, struct envelope *envelope);
void net_down(struct world *w, struct envelope *envelope);
/* The client's side ends. clean: what it sent arrives first. */
void net_close_client(struct world *w, struct conn *conn, bool clean);
/* The broker's side ends; the client hears of it. clean: what was sent arrives first. */
void net_close_broker(struct world *w, struct conn *conn, bool clean);
void net_finish(struct world *w);
