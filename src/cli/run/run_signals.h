/* run_signals: signals sent to `baton run`, and job control: it stops and goes on with its command,
 * as a shell expects of a job. */
#pragma once

struct run;

/* Catches what is passed on. Returns a signalfd, or -1. */
int run_signals_catch(struct run *run);
void run_signals_take(struct run *run);
/* The terminal has stopped the command: gives it back and stops ourselves until continued. */
void run_signals_stopped(struct run *run);
