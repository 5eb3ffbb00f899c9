/* source: one way to read GPUs, as a table of calls. A call may block, and with a broken driver it
 * never returns: only probe.c calls them, on a thread of its own. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct gpu_cgroup;
struct gpu_device;
struct gpu_reading;

/* Where a source looks; tests lay their own. */
struct gpu_paths {
	const char *nvml;   /* the library alone; NULL: by its name, then in WSL's folder */
	const char *sysfs;  /* "/sys" */
	const char *procfs; /* "/proc" */
};

struct gpu_source_ops {
	const char *name;
	/* 0; -ENOENT: this machine has nothing of the kind; another negative errno: it has, but it
	 * cannot be read, and `ret_why` (GPU_FAULT_BYTES + 1) says why and what to do. */
	int (*open)(const struct gpu_paths *paths, void **ret_source, char *ret_why);
	/* All devices, over those known before, of which no more is asked than whether they are
	 * there: one of them may be broken. Returns how many, or a negative errno: open it again.
	 */
	int (*list)(void *source, struct gpu_device *devices, size_t known_count, size_t max);
	/* Begins a round of reads; NULL: none needed. */
	void (*begin)(void *source);
	/* `ret` is zeroed. Sets its state, and what it knows. */
	void (*read)(void *source, const struct gpu_device *device, struct gpu_reading *ret);
	void (*processes)(void *source, const struct gpu_device *device, struct gpu_reading *ret);
	/* What a cgroup uses, by the path in `asked`; false: not told. May be NULL. */
	bool (*cgroup)(void *source, const struct gpu_device *device, struct gpu_cgroup *asked);
	void (*close)(void *source);
	/* Another one that goes on with the same devices, while a call of this one hangs: it calls
	 * nothing that may hang, too. NULL: it is opened anew. */
	void *(*clone)(void *source);
	/* What can be told without waking anything: devices that sleep, or all where `list` wakes
	 * nothing. May be NULL. */
	int (*peek)(const struct gpu_paths *paths, struct gpu_device *ret_devices, size_t max);
};

extern const struct gpu_source_ops gpu_nvml, gpu_drm;
