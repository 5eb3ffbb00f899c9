/* gpu_figures: a row of the table as people see it, with the names of processes and leases. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/view.h"
#include "gpu/dmem.h"
#include "gpu/pci.h"
#include "gpu/probe.h"
#include "server/gpus/gpu_figures.h"
#include "server/gpus/gpu_sampler.h"

enum { PROCESSES_SHOWN = 64 };

/* What drivers and programs call themselves may be any bytes. */
static void copy_printable(char *to, size_t size, const char *from)
{
	size_t length = 0;

	for (; from[length] && length < size - 1; length++)
		to[length] = from[length] >= 0x20 && from[length] < 0x7f ? from[length] : '?';
	to[length] = '\0';
}

static uint64_t lease_of_session(const struct core *core, uint64_t session, uint32_t gpu,
				 struct mono_ms now)
{
	struct claim_view holder;
	uint64_t id = 0;

	while (core_holder_after(core, id, now, &holder)) {
		id = holder.rec->id;
		if (holder.rec->session == session && holder.rec->granted_mask & (1u << gpu))
			return id;
	}
	return 0;
}

static const struct session_record *session_of(const struct core *core, uint64_t id)
{
	const struct session_record *session = NULL;
	struct mono_ms seen;
	uint64_t conn;

	if (id == 0 || !core_session_after(core, id - 1, &session, &conn, &seen) ||
	    session->id != id)
		return NULL;
	return session;
}

static void set_owner(struct gpu_process_row *row, const struct gpu_owner *owner)
{
	copy_printable(row->command, sizeof(row->command), owner->command);
	copy_printable(row->container_runtime, sizeof(row->container_runtime),
		       owner->container.runtime);
	copy_printable(row->container_id, sizeof(row->container_id), owner->container.id);
	row->container_pid = owner->container_pid;

	if (owner->condition != GPU_CONDITION_NONE) {
		row->condition = gpu_condition_name(owner->condition);
		row->condition_text = gpu_condition_text(owner->condition);
	}
}

static void set_process(struct gpu_sampler *sampler, uint32_t gpu, struct gpu_process_row *row,
			const struct gpu_process *process, struct mono_ms now)
{
	static const char *const uses[GPU_USE_COUNT] = {[GPU_COMPUTE] = "compute",
							[GPU_GRAPHICS] = "graphics",
							[GPU_MPS] = "mps",
							[GPU_DRM] = "drm"};
	const struct gpu_owner *owner =
		sampler->pids_are_ours ? gpu_owners_of(&sampler->owners, process->pid, now) : NULL;
	const struct session_record *session =
		owner ? session_of(sampler->core, owner->session) : NULL;

	*row = (struct gpu_process_row){.pid = process->pid,
					.use = uses[process->use],
					.vram_bytes = process->vram_bytes,
					.bytes_known = process->bytes_known,
					.since = owner ? owner->since : now};
	if (owner)
		set_owner(row, owner);
	if (!session)
		return;

	row->session = session->id;
	(void)snprintf(row->client, sizeof(row->client), "%s", session->name);
	row->lease = lease_of_session(sampler->core, session->id, gpu, now);
}

static int compare_bytes(const void *a, const void *b)
{
	const struct gpu_process_row *x = a, *y = b;

	if (x->vram_bytes != y->vram_bytes)
		return x->vram_bytes > y->vram_bytes ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void set_processes(struct gpu_sampler *sampler, uint32_t gpu, struct mono_ms now)
{
	const struct gpu_reading *reading = &sampler->rows.v[gpu].reading;
	struct gpu_figures *figures = &sampler->board.v[gpu];

	free(figures->processes);
	figures->processes = calloc(reading->process_count + 1, sizeof(*figures->processes));
	if (!figures->processes)
		abort();

	for (size_t i = 0; i < reading->process_count; i++)
		set_process(sampler, gpu, &figures->processes[i], &reading->processes[i], now);
	qsort(figures->processes, reading->process_count, sizeof(*figures->processes),
	      compare_bytes);

	figures->processes_known = reading->known & GPU_PROCESSES;
	figures->processes_partial = reading->processes_partial;
	figures->pids_foreign = !sampler->pids_are_ours && reading->process_count > 0;
	figures->process_count = reading->process_count;
	figures->left_off = 0;
	if (figures->process_count > PROCESSES_SHOWN) {
		figures->left_off = figures->process_count - PROCESSES_SHOWN;
		figures->process_count = PROCESSES_SHOWN;
	}
}

/* By the kernel's controller, or by the driver where it is asked for that. */
static bool read_cgroup(const struct gpu_sampler *sampler, const struct gpu_row *row,
			const char *path, struct gpu_cgroup_row *ret_row)
{
	char folder[LIMIT_CGROUP_BYTES + 256];
	(void)snprintf(folder, sizeof(folder), "%.200s%s", sampler->sysfs, path + 4);
	if (dmem_read(folder, "dmem.current", row->device.pci, &ret_row->vram_bytes) &&
	    ret_row->vram_bytes != DMEM_NO_LIMIT) {
		if (!dmem_read(folder, "dmem.max", row->device.pci, &ret_row->vram_bytes_max))
			ret_row->vram_bytes_max = DMEM_NO_LIMIT;
		return true;
	}

	const struct gpu_cgroup *told = gpu_reading_cgroup(&row->reading, path);
	if (told) {
		ret_row->vram_bytes = told->vram_bytes;
		ret_row->vram_bytes_max = told->vram_bytes_max;
	}
	return told != NULL;
}

static bool is_job_cgroup(const char *path)
{
	return path && strncmp(path, "/sys/", 5) == 0;
}

/* Jobs with a cgroup of their own. */
static void set_cgroups(struct gpu_sampler *sampler, uint32_t gpu, struct mono_ms now)
{
	const struct gpu_row *row = &sampler->rows.v[gpu];
	const struct gpu_owners *owners = &sampler->owners;
	struct gpu_figures *figures = &sampler->board.v[gpu];
	bool reads = row->reading.state == GPU_OK && row->device.pci[0] && !row->device.parent[0];

	figures->cgroup_count = 0;
	for (size_t i = 0;
	     i < owners->session_count && figures->cgroup_count < GPU_CGROUPS_MAX && reads; i++) {
		struct gpu_cgroup_row *found = &figures->cgroups[figures->cgroup_count];
		const struct owner_session *named = &owners->sessions[i];
		const struct session_record *session;

		if (!is_job_cgroup(named->cgroup_path))
			continue;
		session = session_of(sampler->core, named->session);
		if (!session || !read_cgroup(sampler, row, named->cgroup_path, found))
			continue;

		found->session = session->id;
		found->lease = lease_of_session(sampler->core, session->id, gpu, now);
		(void)snprintf(found->client, sizeof(found->client), "%s", session->name);
		figures->cgroup_count++;
	}
}

void gpu_figures_ask(const struct gpu_owners *owners, struct gpu_probe *probe)
{
	const char *paths[PROBE_CGROUPS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < owners->session_count && count < PROBE_CGROUPS_MAX; i++)
		if (is_job_cgroup(owners->sessions[i].cgroup_path))
			paths[count++] = owners->sessions[i].cgroup_path;
	gpu_probe_cgroups(probe, paths, count);
}

/* Of a reading that is old, or of a GPU that cannot be read, nothing is shown. */
static void set_values(struct gpu_figures *figures, const struct gpu_reading *reading)
{
	uint32_t known = reading->state == GPU_OK ? reading->known : 0;

	figures->memory_known = known & GPU_MEMORY;
	figures->reserved_known = known & GPU_RESERVED;
	figures->utilisation_known = known & GPU_UTILISATION;
	figures->temperature_known = known & GPU_TEMPERATURE;
	figures->power_known = known & GPU_POWER;
	figures->free_bytes = reading->free_bytes;
	figures->reserved_bytes = reading->reserved_bytes;
	figures->utilisation_percent = reading->utilisation_percent;
	figures->temperature_c = reading->temperature_c;
	figures->power_mw = reading->power_mw;
}

void gpu_figures_set(struct gpu_sampler *sampler, uint32_t gpu, struct mono_ms now)
{
	const struct gpu_row *row = &sampler->rows.v[gpu];
	struct gpu_figures *figures = &sampler->board.v[gpu];

	figures->measured = row->bound;
	if (!row->bound)
		return;

	figures->source = row->source;
	figures->state = gpu_state_name(row->reading.state);
	figures->text = gpu_state_text(row->reading.state);
	copy_printable(figures->detail, sizeof(figures->detail), row->reading.fault);
	copy_printable(figures->model, sizeof(figures->model), row->device.model);
	copy_printable(figures->pci, sizeof(figures->pci), row->device.pci);
	copy_printable(figures->parent, sizeof(figures->parent), row->device.parent);
	figures->nvml_index = row->device.nvml_index;
	figures->cuda_index = row->device.vendor == PCI_NVIDIA ? row->device.maker_index : -1;
	figures->unified = row->device.unified;
	figures->read_at = row->measured;
	figures->idle_ms = mono_since(now, row->busy);
	set_values(figures, &row->reading);
	set_processes(sampler, gpu, now);
	set_cgroups(sampler, gpu, now);
}
