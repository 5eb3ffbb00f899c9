/* loop: see loop.h. a libevent base without locks, one timer for the caller's deadline, deferred
 * calls, signals and watched descriptors. Knows no connections. */
#include "net/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mono.h"

enum {
	DRAIN_PASSES_MAX = 64,
	SIGNALS_MAX = 16,
	DEFERRED_MIN = 64,
	/* A hand-off is a few messages some tens of microseconds apart. Sleeping between them costs
	   more than polling for this long; an idle loop does not poll at all. */
	LINGER_US = 50,
};

struct deferred {
	void (*fn)(void *ctx);
	void *ctx;
};

struct loop_signal {
	struct loop *loop;
	struct event *event;
	void (*fn)(void *ctx, int signo);
	void *ctx;
};

struct loop {
	struct event_base *base;
	struct event *wake;
	struct mono_ms wake_at; /* when the timer fires, no later than last requested */
	struct deferred *deferred;
	size_t deferred_count, deferred_capacity;
	struct loop_signal signals[SIGNALS_MAX];
	size_t signal_count;
	uint64_t activity;      /* callbacks so far */
	uint64_t activity_seen; /* its value when the last iteration began */
};

struct loop_watch {
	struct loop *loop;
	struct event *event;
	void (*fn)(void *ctx, int fd);
	void *ctx;
};

static int64_t clock_ms(clockid_t id)
{
	struct timespec t;
	int rc = clock_gettime(id, &t);
	assert(rc == 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t now_us(void)
{
	struct timespec t;
	int rc = clock_gettime(CLOCK_MONOTONIC, &t);
	assert(rc == 0);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct mono_ms loop_now(void)
{
	return (struct mono_ms){clock_ms(CLOCK_MONOTONIC)};
}

struct wall_ms loop_wall_now(void)
{
	return (struct wall_ms){clock_ms(CLOCK_REALTIME)};
}

int64_t loop_suspended_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC);
}

static void on_wake(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd, (void)events;
	struct loop *loop = ctx;
	loop_touch(loop);
	loop->wake_at = MONO_NEVER; /* one-shot; running an event ends the wait */
}

int loop_create(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct event_config *config = event_config_new();

	if (loop && config) {
		/* Single-threaded, so libevent needs no locks. */
		(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		loop->wake_at = MONO_NEVER;
		loop->deferred = calloc(DEFERRED_MIN, sizeof(*loop->deferred));
		loop->deferred_capacity = DEFERRED_MIN;
		loop->base = event_base_new_with_config(config);
		if (loop->base)
			loop->wake = evtimer_new(loop->base, on_wake, loop);
	}

	if (config)
		event_config_free(config);
	if (!loop || !loop->deferred || !loop->wake) {
		loop_destroy(loop);
		return -ERR_NO_MEMORY;
	}

	*ret_loop = loop;
	return 0;
}

/* Runs the calls deferred so far; those that they defer wait for the next round, so that an
 * iteration always ends. */
static void run_deferred(struct loop *loop)
{
	size_t count = loop->deferred_count;
	for (size_t i = 0; i < count; i++) {
		struct deferred call = loop->deferred[i]; /* the array may move */
		call.fn(call.ctx);
	}

	if (count == 0)
		return;
	loop->deferred_count -= count;
	memmove(loop->deferred, loop->deferred + count,
		loop->deferred_count * sizeof(*loop->deferred));
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;

	while (loop->deferred_count)
		run_deferred(loop);

	for (size_t i = 0; i < loop->signal_count; i++)
		event_free(loop->signals[i].event);

	if (loop->wake)
		event_free(loop->wake);
	if (loop->base)
		event_base_free(loop->base);
	free(loop->deferred);
	free(loop);
}

/* After an iteration that had work: true if more arrived within LINGER_US and was handled. */
static bool look_again(struct loop *loop)
{
	if (loop->activity == loop->activity_seen)
		return false;
	loop->activity_seen = loop->activity;

	for (int64_t until = now_us() + LINGER_US; now_us() < until;) {
		(void)event_base_loop(loop->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		if (loop->activity != loop->activity_seen || loop->deferred_count)
			return true;
	}
	return false;
}

void loop_turn(struct loop *loop)
{
	/* Calls deferred since the last iteration (by responses that the server sent) come first,
	 * before anything new is read. They may have queued work for the caller, so do not block.
	 */
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
	if (loop->deferred_count) {
		flags |= EVLOOP_NONBLOCK;
		run_deferred(loop);
	} else if (look_again(loop)) {
		flags = 0;
	}

	if (flags)
		(void)event_base_loop(loop->base, flags);
	run_deferred(loop);
}

void loop_drain(struct loop *loop)
{
	uint64_t before;
	int passes = 0;

	do {
		before = loop->activity;
		(void)event_base_loop(loop->base, EVLOOP_NONBLOCK);
		run_deferred(loop);
	} while (loop->activity != before && ++passes < DRAIN_PASSES_MAX);
}

void loop_touch(struct loop *loop)
{
	loop->activity++;
}

void loop_wake_at(struct loop *loop, struct mono_ms when)
{
	/* Rescheduling the timer on each iteration would cost more than an occasional spurious
	 * wake-up: a woken caller sets it again. */
	if (when.v != MONO_NEVER.v && !mono_before(when, loop->wake_at))
		return;

	loop->wake_at = when;
	if (when.v == MONO_NEVER.v) {
		(void)evtimer_del(loop->wake);
		return;
	}

	int64_t wait_ms = mono_since(when, loop_now());
	if (wait_ms < 0)
		wait_ms = 0;
	const int64_t day_ms = 24 * 3600 * 1000;
	if (wait_ms > day_ms)
		wait_ms = day_ms; /* waking early is harmless and keeps timeval small */

	struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
	(void)evtimer_add(loop->wake, &wait);
}

void loop_defer(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	if (loop->deferred_count == loop->deferred_capacity) {
		size_t capacity = 2 * loop->deferred_capacity;
		struct deferred *grown = reallocarray(loop->deferred, capacity, sizeof(*grown));
		/* A lost call would leak or hang its object. */
		assert(grown);
		loop->deferred = grown;
		loop->deferred_capacity = capacity;
	}

	loop->deferred[loop->deferred_count++] = (struct deferred){fn, ctx};
}

static void on_signal(evutil_socket_t signo, short events, void *ctx)
{
	(void)events;
	struct loop_signal *signal = ctx;
	loop_touch(signal->loop);
	signal->fn(signal->ctx, (int)signo);
}

int loop_on_signal(struct loop *loop, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
	if (loop->signal_count == SIGNALS_MAX)
		return -ERR_INTERNAL;

	struct loop_signal *signal = &loop->signals[loop->signal_count];
	*signal = (struct loop_signal){.loop = loop, .fn = fn, .ctx = ctx};
	signal->event = evsignal_new(loop->base, signo, on_signal, signal);
	if (!signal->event)
		return -ERR_NO_MEMORY;

	if (evsignal_add(signal->event, NULL) != 0) {
		event_free(signal->event);
		return -ERR_IO;
	}

	loop->signal_count++;
	return 0;
}

static void on_watched(evutil_socket_t fd, short events, void *ctx)
{
	(void)events;
	struct loop_watch *watch = ctx;
	loop_touch(watch->loop);
	watch->fn(watch->ctx, (int)fd);
}

int loop_watch(struct loop *loop, int fd, void (*fn)(void *ctx, int fd), void *ctx,
	       struct loop_watch **ret_watch)
{
	struct loop_watch *watch = malloc(sizeof(*watch));
	if (!watch)
		return -ERR_NO_MEMORY;

	*watch = (struct loop_watch){.loop = loop, .fn = fn, .ctx = ctx};
	watch->event = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_watched, watch);

	if (!watch->event || event_add(watch->event, NULL) != 0) {
		if (watch->event)
			event_free(watch->event);
		free(watch);
		return -ERR_NO_MEMORY;
	}

	*ret_watch = watch;
	return 0;
}

void loop_unwatch(struct loop_watch *watch)
{
	if (!watch)
		return;
	/* libevent drops the event at once, even if it is already active in this iteration. */
	event_free(watch->event);
	free(watch);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}
