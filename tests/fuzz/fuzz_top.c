/* Goal: whatever a broker answers, `baton top` draws as many lines as the screen has, none too
 * wide, and nothing that steers the terminal. Method: two bytes are the size, the next the keys,
 * the rest a status or an event; libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top/top_model.h"
#include "cli/top/top_ui.h"
#include "cli/top/top_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_BYTES = 4 };

static void check_lines(const struct text_table *lines, size_t width, size_t height)
{
	assert(lines->count == height);
	for (size_t i = 0; i < lines->count; i++) {
		assert(text_table_width(lines->lines[i]) <= width);
		for (const char *c = lines->lines[i]; *c; c++)
			assert((unsigned char)*c >= 0x20 || *c < STYLE_END);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct top_model model = {0};
	struct top_ui ui;
	struct top_lists lists;
	struct text_table lines = {0};
	if (size < HEAD_BYTES)
		return 0;

	setlocale(LC_CTYPE, "C.UTF-8");
	top_ui_init(&ui, data[2] & 1);
	json_t *value = json_loadb((const char *)data + HEAD_BYTES, size - HEAD_BYTES,
				   JSON_DISABLE_EOF_CHECK, NULL);
	if (!value)
		return 0;
	timeline_event(&model.timeline, value);
	top_model_status(&model, value);

	top_lists_build(&lists, &model, &ui);
	(void)top_ui_key(&ui, &lists, &model, data[3]);
	top_lists_finish(&lists);
	top_lists_build(&lists, &model, &ui);
	size_t width = 1 + data[0] % 150, height = 1 + data[1] % 60;
	top_view(&model, &lists, &ui, width, height, &lines);
	check_lines(&lines, width, height);

	text_table_finish(&lines);
	top_lists_finish(&lists);
	top_model_finish(&model);
	return 0;
}
