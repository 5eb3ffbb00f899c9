/* run_options: the options of `baton run`. Times in ms, -1: not given. */
#pragma once
#include "cli/command.h"

struct run_options {
	const char *name, *lease_class, *gpu, *label;
	uint64_t vram_bytes;
	uint32_t slots, gpus;
	const char *env_ids; /* "uuid" or "index"; NULL: by the command */
	int64_t wait_ms, grace_ms, hold_ms;
	bool no_wait, evictable, quiet, requeue, strict, notify, scope, limit;
	int on_yield; /* 0: not given; a signal, or an enum on_yield */
};

enum on_yield {
	ON_YIELD_TERM = OPTION_CHOSEN(0),
	ON_YIELD_FREEZE = OPTION_CHOSEN(1),
	ON_YIELD_CHECKPOINT = OPTION_CHOSEN(2),
	ON_YIELD_IGNORE = OPTION_CHOSEN(3),
};

enum { RUN_OPTION_COUNT = 20, RUN_ATTACH_OPTION_COUNT = 14 };

#define RUN_OPTIONS_DEFAULT                                                                        \
	((struct run_options){.slots = 1,                                                          \
			      .gpus = 1,                                                           \
			      .wait_ms = BATON_TIMEOUT_NEVER,                                      \
			      .grace_ms = -1,                                                      \
			      .hold_ms = -1})

/* The first RUN_ATTACH_OPTION_COUNT are also those of `baton attach`. */
extern const struct option_spec run_option_specs[RUN_OPTION_COUNT];
