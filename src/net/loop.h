/* loop: the event loop (libevent). Callbacks of sockets, timers and probes only translate and
 * queue; the caller of loop_turn acts on them once per iteration. Single-threaded. */
#pragma once
#include <stdint.h>

#include "base/mono.h"

struct event_base;
struct loop;

int loop_create(struct loop **ret_loop); /* 0 or a negative enum err */
void loop_destroy(struct loop *loop);    /* takes NULL */

/* One iteration: waits for an event or loop_wake_at, and runs all ready callbacks.
 */
void loop_turn(struct loop *loop);
/* Reads whatever is readable now without waiting: after a stall, before any deadline is checked
 * (CASES.md R8). */
void loop_drain(struct loop *loop);
/* The next iteration starts no later than this; MONO_NEVER cancels. No timer runs while nothing is
 * due. */
void loop_wake_at(struct loop *loop, struct mono_ms when);
/* Runs `fn` at the end of the iteration, after all callbacks: for frees that must not happen inside
 * one. Deferred between two iterations, it runs at the start of the next, which does not wait. */
void loop_defer(struct loop *loop, void (*fn)(void *ctx), void *ctx);
/* `fn` on each arrival of the signal, from the loop, not from the handler. */
int loop_on_signal(struct loop *loop, int signo, void (*fn)(void *ctx, int signo), void *ctx);
/* Watches a descriptor for reading (pidfd, inotify); borrowed, the caller closes it after
 * loop_unwatch. */
struct loop_watch;
int loop_watch(struct loop *loop, int fd, void (*fn)(void *ctx, int fd), void *ctx,
	       struct loop_watch **ret_watch);
void loop_unwatch(struct loop_watch *watch); /* takes NULL */
struct event_base *loop_base(struct loop *loop);
/* To be called by callbacks of events added to loop_base directly: something was read, so
 * loop_drain makes another pass. */
void loop_touch(struct loop *loop);

/* CLOCK_MONOTONIC and CLOCK_REALTIME, read only here. */
struct mono_ms loop_now(void);
struct wall_ms loop_wall_now(void);
/* CLOCK_BOOTTIME - CLOCK_MONOTONIC: moves when the machine was suspended (CASES.md R2). */
int64_t loop_suspended_ms(void);
