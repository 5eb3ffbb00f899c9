/* history_encode: a row of the journal's history as JSON. Its times are the wall clock's, and what
 * is of one boot the monotonic one's. Called by the server for GET /v1/gpu/history. */
#include "wire/history_encode.h"
#include <assert.h>

#include "core/binding.h"
#include "core/record.h"
#include "json/json_writer.h"
#include "wire/encode_common.h"
#include "wire/sight.h"
#include "wire/told.h"

static void add_time(struct text *out, const char *key, struct wall_ms wall)
{
	text_json_key(out, key);
	text_char(out, '"');
	encode_time(out, wall);
	text_char(out, '"');
}

static int64_t not_negative(int64_t ms)
{
	return ms > 0 ? ms : 0;
}

static void add_claim(struct text *out, const struct record *record, const struct sight *sight)
{
	const struct claim_record *rec = &record->claim;
	bool told = sight_tells(sight, rec->principal);
	bool held = rec->granted_mask != 0 && rec->held_wall.v > 0;
	int64_t waited_ms = held ? mono_since(rec->held_since, rec->arrival)
				 : rec->ended_wall.v - rec->arrival_wall.v;
	int64_t last_ms = held ? not_negative(rec->ended_wall.v - rec->held_wall.v) : 0;

	text_json_str(out, "what", "claim");
	text_json_u64(out, "lease", rec->id);
	text_json_str(out, "id", rec->name);
	if (rec->label[0] && told)
		text_json_str(out, "label", rec->label);

	text_json_str(out, "class", lease_class_name(rec->cls));
	text_json_str(out, "binding", binding_name(rec->binding));
	if (rec->principal[0] && told)
		text_json_str(out, "principal", rec->principal);
	text_json_str(out, "end", end_reason_name(rec->end));
	if (record->detail.text[0] && told)
		text_json_str(out, "detail", record->detail.text);
	add_time(out, "asked", rec->arrival_wall);
	if (held)
		add_time(out, "granted", rec->held_wall);

	text_json_seconds(out, "waited_s", not_negative(waited_ms - rec->used_ms));
	if (held || rec->used_ms > 0)
		text_json_seconds(out, "held_s", rec->used_ms + last_ms);
	if (rec->fence)
		text_json_u64(out, "fence", rec->fence);
	encode_observed(out, rec->observed, rec->would_wait);
}

struct wall_ms history_time(const struct record *record)
{
	return record->type == RECORD_CLAIM_END ? record->claim.ended_wall : record->admin.wall;
}

static void add_act(struct text *out, const struct record *record, const struct sight *sight)
{
	bool told = sight_tells(sight, record->admin.who);

	text_json_str(out, "what", "act");
	text_json_str(out, "act", record->admin.act);
	text_json_str(out, "who", told ? record->admin.who : "");
	if (record->admin.lease)
		text_json_u64(out, "lease", record->admin.lease);
	if (record->admin.reason[0] && told)
		text_json_str(out, "reason", record->admin.reason);
}

void history_encode_row(struct text *out, uint64_t row, const struct record *record,
			const struct sight *sight)
{
	assert(record->type == RECORD_CLAIM_END || record->type == RECORD_AUDIT);
	text_char(out, '{');
	text_json_u64(out, "row", row);
	add_time(out, "time", history_time(record));

	if (record->type == RECORD_CLAIM_END)
		add_claim(out, record, sight);
	else
		add_act(out, record, sight);
	text_char(out, '}');
}
