/* gpu_rows: the table of GPUs and devices. Asks no driver, and tells the core nothing. */
#include "server/gpus/gpu_rows.h"

#include <stdio.h>
#include <string.h>

#include "gpu/pci.h"

enum {
	TOTAL_SLACK = 64 << 20, /* what a driver reserves varies by less */
	IDLE_PERCENT = 3,       /* below it a GPU does nothing worth holding it for */
	GAP_MS = 5000,          /* not seen for longer, it may have computed */
};

/* Of memory that is the machine's, others must have some, too. */
static const uint64_t unified_kept_bytes = (uint64_t)4 << 30;

static const char *key_of(const struct gpu_device *device)
{
	return device->uuid[0] ? device->uuid : device->pci;
}

static void reset_row(struct gpu_row *row, const char *name, const char *wanted)
{
	*row = (struct gpu_row){.measured = MONO_PAST};
	row->reading.state = GPU_FAILED;
	(void)snprintf(row->name, sizeof(row->name), "%s", name);
	(void)snprintf(row->wanted, sizeof(row->wanted), "%s", wanted);
}

void gpu_rows_configure(struct gpu_rows *rows, const struct settings *settings)
{
	const struct core_config *core = &settings->core;

	rows->from = settings->gpus_from;
	for (uint32_t i = 0; rows->from == GPUS_FILE && i < core->gpu_count; i++) {
		bool same = i < rows->count && strcmp(rows->v[i].name, core->gpus[i].name) == 0;
		if (!same)
			reset_row(&rows->v[i], core->gpus[i].name, core->gpus[i].uuid);
	}
	if (rows->from == GPUS_FILE && core->gpu_count > rows->count)
		rows->count = core->gpu_count;
}

uint32_t gpu_rows_find(const struct gpu_rows *rows, const char *source,
		       const struct gpu_device *device)
{
	for (uint32_t i = 0; i < rows->count; i++)
		if (rows->v[i].bound && strcmp(rows->v[i].source, source) == 0 &&
		    gpu_device_is(&rows->v[i].device, device))
			return i;
	return LIMIT_GPUS;
}

/* What a list says anew of a device that is known: its uuid once it woke, its number. */
static void renew_device(struct gpu_rows *rows, struct gpu_row *row,
			 const struct gpu_device *device)
{
	if (row->device.uuid[0] == '\0' && device->uuid[0])
		gpu_names_rekey(&rows->names, row->device.pci, device->uuid);
	else if (device->uuid[0] == '\0')
		return; /* asleep: it says less than is known */

	rows->changed |= strcmp(row->device.uuid, device->uuid) != 0 ||
			 row->device.maker_index != device->maker_index;
	row->device = *device;
}

static void keep_found(struct gpu_rows *rows, const char *source, const struct gpu_device *device)
{
	for (size_t i = 0; i < rows->found_count; i++) {
		struct gpu_found *found = &rows->found[i];
		if (strcmp(found->source, source) == 0 && gpu_device_is(&found->device, device)) {
			found->present = true;
			found->device = *device;
			return;
		}
	}
	if (rows->found_count < PROBE_DEVICES_MAX)
		rows->found[rows->found_count++] =
			(struct gpu_found){.source = source, .device = *device, .present = true};
}

void gpu_rows_take_list(struct gpu_rows *rows, const struct gpu_report *report)
{
	for (size_t i = 0; i < rows->found_count; i++)
		if (strcmp(rows->found[i].source, report->source) == 0)
			rows->found[i].present = false;
	for (size_t i = 0; i < report->device_count; i++)
		keep_found(rows, report->source, &report->devices[i]);

	for (uint32_t i = 0; i < rows->count; i++) {
		struct gpu_row *row = &rows->v[i];
		bool present = false;
		if (!row->bound || strcmp(row->source, report->source) != 0)
			continue;

		for (size_t j = 0; j < report->device_count; j++)
			if (gpu_device_is(&row->device, &report->devices[j])) {
				renew_device(rows, row, &report->devices[j]);
				present = true;
			}
		/* A card that is lost is often not listed any more, either. */
		if (!present && row->reading.state != GPU_LOST) {
			gpu_reading_finish(&row->reading);
			row->reading.known = 0;
			row->reading.state = GPU_GONE;
		}
	}
}

static void bind_row(struct gpu_rows *rows, struct gpu_row *row, const struct gpu_found *found)
{
	row->bound = true;
	row->source = found->source;
	row->device = found->device;
	rows->changed = true;
}

static bool is_wanted(const struct gpu_row *row, const struct gpu_device *device)
{
	return row->wanted[0] && (strcmp(row->wanted, device->uuid) == 0 ||
				  (!device->parent[0] && strcmp(row->wanted, device->pci) == 0));
}

/* A GPU of the file: the one that it names, or the next that none names. */
static struct gpu_row *configured_row(struct gpu_rows *rows, const struct gpu_found *found)
{
	for (uint32_t i = 0; i < rows->count; i++)
		if (!rows->v[i].bound && is_wanted(&rows->v[i], &found->device))
			return &rows->v[i];

	for (uint32_t i = 0; i < rows->count; i++)
		if (!rows->v[i].bound && !rows->v[i].wanted[0] && !found->device.integrated)
			return &rows->v[i];
	return NULL;
}

static struct gpu_row *new_row(struct gpu_rows *rows, const struct gpu_found *found)
{
	if (rows->count == LIMIT_GPUS)
		return NULL;
	struct gpu_row *row = &rows->v[rows->count++];
	reset_row(row, gpu_names_of(&rows->names, key_of(&found->device)), "");
	return row;
}

/* NVIDIA's first, then by address: as they are listed. */
static bool comes_before(const struct gpu_found *a, const struct gpu_found *b)
{
	int source = strcmp(b->source, a->source); /* "nvml" before "drm" */
	if (source)
		return source < 0;
	if (a->device.nvml_index != b->device.nvml_index)
		return a->device.nvml_index < b->device.nvml_index;
	return strcmp(a->device.pci, b->device.pci) < 0;
}

static void bind_pass(struct gpu_rows *rows, bool integrated)
{
	struct gpu_found *order[PROBE_DEVICES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < rows->found_count; i++) {
		struct gpu_found *found = &rows->found[i];
		size_t at = count;
		if (!found->present || found->device.integrated != integrated ||
		    gpu_rows_find(rows, found->source, &found->device) < LIMIT_GPUS)
			continue;
		for (; at > 0 && comes_before(found, order[at - 1]); at--)
			order[at] = order[at - 1];
		order[at] = found;
		count++;
	}

	for (size_t i = 0; i < count; i++) {
		struct gpu_row *row = rows->from == GPUS_FILE ? configured_row(rows, order[i])
							      : new_row(rows, order[i]);
		if (row)
			bind_row(rows, row, order[i]);
	}
}

void gpu_rows_bind(struct gpu_rows *rows)
{
	bind_pass(rows, false);
	if (rows->from == GPUS_FILE || rows->count == 0)
		bind_pass(rows, true);
}

static enum gpu_maker maker_of(const struct gpu_device *device)
{
	return device->vendor == PCI_NVIDIA  ? GPU_MAKER_NVIDIA
	       : device->vendor == PCI_AMD   ? GPU_MAKER_AMD
	       : device->vendor == PCI_INTEL ? GPU_MAKER_INTEL
					     : GPU_MAKER_UNKNOWN;
}

static uint64_t bytes_apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

void gpu_rows_take_reading(struct gpu_rows *rows, uint32_t index, struct gpu_report *report,
			   struct mono_ms now)
{
	struct gpu_row *row = &rows->v[index];

	gpu_reading_finish(&row->reading);
	row->reading = report->reading;
	report->reading.processes = NULL;
	report->reading.process_count = 0;
	report->reading.cgroups = NULL;
	report->reading.cgroup_count = 0;

	bool gap = mono_before(mono_after(row->measured, GAP_MS), report->measured);
	if (gap || !(row->reading.known & GPU_UTILISATION) ||
	    row->reading.utilisation_percent >= IDLE_PERCENT)
		row->busy = now;
	if (row->reading.state == GPU_OK || row->reading.state == GPU_ASLEEP)
		row->measured = report->measured;
	if (row->reading.known & GPU_TOTAL &&
	    (bytes_apart(row->reading.total_bytes, row->total_bytes) > TOTAL_SLACK ||
	     bytes_apart(row->reading.reserved_bytes, row->reserved_bytes) > TOTAL_SLACK)) {
		row->total_bytes = row->reading.total_bytes;
		row->reserved_bytes = row->reading.reserved_bytes;
		rows->changed = true;
	}
}

void gpu_rows_fill(const struct gpu_rows *rows, struct settings *settings)
{
	struct core_config *core = &settings->core;

	if (settings->gpus_from == GPUS_FAKE || rows->count == 0)
		return;
	if (settings->gpus_from == GPUS_FOUND)
		core->gpu_count = rows->count;

	for (uint32_t i = 0; i < core->gpu_count && i < rows->count; i++) {
		const struct gpu_row *row = &rows->v[i];
		struct gpu_config *gpu = &core->gpus[i];
		uint64_t headroom_bytes = core->vram_headroom_bytes;
		if (settings->gpus_from == GPUS_FOUND) {
			*gpu = (struct gpu_config){.slots = 1};
			(void)snprintf(gpu->name, sizeof(gpu->name), "%s", row->name);
		}
		if (!row->bound || strcmp(gpu->name, row->name) != 0)
			continue;

		(void)snprintf(gpu->uuid, sizeof(gpu->uuid), "%s", key_of(&row->device));
		gpu->maker = maker_of(&row->device);
		gpu->has_maker_index = row->device.maker_index >= 0;
		gpu->maker_index = gpu->has_maker_index ? (uint32_t)row->device.maker_index : 0;
		if (row->device.unified && headroom_bytes < unified_kept_bytes)
			headroom_bytes = unified_kept_bytes;
		gpu->vram_bytes_kept = headroom_bytes + row->reserved_bytes;
		if (row->total_bytes > 0 &&
		    (!gpu->vram_known || gpu->vram_bytes_total > row->total_bytes)) {
			gpu->vram_known = true;
			gpu->vram_bytes_total = row->total_bytes;
		}
	}
}

void gpu_rows_finish(struct gpu_rows *rows)
{
	for (uint32_t i = 0; i < rows->count; i++)
		gpu_reading_finish(&rows->v[i].reading);
	rows->count = 0;
}
