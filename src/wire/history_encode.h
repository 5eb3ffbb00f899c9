/* history_encode: a row of the journal's history as JSON. */
#pragma once
#include <stdint.h>

#include "base/mono.h"

struct record;
struct sight;
struct text;

/* A row of the journal's history as one object: an ended claim, or an operator's act. */
void history_encode_row(struct text *out, uint64_t row, const struct record *record,
			const struct sight *sight);
/* When it ended or was done. */
struct wall_ms history_time(const struct record *record);
