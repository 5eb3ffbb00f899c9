/* mcp_words: sentences and the same for programs. Decides nothing. */
#include "cli/mcp/mcp_words.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/mcp/mcp_output.h"

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

enum list_of { LIST_NAMES, LIST_INDEXES, LIST_UUIDS, LIST_RELATIVE };

/* Separated by commas; JSON null where not all are known. */
static json_t *list_gpus(const struct baton_lease *lease, enum list_of what)
{
	struct buf list = {0};
	bool known = true;

	for (size_t i = 0; i < baton_lease_gpu_count(lease) && known; i++) {
		const char *uuid = baton_lease_gpu_uuid(lease, i);
		const char *comma = i ? "," : "";
		known = what != LIST_UUIDS || *uuid;
		if (what == LIST_NAMES || what == LIST_UUIDS)
			buf_printf(&list, "%s%s", comma,
				   what == LIST_UUIDS ? uuid : baton_lease_gpu_name(lease, i));
		else
			buf_printf(&list, "%s%zu", comma,
				   what == LIST_RELATIVE ? i
							 : (size_t)baton_lease_gpu_index(lease, i));
	}

	json_t *text = known ? json_stringn(buf_data(&list), list.length) : json_null();
	buf_finish(&list);
	return text;
}

static json_t *number_text(uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, number);
	return json_string(text);
}

/* As `baton run` sets it for its command. */
static json_t *environment_of(const struct baton_lease *lease)
{
	json_t *uuids = list_gpus(lease, LIST_UUIDS);
	json_t *env = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "BATON_LEASE",
				number_text(baton_lease_id(lease)), "BATON_FENCE",
				number_text(baton_lease_fence(lease)), "BATON_GPU_COUNT",
				number_text(baton_lease_gpu_count(lease)), "BATON_GPU",
				list_gpus(lease, LIST_NAMES), "BATON_GPU_INDEX",
				list_gpus(lease, LIST_INDEXES), "ROCR_VISIBLE_DEVICES",
				list_gpus(lease, LIST_INDEXES), "HIP_VISIBLE_DEVICES",
				list_gpus(lease, LIST_RELATIVE), "ZE_AFFINITY_MASK",
				list_gpus(lease, LIST_INDEXES));

	if (json_is_null(uuids))
		json_object_set_new(env, "CUDA_DEVICE_ORDER", json_string("PCI_BUS_ID"));
	json_object_set_new(env, "CUDA_VISIBLE_DEVICES",
			    json_is_null(uuids) ? list_gpus(lease, LIST_INDEXES) : uuids);
	return env;
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
