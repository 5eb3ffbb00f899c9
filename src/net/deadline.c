/* deadline: lists of deadlines, one per kind, and the one timer behind them. No timer runs while no
 * connection is waiting, so an idle daemon sleeps. What an expiry means is up to the connection. */
#include <event2/event.h>

#include "net/deadline.h"
#include "net/loop.h"
#include "net/net_impl.h"

enum { PING_STEP_MS = 1000, STALL_MS = 500, STALL_GRACE_MS = 100 };

static int64_t duration_ms(const struct net *net, enum deadline_kind kind)
{
	switch (kind) {
	case DEADLINE_HEADER:
		return net->options.header_time_ms;
	case DEADLINE_BODY:
		return net->options.body_time_ms;
	case DEADLINE_WRITE:
		return net->options.write_time_ms;
	case DEADLINE_PING:
		return net->options.ping_time_ms;
	case DEADLINE_CLOSE:
		return net->options.close_time_ms;
	case DEADLINE_NONE:
	case DEADLINE_COUNT:
		break;
	}
	return 0;
}

static void set_timer(struct net *net, struct mono_ms at, struct mono_ms now)
{
	int64_t wait_ms = mono_since(at, now);
	if (wait_ms < 0)
		wait_ms = 0;

	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	net->deadline_timer_at = at;
	(void)evtimer_add(&net->deadline_timer, &wait);
}

static struct conn *conn_of(struct deadline *deadline)
{
	return deadline->kind == DEADLINE_WRITE
		       ? container_of(deadline, struct conn, write_deadline)
		       : container_of(deadline, struct conn, read_deadline);
}

/* After a stall (a stopped process, a suspended machine), more input may have arrived than one
 * iteration reads. Reads it first and checks the deadlines a moment later, once (C43). */
static bool is_after_stall(struct net *net, struct mono_ms now)
{
	if (net->stall_seen || mono_since(now, net->deadline_timer_at) <= STALL_MS) {
		net->stall_seen = false;
		return false;
	}
	net->stall_seen = true;
	return true;
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd, (void)events;
	struct net *net = ctx;
	struct mono_ms now = loop_now(), next = MONO_NEVER;

	if (is_after_stall(net, now)) {
		set_timer(net, mono_after(now, STALL_GRACE_MS), now);
		return;
	}

	net->deadline_timer_at = MONO_NEVER;
	for (enum deadline_kind kind = DEADLINE_NONE; kind < DEADLINE_COUNT; kind++) {
		struct list *list = &net->deadlines[kind];
		while (!list_empty(list)) {
			struct deadline *first = container_of(list->next, struct deadline, node);
			if (!mono_due(first->at, now)) {
				next = mono_min(next, first->at);
				break;
			}
			struct conn *conn = conn_of(first);
			deadline_stop(first);
			conn_expired(conn, kind);
		}
	}

	if (mono_before(next, net->deadline_timer_at))
		set_timer(net, next, now);
}

void deadlines_init(struct net *net)
{
	for (enum deadline_kind kind = DEADLINE_NONE; kind < DEADLINE_COUNT; kind++)
		list_init(&net->deadlines[kind]);
	net->deadline_timer_at = MONO_NEVER;
	(void)evtimer_assign(&net->deadline_timer, loop_base(net->loop), on_timer, net);
}

void deadline_arm(struct net *net, struct deadline *deadline, enum deadline_kind kind)
{
	struct mono_ms now = loop_now();

	deadline_stop(deadline);
	deadline->kind = kind;
	deadline->at = mono_after(now, duration_ms(net, kind));
	if (kind == DEADLINE_PING) /* rounded up: one wake-up for many connections */
		deadline->at.v = (deadline->at.v / PING_STEP_MS + 1) * PING_STEP_MS;

	list_append(&net->deadlines[kind], &deadline->node);
	if (mono_before(deadline->at, net->deadline_timer_at))
		set_timer(net, deadline->at, now);
}

void deadline_stop(struct deadline *deadline)
{
	list_remove(&deadline->node);
	deadline->kind = DEADLINE_NONE;
}
