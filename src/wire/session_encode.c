/* session_encode: what the core sends to a session, as text. Looks nothing up: what a message says
 * besides its effect comes in its encode_context. http_encode.c shares the parts that HTTP has too.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "core/config.h"
#include "json/json_writer.h"
#include "wire/encode_common.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"
#include "wire/wait_reason.h"

static const char *const type_names[SEND_COUNT] = {
	[SEND_WELCOME] = "welcome", [SEND_CLAIM] = "claim",         [SEND_QUEUED] = "queued",
	[SEND_OFFERED] = "offered", [SEND_GRANTED] = "granted",     [SEND_YIELD] = "yield",
	[SEND_REVOKED] = "revoked", [SEND_RELEASED] = "released",   [SEND_TIMEOUT] = "timeout",
	[SEND_DENIED] = "denied",   [SEND_RENEWED] = "renewed",     [SEND_CHANGED] = "changed",
	[SEND_LENT] = "lent",       [SEND_HEARTBEAT] = "heartbeat", [SEND_OK] = "ok",
	[SEND_KEEP] = "keep",       [SEND_NOTICE] = "notice",
};

const char *send_kind_name(enum send_kind msg)
{
	return type_names[msg];
}

static void add_welcome(struct text *out, const struct send_effect *send,
			const struct encode_context *facts)
{
	char hex[TOKEN_HEX_BYTES];

	token_to_hex(&send->token, hex);
	text_json_i64(out, "version", PROTOCOL_VERSION);
	text_json_key(out, "session");
	text_format(out, "\"%" PRIu64 "-%s\"", send->lease, hex);
	text_json_bool(out, "resumed", send->flag);
	text_json_u64(out, "epoch", facts->epoch);

	if (facts->config) {
		text_json_seconds(out, "ping_s", facts->config->heartbeat_ms);
		text_json_seconds(out, "session_ttl_s", facts->config->session_ttl_ms);
		text_json_seconds(out, "linger_s", facts->linger_ms);
	}

	if (facts->server)
		text_json_str(out, "server", facts->server);
	if (facts->rights)
		text_json_str(out, "rights", facts->rights);
	if (facts->dev)
		text_json_bool(out, "dev", true);
}

static void add_claim(struct text *out, const struct send_effect *send,
		      const struct encode_context *facts)
{
	text_json_str(out, "state", claim_state_name(send->state));
	if (send->fence)
		text_json_u64(out, "fence", send->fence);
	encode_gpus(out, send->gpus, facts->config);
	encode_observed(out, send->observed, send->would_wait);
	encode_token(out, &send->token);
}

static void add_grant(struct text *out, const struct send_effect *send,
		      const struct encode_context *facts)
{
	text_json_u64(out, "fence", send->fence);
	encode_gpus(out, send->gpus, facts->config);
	encode_observed(out, send->observed, send->would_wait);
	encode_token(out, &send->token);
	if (send->expires_ms > 0)
		text_json_seconds(out, "expires_in_s", send->expires_ms);
}

static void add_numbers(struct text *out, const struct send_effect *send)
{
	bool numbered = send->msg != SEND_WELCOME && send->msg != SEND_OK;
	if (numbered && send->ref)
		text_json_u64(out, "ref", send->ref);
	if (numbered && send->lease)
		text_json_u64(out, "lease", send->lease);
}

static void add_end(struct text *out, const struct send_effect *send)
{
	if (send->end != END_NONE)
		text_json_str(out, "reason", end_reason_name(send->end));
	if (send->detail[0])
		text_json_str(out, "detail", send->detail);
}

static void add_body(struct text *out, const struct send_effect *send,
		     const struct encode_context *facts)
{
	switch (send->msg) {
	case SEND_WELCOME:
		add_welcome(out, send, facts);
		break;
	case SEND_CLAIM:
		add_claim(out, send, facts);
		break;
	case SEND_QUEUED:
		encode_place(out, facts);
		break;

	case SEND_OFFERED:
	case SEND_GRANTED:
		add_grant(out, send, facts);
		break;
	case SEND_YIELD:
		encode_yield(out, send, facts);
		break;
	case SEND_REVOKED:
		text_json_str(out, "reason", yield_reason_name(send->reason));
		if (send->grace_ms > 0)
			text_json_i64(out, "grace_ms", send->grace_ms);
		if (send->detail[0])
			text_json_str(out, "detail", send->detail);
		break;

	case SEND_RELEASED:
		add_end(out, send);
		break;
	case SEND_TIMEOUT:
		text_json_str(out, "message", err_text(ERR_TIMEOUT));
		break;
	case SEND_DENIED:
		encode_error(out, send->err, send->detail);
		break;

	case SEND_RENEWED:
		encode_renewed(out, send);
		break;
	case SEND_LENT:
		text_json_u64(out, "to", send->other);
		break;
	case SEND_NOTICE:
		text_json_str(out, "code", notice_name(send->notice));
		text_json_str(out, "text", send->detail);
		break;
	case SEND_OK:
		text_json_u64(out, "count", send->lease);
		break;

	case SEND_CHANGED:
	case SEND_KEEP:
	case SEND_HEARTBEAT:
	case SEND_COUNT:
		break;
	}
}

void session_encode(struct text *out, const struct send_effect *send,
		    const struct encode_context *facts)
{
	assert(send->msg < SEND_COUNT);
	text_char(out, '{');
	text_json_str(out, "type", type_names[send->msg]);
	add_numbers(out, send);
	add_body(out, send, facts);
	text_char(out, '}');
}

void session_encode_denied(struct text *out, uint64_t ref, int err, const char *detail)
{
	text_str(out, "{\"type\":\"denied\"");
	if (ref)
		text_json_u64(out, "ref", ref);
	encode_error(out, err, detail);
	text_char(out, '}');
}

void session_encode_ok(struct text *out, uint64_t count)
{
	text_str(out, "{\"type\":\"ok\"");
	text_json_u64(out, "count", count);
	text_char(out, '}');
}

void session_encode_log(struct text *out, const char *line)
{
	text_str(out, "{\"type\":\"log\"");
	text_json_str(out, "line", line);
	text_char(out, '}');
}

void session_encode_link(struct text *out, const char *url)
{
	text_str(out, "{\"type\":\"link\"");
	text_json_str(out, "url", url);
	text_char(out, '}');
}

void session_encode_reloaded(struct text *out, const char *const *changed, size_t count)
{
	text_str(out, "{\"type\":\"reloaded\"");
	text_json_key(out, "changed");
	text_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		text_json_item(out);
		text_json_string(out, changed[i]);
	}
	text_str(out, "]}");
}
