/* client_decode: what the broker says in a session, as a plain struct. Keeps no state. Called by
 * libbaton and by tests. */
#include "wire/client_decode.h"
#include "base/err.h"
#include "json/json_reader.h"

#include <math.h>
#include <string.h>

static const char *const type_names[RECEIVED_TYPE_COUNT] = {
	[RECEIVED_WELCOME] = "welcome",
	[RECEIVED_CLAIM] = "claim",
	[RECEIVED_QUEUED] = "queued",
	[RECEIVED_OFFERED] = "offered",
	[RECEIVED_GRANTED] = "granted",
	[RECEIVED_YIELD] = "yield",
	[RECEIVED_REVOKED] = "revoked",
	[RECEIVED_RELEASED] = "released",
	[RECEIVED_TIMEOUT] = "timeout",
	[RECEIVED_DENIED] = "denied",
	[RECEIVED_RENEWED] = "renewed",
	[RECEIVED_CHANGED] = "changed",
	[RECEIVED_LENT] = "lent",
	[RECEIVED_NOTICE] = "notice",
	[RECEIVED_HEARTBEAT] = "heartbeat",
	[RECEIVED_OK] = "ok",
	[RECEIVED_STATUS] = "status",
	[RECEIVED_EVENT] = "event",
	[RECEIVED_LOG] = "log",
	[RECEIVED_KEEP] = "keep",
	[RECEIVED_LINK] = "link",
	[RECEIVED_RELOADED] = "reloaded",
	[RECEIVED_CLOSE] = "close",
};

static uint64_t number_of(const struct json *object, const char *field)
{
	int64_t value = json_whole(json_get(object, field));
	return value > 0 ? (uint64_t)value : 0;
}

static int64_t seconds_ms(const struct json *object, const char *field)
{
	const struct json *value = json_get(object, field);
	double seconds = json_is_numeric(value) ? json_number(value) : -1;
	return seconds >= 0 && seconds < 1e12 ? (int64_t)llround(seconds * 1000) : -1;
}

static const char *text_of(const struct json *object, const char *field)
{
	return json_text(json_get(object, field));
}

static enum received_type type_of(const char *name)
{
	for (int type = 0; type < RECEIVED_TYPE_COUNT; type++)
		if (type_names[type] && strcmp(type_names[type], name) == 0)
			return (enum received_type)type;
	return RECEIVED_OTHER;
}

static enum claim_state state_of(const char *name)
{
	for (int state = 0; name && state < CLAIM_STATE_COUNT; state++)
		if (strcmp(claim_state_name(state), name) == 0)
			return (enum claim_state)state;
	return CLAIM_ENDED;
}

static void read_gpus(struct received *r, const struct json *root)
{
	const struct json *list = json_get(root, "gpus");
	size_t count = json_count(list);
	for (size_t i = 0; i < count && i < LIMIT_GPUS; i++) {
		const struct json *gpu = json_at(list, i);
		const struct json *number = json_get(gpu, "maker_index");
		r->gpus[r->gpu_count++] = (struct reply_gpu){
			.index = (uint32_t)number_of(gpu, "index"),
			.name = text_of(gpu, "name"),
			.uuid = text_of(gpu, "uuid"),
			.maker = text_of(gpu, "maker"),
			.maker_index =
				json_is(number, JSON_KIND_INTEGER) ? json_whole(number) : -1};
	}
}

static void read_times(struct received *r, const struct json *root)
{
	const struct json *position = json_get(root, "position");
	const struct json *grace = json_get(root, "grace_ms");
	r->position = json_is(position, JSON_KIND_INTEGER) ? json_whole(position) : -1;
	r->grace_ms = json_is(grace, JSON_KIND_INTEGER) ? json_whole(grace) : -1;
	r->eta_ms = seconds_ms(root, "eta_s");
	r->eta_p90_ms = seconds_ms(root, "eta_p90_s");
	r->bound_ms = seconds_ms(root, "bound_s");
	r->expires_ms = seconds_ms(root, "expires_in_s");
	r->ping_ms = seconds_ms(root, "ping_s");
	r->session_ttl_ms = seconds_ms(root, "session_ttl_s");
	r->linger_ms = seconds_ms(root, "linger_s");
}

static void read_numbers(struct received *r, const struct json *root)
{
	r->ref = number_of(root, "ref");
	r->lease = number_of(root, "lease");
	r->fence = number_of(root, "fence");
	r->epoch = number_of(root, "epoch");
	r->other = number_of(root, r->type == RECEIVED_LENT ? "to" : "for_lease");
	r->count = number_of(root, r->type == RECEIVED_CLOSE ? "code" : "count");
	r->retry_s = (int)number_of(root, "retry_after_s");
	r->resumed = json_is(json_get(root, "resumed"), JSON_KIND_TRUE);
}

static void read_texts(struct received *r, const struct json *root)
{
	r->session = text_of(root, "session");
	r->server = text_of(root, "server");
	r->reason = text_of(root, "reason");
	r->message = text_of(root, "message");
	r->detail = text_of(root, "detail");
	r->for_name = text_of(root, "for");
	r->ahead = json_text(json_at(json_get(root, "ahead"), 0));
	r->why = text_of(json_get(root, "why"), "text");
	r->estimate = text_of(root, "estimate");
	r->sentence = text_of(root, "sentence");
	r->text = text_of(root, r->type == RECEIVED_LINK     ? "url"
				: r->type == RECEIVED_NOTICE ? "text"
							     : "line");

	const char *token = text_of(root, "token");
	r->has_token = token && token_from_hex(token, strlen(token), &r->token);
	r->code = text_of(root, "code");
	r->err = r->type == RECEIVED_DENIED ? err_from_name(r->code ? r->code : "") : ERR_NONE;
	if (r->type == RECEIVED_CLAIM)
		r->state = state_of(text_of(root, "state"));
}

int client_decode(const char *text, size_t length, struct received *ret_reply)
{
	struct received *r = ret_reply;
	*r = (struct received){.type = RECEIVED_OTHER};
	int err = json_parse(text, length, LIMIT_SEND_BUFFER_BYTES, &r->parsed);
	if (err < 0)
		return err;
	const char *type = text_of(r->parsed.root, "type");
	if (!type)
		return json_missing(&r->parsed, "type");
	r->type = type_of(type);
	read_numbers(r, r->parsed.root);
	read_times(r, r->parsed.root);
	read_texts(r, r->parsed.root);
	read_gpus(r, r->parsed.root);
	return 0;
}

void client_decode_finish(struct received *received)
{
	parsed_finish(&received->parsed);
}
