/* mcp_tools: what each tool takes, and what it does with it. Status comes over HTTP, leases through
 * libbaton. */
#include "cli/mcp/mcp_tools.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/mcp/mcp_args.h"
#include "cli/mcp/mcp_output.h"
#include "cli/status_view.h"
#include "cli/text_table.h"
#include <baton/baton.h>

enum { GRACE_MS = 20 * 1000 }; /* an agent looks seldom: as long as brokers give */

/* ---- gpu_status, why_waiting ---- */

/* Answers itself when the broker does not. The caller calls json_decref. */
static json_t *ask_status(const struct mcp_call *call)
{
	char error[HTTP_CLIENT_ERROR_BYTES];
	json_t *status;

	if (http_client_try("GET", "/v1/gpu/status", NULL, &status, error, sizeof(error)) == 0)
		return status;
	mcp_tool_fail(call->id, "The broker cannot be asked: %s", error);
	return NULL;
}

static json_t *held_leases(const struct mcp_leases *leases)
{
	json_t *mine = json_array();

	for (const struct mcp_lease *lease = leases->first; lease; lease = lease->next)
		if (mcp_lease_is_held(lease))
			json_array_append_new(mine, json_integer((json_int_t)lease->id));
	return mine;
}

static char *status_words(const json_t *status)
{
	struct text_table sheet = {0};
	char *words = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&words, &size);

	if (!out)
		abort();
	status_view(status, &sheet);
	text_table_print(&sheet, out, false);
	text_table_finish(&sheet);
	(void)fclose(out);
	return words;
}

static void call_status(struct mcp_leases *leases, const struct mcp_call *call)
{
	static const char *const known[] = {NULL};
	static const char *const kept[] = {"gpus", "leases", "waiting", NULL};
	struct mcp_args args;

	mcp_args_begin(&args, call->arguments, known);
	if (!mcp_args_end(&args, NULL)) {
		mcp_tool_fail(call->id, "gpu_status: %s.", args.problem);
		return;
	}

	json_t *status = ask_status(call);
	if (!status)
		return;

	json_t *structured = json_pack("{s:o}", "mine", held_leases(leases));
	for (size_t i = 0; kept[i]; i++) {
		json_t *part = json_object_get(status, kept[i]);
		json_object_set_new(structured, kept[i], part ? json_incref(part) : json_array());
	}

	char *words = status_words(status);
	mcp_tool_answer(call->id, words, structured);
	free(words);
	json_decref(status);
}

/* The row of a claim of ours that still waits: no lease_check could name it. */
static bool is_ours(const struct mcp_leases *leases, uint64_t claim)
{
	for (const struct mcp_lease *lease = leases->first; lease; lease = lease->next)
		if (lease->id == claim && lease->claim)
			return true;
	return false;
}

static void add_reason(FILE *out, const json_t *row, bool ours)
{
	fprintf(out, "%s%s (claim %" PRIu64 ", %s) has waited %.0f s. %s", ours ? "You: " : "",
		field_text(row, "id", "?"), field_u64(row, "lease"), field_text(row, "class", "?"),
		field_number(row, "waited_s", 0),
		field_text(row, "sentence", "The broker does not say why."));
	if (field_text(row, "guaranteed_by", NULL))
		fprintf(out, " Guaranteed by %s.\n", field_text(row, "guaranteed_by", ""));
	else
		fprintf(out, " No guarantee: %s\n", field_text(row, "bound_text", "none."));
}

static void answer_reasons(const struct mcp_leases *leases, const struct mcp_call *call,
			   const json_t *status, uint64_t claim)
{
	json_t *rows = json_array(), *row;
	char *words = NULL;
	size_t size = 0, at;
	FILE *out = open_memstream(&words, &size);

	if (!out)
		abort();
	json_array_foreach (json_object_get(status, "waiting"), at, row) {
		if (claim != 0 && field_u64(row, "lease") != claim)
			continue;
		add_reason(out, row, is_ours(leases, field_u64(row, "lease")));
		json_array_append(rows, row);
	}

	if (json_array_size(rows) == 0)
		fputs(claim ? "No claim of that number waits." : "Nobody waits.", out);
	(void)fclose(out);
	mcp_tool_answer(call->id, words, json_pack("{s:o}", "waiting", rows));
	free(words);
}

static void call_why(struct mcp_leases *leases, const struct mcp_call *call)
{
	static const char *const known[] = {"claim", NULL};
	struct mcp_args args;
	uint64_t claim = 0;

	mcp_args_begin(&args, call->arguments, known);
	mcp_args_number(&args, "claim", 1, INT64_MAX, &claim);
	if (!mcp_args_end(&args, NULL)) {
		mcp_tool_fail(call->id, "why_waiting: %s.", args.problem);
		return;
	}

	json_t *status = ask_status(call);
	if (status)
		answer_reasons(leases, call, status, claim);
	json_decref(status);
}

/* ---- leases ---- */

static void call_acquire(struct mcp_leases *leases, const struct mcp_call *call)
{
	static const char *const known[] = {"class", "vram",   "gpu",     "gpus", "slots",
					    "label", "wait_s", "grace_s", NULL};
	static const char *const classes[] = {"voice", "chat", "normal", "background", NULL};
	struct baton_request request;
	struct mcp_args args;
	uint64_t gpus = 1, slots = 1;

	baton_request_init(&request);
	request.uninterruptible_ms = GRACE_MS;

	mcp_args_begin(&args, call->arguments, known);
	mcp_args_choice(&args, "class", classes, &request.lease_class);
	mcp_args_size(&args, "vram", &request.vram_bytes);
	mcp_args_text(&args, "gpu", &request.gpu);
	mcp_args_number(&args, "gpus", 1, 16, &gpus);
	mcp_args_number(&args, "slots", 0, 1024, &slots);
	mcp_args_text(&args, "label", &request.label);
	mcp_args_seconds(&args, "wait_s", &request.timeout_ms);
	mcp_args_seconds(&args, "grace_s", &request.uninterruptible_ms);

	if (!mcp_args_end(&args, NULL)) {
		mcp_tool_fail(call->id, "lease_acquire: %s.", args.problem);
		return;
	}

	request.gpus = (uint32_t)gpus;
	request.slots = (uint32_t)slots;
	request.no_wait = request.timeout_ms == 0;
	mcp_leases_acquire(leases, &request, call->id, call->progress);
}

/* The lease that the call names; NULL: it was answered that there is none. */
static struct mcp_lease *named_lease(struct mcp_leases *leases, const struct mcp_call *call,
				     const char *tool)
{
	static const char *const known[] = {"lease", "fence", NULL};
	struct mcp_args args;
	uint64_t id = 0, fence = 0;

	mcp_args_begin(&args, call->arguments, known);
	mcp_args_number(&args, "lease", 1, INT64_MAX, &id);
	mcp_args_number(&args, "fence", 1, INT64_MAX, &fence);
	if (!mcp_args_end(&args, "lease")) {
		mcp_tool_fail(call->id, "%s: %s.", tool, args.problem);
		return NULL;
	}

	struct mcp_lease *lease = mcp_leases_find(leases, id);
	if (!lease)
		mcp_tool_fail(call->id,
			      "%s: this connection has no lease %" PRIu64
			      "; call lease_acquire before using the GPU.",
			      tool, id);
	else if (fence != 0 && fence != lease->fence)
		mcp_tool_fail(call->id,
			      "%s: lease %" PRIu64 " has fence %" PRIu64 ", not %" PRIu64 ".", tool,
			      id, lease->fence, fence);
	return lease && (fence == 0 || fence == lease->fence) ? lease : NULL;
}

static void call_release(struct mcp_leases *leases, const struct mcp_call *call)
{
	struct mcp_lease *lease = named_lease(leases, call, "lease_release");
	char words[300];

	if (!lease)
		return;
	mcp_leases_dispatch(leases); /* what came in meanwhile counts first */
	bool over = !lease->claim, was_held = mcp_lease_release(lease);
	bool good = was_held || (over && !lease->lost);

	snprintf(words, sizeof(words), "%s",
		 was_held ? "Given back; it was yours to the end."
		 : good   ? "It was given back before."
			: "It had been lost: do not use what was computed since your last check.");
	mcp_tool_answer(call->id, words,
			json_pack("{s:I, s:I, s:b}", "lease", (json_int_t)lease->id, "fence",
				  (json_int_t)lease->fence, "held_to_the_end", good));
}

static const char *words_of(const struct mcp_lease *lease, bool held, bool yields, bool away)
{
	if (!held && lease->lost)
		return "Lost: stop what uses the GPU now, call lease_release, and do not use what "
		       "was computed since your last check.";
	if (!held)
		return "Given back; call lease_acquire before using the GPU again.";
	if (yields)
		return "Somebody else needs the GPU: save, stop what uses it, and call "
		       "lease_release.";
	if (away)
		return "The broker is away; the lease holds for a moment. Check again in a second.";
	return "It is yours: go on.";
}

static void call_check(struct mcp_leases *leases, const struct mcp_call *call)
{
	struct mcp_lease *lease = named_lease(leases, call, "lease_check");

	if (!lease)
		return;
	mcp_leases_dispatch(leases);

	bool held = mcp_lease_is_held(lease), yields = held && baton_yield_asked(lease->claim);
	bool away = held && baton_link_state(leases->baton) != BATON_LINK_UP;
	int64_t left_ms = lease->claim ? baton_time_left_ms(lease->claim) : -1;
	const char *words = words_of(lease, held, yields, away);

	json_t *structured = json_pack("{s:I, s:I, s:b, s:b, s:s}", "lease", (json_int_t)lease->id,
				       "fence", (json_int_t)lease->fence, "held", held,
				       "should_yield", yields, "message", words);
	if ((yields || lease->lost) && lease->reason[0])
		json_object_set_new(structured, "reason", mcp_text(lease->reason));
	if (yields && lease->whom[0])
		json_object_set_new(structured, "for", mcp_text(lease->whom));
	if (left_ms >= 0)
		json_object_set_new(structured, "time_left_s", json_real((double)left_ms / 1000));
	mcp_tool_answer(call->id, words, structured);
}

/* ---- the table ---- */

#define OBJECT(properties)  "{\"type\":\"object\",\"properties\":{" properties "}"
#define NO_MORE             ",\"additionalProperties\":false}"
#define NUMBER(name, words) "\"" name "\":{\"type\":\"integer\",\"description\":\"" words "\"}"
#define LEASE_AND_FENCE                                                                            \
	NUMBER("lease", "the number that lease_acquire answered")                                  \
	"," NUMBER("fence", "its fence: refused when it is another one")

static const struct mcp_tool {
	const char *name, *title, *description, *input, *output; /* JSON Schema; output: or NULL */
	bool reads_only;
	void (*call)(struct mcp_leases *leases, const struct mcp_call *call);
} tools[] = {
	{
		.name = "gpu_status",
		.title = "GPU status",
		.description =
			"Who holds the GPUs of this machine, who waits, and which leases this "
			"connection holds (`mine`).",
		.input = OBJECT("") NO_MORE,
		.reads_only = true,
		.call = call_status,
	},
	{
		.name = "lease_acquire",
		.title = "Acquire a GPU lease",
		.description = "Waits in a fair queue for the right to use a GPU, and returns it "
			       "as a lease "
			       "with a fence. Use no GPU without one. While it waits the place in "
			       "the queue "
			       "comes as progress.",
		.input = OBJECT(
			"\"vram\":{\"type\":\"string\",\"description\":\"VRAM needed on each GPU, "
			"such as 8G; so others know what is left\"},"
			"\"class\":{\"type\":\"string\",\"enum\":[\"voice\",\"chat\",\"normal\","
			"\"background\"],\"description\":\"how urgent: somebody speaks, somebody "
			"waits for an answer, normal, nobody waits\"},"
			"\"gpu\":{\"type\":\"string\",\"description\":\"this GPU: name, index or "
			"UUID; absent: any\"},"
			"\"gpus\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":16,"
			"\"description\":"
			"\"how many at once (1)\"},"
			"\"slots\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1024,"
			"\"description\":\"compute turns on each (1); 0 only keeps memory\"},"
			"\"label\":{\"type\":\"string\",\"description\":\"model or job, shown to "
			"people\"},"
			"\"wait_s\":{\"type\":\"number\",\"minimum\":0,\"description\":\"longest "
			"wait "
			"in seconds (120); 0: not at all\"},"
			"\"grace_s\":{\"type\":\"number\",\"minimum\":0,\"description\":\"how long "
			"you need to save and stop when asked to (20)\"}") NO_MORE,
		.output = OBJECT(NUMBER("lease", "names the lease in the other tools") "," NUMBER(
			"fence", "rises with every grant: whoever stores results refuses a "
				 "smaller one") ","
						"\"gpus\":{\"type\":\"array\",\"items\":{"
						"\"type\":\"object\"}},"
						"\"environment\":{\"type\":\"object\","
						"\"additionalProperties\":{\"type\":"
						"\"string\"}},\"what_to_do\":{\"type\":"
						"\"string\"}") ",\"required\":[\"lease\","
							       "\"fence\",\"gpus\","
							       "\"environment\",\"what_to_"
							       "do\"]}",
		.call = call_acquire,
	},
	{
		.name = "lease_release",
		.title = "Release a GPU lease",
		.description =
			"Gives the GPU back. Call it only when every program that used it has "
			"ended. held_to_the_end is false when the lease had been lost before.",
		.input = OBJECT(LEASE_AND_FENCE) ",\"required\":[\"lease\"]" NO_MORE,
		.output = OBJECT(
			LEASE_AND_FENCE
			",\"held_to_the_end\":{\"type\":\"boolean\"}") ",\"required\":[\"lease\","
								       "\"fence\",\"held_to_the_"
								       "end\"]}",
		.call = call_release,
	},
	{
		.name = "lease_check",
		.title = "Check a GPU lease",
		.description =
			"Whether the lease is still held, and whether somebody else needs the "
			"GPU. Call it before every long step and before storing a result.",
		.input = OBJECT(LEASE_AND_FENCE) ",\"required\":[\"lease\"]" NO_MORE,
		.output = OBJECT(
			LEASE_AND_FENCE
			",\"held\":{\"type\":\"boolean\"},\"should_yield\":{\"type\":"
			"\"boolean\"},\"message\":{\"type\":\"string\"},\"reason\":{\"type\":"
			"\"string\"},\"for\":{\"type\":\"string\"},\"time_left_s\":{\"type\":"
			"\"number\"}") ",\"required\":[\"lease\",\"fence\",\"held\",\"should_"
				       "yield\",\"message\"]}",
		.reads_only = true,
		.call = call_check,
	},
	{
		.name = "why_waiting",
		.title = "Why does it wait?",
		.description =
			"Who has the GPU, when it must give way, and by when the turn of each "
			"waiter is guaranteed.",
		.input = OBJECT(NUMBER("claim", "of this waiter alone; absent: of all")) NO_MORE,
		.reads_only = true,
		.call = call_why,
	},
};

static json_t *parsed_schema(const char *text)
{
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert(schema);
	return schema;
}

json_t *mcp_tools_list(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(tools) / sizeof(*tools); i++) {
		const struct mcp_tool *tool = &tools[i];
		json_t *row = json_pack(
			"{s:s, s:s, s:s, s:o, s:{s:b, s:b, s:b}}", "name", tool->name, "title",
			tool->title, "description", tool->description, "inputSchema",
			parsed_schema(tool->input), "annotations", "readOnlyHint", tool->reads_only,
			"destructiveHint", false, "openWorldHint", false);
		if (tool->output)
			json_object_set_new(row, "outputSchema", parsed_schema(tool->output));
		json_array_append_new(list, row);
	}
	return json_pack("{s:o}", "tools", list);
}

bool mcp_tools_call(struct mcp_leases *leases, const char *name, const struct mcp_call *call)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(*tools); i++) {
		if (strcmp(tools[i].name, name) != 0)
			continue;
		tools[i].call(leases, call);
		return true;
	}
	return false;
}
