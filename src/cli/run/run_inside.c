/* run_inside: compares a need with the lease that the environment names. The environment may be
 * older than the lease (a server that was started inside and went on), so the broker is asked.
 * Decides nothing about claims. */
#include "cli/run/run_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "baton/baton.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/lease_env.h"

enum { BYTES_PER_MIB = 1024 * 1024, LIST_BYTES = LIMIT_GPUS * (LIMIT_GPU_NAME_BYTES + 1) };

/* An environment list, cut at its commas. */
struct list {
	char text[LIST_BYTES];
	const char *items[LIMIT_GPUS];
	size_t count;
};

static void list_read(struct list *list, const char *variable)
{
	const char *value = getenv(variable);
	char *rest = NULL;
	list->count = 0;
	snprintf(list->text, sizeof(list->text), "%s", value ? value : "");
	for (char *item = strtok_r(list->text, ",", &rest); item && list->count < LIMIT_GPUS;
	     item = strtok_r(NULL, ",", &rest))
		list->items[list->count++] = item;
}

static uint64_t number_of(const char *variable)
{
	const char *value = getenv(variable);
	return value ? strtoull(value, NULL, 10) : 0;
}

/* The lease of our environment, if it is held and not being revoked. */
static const json_t *find_lease(const json_t *status)
{
	uint64_t lease = number_of("BATON_LEASE"), fence = number_of("BATON_FENCE");
	const json_t *row;
	size_t at;

	json_array_foreach (json_object_get(status, "leases"), at, row) {
		const char *state = field_text(row, "state", "");
		if (field_u64(row, "lease") != lease || field_u64(row, "fence") != fence)
			continue;
		bool revoked = field_true(json_object_get(row, "yield"), "revoked") ||
			       field_true(row, "revoked");
		bool held = strcmp(state, "held") == 0 || strcmp(state, "loading") == 0 ||
			    strcmp(state, "yielding") == 0;
		return held && !revoked ? row : NULL;
	}
	return NULL;
}

static const json_t *find_gpu(const json_t *status, const char *name)
{
	const json_t *row;
	size_t at;
	json_array_foreach (json_object_get(status, "gpus"), at, row) {
		if (strcmp(field_text(row, "name", ""), name) == 0)
			return row;
	}
	return NULL;
}

/* Whether `wanted` is the GPU of this name and index, or its UUID. */
static bool names_gpu(const json_t *status, const char *wanted, const char *name, const char *index)
{
	if (strcmp(wanted, name) == 0 || strcmp(wanted, index) == 0)
		return true;
	const json_t *gpu = find_gpu(status, name);
	return gpu && strcmp(field_text(gpu, "uuid", ""), wanted) == 0;
}

/* Has it so many slots on that GPU, or all of it? */
static bool has_slots(const json_t *status, const json_t *lease, uint32_t wanted, const char *name)
{
	const json_t *gpu = find_gpu(status, name);
	uint64_t all = gpu ? field_u64(gpu, "slots") : 0;
	uint64_t slots = field_true(lease, "all_slots") ? all : field_u64(lease, "slots");
	if (wanted != BATON_SLOTS_ALL)
		return slots >= wanted;
	return gpu && slots >= all;
}

/* Keeps `count` items from `first` on, where the list has one for each GPU. */
static void narrow_list(const char *variable, size_t gpus, size_t first, size_t count)
{
	struct list list;
	char kept[LIST_BYTES] = "";
	list_read(&list, variable);
	if (list.count != gpus)
		return;

	for (size_t i = 0, length = 0; i < count; i++)
		length += (size_t)snprintf(kept + length, sizeof(kept) - length, "%s%s",
					   i ? "," : "", list.items[first + i]);
	setenv(variable, kept, 1);
}

static void narrow_lists(size_t gpus, size_t first, size_t count)
{
	static const char *const variables[] = {"BATON_GPU",
						"BATON_GPU_INDEX",
						"CUDA_VISIBLE_DEVICES",
						"ROCR_VISIBLE_DEVICES",
						"ZE_AFFINITY_MASK",
						"BATON_GPU_UUIDS",
						"NVIDIA_VISIBLE_DEVICES"};
	char number[24];
	if (count == gpus)
		return;

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		narrow_list(variables[i], gpus, first, count);
	narrow_list("HIP_VISIBLE_DEVICES", gpus, 0, count); /* renumbered within ROCm's list */
	const char *uuids = getenv("BATON_GPU_UUIDS");
	char *docker = lease_env_docker(uuids ? uuids : getenv("BATON_GPU_INDEX"));
	setenv("BATON_DOCKER_GPUS", docker, 1);
	free(docker);

	snprintf(number, sizeof(number), "%zu", count);
	setenv("BATON_GPU_COUNT", number, 1);
}

static bool fits_lease(const json_t *status, const json_t *lease, const struct inside_need *need)
{
	struct list names, indexes;
	size_t first = 0;
	list_read(&names, "BATON_GPU");
	list_read(&indexes, "BATON_GPU_INDEX");
	if (names.count == 0 || names.count != indexes.count || need->gpus > names.count)
		return false;

	if (field_u64(lease, "vram_mb") * BYTES_PER_MIB < need->vram_bytes)
		return false;
	if (need->gpu && strcmp(need->gpu, "any") != 0) {
		while (first < names.count &&
		       !names_gpu(status, need->gpu, names.items[first], indexes.items[first]))
			first++;
		if (first == names.count || need->gpus > 1)
			return false;
	}
	for (size_t i = first; i < first + need->gpus; i++)
		if (!has_slots(status, lease, need->slots, names.items[i]))
			return false;

	narrow_lists(names.count, first, need->gpus);
	return true;
}

bool run_inside(const struct inside_need *need, uint64_t *ret_lease)
{
	if (number_of("BATON_LEASE") == 0 || !getenv("BATON_RUN"))
		return false;
	json_t *status = http_client_status();
	if (!status)
		return false;

	const json_t *lease = find_lease(status);
	bool inside = lease && fits_lease(status, lease, need);
	json_decref(status);
	*ret_lease = number_of("BATON_LEASE");
	return inside;
}
