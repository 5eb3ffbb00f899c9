/* mcp_words: sentences and the same for programs. Decides nothing. */
#include "cli/mcp/mcp_words.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/lease_env.h"
#include "cli/mcp/mcp_output.h"
#include <baton/baton.h>

const char mcp_words_instructions[] =
	"Baton shares this machine's GPUs. Call lease_acquire before running anything that uses a "
	"GPU, set the variables of its `environment` for each such program (started directly, "
	"not by `baton run`, which asks for a lease of its own), and call lease_release "
	"as soon as these programs have ended. Call lease_check before every long step and before "
	"storing a result; when should_yield is true, save, stop and release, then acquire again; "
	"when held is false, stop at once and do not use what was computed since. Leases end with "
	"this connection. No lock files: gpu_status says who has the GPU, why_waiting for how "
	"long.";

static json_t *gpus_of(const struct baton_lease *lease)
{
	json_t *gpus = json_array();

	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++)
		json_array_append_new(gpus, json_pack("{s:I, s:s, s:s}", "index",
						      (json_int_t)baton_lease_gpu_index(lease, i),
						      "name", baton_lease_gpu_name(lease, i),
						      "uuid", baton_lease_gpu_uuid(lease, i)));
	return gpus;
}

/* As `baton run` sets it for its command. */
static json_t *environment_of(const struct baton_lease *lease)
{
	struct lease_env env;
	json_t *object = json_object();
	lease_env_make(lease, false, &env);

	for (size_t i = 0; i < env.count; i++)
		if (env.v[i].value)
			json_object_set_new(object, env.v[i].name, json_string(env.v[i].value));
	lease_env_finish(&env);
	return object;
}

void mcp_words_granted(json_t *call, const struct baton_lease *lease)
{
	char words[600];
	const char *what_to_do =
		"Set the variables of `environment` for every program that uses the GPU. Call "
		"lease_check before each long step and before storing results; when should_yield "
		"is true, save, stop and call lease_release; when held is false, stop at once. "
		"Call lease_release when the programs have ended.";

	snprintf(words, sizeof(words), "You hold %s (lease %" PRIu64 ", fence %" PRIu64 "). %s",
		 baton_lease_gpu_name(lease, 0), baton_lease_id(lease), baton_lease_fence(lease),
		 what_to_do);
	mcp_tool_answer(call, words,
			json_pack("{s:I, s:I, s:o, s:o, s:s}", "lease",
				  (json_int_t)baton_lease_id(lease), "fence",
				  (json_int_t)baton_lease_fence(lease), "gpus", gpus_of(lease),
				  "environment", environment_of(lease), "what_to_do", what_to_do));
}

void mcp_words_denied(json_t *call, int code, const char *detail)
{
	mcp_tool_fail(call, "No lease (%s): %s%s%s Do not use the GPU without one.",
		      baton_error_name(code), baton_strerror(code), *detail ? " " : "", detail);
}
