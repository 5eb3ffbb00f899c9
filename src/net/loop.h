/* loop: the event loop (libevent) and its turn. Callbacks of sockets, timers and probes only
 * translate and queue; what they mean is decided once per turn by the caller of loop_turn. One
 * thread. */
#pragma once
#include "base/mono.h"

struct loop;
struct event_base;

int loop_create(struct loop **ret_loop); /* 0 or a negative enum err */
void loop_destroy(struct loop *loop);    /* takes NULL */

/* Waits until something is ready or loop_wake_at has come, and runs all callbacks that are ready.
 */
void loop_turn(struct loop *loop);
/* Reads whatever is readable now without waiting: after a stall, before anything is judged
 * (CASES.md R8). */
void loop_drain(struct loop *loop);
/* The next turn starts no later than this; MONO_NEVER takes it back. No timer runs while nothing is
 * due. */
void loop_wake_at(struct loop *loop, struct mono_ms when);
/* Runs `fn` at the end of the turn, after all callbacks: for frees that must not happen inside one.
 * Deferred between two turns, it runs as the next turn begins, and that turn does not wait. */
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
/* Said by callbacks of events that were put on loop_base directly: something was read, so
 * loop_drain looks once more. */
void loop_touch(struct loop *loop);

/* CLOCK_MONOTONIC and CLOCK_REALTIME, read in this one file. */
struct mono_ms loop_now(void);
struct wall_ms loop_wall_now(void);
/* CLOCK_BOOTTIME - CLOCK_MONOTONIC: moves when the machine was suspended (CASES.md R2). */
int64_t loop_suspended_ms(void);
