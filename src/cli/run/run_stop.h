/* run_stop: how the job of `baton run` is made to end: SIGTERM, the grace, SIGKILL. */
#pragma once
#include <stdint.h>

struct run;

/* The declared grace, else the usual one. */
int64_t run_own_grace_ms(const struct run *run);
/* When to kill so that the broker, which gives `grace_ms`, need not. */
int64_t run_kill_time(int64_t grace_ms);
/* SIGTERM to all of it now, SIGKILL after the grace, for which what is frozen goes on. No-op unless
 * it runs or is frozen. */
void run_stop(struct run *run, int64_t grace_ms);
void run_kill(struct run *run);
/* What is due by now: the end of --hold, SIGKILL, SIGKILL again. */
void run_stop_due(struct run *run);
/* Until run_stop_due has something to do; -1: nothing to come. */
int run_stop_timeout_ms(const struct run *run);
