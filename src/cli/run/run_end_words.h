/* run_end_words: how the job of `baton run` ended, for the broker's history and events. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUN_UNIT_BYTES = 64 };

struct run_end {
	int status;    /* as of waitpid */
	bool unknown;  /* .. which nobody knows */
	bool stopped;  /* the broker asked for it, or took the lease: how it obeyed says nothing */
	bool held_out; /* stopped at the end of --hold */
	int64_t oom_kills; /* how many of its processes the kernel killed for want of memory */
	int ended_by; /* enum unit_kind: systemd was to end that unit, and said so by a signal */
	char unit[RUN_UNIT_BYTES];
};

/* "" where there is nothing to say: it did what it was to do. What counts most comes first, for
 * the end may be cut off. */
void run_end_words(const struct run_end *end, char *ret_words, size_t size);
