/* sections: the lists of `top` as grids: who holds, who waits, which processes use the GPUs. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grid;
struct grid_column;
struct top_model;

enum top_section { TOP_HOLDERS, TOP_QUEUE, TOP_PROCESSES, TOP_TIMELINE, TOP_SECTION_COUNT };

extern const char *const top_section_names[TOP_SECTION_COUNT];
/* Their columns, for the menu; the timeline has none. */
const struct grid_column *sections_columns(enum top_section section, size_t *ret_count);
/* Fills a grid of TOP_HOLDERS, TOP_QUEUE or TOP_PROCESSES. A row of the first two has the claim's
 * number as its id, a process one of its own. */
void sections_fill(const struct top_model *model, enum top_section section, bool utf8,
		   struct grid *grid);
/* The claim of a row, and its name; 0: it is gone, or a process without a lease. */
uint64_t sections_claim(const struct top_model *model, enum top_section section, uint64_t id,
			const char **ret_name);
