/* upstream_deadline: how long a server may take for its next step. One timer per request, which
 * checks the time of the last progress instead of being rescheduled by each byte. */
#include <event2/event.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/upstream_impl.h"

/* After a stall of this process, bytes may be waiting unread: a server is late only if it still is
 * at a second look. */
enum { SECOND_LOOK_MS = 100 };

/* 0: the server has nothing to do now. */
static int limit_ms(const struct transfer *transfer)
{
	switch (transfer->phase) {
	case UPSTREAM_CONNECT:
		return transfer->connect_time_ms;
	case UPSTREAM_SEND:
		return transfer->starved ? 0 : transfer->idle_time_ms;
	case UPSTREAM_HEAD:
		return transfer->first_byte_time_ms;
	case UPSTREAM_BODY:
		break;
	}
	return transfer->paused || transfer->halted ? 0 : transfer->idle_time_ms;
}

static const char *late_words(enum upstream_phase phase)
{
	switch (phase) {
	case UPSTREAM_CONNECT:
		return "no connection in time";
	case UPSTREAM_SEND:
		return "the server does not take the request";
	case UPSTREAM_HEAD:
		return "no answer in time";
	case UPSTREAM_BODY:
		break;
	}
	return "the answer does not go on";
}

static void set_timer(struct event *timer, int64_t wait_ms)
{
	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
	(void)evtimer_add(timer, &wait);
}

static void on_deadline(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd, (void)events;
	struct transfer *transfer = ctx;
	int limit = limit_ms(transfer);
	int64_t left_ms = limit - mono_since(loop_now(), transfer->progress_at);

	loop_touch(transfer->upstream->loop);
	if (limit == 0)
		return;

	if (left_ms > 0) {
		set_timer(&transfer->deadline, left_ms);
	} else if (!transfer->looked_at) {
		transfer->looked_at = true;
		set_timer(&transfer->deadline, SECOND_LOOK_MS);
	} else {
		transfer_end(transfer,
			     transfer->phase == UPSTREAM_CONNECT ? ERR_UPSTREAM_UNREACHABLE
								 : ERR_UPSTREAM_SLOW,
			     late_words(transfer->phase));
	}
}

/* Its whole time is over, however many bytes came. */
static void on_end_due(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd, (void)events;
	struct transfer *transfer = ctx;

	loop_touch(transfer->upstream->loop);
	if (transfer->end_looked_at) {
		transfer_end(transfer, ERR_UPSTREAM_SLOW, "the answer is not complete in time");
		return;
	}
	transfer->end_looked_at = true;
	set_timer(&transfer->end, SECOND_LOOK_MS);
}

void transfer_deadline_init(struct transfer *transfer, int total_time_ms)
{
	struct event_base *base = loop_base(transfer->upstream->loop);

	(void)evtimer_assign(&transfer->deadline, base, on_deadline, transfer);
	(void)evtimer_assign(&transfer->end, base, on_end_due, transfer);
	if (total_time_ms)
		set_timer(&transfer->end, total_time_ms);
}

void transfer_deadline_begin(struct transfer *transfer)
{
	int limit = limit_ms(transfer);
	transfer_progress(transfer);
	if (limit)
		set_timer(&transfer->deadline, limit);
	else
		(void)evtimer_del(&transfer->deadline);
}

void transfer_progress(struct transfer *transfer)
{
	transfer->progress_at = loop_now();
	transfer->looked_at = false;
}
