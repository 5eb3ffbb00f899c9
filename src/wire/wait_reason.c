/* wait_reason: the sentences of WHY_TABLE with their fields filled. */
#include "wire/wait_reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "json/json_writer.h"
#include "wire/told.h"

enum { SHORT_NAME_BYTES = 48, IDLE_SAID_MS = 60 * 1000 };

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

/* Nobody knows, or it computes: nothing is said. */
static void add_idle(struct text *out, int64_t idle_ms)
{
	if (idle_ms < IDLE_SAID_MS)
		return;
	text_str(out, ", and has computed nothing for ");
	add_left(out, idle_ms);
}

static void add_strangers(struct text *out, uint64_t bytes)
{
	if (bytes == 0)
		return;
	text_str(out, "; programs without a lease use ");
	add_bytes(out, bytes);
}

static void add_front(struct text *out, const struct filling *filling);

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
	else if (strncmp(field, "idle", length) == 0)
		add_idle(out, f->why->idle_ms);
	else if (strncmp(field, "lease", length) == 0)
		text_format(out, "%" PRIu64, f->why->holder);
	else if (strncmp(field, "left", length) == 0)
		add_left(out, f->why->left_ms);
	else if (strncmp(field, "want", length) == 0)
		add_bytes(out, f->why->want_bytes);
	else if (strncmp(field, "free", length) == 0)
		add_bytes(out, f->why->free_bytes);
	else if (strncmp(field, "held", length) == 0)
		add_bytes(out, f->why->held_bytes);
	else if (strncmp(field, "strangers", length) == 0)
		add_strangers(out, f->why->strange_bytes);
	else if (strncmp(field, "front", length) == 0)
		add_front(out, f);
	else if (strncmp(field, "count", length) == 0)
		text_format(out, "%" PRIu32, f->why->gpu_count);
	else
		text_format(out,
			    f->why->ahead == 1 ? "%" PRIu32 " claim is" : "%" PRIu32 " claims are",
			    f->why->ahead);
}

static void fill_fields(struct text *out, const char *at, size_t length,
			const struct filling *filling)
{
	const char *end = at + length;
	while (at < end) {
		const char *open = memchr(at, '{', (size_t)(end - at));
		const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;
		text_add(out, at, (size_t)((close ? open : end) - at));
		if (close)
			add_field(out, filling, open + 1, (size_t)(close - open - 1));
		at = close ? close + 1 : end;
	}
}

/* Without its full stop. */
static void fill_head(struct text *out, const struct filling *filling)
{
	const char *text = why_text(filling->why->head);
	fill_fields(out, text, strlen(text) - 1, filling);
}

static void add_front(struct text *out, const struct filling *filling)
{
	if (!filling->why->holder)
		return;
	text_str(out, "; ");
	fill_head(out, filling);
}

void encode_why_text(struct text *out, const struct why *why, const char *holder_name,
		     const struct core_config *config)
{
	const struct filling filling = {why, holder_name, config};
	fill_fields(out, why_text(why->code), strlen(why_text(why->code)), &filling);
}

/* Time passes and it is served; not where somebody must do something first. */
static bool is_served_in_time(enum why_code code)
{
	switch (code) {
	case WHY_HOLDER:
	case WHY_HOLDERS:
	case WHY_SELF:
	case WHY_YIELDING:
	case WHY_STOPPING:
	case WHY_LOCK_DELAY:
	case WHY_DETACHED:
	case WHY_VRAM:
	case WHY_PARKED:
	case WHY_EVICTING:
	case WHY_BEHIND:
	case WHY_RESERVED:
	case WHY_DRAINING:
		return true;
	case WHY_NEXT:
	case WHY_PINNED:
	case WHY_OBSERVED:
	case WHY_UNKNOWN:
	case WHY_UNHEALTHY:
	case WHY_PAUSED:
	case WHY_JOURNAL:
	case WHY_AUTHORITY:
	case WHY_IN_DOUBT:
	case WHY_OVERSIZED:
	case WHY_HOST:
	case WHY_DETACHED_SELF:
	case WHY_COUNT:
		break;
	}

	return false;
}

static const char *ordinal_ending(int64_t number)
{
	static const char *const endings[] = {"th", "st", "nd", "rd"};
	bool teens = number % 100 >= 11 && number % 100 <= 13;
	return teens || number % 10 > 3 ? "th" : endings[number % 10];
}

static void add_place(struct text *out, int64_t ahead)
{
	if (ahead == 0)
		text_str(out, "Next");
	else
		text_format(out, "%" PRId64 "%s in the queue", ahead + 1,
			    ordinal_ending(ahead + 1));
}

/* A sentence stays one: a long name is whole in `why` and in the holder's own row. */
static const char *short_name(const char *name, char ret_short[SHORT_NAME_BYTES + sizeof("…")])
{
	size_t length = SHORT_NAME_BYTES;
	if (!name || strlen(name) <= length)
		return name;
	while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80)
		length--;
	memcpy(ret_short, name, length);
	memcpy(ret_short + length, "…", sizeof("…"));
	return ret_short;
}

void encode_sentence_text(struct text *out, const struct estimate *estimate, const struct why *why,
			  const char *holder_name, const struct core_config *config)
{
	char name[SHORT_NAME_BYTES + sizeof("…")];
	const struct filling filling = {why, short_name(holder_name, name), config};
	bool of_front = why->code == WHY_BEHIND && why->holder;

	add_place(out, why->ahead);
	if (estimate->p50_ms >= 0 && is_served_in_time(of_front ? why->head : why->code)) {
		text_str(out, ", in about ");
		told_duration(out, estimate->p50_ms, false);
	}

	if (of_front) {
		text_str(out, ": ");
		fill_head(out, &filling);
		text_char(out, '.');
	} else if (why->code == WHY_BEHIND) {
		text_char(out, '.');
	} else if (why->code == WHY_NEXT) {
		text_str(out, ": a GPU is offered to it at this moment.");
	} else {
		text_str(out, ": ");
		encode_why_text(out, why, filling.holder_name, config);
	}
}

void encode_sentence(struct text *out, const struct told *told, const struct why *why,
		     const char *holder_name, const struct core_config *config)
{
	struct text sentence;
	text_init(&sentence);
	encode_sentence_text(&sentence, &told->estimate, why, holder_name, config);
	text_json_str(out, "sentence", sentence.bytes);
	text_finish(&sentence);
}

void encode_why(struct text *out, const struct why *why, const char *holder_name,
		const struct core_config *config)
{
	struct text sentence;
	text_init(&sentence);
	encode_why_text(&sentence, why, holder_name, config);
	text_char(out, '{');
	text_json_str(out, "code", why_name(why->code));
	text_json_str(out, "text", sentence.bytes);
	if (why->holder)
		text_json_u64(out, "holder", why->holder);

	bool limited = why->code == WHY_HOLDER || why->code == WHY_SELF || why->code == WHY_PARKED;
	if (limited && why->left_ms >= 0)
		text_json_seconds(out, "gives_way_in_s", why->left_ms);
	if (why->idle_ms >= IDLE_SAID_MS)
		text_json_seconds(out, "holder_idle_s", why->idle_ms);
	text_char(out, '}');
	text_finish(&sentence);
}
