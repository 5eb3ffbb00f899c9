/* timeline: keeps spans, asks nothing. */
#include "cli/top/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "cli/field.h"
#include "cli/text_table.h"

static const struct {
	const char *state; /* of the protocol */
	enum span_state span;
} state_names[] = {{"queued", SPAN_WAITING},    {"offered", SPAN_WAITING},
		   {"loading", SPAN_LOADING},   {"held", SPAN_HOLDING},
		   {"yielding", SPAN_YIELDING}, {"stopping", SPAN_STOPPING},
		   {"draining", SPAN_DRAINING}};

static enum span_state span_of_state(const char *state)
{
	for (size_t i = 0; i < sizeof(state_names) / sizeof(*state_names); i++)
		if (strcmp(state_names[i].state, state) == 0)
			return state_names[i].span;
	return SPAN_NONE;
}

int64_t timeline_parse_time(const char *text)
{
	struct tm tm = {0};
	int ms = 0;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return -1;
	if (*rest == '.')
		(void)sscanf(rest, ".%3d", &ms);
	return (int64_t)timegm(&tm) * 1000 + ms;
}

void timeline_finish(struct timeline *timeline)
{
	free(timeline->spans);
	*timeline = (struct timeline){0};
}

/* ---- what happened ---- */

static struct span *open_span(const struct timeline *timeline, uint64_t claim)
{
	for (size_t i = timeline->count; i-- > 0;)
		if (timeline->spans[i].claim == claim && timeline->spans[i].to_ms == INT64_MAX)
			return &timeline->spans[i];
	return NULL;
}

/* Forgets what ended long ago, and the oldest when there are too many. */
static void forget_old(struct timeline *timeline, int64_t now_ms)
{
	size_t kept = 0;
	size_t surplus = timeline->count >= TIMELINE_SPANS_MAX
				 ? timeline->count - TIMELINE_SPANS_MAX / 2
				 : 0;

	for (size_t i = 0; i < timeline->count; i++)
		if (i >= surplus && timeline->spans[i].to_ms >= now_ms - TIMELINE_KEPT_MS)
			timeline->spans[kept++] = timeline->spans[i];
	timeline->count = kept;
}

static void begin_span(struct timeline *timeline, uint64_t claim, const char *name,
		       enum span_state state, int64_t from_ms)
{
	if (timeline->count == timeline->capacity) {
		timeline->capacity = timeline->capacity ? 2 * timeline->capacity : 64;
		timeline->spans =
			reallocarray(timeline->spans, timeline->capacity, sizeof(*timeline->spans));
		if (!timeline->spans)
			abort();
	}

	struct span *span = &timeline->spans[timeline->count++];
	*span = (struct span){
		.claim = claim, .state = state, .from_ms = from_ms, .to_ms = INT64_MAX};
	snprintf(span->name, sizeof(span->name), "%s", name);
}

void timeline_event(struct timeline *timeline, const json_t *event)
{
	const char *to = field_text(event, "to", NULL), *name = field_text(event, "client", NULL);
	uint64_t claim = field_u64(event, "lease"), id = field_u64(event, "id");
	int64_t at_ms = timeline_parse_time(field_text(event, "time", ""));

	if (id <= timeline->last_event)
		return; /* told before */
	timeline->last_event = id;
	if (!to || !claim || at_ms < 0)
		return;

	enum span_state state = span_of_state(to);
	struct span *open = open_span(timeline, claim);
	if (open && open->state == state)
		return;
	if (open)
		open->to_ms = at_ms;
	if (timeline->count >= TIMELINE_SPANS_MAX)
		forget_old(timeline, at_ms);
	if (state != SPAN_NONE)
		begin_span(timeline, claim, name ? name : open ? open->name : "?", state, at_ms);
}

static void add_missing(struct timeline *timeline, const json_t *rows, const char *since_key,
			int64_t now_ms)
{
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		uint64_t claim = field_u64(row, "lease");
		enum span_state state = span_of_state(field_text(row, "state", "queued"));
		double since_s = field_number(row, since_key, 0);
		if (claim && state != SPAN_NONE && !open_span(timeline, claim))
			begin_span(timeline, claim, field_text(row, "id", "?"), state,
				   now_ms - (int64_t)(since_s * 1000));
	}
}

static bool has_claim(const json_t *rows, uint64_t claim)
{
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		if (field_u64(row, "lease") == claim)
			return true;
	}
	return false;
}

void timeline_status(struct timeline *timeline, const json_t *status)
{
	const json_t *leases = json_object_get(status, "leases");
	const json_t *waiting = json_object_get(status, "waiting");
	int64_t now_ms = timeline_parse_time(field_text(status, "time", ""));
	if (now_ms < 0)
		return;

	/* Waiters beyond the rows that were asked for are not over. */
	bool all = json_array_size(waiting) >= field_u64(status, "queue_depth");
	for (size_t i = 0; i < timeline->count; i++) {
		struct span *span = &timeline->spans[i];
		bool over = span->to_ms == INT64_MAX && span->from_ms < now_ms &&
			    (all || span->state != SPAN_WAITING);
		if (over && !has_claim(leases, span->claim) && !has_claim(waiting, span->claim))
			span->to_ms = now_ms;
	}

	add_missing(timeline, leases, "held_s", now_ms);
	add_missing(timeline, waiting, "waited_s", now_ms);
	forget_old(timeline, now_ms);
}

/* ---- what is shown ---- */

/* Who holds comes before who waits, and both before what is over; of that the last first. */
static int64_t rank_of(const struct span *span)
{
	if (span->to_ms != INT64_MAX)
		return span->to_ms;
	return INT64_MAX - (span->state < SPAN_DRAINING);
}

size_t timeline_names(const struct timeline *timeline, int64_t from_ms, const char **ret_names,
		      size_t max)
{
	int64_t ranks[TIMELINE_NAMES_MAX];
	size_t count = 0;
	max = max < TIMELINE_NAMES_MAX ? max : TIMELINE_NAMES_MAX;

	for (size_t i = 0; i < timeline->count && max > 0; i++) {
		const struct span *span = &timeline->spans[i];
		int64_t rank = rank_of(span);
		size_t at = 0;
		if (span->to_ms < from_ms)
			continue;

		while (at < count && strcmp(ret_names[at], span->name) != 0)
			at++;
		if (at == max)
			at--; /* the least of them makes room, if this one is more */
		else if (at == count)
			ranks[count++] = INT64_MIN;

		if (ranks[at] >= rank)
			continue;
		for (; at > 0 && ranks[at - 1] < rank; at--) {
			ret_names[at] = ret_names[at - 1];
			ranks[at] = ranks[at - 1];
		}
		ret_names[at] = span->name;
		ranks[at] = rank;
	}
	return count;
}

static enum span_state strongest_state(const struct timeline *timeline, const char *name,
				       int64_t from_ms, int64_t to_ms)
{
	enum span_state strongest = SPAN_NONE;
	for (size_t i = 0; i < timeline->count; i++) {
		const struct span *span = &timeline->spans[i];
		if (span->from_ms < to_ms && span->to_ms > from_ms && span->state > strongest &&
		    strcmp(span->name, name) == 0)
			strongest = span->state;
	}
	return strongest;
}

void timeline_band(const struct timeline *timeline, const char *name, int64_t from_ms,
		   int64_t to_ms, unsigned width, bool utf8, struct buf *out)
{
	static const struct {
		const char *ascii, *utf8;
		char style;
	} marks[SPAN_STATE_COUNT] = {
		[SPAN_NONE] = {" ", " ", STYLE_PLAIN},
		[SPAN_WAITING] = {".", "\u2591", STYLE_DIM},
		[SPAN_DRAINING] = {":", "\u2592", STYLE_DIM},
		[SPAN_LOADING] = {"+", "\u2592", STYLE_GOOD},
		[SPAN_HOLDING] = {"#", "\u2588", STYLE_GOOD},
		[SPAN_YIELDING] = {"%", "\u2593", STYLE_WARN},
		[SPAN_STOPPING] = {"!", "\u2593", STYLE_BAD},
	};
	char style = STYLE_PLAIN;

	for (unsigned i = 0; i < width; i++) {
		int64_t length_ms = to_ms - from_ms;
		enum span_state state =
			strongest_state(timeline, name, from_ms + length_ms * i / width,
					from_ms + length_ms * (i + 1) / width);

		if (marks[state].style != style)
			buf_append(out, &marks[state].style, 1);
		style = marks[state].style;
		buf_append_text(out, utf8 ? marks[state].utf8 : marks[state].ascii);
	}

	style = STYLE_PLAIN;
	buf_append(out, &style, 1);
}

static json_t *time_json(int64_t ms)
{
	char text[64];
	struct tm tm;
	time_t seconds = ms / 1000;
	gmtime_r(&seconds, &tm);
	size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + length, sizeof(text) - length, ".%03dZ", (int)(ms % 1000));
	return json_string(text);
}

json_t *timeline_json(const struct timeline *timeline)
{
	static const char *const words[SPAN_STATE_COUNT] = {
		[SPAN_NONE] = "none",         [SPAN_WAITING] = "waiting",
		[SPAN_DRAINING] = "draining", [SPAN_LOADING] = "loading",
		[SPAN_HOLDING] = "holding",   [SPAN_YIELDING] = "yielding",
		[SPAN_STOPPING] = "stopping"};
	json_t *rows = json_array();

	for (size_t i = 0; i < timeline->count; i++) {
		const struct span *span = &timeline->spans[i];
		json_t *row = json_pack("{s:I, s:s, s:s, s:o}", "claim", (json_int_t)span->claim,
					"id", span->name, "state", words[span->state], "from",
					time_json(span->from_ms));
		if (row && span->to_ms != INT64_MAX)
			json_object_set_new(row, "to", time_json(span->to_ms));
		json_array_append_new(rows, row);
	}
	return rows;
}
