/* run_env: sets our own environment, which the command inherits.
 *
 * Existing variables are overridden: they may name a GPU that is not ours, and nobody would notice
 * a program that computes on the wrong one. So an index is set even if nothing better is known. */
#include "cli/run/run_env.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static bool had_cuda, by_index, warned;

/* They read CUDA_VISIBLE_DEVICES as numbers, and fail at a UUID. */
static bool reads_numbers(char *const *argv)
{
	const char *slash = strrchr(argv[0], '/');
	if (strcmp(slash ? slash + 1 : argv[0], "vllm") == 0)
		return true;

	for (char *const *word = argv + 1; *word; word++)
		if (strcmp(*word, "-m") == 0)
			return word[1] && strncmp(word[1], "vllm", 4) == 0;
	return false;
}

void run_env_init(const char *ids, char *const *argv)
{
	had_cuda = getenv("CUDA_VISIBLE_DEVICES") != NULL;
	by_index = ids ? strcmp(ids, "index") == 0 : reads_numbers(argv);
}

static void set_number(const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	setenv(name, text, 1);
}

static void add_item(struct buf *list, size_t at, const char *text)
{
	if (buf_printf(list, "%s%s", at ? "," : "", text) < 0)
		abort();
}

static void set_list(const char *name, struct buf *list)
{
	if (buf_append(list, "", 1) < 0)
		abort();
	setenv(name, buf_data(list), 1);
	buf_finish(list);
}

static void set_names(const struct baton_lease *lease)
{
	struct buf names = {0};
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		add_item(&names, i, baton_lease_gpu_name(lease, i));
	set_list("BATON_GPU", &names);
}

/* Indexes within the machine or, if `relative`, among the GPUs left visible. */
static void set_indexes(const char *name, const struct baton_lease *lease, bool relative)
{
	struct buf list = {0};
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++) {
		char number[24];
		size_t index = relative ? i : baton_lease_gpu_index(lease, i);
		snprintf(number, sizeof(number), "%zu", index);
		add_item(&list, i, number);
	}
	set_list(name, &list);
}

/* False: not all of them are known. */
static bool set_uuids(const char *name, const struct baton_lease *lease)
{
	struct buf uuids = {0};
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++) {
		const char *uuid = baton_lease_gpu_uuid(lease, i);
		if (!*uuid) {
			buf_finish(&uuids);
			return false;
		}
		add_item(&uuids, i, uuid);
	}
	set_list(name, &uuids);
	return true;
}

/* What `docker run --gpus` takes; a list needs quotes of its own there. */
void run_env_set_docker(const char *devices)
{
	const char *quote = strchr(devices, ',') ? "\"" : "";
	struct buf gpus = {0};
	if (buf_printf(&gpus, "%sdevice=%s%s", quote, devices, quote) < 0)
		abort();
	set_list("BATON_DOCKER_GPUS", &gpus);
}

/* A single GPU that is the first is unambiguous, unless its program was told otherwise. */
static void warn_of_order(const struct baton_lease *lease, struct run_progress *show)
{
	bool is_first = baton_lease_gpu_count(lease) == 1 && baton_lease_gpu_index(lease, 0) == 0;
	if (warned || (is_first && !had_cuda))
		return;
	warned = true;
	run_progress_say(
		show, true,
		"the broker knows no UUID of %s: CUDA_VISIBLE_DEVICES=%s is its place in the "
		"configuration; give `uuid` there if that is not the driver's order",
		getenv("BATON_GPU"), getenv("CUDA_VISIBLE_DEVICES"));
}

void run_env_set(const struct baton_lease *lease, struct run_progress *show)
{
	set_number("BATON_LEASE", baton_lease_id(lease));
	set_number("BATON_FENCE", baton_lease_fence(lease));
	set_number("BATON_GPU_COUNT", baton_lease_gpu_count(lease));
	set_names(lease);
	set_indexes("BATON_GPU_INDEX", lease, false);
	/* ROCm's runtime keeps only these GPUs and renumbers them; HIP chooses among those. */
	set_indexes("ROCR_VISIBLE_DEVICES", lease, false);
	set_indexes("HIP_VISIBLE_DEVICES", lease, true);
	set_indexes("ZE_AFFINITY_MASK", lease, false);

	setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 1); /* else the fastest is number 0 */
	bool known = set_uuids("BATON_GPU_UUIDS", lease);
	if (!known)
		unsetenv("BATON_GPU_UUIDS");
	set_indexes("CUDA_VISIBLE_DEVICES", lease, false);
	if (!known)
		warn_of_order(lease, show);

	/* Inside a container numbers would be counted anew, so it is the UUID where there is one.
	 */
	const char *devices = getenv(known ? "BATON_GPU_UUIDS" : "CUDA_VISIBLE_DEVICES");
	setenv("NVIDIA_VISIBLE_DEVICES", devices, 1);
	run_env_set_docker(devices);
	if (known && !by_index)
		set_uuids("CUDA_VISIBLE_DEVICES", lease);
}
