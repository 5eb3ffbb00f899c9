/* status_view: the broker's status as a sheet for people. */
#pragma once
#include <jansson.h>

#include "cli/text_table.h"

void status_view(const json_t *status, struct text_table *sheet);
/* Adds the rows of holders and waiters with this number or name to `ret_rows`. */
void status_rows_of(const json_t *status, const char *number_or_name, json_t *ret_rows);
/* All that one row says, a line for each thing. */
void status_detail(const json_t *row, struct text_table *sheet);
/* The row of `leases` (or `waiting`) with this number or name; NULL: none. */
const json_t *status_find(const json_t *rows, const char *number_or_name);
