/* gpu_sampler: finds the machine's GPUs, and turns what the probes read into events of the core, as
 * pidfds do for processes. Drivers are asked only while somebody holds, waits or watches. */
#pragma once
#include "server/gpus/gpu_board.h"
#include "server/gpus/gpu_foreign.h"
#include "server/gpus/gpu_owners.h"
#include "server/gpus/gpu_rows.h"

struct core;
struct event_queue;
struct gpu_paths;
struct gpu_probe;
struct log;
struct loop;
struct loop_watch;

enum {
	SAMPLER_PROBES = 2,
	SAMPLER_START_MS = 3000, /* how long a start waits for drivers */
	SAMPLER_FAST_MS = 50,    /* while somebody waits for memory that is being freed */
	SAMPLER_WAIT_MS = 250,   /* while somebody waits */
	SAMPLER_PACE_MS = 1000,
	SAMPLER_REST_MS = 30 * 1000, /* after the last who held, waited or watched */
};

struct gpu_sampler {
	struct gpu_probe *probes[SAMPLER_PROBES];
	bool answered[SAMPLER_PROBES]; /* with a whole round since it began, or rested */
	int faults[SAMPLER_PROBES];    /* the newest error of each source; 0: works */
	char why[SAMPLER_PROBES][GPU_FAULT_BYTES + 1];
	char names_why[4096 + 128]; /* names were lost at the start; "": none */
	int fd;
	struct loop_watch *watch;
	struct gpu_rows rows;
	struct gpu_owners owners;
	struct gpu_board board;
	struct gpu_foreign foreign;
	const char *sysfs;                 /* borrowed */
	bool pids_are_ours;                /* the driver's pids are of this PID namespace */
	struct mono_ms needed;             /* when somebody held, waited or watched last */
	int64_t pace_ms;                   /* 0: at rest */
	struct mono_ms watched, watch_due; /* when calls were looked at last, and are over */
	uint64_t rounds, cpu_us;           /* of all probes, for /metrics */
	/* Borrowed. */
	struct event_queue *queue;
	const struct core *core;
	struct log *log;
	void (*on_changed)(void *ctx); /* the configuration must follow what was found */
	void *ctx;
};

/* Zeroed before. Looks for GPUs, for a moment at most, and fills them into the settings. */
void gpu_sampler_find(struct gpu_sampler *sampler, const struct gpu_paths *paths,
		      const char *state_dir, struct settings *settings);
/* Once the core runs: from now on readings become events. 0 or a negative enum err. */
int gpu_sampler_begin(struct gpu_sampler *sampler, struct loop *loop, const char *state_dir);
/* The file was read again. */
void gpu_sampler_configure(struct gpu_sampler *sampler, struct settings *settings);
/* Abandons calls that hang and sets the pace; returns when to call again. */
struct mono_ms gpu_sampler_step(struct gpu_sampler *sampler, struct mono_ms now);
void gpu_sampler_end(struct gpu_sampler *sampler);
