/* status_view: the broker's status as text for people. */
#pragma once
#include <jansson.h>

struct text_table;

void status_view(const json_t *status, struct text_table *sheet);
/* Adds the rows of holders and waiters with this number or name to `ret_rows`. */
void status_rows_of(const json_t *status, const char *number_or_name, json_t *ret_rows);
/* The row of `leases` (or `waiting`) with this number or name; NULL: none. */
const json_t *status_find(const json_t *rows, const char *number_or_name);
