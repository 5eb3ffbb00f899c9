/* run_options: the options of `baton run`. Times in ms, -1: not given. */
#pragma once
#include "cli/cli.h"

struct run_options {
	const char *name, *lease_class, *gpu, *label;
	uint64_t vram_bytes;
	uint32_t slots, gpus;
	int64_t wait_ms, grace_ms;
	bool no_wait, evictable, quiet, requeue;
	int on_yield;
};

enum { RUN_OPTION_COUNT = 14 };

extern const struct option_spec run_option_specs[RUN_OPTION_COUNT];
