/* top_ui: what the user of `top` chose: list, row, order, filter, columns. Pure. */
#pragma once
#include "cli/top/grid.h"
#include "cli/top/sections.h"
#include "cli/top/timeline.h"

struct top_model;

enum { TOP_FILTER_BYTES = 64, TOP_SPANS = 3 };

enum top_mode { TOP_NORMAL, TOP_FILTER, TOP_COLUMNS, TOP_HELP, TOP_CONFIRM };

struct top_list {
	uint64_t id; /* the chosen row; when it is gone, the one in its place */
	size_t at, first;
	int sort; /* a column, or GRID_DEFAULT_ORDER */
	bool reverse;
	unsigned hidden; /* a bit for each column */
};

/* What is to be asked of the broker. */
struct top_request {
	char path[96];
	char question[256]; /* "": it needs none */
	char done[256];
};

struct top_ui {
	enum top_section focus;
	enum top_mode mode;
	struct top_list lists[TOP_SECTION_COUNT];
	char filter[TOP_FILTER_BYTES];
	size_t menu_at;
	unsigned span; /* of TOP_SPANS */
	bool utf8;
	struct top_request request; /* in TOP_CONFIRM: what a "y" sends */
	char notice[512];           /* the last line until the next key */
	bool notice_bad;
};

void top_ui_init(struct top_ui *ui, bool utf8);
int64_t top_ui_span_ms(const struct top_ui *ui);

/* The lists as they are shown now. */
struct top_lists {
	struct grid grids[TOP_TIMELINE];
	const char *names[TIMELINE_NAMES_MAX]; /* of the timeline, borrowed from the model */
	size_t name_count;
};
/* Builds them, and moves the chosen rows to where they are now. */
void top_lists_build(struct top_lists *lists, const struct top_model *model, struct top_ui *ui);
void top_lists_finish(struct top_lists *lists);
size_t top_lists_rows(const struct top_lists *lists, enum top_section section);

enum top_key_result { TOP_KEY_NONE, TOP_KEY_QUIT, TOP_KEY_SEND, TOP_KEY_REFRESH };
/* TOP_KEY_SEND: ui->request is to be sent. */
enum top_key_result top_ui_key(struct top_ui *ui, const struct top_lists *lists,
			       const struct top_model *model, int key);
