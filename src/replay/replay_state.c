/* replay_state: each claim of the history becomes a request: what it asked for, and how long it
 * used a GPU. What the rows do not say is counted as a gap, never made up, but for the one number
 * without which nothing can be replayed: for how long a claim would have held that never did. */
#include "replay/replay_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/memory.h"
#include "config/settings.h"
#include "replay/replay_trace.h"
#include "store/store.h"

enum { PATH_BYTES = 4096 };

struct reading {
	struct replay_trace *trace;
	struct replay_period period;
	size_t capacity, hold_capacity;
	int64_t latest_ms;       /* of all times that the rows name */
	int64_t oldest_ms;       /* when the oldest row ended */
	int gpu_map[LIMIT_GPUS]; /* place in the new configuration, by the old one; -1: gone */
	uint32_t gpu_count;      /* of the old one */
};

static void *grow_array(void *v, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return v;
	*capacity = *capacity ? *capacity * 2 : 1024;
	return check_memory(realloc(v, *capacity * size));
}

static char *copy_text(const char *text)
{
	return check_memory(strdup(text));
}

/* The GPUs of the new configuration with the same names; 0: any. */
static uint32_t map_gpus(const struct reading *r, uint32_t mask)
{
	uint32_t mapped = 0;

	for (uint32_t gpu = 0; gpu < r->gpu_count; gpu++)
		if ((mask & (1u << gpu)) && r->gpu_map[gpu] >= 0)
			mapped |= 1u << r->gpu_map[gpu];
	return mapped;
}

static bool was_held(const struct claim_record *rec)
{
	return rec->granted_mask != 0 && rec->held_wall.v > 0;
}

static int64_t asked_ms(const struct claim_record *rec)
{
	return rec->first_wall.v ? rec->first_wall.v : rec->arrival_wall.v;
}

static int64_t load_ms(const struct claim_record *rec, int64_t last_ms)
{
	if (!rec->loads)
		return 0;
	if (rec->loading)
		return last_ms;
	return rec->preemptible ? ms_longer(0, mono_since(rec->turn_since, rec->held_since))
				: rec->loaded_ms;
}

/* How long it used a GPU, over all its turns, and how it ended. */
static void fill_use(struct reading *r, struct replay_request *q, const struct claim_record *rec,
		     int64_t end_ms, bool lives)
{
	bool held = was_held(rec);
	int64_t last_ms = held ? ms_longer(0, end_ms - rec->held_wall.v) : 0;

	q->load_ms = load_ms(rec, last_ms);
	q->hold_ms = rec->turns_ms + rec->used_ms + ms_longer(0, last_ms - q->load_ms);
	q->recorded = held || q->hold_ms > 0    ? RECORDED_GRANTED
		      : lives                   ? RECORDED_PENDING
		      : rec->end == END_TIMEOUT ? RECORDED_TIMEOUT
						: RECORDED_NOTHING;
	if (held)
		q->recorded_wait_ms =
			ms_longer(0, mono_since(rec->held_since, rec->arrival) - rec->used_ms);
	if (held && rec->end == END_DISCONNECTED)
		q->dies_ms = q->hold_ms;
	if (held || q->hold_ms > 0)
		return;

	q->hold_ms = REPLAY_HOLD_MS;
	r->trace->gaps.unknown_holds++;
}

/* It would have waited on but for this. */
static int64_t patience_ms(const struct claim_record *rec, int64_t end_ms, bool lives)
{
	if (lives || was_held(rec) || rec->end == END_TIMEOUT)
		return rec->timeout_ms < 0 ? -1 : ms_longer(1, rec->timeout_ms);
	return ms_longer(1, end_ms - asked_ms(rec));
}

static void add_hold(struct reading *r, const struct claim_record *rec, size_t request,
		     int64_t end_ms)
{
	struct replay_trace *trace = r->trace;

	if (!was_held(rec))
		return;
	trace->holds = grow_array(trace->holds, trace->hold_count, &r->hold_capacity,
				  sizeof(*trace->holds));
	trace->holds[trace->hold_count++] =
		(struct replay_hold){.request = request,
				     .from_ms = rec->held_wall.v,
				     .to_ms = ms_longer(end_ms, rec->held_wall.v),
				     .gpus = rec->granted_mask,
				     .slots = rec->need.slots,
				     .vram_bytes = rec->need.vram_bytes,
				     .would_wait = rec->would_wait};
}

static void add_claim(struct reading *r, const struct claim_record *rec, bool lives)
{
	struct replay_trace *trace = r->trace;
	int64_t end_ms = lives ? r->latest_ms : rec->ended_wall.v;
	struct replay_request *q;

	if (end_ms < r->period.from_ms || asked_ms(rec) >= r->period.to_ms)
		return;
	if (rec->host || rec->lender) {
		trace->gaps.inside++;
		return;
	}

	trace->gaps.running += lives;
	trace->gaps.earlier_turns += rec->used_ms > 0 || rec->turns_ms > 0;
	trace->requests =
		grow_array(trace->requests, trace->count, &r->capacity, sizeof(*trace->requests));
	q = &trace->requests[trace->count];
	*q = (struct replay_request){
		.id = copy_text(rec->name),
		.principal = rec->principal[0] ? copy_text(rec->principal) : NULL,
		.at_ms = asked_ms(rec),
		.timeout_ms = patience_ms(rec, end_ms, lives),
		.dies_ms = -1,
		.yield_ms = REPLAY_YIELD_MS,
		.recorded_wait_ms = -1,
		.need = rec->need,
		.uninterruptible_ms = rec->uninterruptible_ms,
		.preemptible = rec->preemptible,
		.evictable = rec->evictable,
		.cls = rec->cls,
		.binding = rec->binding <= BIND_HTTP ? rec->binding : BIND_STREAM,
		.line = (uint32_t)trace->count,
	};
	q->need.gpu_mask = map_gpus(r, rec->need.gpu_mask);
	q->priority = lease_class_priority(rec->cls);
	fill_use(r, q, rec, end_ms, lives);
	trace->recorded[q->recorded]++;
	add_hold(r, rec, trace->count, end_ms);
	trace->count++;
}

static void see_time(struct reading *r, const struct claim_record *rec)
{
	r->latest_ms = ms_longer(r->latest_ms, rec->arrival_wall.v);
	r->latest_ms = ms_longer(r->latest_ms, rec->held_wall.v);
	r->latest_ms = ms_longer(r->latest_ms, rec->ended_wall.v);
}

static void see_row(void *ctx, uint64_t row, const struct record *record)
{
	struct reading *r = ctx;

	(void)row;
	if (record->type != RECORD_CLAIM_END)
		return;
	see_time(r, &record->claim);
	r->oldest_ms = record->claim.ended_wall.v; /* the newest come first */
	add_claim(r, &record->claim, false);
}

static void see_latest(void *ctx, const struct record *record)
{
	if (record->type == RECORD_CLAIM_PUT)
		see_time(ctx, &record->claim);
}

static void see_live(void *ctx, const struct record *record)
{
	if (record->type == RECORD_CLAIM_PUT)
		add_claim(ctx, &record->claim, true);
}

static int take_rules(struct reading *r, struct store *store, const char *config, char *detail,
		      size_t size)
{
	struct core_config *core = &r->trace->config;
	uint8_t *bytes = check_memory(malloc(CORE_CONFIG_BYTES_MAX));
	struct settings *settings = check_memory(malloc(sizeof(*settings)));
	int rc = 0;

	settings_defaults(settings);
	size_t length = store_rules(store, bytes, CORE_CONFIG_BYTES_MAX);
	if (length == 0 || !core_config_read(&settings->core, bytes, length)) {
		core_config_defaults(&settings->core);
		r->trace->gaps.rules_unknown = true;
	}

	const struct core_config old = settings->core;
	if (config)
		rc = settings_load(config, settings, settings, detail, size);
	*core = settings->core;
	free(settings);
	free(bytes);

	r->gpu_count = old.gpu_count;
	for (uint32_t i = 0; i < old.gpu_count; i++) {
		r->gpu_map[i] = -1;
		for (uint32_t j = 0; j < core->gpu_count; j++)
			if (strcmp(old.gpus[i].name, core->gpus[j].name) == 0)
				r->gpu_map[i] = (int)j;
	}
	r->trace->past = old;
	return rc;
}

/* What it did before is not of the time that was asked for. */
static void forget_before(struct replay_request *q, const struct replay_hold *hold,
			  int64_t begin_ms)
{
	q->load_ms = ms_longer(0, q->load_ms - (begin_ms - hold->from_ms));
	q->hold_ms = ms_longer(0, hold->to_ms - begin_ms - q->load_ms);
	if (q->dies_ms >= 0)
		q->dies_ms = q->hold_ms;
}

static void shift_hold(struct replay_trace *trace, struct replay_hold *hold)
{
	int64_t begin_ms = trace->begin_wall_ms;

	if (hold->from_ms < begin_ms)
		forget_before(&trace->requests[hold->request], hold, begin_ms);

	hold->from_ms = ms_longer(0, hold->from_ms - begin_ms);
	hold->to_ms = ms_shorter(ms_longer(0, hold->to_ms - begin_ms), trace->end_ms);
	hold->from_ms = ms_shorter(hold->from_ms, hold->to_ms);
}

/* Time 0 is the beginning of the period, or of what there is. */
static int shift_times(struct reading *r, char *detail, size_t size)
{
	struct replay_trace *trace = r->trace;
	int64_t begin_ms = r->period.from_ms, end_ms = r->period.to_ms;

	if (trace->count == 0) {
		snprintf(detail, size, "there is no claim of that time");
		return -ERR_NOT_FOUND;
	}

	trace->gaps.older = begin_ms != INT64_MIN && r->oldest_ms > begin_ms;
	for (size_t i = 0; begin_ms == INT64_MIN && i < trace->count; i++)
		trace->begin_wall_ms = i == 0 || trace->requests[i].at_ms < trace->begin_wall_ms
					       ? trace->requests[i].at_ms
					       : trace->begin_wall_ms;
	if (begin_ms != INT64_MIN)
		trace->begin_wall_ms = begin_ms;
	begin_ms = trace->begin_wall_ms;
	if (end_ms > r->latest_ms)
		end_ms = r->latest_ms;
	trace->end_ms = ms_longer(0, end_ms - begin_ms);

	for (size_t i = 0; i < trace->count; i++) {
		struct replay_request *q = &trace->requests[i];
		q->at_ms = ms_longer(0, q->at_ms - begin_ms);
	}
	for (size_t i = 0; i < trace->hold_count; i++)
		shift_hold(trace, &trace->holds[i]);
	return 0;
}

/* Requests are sorted by time, and holds name them by their place. */
static void sort_requests(struct replay_trace *trace)
{
	size_t *place = check_memory(calloc(trace->count, sizeof(*place)));

	replay_trace_sort(trace);
	for (size_t i = 0; i < trace->count; i++)
		place[trace->requests[i].line] = i;
	for (size_t i = 0; i < trace->hold_count; i++)
		trace->holds[i].request = place[trace->holds[i].request];
	free(place);
}

static int read_store(struct reading *r, struct store *store, const char *config, char *detail,
		      size_t size)
{
	int rc = take_rules(r, store, config, detail, size);

	if (rc)
		return rc;
	snprintf(detail, size, "the history cannot be read");
	rc = store_replay(store, see_latest, r);
	if (!rc)
		rc = store_history(store, 0, UINT32_MAX, see_row, r);
	if (!rc)
		rc = store_replay(store, see_live, r);
	if (!rc)
		rc = shift_times(r, detail, size);
	if (!rc)
		sort_requests(r->trace);
	return rc;
}

static void remove_folder(const char *dir)
{
	DIR *folder = opendir(dir);

	for (struct dirent *entry; folder && (entry = readdir(folder));)
		(void)unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	(void)rmdir(dir);
}

static int read_copy(struct reading *r, const char *copy, const char *config, char *detail,
		     size_t size)
{
	struct store_place place = {.dir = copy, .boot_id = "replay", .ttl_ms_max = 1};
	struct store_boot boot;
	struct store *store = NULL;
	int rc = store_open(&place, &store, &boot, detail, size);

	if (rc)
		return rc;
	if (boot.quarantined) {
		snprintf(detail, size, "its journal is damaged");
		rc = -ERR_IO;
	} else {
		rc = read_store(r, store, config, detail, size);
	}
	store_close(store);
	return rc;
}

int replay_state_read(const char *dir, const char *config, const struct replay_period *period,
		      struct replay_trace *ret_trace, char *detail, size_t detail_size)
{
	struct replay_trace trace = {.is_state = true};
	struct reading r = {
		.trace = &trace, .period = *period, .latest_ms = INT64_MIN, .oldest_ms = INT64_MAX};
	const char *temporary = getenv("TMPDIR");
	char copy[PATH_BYTES], what[512];

	if ((size_t)snprintf(copy, sizeof(copy), "%s/baton-replay-XXXXXX",
			     temporary && *temporary ? temporary : "/tmp") >= sizeof(copy) ||
	    !mkdtemp(copy)) {
		snprintf(detail, detail_size, "no folder for a copy: %s", strerror(errno));
		return -ERR_IO;
	}

	int rc = store_copy(dir, copy, what, sizeof(what));
	if (rc == -ERR_IO && access(dir, F_OK) != 0)
		rc = -ERR_NOT_FOUND;
	if (!rc)
		rc = read_copy(&r, copy, config, what, sizeof(what));
	remove_folder(copy);

	if (rc) {
		snprintf(detail, detail_size, rc == -ERR_CONFIG ? "%.0s%s" : "%s: %s", dir, what);
		replay_trace_finish(&trace);
		return rc;
	}

	*ret_trace = trace;
	return 0;
}
