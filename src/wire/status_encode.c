/* status_encode: the rows of status. Takes views as arguments and asks the core nothing. */
#include "wire/status_encode.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/binding.h"
#include "core/config.h"
#include "core/record.h"
#include "json/json_writer.h"
#include "wire/encode_common.h"
#include "wire/gpu_encode.h"
#include "wire/sight.h"
#include "wire/wait_reason.h"

enum { MIB = 1024 * 1024, SEEN_MIN = 64 };

static const struct {
	const char *open, *close;
} parts[] = {
	[STATUS_PART_HEAD] = {"", ""},
	[STATUS_PART_QUEUED] = {",\"queued\":[", "]"},
	[STATUS_PART_START_TIMES] = {",\"request_start_times\":{", "}"},
	[STATUS_PART_GPUS] = {",\"gpus\":[", "]"},
	[STATUS_PART_LEASES] = {",\"leases\":[", "]"},
	[STATUS_PART_WAITING] = {",\"waiting\":[", "]"},
	[STATUS_PART_END] = {"}", ""},
};

static void add_counters(struct text *out, const struct core_stats *stats)
{
	text_json_key(out, "counters");
	text_char(out, '{');
	text_json_key(out, "granted");
	text_char(out, '{');
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		text_json_u64(out, lease_class_name(cls), stats->granted[cls]);
	text_char(out, '}');

	text_json_key(out, "would_wait");
	text_char(out, '{');
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		text_json_u64(out, lease_class_name(cls), stats->would_wait[cls]);
	text_char(out, '}');

	text_json_key(out, "ended");
	text_char(out, '{');
	for (int end = END_NONE + 1; end < END_REASON_COUNT; end++)
		text_json_u64(out, end_reason_name(end), stats->ended[end]);
	text_char(out, '}');

	text_json_u64(out, "yields", stats->yields);
	text_json_u64(out, "revokes", stats->revokes);
	text_json_u64(out, "acks_missed", stats->acks_missed);
	text_json_u64(out, "stale", stats->stale);
	text_char(out, '}');
}

void encode_grants(struct text *out, enum grants grants, int64_t left_ms, const char *detail)
{
	text_json_key(out, "grants");
	text_char(out, '{');
	text_json_bool(out, "allowed", grants == GRANTS_ALLOWED);
	if (grants != GRANTS_ALLOWED) {
		text_json_str(out, "reason", grants_name(grants));
		text_json_str(out, "text", grants_text(grants));
		if (detail && detail[0])
			text_json_str(out, "detail", detail);
		if (left_ms >= 0)
			text_json_seconds(out, "remaining_s", left_ms);
	}
	text_char(out, '}');
}

/* What was normal here of late. */
static void add_waits(struct text *out, const struct estimate *waits)
{
	text_json_key(out, "waits");
	text_char(out, '{');
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		text_json_key(out, lease_class_name(cls));
		text_char(out, '{');
		text_json_u64(out, "count", waits[cls].samples);
		text_json_seconds_or_null(out, "p50_s", waits[cls].p50_ms);
		text_json_seconds_or_null(out, "p90_s", waits[cls].p90_ms);
		text_char(out, '}');
	}
	text_char(out, '}');
}

void status_encode_begin(struct status_encoder *encoder, struct text *out,
			 const struct status_head *head, bool as_message)
{
	const struct core_stats *stats = head->stats;

	*encoder = (struct status_encoder){
		.out = out, .part = STATUS_PART_HEAD, .first = true, .as_message = as_message};
	text_str(out, as_message ? "{\"type\":\"status\"" : "{\"status\":\"ok\"");
	text_json_str(out, "version", head->version);
	text_json_key(out, "time");
	text_char(out, '"');
	encode_time(out, head->wall);
	text_char(out, '"');
	text_json_seconds(out, "uptime_s", head->uptime_ms);
	text_json_u64(out, "epoch", stats->epoch);
	text_json_u64(out, "fence", stats->fence);
	text_json_str(out, "mode", stats->observe ? "observe" : "enforce");
	text_json_bool(out, "locked", head->owner != NULL);
	text_json_str(out, "owner", head->owner);
	text_json_u64(out, "queue_depth", stats->waiting);
	text_json_u64(out, "held", stats->held);
	text_json_u64(out, "sessions", stats->sessions);
	text_json_bool(out, "paused", stats->paused);
	if (stats->paused && head->paused_reason && head->paused_reason[0])
		text_json_str(out, "paused_reason", head->paused_reason);

	text_json_bool(out, "journal_ok", stats->journal_ok);
	text_json_bool(out, "draining", head->draining);
	encode_grants(out, head->grants, head->grants_left_ms, head->grants_detail);
	add_counters(out, stats);
	add_waits(out, head->waits);
}

enum status_part status_encode_next(struct status_encoder *encoder)
{
	assert(encoder->part != STATUS_PART_END);
	text_str(encoder->out, parts[encoder->part].close);
	encoder->part++;
	text_str(encoder->out, parts[encoder->part].open);
	encoder->first = true;
	return encoder->part;
}

void status_encode_finish(struct status_encoder *encoder)
{
	free(encoder->seen);
	*encoder = (struct status_encoder){0};
}

/* Writes the comma itself: the buffer may have been sent and cleared since the last row. */
static struct text *next_row(struct status_encoder *encoder, enum status_part part)
{
	assert(encoder->part == part);
	if (!encoder->first)
		text_char(encoder->out, ',');
	encoder->first = false;
	return encoder->out;
}

void status_encode_queued(struct status_encoder *encoder, const struct claim_view *waiter)
{
	text_json_string(next_row(encoder, STATUS_PART_QUEUED), waiter->rec->name);
}

/* FNV-1a, never 0. Two names of one hash cost only a longer key, so nobody gains by finding them.
 */
static uint64_t name_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return hash ? hash : 1;
}

static bool put_hash(uint64_t *table, size_t capacity, uint64_t hash)
{
	size_t at = (size_t)(hash & (capacity - 1));
	while (table[at] && table[at] != hash)
		at = (at + 1) & (capacity - 1);
	bool fresh = !table[at];
	table[at] = hash;
	return fresh;
}

static bool name_is_new(struct status_encoder *encoder, const char *name)
{
	if (2 * encoder->seen_count >= encoder->seen_capacity) {
		size_t capacity = encoder->seen_capacity ? 2 * encoder->seen_capacity : SEEN_MIN;
		uint64_t *table = calloc(capacity, sizeof(*table));
		if (!table)
			abort();
		for (size_t i = 0; i < encoder->seen_capacity; i++)
			if (encoder->seen[i])
				put_hash(table, capacity, encoder->seen[i]);
		free(encoder->seen);
		encoder->seen = table;
		encoder->seen_capacity = capacity;
	}

	bool fresh = put_hash(encoder->seen, encoder->seen_capacity, name_hash(name));
	encoder->seen_count += fresh;
	return fresh;
}

void status_encode_start_time(struct status_encoder *encoder, const struct claim_view *waiter)
{
	struct text *out = next_row(encoder, STATUS_PART_START_TIMES);
	char key[LIMIT_ID_BYTES + 64];
	snprintf(key, sizeof(key), "%s", waiter->rec->name);
	/* The second waiter of one name is keyed by its number too, so that none vanishes. */
	for (unsigned again = 1; !name_is_new(encoder, key); again++)
		snprintf(key, sizeof(key), again == 1 ? "%s #%" PRIu64 : "%s #%" PRIu64 ".%u",
			 waiter->rec->name, waiter->rec->id, again);
	text_json_string(out, key);
	text_char(out, ':');
	text_seconds(out, waiter->rec->arrival_wall.v);
}

static void add_mb(struct text *out, const char *key, uint64_t bytes, bool known)
{
	text_json_key(out, key);
	if (known)
		text_u64(out, bytes / MIB);
	else
		text_str(out, "null");
}

void status_encode_gpu(struct status_encoder *encoder, uint32_t index, const struct gpu_view *gpu,
		       const struct status_measured *measured)
{
	struct text *out = next_row(encoder, STATUS_PART_GPUS);

	text_char(out, '{');
	text_json_u64(out, "index", index);
	text_json_str(out, "name", gpu->config->name);
	if (gpu->config->uuid[0])
		text_json_str(out, "uuid", gpu->config->uuid);

	text_json_u64(out, "slots", gpu->config->slots);
	text_json_u64(out, "slots_used", gpu->slots_used);
	add_mb(out, "vram_mb_total", gpu->config->vram_bytes_total, gpu->config->vram_known);
	add_mb(out, "vram_mb_granted", gpu->vram_bytes_granted, true);
	add_mb(out, "vram_mb_used", gpu->vram_bytes_used, gpu->used_known);
	add_mb(out, "vram_mb_unmanaged", gpu->vram_bytes_unmanaged, gpu->used_known);
	if (gpu->vram_bytes_draining > 0)
		add_mb(out, "vram_mb_draining", gpu->vram_bytes_draining, true);
	if (gpu->left_by && gpu->left_by[0])
		text_json_str(out, "vram_left_by", gpu->left_by);

	text_json_bool(out, "healthy", gpu->healthy);
	if (measured->figures && measured->figures->measured)
		gpu_encode_measured(out, measured->figures, measured->now, measured->own);
	text_char(out, '}');
}

/* What holders and waiters have in common. */
static void add_claim(struct text *out, const struct claim_view *view, const struct sight *sight)
{
	const struct claim_record *rec = view->rec;
	bool told = sight_tells(sight, rec->principal);

	text_json_u64(out, "lease", rec->id);
	text_json_str(out, "id", rec->name);
	if (rec->label[0] && told)
		text_json_str(out, "label", rec->label);
	text_json_str(out, "class", lease_class_name(rec->cls));
	text_json_str(out, "state",
		      rec->revoked && rec->state == CLAIM_YIELDING ? "stopping"
								   : claim_state_name(rec->state));
	if (rec->host)
		text_json_u64(out, "host", rec->host);

	text_json_str(out, "binding", binding_name(rec->binding));
	text_json_str(out, "principal", told ? rec->principal : "");
	bool bound = binding_of(rec->binding)->proof != PROOF_TIME || rec->state == CLAIM_QUEUED;
	text_json_bool(out, "attached", view->conn != 0 || !bound);
	if (view->unwatched) {
		text_json_bool(out, "watched", false);
		text_json_str(out, "unwatched", view->unwatched);
	}

	if (rec->session)
		text_json_u64(out, "session", rec->session);
	if (view->pid > 0)
		text_json_i64(out, "pid", view->pid);
	text_json_u64(out, "slots", rec->need.slots);
	if (rec->need.all_slots)
		text_json_bool(out, "all_slots", true);

	text_json_u64(out, "vram_mb", rec->need.vram_bytes / MIB);
}

/* Its wait until a moment, earlier turns not counted, and its age. */
static void add_wait(struct text *out, const struct claim_record *rec, struct mono_ms until,
		     struct mono_ms now)
{
	int64_t waited_ms = mono_since(until, rec->arrival) - rec->used_ms;
	text_json_seconds(out, "waited_s", waited_ms > 0 ? waited_ms : 0);
	text_json_seconds(out, "age_s", mono_since(now, rec->arrival));
}

static void add_yield(struct text *out, const struct claim_view *view, struct mono_ms now,
		      const char *yield_for_name)
{
	text_json_key(out, "yield");
	text_char(out, '{');
	text_json_str(out, "reason", yield_reason_name(view->yield_reason));
	if (view->yield_for) {
		text_json_u64(out, "for_lease", view->yield_for);
		text_json_str(out, "for", yield_for_name);
	}
	int64_t left_ms = mono_since(view->yield_deadline, now);
	text_json_seconds(out, "left_s", left_ms > 0 ? left_ms : 0);
	text_json_bool(out, "revoked", view->rec->revoked);
	text_char(out, '}');
}

static void add_left(struct text *out, const char *key, struct mono_ms deadline, struct mono_ms now)
{
	if (deadline.v == MONO_NEVER.v)
		return;
	int64_t left_ms = mono_since(deadline, now);
	text_json_seconds(out, key, left_ms > 0 ? left_ms : 0);
}

static void add_notices(struct text *out, uint8_t noticed)
{
	if (noticed == 0)
		return;
	text_json_key(out, "notices");
	text_char(out, '[');
	for (int notice = 0; notice < NOTICE_COUNT; notice++)
		if (noticed & (1u << notice)) {
			text_json_item(out);
			text_char(out, '"');
			text_str(out, notice_name(notice));
			text_char(out, '"');
		}
	text_char(out, ']');
}

void status_encode_lease(struct status_encoder *encoder, const struct claim_view *holder,
			 struct mono_ms now, const struct core_config *config,
			 const char *yield_for_name)
{
	const struct claim_record *rec = holder->rec;
	struct text *out = next_row(encoder, STATUS_PART_LEASES);

	text_char(out, '{');
	add_claim(out, holder, encoder->sight);
	text_json_u64(out, "fence", rec->fence);
	encode_gpus(out, rec->granted_mask, config);
	encode_observed(out, rec->observed, rec->would_wait);

	if (rec->state != CLAIM_OFFERED) {
		text_json_seconds(out, "held_s", mono_since(now, rec->held_since));
		add_wait(out, rec, rec->held_since, now);
		text_json_key(out, "since");
		text_char(out, '"');
		encode_time(out, rec->held_wall);
		text_char(out, '"');
		if (binding_of(rec->binding)->proof == PROOF_TIME)
			add_left(out, "expires_in_s", rec->ttl_deadline, now);
	}

	if (holder->measured)
		add_mb(out, "vram_mb_measured", holder->vram_bytes_measured, true);
	text_json_bool(out, "preemptible", rec->preemptible);
	text_json_bool(out, "evictable", rec->evictable);
	if (rec->parked_slots)
		text_json_bool(out, "parked", true);
	if (holder->stopped)
		text_json_bool(out, "stopped", true);
	add_notices(out, holder->noticed);
	if (rec->lender)
		text_json_u64(out, "lender", rec->lender);
	if (rec->guests)
		text_json_u64(out, "guests_max", rec->guests);
	if (rec->guests)
		text_json_u64(out, "guests", holder->guests);

	add_left(out, "detached_left_s", holder->detach_deadline, now);
	if (rec->revoked)
		text_json_bool(out, "revoked", true);
	add_left(out, "stop_in_s", holder->kill_at, now);
	if (rec->state == CLAIM_LOADING)
		add_left(out, "load_left_s", holder->load_deadline, now);
	if (rec->state == CLAIM_YIELDING)
		add_yield(out, holder, now, yield_for_name);
	text_char(out, '}');
}

void status_encode_waiter(struct status_encoder *encoder, const struct claim_view *waiter,
			  struct mono_ms now, const struct core_config *config,
			  const struct status_wait *wait)
{
	const struct claim_record *rec = waiter->rec;
	struct text *out = next_row(encoder, STATUS_PART_WAITING);

	text_char(out, '{');
	text_json_i64(out, "position", wait->position);
	add_claim(out, waiter, encoder->sight);
	text_json_u64(out, "gpu_count", rec->need.gpu_count);
	if (rec->request_id[0])
		text_json_str(out, "request_id", rec->request_id);

	add_wait(out, rec, now, now);
	text_json_key(out, "since");
	text_char(out, '"');
	encode_time(out, rec->arrival_wall);
	text_char(out, '"');
	add_left(out, "timeout_in_s", rec->wait_deadline, now);
	text_json_bool(out, "ripe", waiter->ripe);
	if (rec->resumes)
		text_json_u64(out, "resumes", rec->resumes);
	if (rec->moved)
		text_json_bool(out, "moved", true);
	encode_told(out, &wait->told);
	add_left(out, "detached_left_s", waiter->detach_deadline, now);

	if (wait->why) {
		encode_sentence(out, &wait->told, wait->why, wait->holder_name, config);
		text_json_key(out, "why");
		encode_why(out, wait->why, wait->holder_name, config);
	}
	text_char(out, '}');
}
