/* status_detail: one claim of the status in full. */
#pragma once
#include <jansson.h>

struct text_table;

/* Everything that one row says, a line for each fact. */
void status_detail(const json_t *row, struct text_table *sheet);
