/* status_detail: formats one client's claim in full, for `baton status NAME`. */
#include "cli/status_detail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field.h"
#include "cli/text_table.h"
#include "cli/units.h"

__attribute__((format(printf, 3, 4))) static void
add_line(struct text_table *sheet, const char *title, const char *format, ...)
{
	char words[512];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	text_table_add(sheet, "  %-10s %s", title, words);
}

static void add_text(struct text_table *sheet, const json_t *row, const char *key,
		     const char *title)
{
	const char *text = field_text(row, key, NULL);
	if (text)
		add_line(sheet, title, "%s", text);
}

static void add_time(struct text_table *sheet, const json_t *row, const char *key,
		     const char *title)
{
	char text[UNITS_BYTES];
	double seconds = field_number(row, key, -1);
	if (seconds >= 0)
		add_line(sheet, title, "%s", units_duration(text, seconds));
}

static void add_need(struct text_table *sheet, const json_t *row)
{
	char mb[UNITS_BYTES];
	double vram = field_number(row, "vram_mb", 0);
	uint64_t gpus = field_u64(row, "gpu_count"), slots = field_u64(row, "slots");
	char count[32] = "all";
	if (!field_true(row, "all_slots"))
		snprintf(count, sizeof(count), "%" PRIu64, slots);
	add_line(sheet, "needs", "%s slot%s%s%s%s", count, strcmp(count, "1") == 0 ? "" : "s",
		 vram > 0 ? ", VRAM " : "", vram > 0 ? units_mb(mb, vram) : "",
		 gpus > 1 ? " on each of several GPUs" : "");
}

static void add_gpus(struct text_table *sheet, const json_t *row)
{
	size_t i;
	json_t *gpu;
	json_array_foreach (json_object_get(row, "gpus"), i, gpu)
		add_line(sheet, i ? "" : "holds", "%s%s%s", field_text(gpu, "name", "?"),
			 field_text(gpu, "uuid", NULL) ? ", " : "", field_text(gpu, "uuid", ""));
}

static void add_yield(struct text_table *sheet, const json_t *row)
{
	char left[UNITS_BYTES];
	const json_t *yield = json_object_get(row, "yield");
	if (!yield)
		return;

	units_duration(left, field_number(yield, "left_s", 0));
	if (field_number(row, "stop_in_s", 0) > 0) {
		units_duration(left, field_number(row, "stop_in_s", 0));
		add_line(sheet, "gives way", "it is being stopped, and killed in %s", left);
	} else if (field_true(yield, "revoked")) {
		add_line(sheet, "gives way", "revoked; the GPU is free in %s at most", left);
	} else {
		add_line(sheet, "gives way", "asked to (%s)%s%s, %s left",
			 field_text(yield, "reason", "?"),
			 field_text(yield, "for", NULL) ? " for " : "",
			 field_text(yield, "for", ""), left);
	}
}

static void add_client(struct text_table *sheet, const json_t *row)
{
	static const struct {
		const char *binding, *words;
	} bindings[] = {{"native", "a program on the Unix socket"},
			{"tab", "a browser tab"},
			{"stream", "a lock stream"},
			{"http", "a plain lock request"}};
	const char *binding = field_text(row, "binding", "?"), *words = binding;
	for (size_t i = 0; i < sizeof(bindings) / sizeof(*bindings); i++)
		if (strcmp(bindings[i].binding, binding) == 0)
			words = bindings[i].words;

	if (field_u64(row, "session"))
		add_line(sheet, "client", "%s, session %" PRIu64, words, field_u64(row, "session"));
	else
		add_line(sheet, "client", "%s", words);

	add_text(sheet, row, "principal", "principal");
	if (json_is_false(json_object_get(row, "attached")))
		add_line(sheet, "", "its connection is gone");
	if (json_is_false(json_object_get(row, "watched")))
		add_line(sheet, "", "its process cannot be watched: %s",
			 field_text(row, "unwatched", "its leases last for their time"));
	add_time(sheet, row, "detached_left_s", "comes back within");
}

void status_detail(const json_t *row, struct text_table *sheet)
{
	if (sheet->count > 0)
		text_table_add(sheet, "%s", "");

	text_table_add(sheet, "%c%s%c  %s %" PRIu64 ", %s, %s", STYLE_BOLD,
		       field_text(row, "id", "?"), STYLE_PLAIN,
		       json_object_get(row, "position") ? "claim" : "lease",
		       field_u64(row, "lease"), field_text(row, "class", "?"),
		       field_text(row, "state", "?"));

	add_text(sheet, row, "label", "label");
	add_gpus(sheet, row);
	add_need(sheet, row);
	add_text(sheet, row, "since", "since");
	add_time(sheet, row, "held_s", "held");
	add_time(sheet, row, "expires_in_s", "expires in");
	add_yield(sheet, row);

	if (json_object_get(row, "position"))
		add_line(sheet, "place", "%.0f", field_number(row, "position", 0) + 1);
	add_time(sheet, row, "waited_s", "waited");
	if (field_true(row, "moved"))
		add_line(sheet, "stands", "moved off the GPU, in RAM; comes back with its lease");
	if (field_u64(row, "resumes"))
		add_line(sheet, "stands", "frozen, its memory kept by lease %" PRIu64,
			 field_u64(row, "resumes"));
	add_text(sheet, json_object_get(row, "why"), "text", "why");
	add_text(sheet, row, "estimate", "estimate");
	add_time(sheet, row, "timeout_in_s", "gives up in");

	if (field_u64(row, "fence"))
		add_line(sheet, "fence", "%" PRIu64, field_u64(row, "fence"));
	add_client(sheet, row);
}
