/* record: the fields of sessions and claims, one row each. Their tags are on people's disks: a new
 * field takes a tag that was never used, and none is reused. For the journal's codec and the core's
 * export. */
#include "core/record.h"

#include "base/fields_row.h"

#define T struct named_process
static const struct field process_rows[] = {
	ROW_INT(T, 1, pid),
	ROW_UINT(T, 2, pid_start),
};
static const struct field_table process_fields = FIELD_TABLE(process_rows);
#undef T

#define T struct named_processes
static const struct field named_rows[] = {
	ROW_LESS(T, 1, count, LIMIT_PROCESSES + 1),
	ROW_OF(T, 2, FIELD_PARTS, v, SENSE_NONE, &process_fields),
	ROW_INT(T, 3, keeper),
	ROW_TEXT(T, 4, cgroup),
	ROW_TEXT(T, 5, mark),
};
static const struct field_table named_fields = FIELD_TABLE(named_rows);
#undef T

#define T struct session_record
static const struct field session_rows[] = {
	ROW_MARK(T, 1, id, SENSE_SESSION),
	ROW(T, 2, FIELD_BYTES, secret, SENSE_NOISE, 0),
	ROW_LESS(T, 3, binding, BINDING_COUNT),
	ROW(T, 4, FIELD_INT, pid, SENSE_NOISE, 0),
	ROW_MARK(T, 5, pid_start, SENSE_NOISE),
	ROW_INT(T, 6, uid),
	ROW_TEXT(T, 7, name),
	ROW_PART(T, 8, named, &named_fields),
	ROW_TEXT(T, 9, principal),
	ROW_INT(T, 10, ttl_ms),
};
const struct field_table session_record_fields = FIELD_TABLE(session_rows);
#undef T

#define T struct need
static const struct field need_rows[] = {
	ROW_UINT(T, 1, vram_bytes), ROW_UINT(T, 2, slots),        ROW_UINT(T, 3, gpu_count),
	ROW_UINT(T, 4, gpu_mask),   ROW_LESS(T, 5, all_slots, 2),
};
static const struct field_table need_fields = FIELD_TABLE(need_rows);
#undef T

#define T struct claim_record
/* Made anew: written. */
static const struct field claim_rows[] = {
	ROW_MARK(T, 1, id, SENSE_CLAIM),
	ROW_MARK(T, 2, session, SENSE_SESSION),
	ROW_UINT(T, 3, ref),
	ROW_MARK(T, 4, fence, SENSE_NOISE),
	ROW_MARK(T, 5, parent, SENSE_CLAIM),
	ROW_MARK(T, 6, lender, SENSE_CLAIM),
	ROW(T, 7, FIELD_BYTES, token, SENSE_NOISE, 0),
	ROW_LESS(T, 8, state, CLAIM_STATE_COUNT),
	ROW_LESS(T, 9, end, END_REASON_COUNT),
	ROW_LESS(T, 10, cls, LEASE_CLASS_COUNT),
	ROW_LESS(T, 11, binding, BINDING_COUNT),
	ROW_LESS(T, 12, browser, 2),
	ROW_LESS(T, 13, preemptible, 2),
	ROW_LESS(T, 14, evictable, 2),
	ROW_LESS(T, 15, revoked, 2),
	ROW_PART(T, 16, need, &need_fields),
	ROW_UINT(T, 17, granted_mask),
	ROW_INT(T, 18, ttl_ms),
	ROW_INT(T, 19, uninterruptible_ms),
	ROW_INT(T, 20, min_residence_ms),
	ROW_INT(T, 21, load_ms),
	ROW_INT(T, 22, used_ms),
	ROW_INT(T, 23, timeout_ms),
	ROW_LESS(T, 24, yield_reason, YIELD_REASON_COUNT),
	ROW_TIME(T, 25, arrival),
	ROW_TIME(T, 26, wait_deadline),
	ROW_TIME(T, 27, ttl_deadline),
	ROW_TIME(T, 28, held_since),
	ROW_TIME(T, 29, turn_since),
	ROW(T, 30, FIELD_INT, arrival_wall, SENSE_NOISE, 0),
	ROW(T, 31, FIELD_INT, held_wall, SENSE_NOISE, 0),
	ROW(T, 32, FIELD_INT, ended_wall, SENSE_NOISE, 0),
	ROW_TEXT(T, 33, name),
	ROW_TEXT(T, 34, request_id),
	ROW(T, 35, FIELD_TEXT, label, SENSE_NOISE, 0),
	ROW_TEXT(T, 36, principal),
	ROW_MARK(T, 37, host, SENSE_CLAIM),
	ROW_LESS(T, 38, guests, 256),
	ROW_LESS(T, 39, guests_open, 2),
	ROW_TIME(T, 40, tag),
	ROW_LESS(T, 41, end_as, END_REASON_COUNT),
	ROW_UINT(T, 42, acks_missed),
	ROW_LESS(T, 43, due_turn, 2),
	ROW_TIME(T, 44, due_since),
	ROW_LESS(T, 45, loads, 2),
	ROW_LESS(T, 46, loading, 2),
	ROW_INT(T, 47, loaded_ms),
	ROW_INT(T, 48, grace_ms),
	ROW_MARK(T, 49, resumes, SENSE_CLAIM),
	ROW_UINT(T, 50, parked_slots),
	ROW_TIME(T, 51, parked_until),
	ROW_LESS(T, 60, observed, 2),
	ROW_LESS(T, 61, would_wait, 2),
	ROW(T, 62, FIELD_INT, first_wall, SENSE_NOISE, 0),
	ROW_MARK(T, 63, turns_ms, SENSE_NOISE),
	ROW_LESS(T, 64, moved, 2),
	ROW_MARK(T, 65, uses, SENSE_CLAIM),
	/* 66: claim_detail_fields */
};
const struct field_table claim_record_fields = FIELD_TABLE(claim_rows);
#undef T

#define T struct claim_detail
static const struct field detail_rows[] = {
	ROW_TEXT(T, 66, text), /* a tag of the claim's */
};
const struct field_table claim_detail_fields = FIELD_TABLE(detail_rows);
#undef T

uint8_t *claim_record_write(const struct claim_record *record, int64_t base, uint8_t *at)
{
	const struct fields_how how = {.base = base};

	return fields_put_rows(claim_rows, sizeof(claim_rows) / sizeof(claim_rows[0]), record, &how,
			       at);
}
