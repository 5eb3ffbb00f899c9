/* nvml_processes: see nvml_processes.h. */
#include "gpu/nvml_processes.h"

#include <string.h>

enum {
	PID_MAX = 4 << 20, /* the kernel's own limit */
	INSTANCE_MAX = 64, /* more MIG instances than any card has */
};

struct row {
	uint32_t pid;
	uint64_t bytes; /* UINT64_MAX: not available */
	uint32_t instance, compute_instance;
};

static struct row row_at(const void *rows, unsigned i, size_t row_bytes)
{
	const char *at = (const char *)rows + i * row_bytes;
	struct row row = {.instance = UINT32_MAX, .compute_instance = UINT32_MAX};

	memcpy(&row.pid, at, sizeof(row.pid));
	memcpy(&row.bytes, at + 8, sizeof(row.bytes));
	if (row_bytes > 16) {
		memcpy(&row.instance, at + 16, sizeof(row.instance));
		memcpy(&row.compute_instance, at + 20, sizeof(row.compute_instance));
	}
	return row;
}

/* Pids 0 and UINT32_MAX occur: somebody whom the driver does not name. */
static bool makes_sense(const struct row *row, uint64_t total_bytes)
{
	bool pid_ok = row->pid <= PID_MAX || row->pid == UINT32_MAX;
	bool bytes_ok = row->bytes == UINT64_MAX || total_bytes == 0 || row->bytes <= total_bytes;
	bool instance_ok = row->instance == UINT32_MAX || row->instance < INSTANCE_MAX;
	bool compute_ok =
		row->compute_instance == UINT32_MAX || row->compute_instance < INSTANCE_MAX;

	return pid_ok && bytes_ok && instance_ok && compute_ok;
}

static bool all_make_sense(const void *rows, unsigned count, size_t row_bytes, uint64_t total_bytes)
{
	for (unsigned i = 0; i < count; i++) {
		struct row row = row_at(rows, i, row_bytes);
		if (!makes_sense(&row, total_bytes))
			return false;
	}
	return true;
}

static unsigned count_nameless(const void *rows, unsigned count, size_t row_bytes)
{
	unsigned nameless = 0;

	for (unsigned i = 0; i < count; i++)
		nameless += row_at(rows, i, row_bytes).pid == 0;
	return nameless;
}

/* 0: they make no sense. Long rows read as short ones have pids of 0, where their last field is. */
static size_t true_row_bytes(const void *rows, unsigned count, size_t row_bytes,
			     uint64_t total_bytes)
{
	bool as_told = all_make_sense(rows, count, row_bytes, total_bytes);

	if (row_bytes != 24 || !all_make_sense(rows, count, NVML_ROW_BYTES_MAX, total_bytes))
		return as_told ? row_bytes : 0;
	if (!as_told || count_nameless(rows, count, NVML_ROW_BYTES_MAX) <
				count_nameless(rows, count, row_bytes))
		return NVML_ROW_BYTES_MAX;
	return row_bytes;
}

/* A process that computes and draws is in two lists, with the same bytes. */
static struct gpu_process *row_of_pid(struct gpu_reading *reading, int64_t pid, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (pid > 0 && reading->processes[i].pid == pid)
			return &reading->processes[i];
	return NULL;
}

bool nvml_take_processes(const void *rows, unsigned count, size_t row_bytes, enum gpu_use use,
			 uint64_t total_bytes, struct gpu_reading *reading)
{
	size_t before = reading->process_count;

	row_bytes = true_row_bytes(rows, count, row_bytes, total_bytes);
	if (row_bytes == 0)
		return false;

	for (unsigned i = 0; i < count; i++) {
		struct row row = row_at(rows, i, row_bytes);
		int64_t pid = row.pid == UINT32_MAX ? 0 : row.pid;
		struct gpu_process *process = row_of_pid(reading, pid, before);
		bool known = row.bytes != UINT64_MAX;
		if (process &&
		    (!known || (process->bytes_known && process->vram_bytes >= row.bytes)))
			continue;
		if (!process)
			process = gpu_reading_add(reading);

		*process = (struct gpu_process){.pid = pid,
						.vram_bytes = known ? row.bytes : 0,
						.bytes_known = known,
						.use = use};
	}
	return true;
}
