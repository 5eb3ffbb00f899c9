/* run_limit: see run_limit.h. A job that cannot be limited runs nevertheless: it was asked for as a
 * safeguard, and it is said that there is none. */
#include "cli/run/run_limit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/run/run_options.h"
#include "cli/run/run_state.h"
#include "cli/units.h"
#include "process/cgroup_limit.h"
#include "process/gpu_limiter.h"
#include <baton/baton.h>

enum { WORDS_BYTES = 768, BYTES_PER_MIB = 1024 * 1024 };

int run_limit_refuse(const struct run *run)
{
	if (!run->options->limit || run->options->vram_bytes > 0)
		return -1;
	return cli_fail(run->command, EX_USAGE,
			"--limit holds the job to what --vram says; say that, too");
}

/* Its address on the bus and its UUID; "": unknown. Why it has none that counts, in words. */
static const char *find_gpu(const json_t *status, const char *gpu, struct limited_gpu *ret_gpu)
{
	size_t i;
	const json_t *row;
	*ret_gpu = (struct limited_gpu){.by_nvml = false};
	if (!status)
		return "the broker does not say where on the PCI bus that is";

	json_array_foreach (json_object_get(status, "gpus"), i, row) {
		const json_t *measured = json_object_get(row, "measured");
		if (strcmp(field_text(row, "name", ""), gpu) != 0)
			continue;
		if (field_text(measured, "parent", NULL))
			return "it is a MIG instance, and its driver limits whole cards only";
		(void)snprintf(ret_gpu->pci, RUN_PCI_BYTES, "%s", field_text(measured, "pci", ""));
		(void)snprintf(ret_gpu->uuid, RUN_UUID_BYTES, "%s", field_text(row, "uuid", ""));
	}
	return ret_gpu->pci[0] ? NULL : "the broker does not know its address on the PCI bus";
}

/* By the kernel, as whoever this is; else by NVML, which takes root. */
static const char *limit_gpu(const struct run *run, struct limited_gpu *gpu, char *why, size_t size)
{
	const struct job *job = &run->job;
	uint64_t bytes = run->options->vram_bytes;
	char other[WORDS_BYTES];
	(void)snprintf(why, size, "%s", job->dmem.why);
	if (!job->dmem.why[0] && cgroup_limit_set(job->dmem.folder, gpu->pci, bytes, why, size))
		return NULL;
	if (!job->cgroup.path[0] || strncmp(gpu->uuid, "GPU-", 4) != 0)
		return why;

	gpu->by_nvml = true;
	if (gpu_limiter_set(gpu->uuid, job->cgroup.path, bytes, other, sizeof(other)))
		return NULL;
	size_t length = strlen(why);
	(void)snprintf(why + length, size - length, "; nor does NVML hold it: %s", other);
	return why;
}

static void limit_one(struct run *run, const json_t *status, const char *name)
{
	struct limited *limited = &run->limited;
	struct limited_gpu *gpu = &limited->v[limited->count];
	char why[2 * WORDS_BYTES], size[UNITS_BYTES];
	const char *wrong = find_gpu(status, name, gpu);

	if (!wrong)
		wrong = limit_gpu(run, gpu, why, sizeof(why));
	if (wrong) {
		run_progress_say(&run->show, true, "run: --limit does not hold on %s: %s", name,
				 wrong);
		return;
	}
	limited->count++;
	run_progress_say(&run->show, false, "%s gets at most %s of %s: the driver refuses more",
			 run->argv[0],
			 units_mb(size, (double)run->options->vram_bytes / BYTES_PER_MIB), name);
}

void run_limit_set(struct run *run, const struct baton_lease *lease)
{
	if (!run->options->limit)
		return;

	json_t *status = http_client_status();
	run->limited.count = 0;
	for (size_t i = 0; i < baton_lease_gpu_count(lease) && i < LIMIT_GPUS; i++)
		limit_one(run, status, baton_lease_gpu_name(lease, i));
	json_decref(status);
}

void run_limit_check(struct run *run)
{
	if (run->limited.count == 0 || job_is_confined(&run->job))
		return;
	run_progress_say(&run->show, true,
			 "run: --limit does not hold: %s could not be started in its cgroup, %s",
			 run->argv[0], run->job.cgroup.path);
	run_limit_lift(run);
}

void run_limit_lift(struct run *run)
{
	char why[WORDS_BYTES];
	for (size_t i = 0; i < run->limited.count; i++) {
		const struct limited_gpu *gpu = &run->limited.v[i];
		if (gpu->by_nvml)
			(void)gpu_limiter_set(gpu->uuid, run->job.cgroup.path, UINT64_MAX, why,
					      sizeof(why));
		else
			cgroup_limit_lift(run->job.dmem.folder, gpu->pci);
	}
	run->limited.count = 0;
}
