/* run_env: sets our own environment, which the command inherits. Existing variables are overridden.
 */
#include "cli/run/run_env.h"

#include <stdlib.h>
#include <string.h>

#include "cli/lease_env.h"
#include "cli/run/run_progress.h"
#include <baton/baton.h>

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

/* A single GPU that is the first is unambiguous, unless its program was told otherwise. */
static void warn_of_order(const struct baton_lease *lease, const struct lease_env *env,
			  struct run_progress *show)
{
	bool is_first = baton_lease_gpu_count(lease) == 1 && baton_lease_gpu_index(lease, 0) == 0;
	if (warned || (is_first && !had_cuda))
		return;
	warned = true;
	run_progress_say(
		show, true,
		"the broker knows no %s of %s: CUDA_VISIBLE_DEVICES=%s is its place in the "
		"configuration; %s if that is not the driver's order",
		env->uuids_known ? "number" : "UUID", getenv("BATON_GPU"),
		getenv("CUDA_VISIBLE_DEVICES"),
		env->uuids_known ? "let it measure its GPUs" : "give `uuid` there");
}

void run_env_set(const struct baton_lease *lease, struct run_progress *show)
{
	struct lease_env env;
	lease_env_make(lease, by_index, &env);

	for (size_t i = 0; i < env.count; i++) {
		if (env.v[i].value)
			setenv(env.v[i].name, env.v[i].value, 1);
		else
			unsetenv(env.v[i].name);
	}

	if (!env.numbers_known && (by_index || !env.uuids_known))
		warn_of_order(lease, &env, show);
	lease_env_finish(&env);
}
