/* lease_env: an index is given even if nothing better is known. */
#include "cli/lease_env.h"
#include <baton/baton.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum list_of { LIST_NAMES, LIST_UUIDS, LIST_INDEXES, LIST_RELATIVE };

/* Separated by commas. LIST_INDEXES within the machine, LIST_RELATIVE among the GPUs left visible.
 */
static char *list_gpus(const struct baton_lease *lease, enum list_of what)
{
	char *list = NULL;
	size_t size;
	FILE *out = open_memstream(&list, &size);
	if (!out)
		abort();

	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++) {
		size_t index = what == LIST_RELATIVE ? i : baton_lease_gpu_index(lease, i);
		fputs(i ? "," : "", out);
		if (what == LIST_NAMES || what == LIST_UUIDS)
			fputs(what == LIST_NAMES ? baton_lease_gpu_name(lease, i)
						 : baton_lease_gpu_uuid(lease, i),
			      out);
		else
			fprintf(out, "%zu", index);
	}

	if (fclose(out) != 0)
		abort();
	return list;
}

static bool knows_uuids(const struct baton_lease *lease)
{
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		if (!*baton_lease_gpu_uuid(lease, i))
			return false;
	return true;
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
	*env = (struct lease_env){.uuids_known = knows_uuids(lease)};
	enum list_of best = env->uuids_known ? LIST_UUIDS : LIST_INDEXES;

	add_number(env, "BATON_LEASE", baton_lease_id(lease));
	add_number(env, "BATON_FENCE", baton_lease_fence(lease));
	add_number(env, "BATON_GPU_COUNT", baton_lease_gpu_count(lease));
	add_value(env, "BATON_GPU", list_gpus(lease, LIST_NAMES));
	add_value(env, "BATON_GPU_INDEX", list_gpus(lease, LIST_INDEXES));
	add_value(env, "BATON_GPU_UUIDS", env->uuids_known ? list_gpus(lease, LIST_UUIDS) : NULL);
	/* ROCm's runtime keeps only these GPUs and renumbers them; HIP chooses among those. */
	add_value(env, "ROCR_VISIBLE_DEVICES", list_gpus(lease, LIST_INDEXES));
	add_value(env, "HIP_VISIBLE_DEVICES", list_gpus(lease, LIST_RELATIVE));
	add_value(env, "ZE_AFFINITY_MASK", list_gpus(lease, LIST_INDEXES));

	/* Else the fastest is number 0. */
	char *order = strdup("PCI_BUS_ID"), *devices = list_gpus(lease, best);
	if (!order)
		abort();
	add_value(env, "CUDA_DEVICE_ORDER", order);
	add_value(env, "CUDA_VISIBLE_DEVICES", list_gpus(lease, by_index ? LIST_INDEXES : best));
	/* Inside a container numbers would be counted anew, so it is the UUID where there is one.
	 */
	add_value(env, "NVIDIA_VISIBLE_DEVICES", devices);
	add_value(env, "BATON_DOCKER_GPUS", lease_env_docker(devices));
}

void lease_env_finish(struct lease_env *env)
{
	for (size_t i = 0; i < env->count; i++)
		free(env->v[i].value);
	env->count = 0;
}
