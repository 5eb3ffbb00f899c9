/* lease_env: an index is given even if nothing better is known. */
#include "cli/lease_env.h"
#include <baton/baton.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum list_of {
	LIST_NAMES,
	LIST_UUIDS,
	LIST_INDEXES,  /* the broker's */
	LIST_NUMBERS,  /* the maker's */
	LIST_RELATIVE, /* among those left visible */
};

static const char hides_all[] = "-1"; /* no GPU has this number */

static bool is_of(const struct baton_lease *lease, size_t at, const char *maker)
{
	return !maker || strcmp(baton_lease_gpu_maker(lease, at), maker) == 0;
}

static void print_gpu(FILE *out, const struct baton_lease *lease, size_t at, enum list_of what,
		      size_t place)
{
	switch (what) {
	case LIST_NAMES:
		fputs(baton_lease_gpu_name(lease, at), out);
		break;
	case LIST_UUIDS:
		fputs(baton_lease_gpu_uuid(lease, at), out);
		break;
	case LIST_INDEXES:
		fprintf(out, "%" PRIu32, baton_lease_gpu_index(lease, at));
		break;
	case LIST_NUMBERS:
		fprintf(out, "%d", baton_lease_gpu_maker_index(lease, at));
		break;
	case LIST_RELATIVE:
		fprintf(out, "%zu", place);
		break;
	}
}

/* Separated by commas; those of `maker`, NULL: all. */
static char *list_gpus(const struct baton_lease *lease, enum list_of what, const char *maker)
{
	char *list = NULL;
	size_t size, place = 0;
	FILE *out = open_memstream(&list, &size);
	if (!out)
		abort();

	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++) {
		if (!is_of(lease, i, maker))
			continue;
		fputs(place ? "," : "", out);
		print_gpu(out, lease, i, what, place++);
	}

	if (fclose(out) != 0)
		abort();
	return list;
}

static bool knows_uuids(const struct baton_lease *lease, const char *maker)
{
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		if (is_of(lease, i, maker) && !*baton_lease_gpu_uuid(lease, i))
			return false;
	return true;
}

static bool knows_makers(const struct baton_lease *lease)
{
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		if (!*baton_lease_gpu_maker(lease, i))
			return false;
	return true;
}

static size_t count_of(const struct baton_lease *lease, const char *maker)
{
	size_t count = 0;
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		count += is_of(lease, i, maker);
	return count;
}

static bool knows_numbers(const struct baton_lease *lease, const char *maker)
{
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		if (is_of(lease, i, maker) && baton_lease_gpu_maker_index(lease, i) < 0)
			return false;
	return true;
}

static bool has_instances(const struct baton_lease *lease)
{
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		if (strncmp(baton_lease_gpu_uuid(lease, i), "MIG-", 4) == 0)
			return true;
	return false;
}

/* Whose GPUs CUDA is told of, NULL: all. It ends its list at the first that is none of NVIDIA's,
 * and a container runtime refuses such a list. */
static const char *cuda_maker(const struct baton_lease *lease)
{
	return knows_makers(lease) && count_of(lease, "nvidia") > 0 ? "nvidia" : NULL;
}

static char *cuda_uuids(const struct baton_lease *lease)
{
	const char *maker = cuda_maker(lease);
	return knows_uuids(lease, maker) ? list_gpus(lease, LIST_UUIDS, maker) : NULL;
}

/* For CUDA, without UUIDs. A number of an instance of MIG's is its card's. */
static char *cuda_numbers(const struct baton_lease *lease, bool *ret_known)
{
	*ret_known = true;
	if (has_instances(lease) && knows_uuids(lease, cuda_maker(lease)))
		return cuda_uuids(lease);

	*ret_known = knows_makers(lease) && knows_numbers(lease, "nvidia");
	if (!*ret_known)
		return list_gpus(lease, LIST_INDEXES, NULL);
	if (count_of(lease, "nvidia") > 0)
		return list_gpus(lease, LIST_NUMBERS, "nvidia");
	if (count_of(lease, "amd") > 0) /* HIP takes it for its own */
		return list_gpus(lease, LIST_RELATIVE, "amd");
	return text_dup(hides_all);
}

/* For a runtime that reaches one maker's GPUs: none, if none of them is leased. */
static char *numbers_for(const struct baton_lease *lease, const char *maker, enum list_of what)
{
	if (!knows_makers(lease) || !knows_numbers(lease, maker))
		return list_gpus(lease, what == LIST_NUMBERS ? LIST_INDEXES : what, NULL);
	return count_of(lease, maker) > 0 ? list_gpus(lease, what, maker) : text_dup(hides_all);
}

/* Level Zero has no number for none. */
static char *level_zero_numbers(const struct baton_lease *lease)
{
	return count_of(lease, "intel") > 0 ? numbers_for(lease, "intel", LIST_NUMBERS)
					    : list_gpus(lease, LIST_INDEXES, NULL);
}

static void add_value(struct lease_env *env, const char *name, char *value)
{
	assert(env->count < LEASE_ENV_MAX);
	env->v[env->count].name = name;
	env->v[env->count++].value = value;
}

static void add_number(struct lease_env *env, const char *name, uint64_t number)
{
	char *text;
	if (asprintf(&text, "%" PRIu64, number) < 0)
		abort();
	add_value(env, name, text);
}

/* What `docker run --gpus` takes; a list needs quotes of its own there. */
char *lease_env_docker(const char *devices)
{
	const char *quote = strchr(devices, ',') ? "\"" : "";
	char *gpus;
	if (asprintf(&gpus, "%sdevice=%s%s", quote, devices, quote) < 0)
		abort();
	return gpus;
}

void lease_env_make(const struct baton_lease *lease, bool by_index, struct lease_env *ret_env)
{
	struct lease_env *env = ret_env;
	*env = (struct lease_env){.uuids_known = knows_uuids(lease, NULL)};
	char *uuids = env->uuids_known ? list_gpus(lease, LIST_UUIDS, NULL) : NULL;
	char *numbers = cuda_numbers(lease, &env->numbers_known);

	add_number(env, "BATON_LEASE", baton_lease_id(lease));
	add_number(env, "BATON_FENCE", baton_lease_fence(lease));
	add_number(env, "BATON_GPU_COUNT", baton_lease_gpu_count(lease));
	add_value(env, "BATON_GPU", list_gpus(lease, LIST_NAMES, NULL));
	add_value(env, "BATON_GPU_INDEX", list_gpus(lease, LIST_INDEXES, NULL));
	/* ROCm's runtime keeps only these GPUs and renumbers them; HIP chooses among those. */
	add_value(env, "ROCR_VISIBLE_DEVICES", numbers_for(lease, "amd", LIST_NUMBERS));
	add_value(env, "HIP_VISIBLE_DEVICES", numbers_for(lease, "amd", LIST_RELATIVE));
	add_value(env, "ZE_AFFINITY_MASK", level_zero_numbers(lease));
	add_value(env, "CUDA_DEVICE_ORDER", text_dup("PCI_BUS_ID")); /* else the fastest is 0 */

	/* Inside a container numbers would be counted anew, so it is the UUID where there is one.
	 */
	char *own = cuda_uuids(lease);
	const char *devices = own ? own : numbers;
	add_value(env, "CUDA_VISIBLE_DEVICES", text_dup(by_index ? numbers : devices));
	add_value(env, "NVIDIA_VISIBLE_DEVICES", text_dup(devices));
	add_value(env, "BATON_DOCKER_GPUS", lease_env_docker(devices));
	add_value(env, "BATON_GPU_UUIDS", uuids);
	free(own);
	free(numbers);
}

void lease_env_finish(struct lease_env *env)
{
	for (size_t i = 0; i < env->count; i++)
		free(env->v[i].value);
	env->count = 0;
}
