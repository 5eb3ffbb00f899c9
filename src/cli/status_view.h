/* status_view: the broker's status as a sheet for people. */
#pragma once
#include <jansson.h>

#include "cli/sheet.h"

void status_view(const json_t *status, struct sheet *sheet);
/* The row of `leases` (or `waiting`) with this number or name; NULL: none. */
const json_t *status_find(const json_t *rows, const char *number_or_name);
