/* net_impl: private to src/net, shared by its files: the table of connections and the notices about
 * them. */
#pragma once
#include <sys/types.h>

#include "net/conn.h"
#include "net/crowd.h"

struct listener {
	struct list node; /* net.listeners */
	struct net *net;
	struct event event;
	int fd;
	bool is_unix, is_http;
	char *path;   /* of a Unix socket; NULL: TCP */
	dev_t device; /* of the socket file, so that no other is removed */
	ino_t inode;
};

enum notice_kind { NOTICE_GONE, NOTICE_DELIVERED, NOTICE_WRITABLE, NOTICE_CLOSED };

struct notice {
	enum notice_kind kind;
	bool clean;
	uint64_t conn;
};

struct net {
	struct loop *loop;
	struct net_options options;
	struct net_handlers handlers;
	void *ctx;
	struct conn **slots; /* NULL: free */
	uint32_t slot_count;
	uint32_t *free_slots;
	uint32_t free_count;
	unsigned count, refused_count; /* connections; those over the limit count separately */
	struct crowd crowd;
	uint64_t sequence; /* of exchanges and sessions */
	struct list idle, ready, dropped, listeners;
	struct list due_heads; /* of streams begun in this iteration: conn.http.due */
	struct list deadlines[DEADLINE_COUNT];
	struct event deadline_timer;
	struct mono_ms deadline_timer_at; /* MONO_NEVER: off */
	bool stall_seen;
	struct event accept_timer;
	bool accept_paused, flush_deferred, destroyed;
	struct notice *notices; /* reported in net_flush */
	size_t notice_count, notice_capacity;
	char *scratch;   /* CONN_READ_BYTES + 1: input that is parsed without being kept */
	struct buf head; /* of the response being written */
	int64_t date_s;
	char date[40]; /* "Date: ..\r\n" of date_s */
};

uint64_t net_number(struct net *net, const struct conn *conn); /* allocates a new number */
struct conn *net_find(const struct net *net, uint64_t number); /* NULL: gone */
/* At the end of this iteration or the start of the next: reports notices, processes pipelined
 * input, frees. */
void net_defer_flush(struct net *net);
void net_notify(struct net *net, enum notice_kind kind, uint64_t number, bool clean);
