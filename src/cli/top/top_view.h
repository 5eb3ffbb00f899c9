/* top_view: the whole screen of `top` as lines of text. Pure, so that tests compare screens. */
#pragma once
#include "cli/top/sections.h"

struct text_table;
struct top_lists;
struct top_model;
struct top_ui;

/* Writes at most `height` lines of at most `width` columns, the last one the foot; both 0: no
 * limit, and no foot, for --once. Moves the lists so that chosen rows are seen. */
void top_view(const struct top_model *model, const struct top_lists *lists, struct top_ui *ui,
	      size_t width, size_t height, struct text_table *ret_lines);
/* How many lines each section of `need` gets of `room`: the one in focus is served best. A section
 * that gets fewer than `least` of its own gets none. Pure. */
void top_view_share(const size_t need[TOP_SECTION_COUNT], const size_t least[TOP_SECTION_COUNT],
		    size_t room, enum top_section focus, size_t ret_lines[TOP_SECTION_COUNT]);
