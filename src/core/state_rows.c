/* state_rows: one row per field. A new field takes a tag that was never used; none is used again.
 * Decides nothing. */
#include "core/state_rows.h"

#include "base/fields.h"
#include "core/principal.h"
#include "core/send.h"

#define T struct users
/* Made anew: waiting, running. */
static const struct field users_rows[] = {
	ROW_TIME(T, 1, last),
};
static const struct field_table users_fields = FIELD_TABLE(users_rows);
#undef T

#define T struct claim
/* Made anew: no_wait, silent, indexed, in_asked. Apart: detail. */
static const struct field claim_rows[] = {
	ROW_PART(T, 1, rec, &claim_record_fields),
	ROW_MARK(T, 2, conn, SENSE_CONN),
	ROW_TIME(T, 3, key),
	ROW_TIME(T, 4, place_deadline),
	ROW_TIME(T, 5, deadline),
	ROW_TIME(T, 6, yield_since),
	ROW_MARK(T, 7, yield_for, SENSE_CLAIM),
	ROW_UINT(T, 8, vram_charged),
	ROW_UINT(T, 9, slots_charged),
	ROW_UINT(T, 10, mask),
	ROW_LESS(T, 14, killed, 2),
	ROW_TIME(T, 15, timer.key),
	ROW_TIME(T, 16, offered_since),
	ROW_MARK(T, 17, told_ms, SENSE_NOISE),
	ROW(T, 18, FIELD_UINT, told_depth, SENSE_NOISE, ESTIMATE_DEPTHS),
	ROW_TIME(T, 19, promise),
	ROW_UINT(T, 20, asked_mask),
	ROW_LESS(T, 23, asked, 2),
	ROW_MARK(T, 24, wanted_walk, SENSE_NOISE),
	ROW_LESS(T, 30, turn_cls, LEASE_CLASS_COUNT),
	ROW_MARK(T, 31, made_room_for, SENSE_CLAIM),
	ROW_UINT(T, 32, made_room_on),
	ROW_UINT(T, 33, made_room_fence),
	ROW_LESS(T, 34, room_made, 2),
	ROW_LESS(T, 35, noticed, 1u << NOTICE_COUNT),
	ROW_PART(T, 36, users, &users_fields),
};
const struct field_table claim_fields = FIELD_TABLE(claim_rows);
#undef T

#define T struct kept_detail
static const struct field detail_rows[] = {
	ROW_UINT(T, 1, claim),
	ROW_PART(T, 2, detail, &claim_detail_fields),
};
const struct field_table kept_detail_fields = FIELD_TABLE(detail_rows);
#undef T

#define T struct principal
/* Made anew: refs, waiting, held, shapes, shape_count, shape_size. */
static const struct field principal_rows[] = {
	ROW_TEXT(T, 1, name),
	ROW_OF(T, 2, FIELD_TIME, last_tag, SENSE_NONE, NULL),
};
const struct field_table principal_fields = FIELD_TABLE(principal_rows);
#undef T

#define T struct session_vram
/* Made anew: declared. */
static const struct field vram_rows[] = {
	ROW_UINT(T, 1, observed),
	ROW_TIME(T, 2, dropped),
};
static const struct field_table vram_fields = FIELD_TABLE(vram_rows);
#undef T

#define T struct session
/* Made anew: waiting, holding, computing. */
static const struct field session_rows[] = {
	ROW_PART(T, 1, rec, &session_record_fields),
	ROW_MARK(T, 2, conn, SENSE_CONN),
	ROW_TIME(T, 3, last_seen),
	ROW_TIME(T, 4, place_deadline),
	ROW_TIME(T, 5, detach_deadline),
	ROW_TIME(T, 6, compute_ended),
	ROW_LESS(T, 7, reach, PEER_UNKNOWN + 1),
	ROW_LESS(T, 8, peer_gone, 2),
	ROW_LESS(T, 9, ended, 2),
	ROW_TEXT(T, 10, unwatched),
	ROW_OF(T, 11, FIELD_PARTS, vram, SENSE_GPU, &vram_fields),
	/* When it is checked next; sooner is harmless. */
	ROW(T, 12, FIELD_TIME, timer.key, SENSE_NOISE, 0),
};
const struct field_table session_fields = FIELD_TABLE(session_rows);
#undef T

#define T struct gpu
/* Made anew: slots_used, slots_cap, class_slots, takers, vram_sessions, vram_plain, vram_unseen,
 * vram_declared, vram_cap, pinned_bytes, pinned_slots. */
static const struct field gpu_rows[] = {
	ROW_UINT(T, 1, vram_used),
	ROW_UINT(T, 2, vram_outside),
	ROW_UINT(T, 3, vram_seen),
	ROW_LESS(T, 5, healthy, 2),
	ROW_LESS(T, 6, sampled, 2),
	ROW_LESS(T, 7, used_known, 2),
	ROW_MARK(T, 9, turn_head, SENSE_CLAIM),
	ROW_MARK(T, 10, memory_head, SENSE_CLAIM),
	ROW_OF(T, 11, FIELD_INT, lag, SENSE_NONE, NULL),
	ROW_OF(T, 12, FIELD_TIME, memory_since, SENSE_NONE, NULL),
	ROW_UINT(T, 16, waiting),
	ROW_LESS(T, 17, head_due, 2),
	ROW_LESS(T, 18, last_due, 2),
	ROW_TIME(T, 19, measured),
	ROW_TIME(T, 20, pool_since),
	ROW_UINT(T, 21, outside_base),
	ROW_TEXT(T, 22, left_by),
	ROW_UINT(T, 23, left_bytes),
	ROW_TIME(T, 24, left_until),
	ROW_INT(T, 25, idle_ms),
	ROW_OF(T, 26, FIELD_TIME, due_at, SENSE_NONE, NULL),
};
static const struct field_table gpu_fields = FIELD_TABLE(gpu_rows);
#undef T

#define T struct lost_waiter
static const struct field place_rows[] = {
	ROW_TIME(T, 1, until),
	ROW_TIME(T, 2, arrival),
	ROW_LESS(T, 3, cls, LEASE_CLASS_COUNT),
	ROW_TEXT(T, 4, name),
	ROW_TEXT(T, 5, request_id),
	ROW_TEXT(T, 6, principal),
	ROW_TIME(T, 7, tag),
	ROW_LESS(T, 8, loads, 2),
	ROW_INT(T, 9, used_ms),
	ROW_INT(T, 10, loaded_ms),
	ROW_MARK(T, 11, acks_missed, SENSE_NOISE),
};
static const struct field_table place_fields = FIELD_TABLE(place_rows);
#undef T

#define T struct kept_place
static const struct field kept_rows[] = {
	ROW(T, 1, FIELD_UINT, slot, SENSE_NOISE, LOST_WAITERS_MAX),
	ROW_PART(T, 2, place, &place_fields),
};
const struct field_table kept_place_fields = FIELD_TABLE(kept_rows);
#undef T

#define T struct class_config
static const struct field class_rows[] = {
	ROW_INT(T, 1, offset_ms),
	ROW_INT(T, 2, hold_ms_max),
	ROW_INT(T, 3, share_permille),
};
static const struct field_table class_fields = FIELD_TABLE(class_rows);
#undef T

#define T struct gpu_config
static const struct field gpu_config_rows[] = {
	ROW_TEXT(T, 1, name),
	ROW_TEXT(T, 2, uuid),
	ROW_UINT(T, 3, vram_bytes_total),
	ROW_UINT(T, 4, slots),
	ROW_LESS(T, 5, vram_known, 2),
	ROW_UINT(T, 6, vram_bytes_kept),
	ROW_LESS(T, 7, maker, GPU_MAKER_COUNT),
	ROW_LESS(T, 8, has_maker_index, 2),
	ROW_UINT(T, 9, maker_index),
};
static const struct field_table gpu_config_fields = FIELD_TABLE(gpu_config_rows);
#undef T

#define T struct core_config
static const struct field config_rows[] = {
	ROW_OF(T, 1, FIELD_PARTS, classes, SENSE_NONE, &class_fields),
	ROW_INT(T, 2, quantum_ms),
	ROW_INT(T, 3, min_run_ms),
	ROW_INT(T, 4, grace_ms),
	ROW_INT(T, 5, grace_ms_max),
	ROW_INT(T, 6, ack_ms),
	ROW_INT(T, 7, heartbeat_ms),
	ROW_INT(T, 8, session_ttl_ms),
	ROW_INT(T, 9, http_ttl_ms),
	ROW_INT(T, 10, http_ttl_ms_max),
	ROW_INT(T, 11, timeout_ms),
	ROW_INT(T, 12, tab_linger_ms),
	ROW_INT(T, 13, native_linger_ms),
	ROW_INT(T, 14, restart_linger_ms),
	ROW_INT(T, 15, lock_delay_ms),
	ROW_INT(T, 16, kill_wait_ms),
	ROW_INT(T, 17, place_memory_ms),
	ROW_INT(T, 18, settle_ms),
	ROW_UINT(T, 19, vram_headroom_bytes),
	ROW_UINT(T, 20, queue_count_max),
	ROW_UINT(T, 21, queue_per_session_max),
	ROW_LESS(T, 22, gpu_count, LIMIT_GPUS + 1),
	ROW_OF(T, 23, FIELD_PARTS, gpus, SENSE_GPU, &gpu_config_fields),
	ROW_INT(T, 24, min_residence_ms_max),
	ROW_UINT(T, 25, queue_per_principal_max),
	ROW_UINT(T, 26, held_per_principal_max),
	ROW_INT(T, 27, voice_credit_ms),
	ROW_INT(T, 28, drain_ms_max),
	ROW_INT(T, 29, sample_ms_max),
	ROW_INT(T, 40, load_ms_max),
	ROW_LESS(T, 41, browser_gpu, LIMIT_GPUS),
	ROW_INT(T, 42, unload_ms_max),
	ROW_LESS(T, 50, observe, 2),
};
const struct field_table config_fields = FIELD_TABLE(config_rows);
#undef T

#define T struct core_stats
/* Made anew: epoch, fence, waiting, held, sessions, paused, journal_ok, observe. */
static const struct field stats_rows[] = {
	ROW_OF(T, 1, FIELD_UINT, granted, SENSE_NOISE, NULL),
	ROW_OF(T, 2, FIELD_UINT, ended, SENSE_NOISE, NULL),
	ROW_MARK(T, 3, yields, SENSE_NOISE),
	ROW_MARK(T, 4, revokes, SENSE_NOISE),
	ROW_MARK(T, 5, acks_missed, SENSE_NOISE),
	ROW_MARK(T, 6, stale, SENSE_NOISE),
	ROW_OF(T, 7, FIELD_UINT, would_wait, SENSE_NOISE, NULL),
};
static const struct field_table stats_fields = FIELD_TABLE(stats_rows);
#undef T

#define T struct spread
static const struct field spread_rows[] = {
	ROW_OF(T, 1, FIELD_UINT, counts, SENSE_NOISE, NULL),
};
static const struct field_table spread_fields = FIELD_TABLE(spread_rows);
#undef T

#define T struct estimates
static const struct field estimates_rows[] = {
	ROW(T, 1, FIELD_TIME, since, SENSE_NOISE, 0),
	ROW(T, 2, FIELD_TIME, faded, SENSE_NOISE, 0),
	ROW(T, 3, FIELD_INT, seen_ms, SENSE_NOISE, 0),
	ROW_OF(T, 4, FIELD_UINT, grants, SENSE_NOISE, NULL),
	ROW_OF(T, 5, FIELD_INT, mean_ms, SENSE_NOISE, NULL),
	ROW(T, 6, FIELD_INT, leaving_ms, SENSE_NOISE, 0),
	ROW_PART(T, 7, leaving, &spread_fields),
	ROW_OF(T, 8, FIELD_PARTS, turns, SENSE_NONE, &spread_fields),
	ROW_OF(T, 9, FIELD_PARTS, stays, SENSE_NONE, &spread_fields),
	ROW_OF(T, 10, FIELD_PARTS, waits, SENSE_NONE, &spread_fields),
	ROW_OF(T, 11, FIELD_PARTS, ratios, SENSE_NONE, &spread_fields),
};
static const struct field_table estimates_fields = FIELD_TABLE(estimates_rows);
#undef T

#define T struct core
/* Made anew: hash_seed, lost, work, restarting, queue_changed, promise_anew, unpinned, unsettled,
 * importing, loads. */
static const struct field core_rows[] = {
	ROW_PART(T, 1, config, &config_fields),
	ROW_OF(T, 2, FIELD_PARTS, gpus, SENSE_GPU, &gpu_fields),
	ROW_TIME(T, 3, now),
	ROW_TIME(T, 4, frozen_until),
	ROW_TIME(T, 5, next_heartbeat),
	ROW_TIME(T, 6, last_tick),
	ROW_TIME(T, 7, in_doubt_until),
	ROW_TIME(T, 8, wake),
	ROW(T, 9, FIELD_INT, wall, SENSE_NOISE, 0),
	ROW_MARK(T, 10, epoch, SENSE_NOISE),
	ROW_MARK(T, 11, fence_next, SENSE_NOISE),
	ROW_MARK(T, 12, fence_reserved, SENSE_NOISE),
	ROW_MARK(T, 13, claim_id_next, SENSE_NOISE),
	ROW_MARK(T, 14, session_id_next, SENSE_NOISE),
	ROW_LESS(T, 15, tick_unfinished, 2),
	ROW_LESS(T, 16, configured, 2),
	ROW_LESS(T, 17, started, 2),
	ROW_LESS(T, 18, paused, 2),
	ROW_LESS(T, 19, draining, 2),
	ROW_LESS(T, 20, journal_ok, 2),
	ROW_LESS(T, 21, unwritable, 2),
	ROW_LESS(T, 22, ticking, 2),
	ROW_PART_MARK(T, 23, stats, &stats_fields, SENSE_NOISE),
	ROW(T, 25, FIELD_UINT, lost_next, SENSE_NOISE, LOST_WAITERS_MAX),
	ROW_TIME(T, 26, lost_until),
	ROW_PART_MARK(T, 27, estimates, &estimates_fields, SENSE_NOISE),
	ROW_TIME(T, 28, shares_at),
	ROW_MARK(T, 29, walks, SENSE_NOISE),
	ROW_LESS(T, 30, withheld, 1u << BINDING_COUNT),
};
const struct field_table core_fields = FIELD_TABLE(core_rows);
#undef T
