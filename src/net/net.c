/* net: the table of connections, and the end of an iteration: reports what happened, processes
 * pending input, frees closed connections. Listeners are in listen.c, sockets in conn.c, protocols
 * in http.c, ws.c and line_session.c. */
#include "net/listen.h"
#include "net/net_impl.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/deadline.h"
#include "net/http_reply.h"
#include "net/loop.h"

enum {
	SLOT_BITS = 16,
	PING_TIME_MS = 10000,
	CLOSE_TIME_MS = 2000,
	NOTICES_PER_SLOT = 8, /* per iteration; a connection makes no more than five */
};

uint64_t net_number(struct net *net, const struct conn *conn)
{
	return ++net->sequence << SLOT_BITS | conn->slot;
}

struct conn *net_find(const struct net *net, uint64_t number)
{
	uint64_t slot = number & ((1u << SLOT_BITS) - 1);
	if (slot >= net->slot_count || !net->slots[slot] || net->slots[slot]->id != number)
		return NULL;
	return net->slots[slot];
}

static void report_notices(struct net *net)
{
	/* A callback may answer or close and so add notices; these wait for the next round. */
	size_t count = net->notice_count;
	for (size_t i = 0; i < count; i++) {
		struct notice notice = net->notices[i];
		if (notice.kind == NOTICE_GONE)
			net->handlers.on_gone(net->ctx, notice.conn);
		else if (notice.kind == NOTICE_DELIVERED)
			net->handlers.on_delivered(net->ctx, notice.conn);
		else if (notice.kind == NOTICE_WRITABLE)
			net->handlers.on_writable(net->ctx, notice.conn);
		else
			net->handlers.on_closed(net->ctx, notice.conn, notice.clean);
	}

	net->notice_count -= count;
	for (size_t i = 0; i < net->notice_count; i++)
		net->notices[i] = net->notices[i + count];
	if (net->notice_count)
		net_defer_flush(net);
}

static void process_ready(struct net *net)
{
	struct list *last = net->ready.prev; /* one request per connection and iteration */
	for (bool more = !list_empty(&net->ready); more && !list_empty(&net->ready);) {
		struct list *node = net->ready.next;
		more = node != last;
		list_remove(node);
		conn_process(container_of(node, struct conn, queue));
	}
}

static void net_free(struct net *net)
{
	(void)event_del(&net->deadline_timer);
	(void)event_del(&net->accept_timer);
	crowd_finish(&net->crowd);
	buf_finish(&net->head);
	free(net->slots);
	free(net->free_slots);
	free(net->notices);
	free(net->scratch);
	free(net);
}

static void net_flush(void *ctx)
{
	struct net *net = ctx;
	net->flush_deferred = false;

	if (!net->destroyed) {
		report_notices(net);
		process_ready(net);
		http_send_due_heads(net);
	}

	list_each (node, next, &net->dropped)
		conn_free(container_of(node, struct conn, queue));
	if (net->destroyed)
		net_free(net);
}

void net_defer_flush(struct net *net)
{
	if (net->flush_deferred)
		return;
	net->flush_deferred = true;
	loop_defer(net->loop, net_flush, net);
}

void net_notify(struct net *net, enum notice_kind kind, uint64_t number, bool clean)
{
	if (net->destroyed)
		return;
	assert(net->notice_count < net->notice_capacity);
	net->notices[net->notice_count++] = (struct notice){kind, clean, number};
	net_defer_flush(net);
}

static int allocate_tables(struct net *net)
{
	unsigned *reserved = &net->options.connections_reserved_max;
	if (*reserved > net->options.connections_max / 2)
		*reserved =
			net->options.connections_max / 2; /* a small table keeps general slots */

	net->slot_count = net->options.connections_max + CONN_REFUSED_MAX;
	if (net->options.connections_max == 0 || net->slot_count < net->options.connections_max ||
	    net->slot_count >> SLOT_BITS)
		return -ERR_BAD_FIELD;

	/* Slots of connections dropped in this iteration are free again only at its end. */
	net->notice_capacity = (size_t)net->slot_count * NOTICES_PER_SLOT;
	net->slots = calloc(net->slot_count, sizeof(struct conn *));
	net->free_slots = calloc(net->slot_count, sizeof(*net->free_slots));
	net->notices = calloc(net->notice_capacity, sizeof(*net->notices));
	net->scratch = malloc(CONN_READ_BYTES + 1);

	if (!net->slots || !net->free_slots || !net->notices || !net->scratch)
		return -ERR_NO_MEMORY;

	while (net->free_count < net->slot_count) {
		net->free_slots[net->free_count] = net->slot_count - 1 - net->free_count;
		net->free_count++;
	}
	return 0;
}

int net_create(struct loop *loop, const struct net_options *options,
	       const struct net_handlers *handlers, void *ctx, struct net **ret_net)
{
	struct net *net = calloc(1, sizeof(*net));
	if (!net)
		return -ERR_NO_MEMORY;

	net->loop = loop;
	net->options = *options;
	if (net->options.ping_time_ms == 0)
		net->options.ping_time_ms = PING_TIME_MS;
	if (net->options.close_time_ms == 0)
		net->options.close_time_ms = CLOSE_TIME_MS;

	net->handlers = *handlers;
	net->ctx = ctx;
	net->date_s = -1;

	crowd_init(&net->crowd);
	list_init(&net->idle);
	list_init(&net->ready);
	list_init(&net->dropped);
	list_init(&net->due_heads);
	list_init(&net->listeners);
	deadlines_init(net);
	listen_init(net);

	int rc = allocate_tables(net);
	if (rc) {
		net_free(net);
		return rc;
	}

	*ret_net = net;
	return 0;
}

void net_destroy(struct net *net)
{
	if (!net)
		return;

	net_stop_listening(net);
	net->destroyed = true; /* no more callbacks */
	for (uint32_t slot = 0; slot < net->slot_count; slot++) {
		if (net->slots[slot])
			conn_drop(net->slots[slot]);
	}

	/* A deferred flush must not find freed memory: let it free the net. */
	if (!net->flush_deferred)
		net_free(net);
}

unsigned net_connection_count(const struct net *net)
{
	return net->count;
}
