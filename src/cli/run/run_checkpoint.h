/* run_checkpoint: `--on-yield checkpoint`: CUDA's driver moves the job off the GPU, its lease is
 * given back with all memory, and it is put back where it was when it has a lease again. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct baton_lease;
struct run;

/* Before anything else: returns -1 when it can be done here, else the exit status, and why not was
 * said. */
int run_checkpoint_refuse(const struct run *run);
/* It is to give way in `grace_ms`. */
void run_checkpoint(struct run *run, int64_t grace_ms);
/* The broker's words meanwhile. */
void run_checkpoint_asked(struct run *run, int64_t grace_ms);
void run_checkpoint_kept(struct run *run);
void run_checkpoint_granted(struct run *run, const struct baton_lease *lease);
/* Its place in the queue is gone. */
void run_checkpoint_ended(struct run *run, int code);
/* What has been done by now, and what is due. */
void run_checkpoint_look(struct run *run);
int run_checkpoint_fd(const struct run *run);           /* -1: none */
int64_t run_checkpoint_until_ms(const struct run *run); /* INT64_MAX: nothing is due */
/* All of it is frozen, or is to be at once: what is to end it lets it go on first. */
bool run_checkpoint_stands(const struct run *run);
/* A signal of the user's that ends it: for the command, which then has its own grace. */
void run_checkpoint_signal(struct run *run, int signo);
/* The same was passed on while it moves. */
void run_checkpoint_told(struct run *run);
/* It must end; the caller lets it go on. Nothing more is moved. */
void run_checkpoint_end(struct run *run);
/* It is gone. */
void run_checkpoint_forget(struct run *run);
