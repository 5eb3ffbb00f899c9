/* why: the sentences of WHY_TABLE with their fields filled, for status, `queued` and baton why.
 * Decides nothing about waiting. Called by render.c and message_render.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/parts.h"
#include "wire/render.h"

struct filling {
	const struct why *why;
	const char *holder_name;
	const struct core_config *config;
};

static void add_bytes(struct text *out, uint64_t bytes)
{
	const uint64_t mib = UINT64_C(1) << 20, gib = UINT64_C(1) << 30;
	if (bytes >= gib)
		text_format(out, "%.1f GiB", (double)bytes / (double)gib);
	else
		text_format(out, "%" PRIu64 " MiB", bytes / mib);
}

static void add_left(struct text *out, int64_t ms)
{
	ms = ms > 0 ? ms : 0;
	if (ms < 60 * 1000)
		text_format(out, "%.1f s", (double)ms / 1000);
	else
		text_format(out, "%" PRId64 " min %" PRId64 " s", ms / 60000, ms / 1000 % 60);
}

/* What the holder may still take, once the broker knows. */
static void add_limit(struct text *out, int64_t left_ms)
{
	if (left_ms < 0)
		return;
	text_str(out, " and must give way ");
	if (left_ms > 0) {
		text_str(out, "in ");
		told_duration(out, left_ms, true);
	}
	text_str(out, left_ms > 0 ? ", now that others wait" : "now");
}

static void add_field(struct text *out, const struct filling *f, const char *field, size_t length)
{
	const struct core_config *config = f->config;
	uint32_t gpu = f->why->gpu;
	if (strncmp(field, "holder", length) == 0)
		text_str(out, f->holder_name ? f->holder_name : "Another client");
	else if (strncmp(field, "gpu", length) == 0)
		text_str(out, config && gpu < config->gpu_count ? config->gpus[gpu].name : "a GPU");
	else if (strncmp(field, "limit", length) == 0)
		add_limit(out, f->why->left_ms);
	else if (strncmp(field, "left", length) == 0)
		add_left(out, f->why->left_ms);
	else if (strncmp(field, "want", length) == 0)
		add_bytes(out, f->why->want_bytes);
	else if (strncmp(field, "free", length) == 0)
		add_bytes(out, f->why->free_bytes);
	else if (strncmp(field, "held", length) == 0)
		add_bytes(out, f->why->held_bytes);
	else if (strncmp(field, "count", length) == 0)
		text_format(out, "%" PRIu32, f->why->gpu_count);
	else
		text_format(out,
			    f->why->ahead == 1 ? "%" PRIu32 " claim is" : "%" PRIu32 " claims are",
			    f->why->ahead);
}

void render_why(struct text *out, const struct why *why, const char *holder_name,
		const struct core_config *config)
{
	const struct filling filling = {why, holder_name, config};
	const char *at = why_text(why->code);
	for (;;) {
		size_t plain = strcspn(at, "{");
		text_add(out, at, plain);
		at += plain;
		const char *end = strchr(at, '}');
		if (!*at || !end)
			return;
		add_field(out, &filling, at + 1, (size_t)(end - at - 1));
		at = end + 1;
	}
}

void part_why(struct text *out, const struct why *why, const char *holder_name,
	      const struct core_config *config)
{
	struct text sentence;
	text_init(&sentence);
	render_why(&sentence, why, holder_name, config);
	text_char(out, '{');
	text_json_str(out, "code", why_name(why->code));
	text_json_str(out, "text", sentence.bytes);
	if (why->holder)
		text_json_u64(out, "holder", why->holder);
	if (why->code == WHY_HOLDER && why->left_ms >= 0)
		text_json_seconds(out, "gives_way_in_s", why->left_ms);
	text_char(out, '}');
	text_finish(&sentence);
}
