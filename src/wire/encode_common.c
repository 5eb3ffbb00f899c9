/* encode_common: pieces of JSON that several kinds of answers share. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "core/config.h"
#include "json/json_writer.h"
#include "wire/encode_common.h"
#include "wire/session_encode.h"
#include "wire/wait_reason.h"

/* What the runtimes know it by. An address is no UUID to them, though it may stand for one here. */
static void encode_device(struct text *out, const struct gpu_config *gpu)
{
	const char *maker = gpu_maker_name(gpu->maker);

	if (gpu->uuid[0] && !strchr(gpu->uuid, ':'))
		text_json_str(out, "uuid", gpu->uuid);
	if (maker)
		text_json_str(out, "maker", maker);
	if (gpu->has_maker_index)
		text_json_u64(out, "maker_index", gpu->maker_index);
}

static const char *gpu_name(const struct core_config *config, uint32_t index)
{
	return config && index < config->gpu_count ? config->gpus[index].name : NULL;
}

void encode_gpus(struct text *out, uint32_t mask, const struct core_config *config)
{
	if (!mask)
		return;
	text_json_str(out, "gpu", gpu_name(config, (uint32_t)__builtin_ctz(mask)));
	text_json_key(out, "gpus");
	text_char(out, '[');

	for (uint32_t left = mask; left; left &= left - 1) {
		uint32_t index = (uint32_t)__builtin_ctz(left);
		const char *name = gpu_name(config, index);
		text_json_item(out);
		text_char(out, '{');
		text_json_u64(out, "index", index);
		text_json_str(out, "name", name);
		if (name)
			encode_device(out, &config->gpus[index]);
		text_char(out, '}');
	}
	text_char(out, ']');
}

void encode_place(struct text *out, const struct encode_context *facts)
{
	if (!facts->has_place)
		return;
	text_json_i64(out, "position", facts->position);
	text_json_key(out, "ahead");
	text_char(out, '[');
	for (size_t i = 0; i < facts->ahead_count; i++) {
		text_json_item(out);
		text_json_string(out, facts->ahead[i]);
	}
	text_char(out, ']');

	encode_told(out, &facts->told);
	if (facts->why) {
		encode_sentence(out, &facts->told, facts->why, facts->holder_name, facts->config);
		text_json_key(out, "why");
		encode_why(out, facts->why, facts->holder_name, facts->config);
	}
}

void encode_observed(struct text *out, bool observed, bool would_wait)
{
	if (observed)
		text_json_bool(out, "observed", true);
	if (would_wait)
		text_json_bool(out, "would_wait", true);
}

void encode_token(struct text *out, const struct token *token)
{
	static const struct token none;
	if (memcmp(token, &none, sizeof(none)) == 0)
		return;
	text_json_key(out, "token");
	text_char(out, '"');
	token_to_hex(token, text_reserve(out, TOKEN_HEX_BYTES));
	out->length += TOKEN_HEX_BYTES - 1;
	text_char(out, '"');
}

void encode_error(struct text *out, int err, const char *detail)
{
	text_json_str(out, "code", err_name(err));
	text_json_str(out, "message", err_text(err));
	if (detail && detail[0])
		text_json_str(out, "detail", detail);
	if (err_retry_s(err) > 0)
		text_json_i64(out, "retry_after_s", err_retry_s(err));
}

void encode_yield(struct text *out, const struct send_effect *send,
		  const struct encode_context *facts)
{
	text_json_str(out, "reason", yield_reason_name(send->reason));
	if (send->other) {
		text_json_u64(out, "for_lease", send->other);
		text_json_str(out, "for", facts->other_name);
	}
	text_json_i64(out, "grace_ms", send->grace_ms);
	if (send->detail[0])
		text_json_str(out, "detail", send->detail);
}

void encode_renewed(struct text *out, const struct send_effect *send)
{
	text_json_seconds(out, "expires_in_s", send->expires_ms);
	if (!send->flag)
		return;
	text_json_bool(out, "yield", true);
	text_json_str(out, "reason", yield_reason_name(send->reason));
}
