/* probe: a source read on a thread of its own, so that a driver that hangs stops nobody. Reports
 * leave by a queue; a descriptor says that there are some. A call that takes longer than its limit
 * is abandoned: its thread is left behind, and another goes on with the other devices. */
#pragma once
#include "base/mono.h"
#include "gpu/device.h"
#include "gpu/reading.h"

struct gpu_paths;
struct gpu_source_ops;

enum {
	PROBE_CALL_MS = 2000,  /* the limit of one call */
	PROBE_OPEN_MS = 20000, /* of opening: drivers without persistence load firmware then */
	PROBE_LIST_MS = 10000, /* how often devices that come and go are looked for */
	PROBE_DEVICES_MAX = 64,
	PROBE_CGROUPS_MAX = 16,
};

enum gpu_report_kind {
	GPU_REPORT_LIST,    /* devices: all that there are */
	GPU_REPORT_READING, /* devices[0], reading, measured */
	GPU_REPORT_FAULT,   /* err, why: the source cannot be read now; -ENOENT: there is none */
	GPU_REPORT_ROUND,   /* all devices were read once */
};

struct gpu_report {
	struct gpu_report *next; /* of the queue */
	enum gpu_report_kind kind;
	const char *source;
	size_t device_count;
	struct gpu_device *devices; /* owned */
	struct gpu_reading reading; /* owned */
	struct mono_ms measured;    /* before it was read */
	int err;
	char why[GPU_FAULT_BYTES + 1];
	int64_t cpu_us; /* GPU_REPORT_ROUND: what it cost */
};

struct gpu_probe;

/* `fd` is an eventfd, borrowed until gpu_probe_stop returned true. It looks once by itself. */
struct gpu_probe *gpu_probe_start(const struct gpu_source_ops *ops, const struct gpu_paths *paths,
				  int fd);
/* How often it reads; 0: not at all, and the driver's handle is closed. */
void gpu_probe_pace(struct gpu_probe *probe, int64_t interval_ms);
/* Of which cgroups it reads what they use, by their whole paths: as many as fit. */
void gpu_probe_cgroups(struct gpu_probe *probe, const char *const *paths, size_t count);
/* Reads once, unless all that there is sleeps. */
void gpu_probe_look(struct gpu_probe *probe);
/* The oldest report, now the caller's; NULL: none. */
struct gpu_report *gpu_probe_take(struct gpu_probe *probe);
void gpu_report_free(struct gpu_report *report);
/* Abandons a call that is over its limit: reports it, and goes on without. Returns when to call
 * again. */
struct mono_ms gpu_probe_watch(struct gpu_probe *probe, struct mono_ms now);
/* False: a call hangs, so its thread stays, and the memory with it. */
bool gpu_probe_stop(struct gpu_probe *probe);
