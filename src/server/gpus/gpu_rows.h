/* gpu_rows: which device stands behind each GPU of the core. A GPU keeps its place for as long as
 * the broker runs, whatever comes, goes or moves; devices are known by uuid, else by address. */
#pragma once
#include "config/settings.h"
#include "gpu/probe.h"
#include "server/gpus/gpu_names.h"

struct gpu_row {
	char name[LIMIT_GPU_NAME_BYTES + 1];
	char wanted[LIMIT_GPU_NAME_BYTES + 1]; /* the uuid or address of the file; "": any */
	bool bound;                            /* there is a device */
	const char *source;
	struct gpu_device device;
	struct gpu_reading reading; /* the newest, owned; GPU_FAILED before the first */
	struct mono_ms measured;    /* of the newest good one; PAST: none yet */
	struct mono_ms busy;        /* when it was last seen to compute, or not seen at all */
	uint64_t total_bytes;       /* as last seen; 0: unknown */
	uint64_t reserved_bytes;
};

/* All that the sources listed. */
struct gpu_found {
	const char *source;
	struct gpu_device device;
	bool present;
};

struct gpu_rows {
	enum gpus_from from;
	uint32_t count;
	struct gpu_row v[LIMIT_GPUS];
	struct gpu_found found[PROBE_DEVICES_MAX];
	size_t found_count;
	struct gpu_names names;
	bool changed; /* the configuration must be filled anew */
};

/* The GPUs of the file, at the start and after a reload; a name keeps its device. */
void gpu_rows_configure(struct gpu_rows *rows, const struct settings *settings);
/* A source's whole list. What is missing is gone. */
void gpu_rows_take_list(struct gpu_rows *rows, const struct gpu_report *report);
/* Gives devices to GPUs, once all sources have answered. */
void gpu_rows_bind(struct gpu_rows *rows);
/* The row of a device; LIMIT_GPUS: none. */
uint32_t gpu_rows_find(const struct gpu_rows *rows, const char *source,
		       const struct gpu_device *device);
/* Takes the reading of a report. */
void gpu_rows_take_reading(struct gpu_rows *rows, uint32_t row, struct gpu_report *report,
			   struct mono_ms now);
/* Names, sizes and what is kept free, as far as they are found. */
void gpu_rows_fill(const struct gpu_rows *rows, struct settings *settings);
void gpu_rows_finish(struct gpu_rows *rows);
