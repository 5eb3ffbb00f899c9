/* stream_watch: lines as they come, and what the JSON of their data says at the places where the
 * APIs say it. What a model says, or a tool's arguments, stand elsewhere or inside a text. */
#include "gateway/stream_watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { CHOICES_MAX = 64 };

static const char data_name[] = "data:";

static void begin_event(struct stream_watch *watch)
{
	watch->scan = (struct event_scan){.state = EVENT_BETWEEN};
	watch->event = (struct stream_event){.sequence = -1};
}

void stream_watch_begin(struct stream_watch *watch, enum api_wire wire)
{
	*watch = (struct stream_watch){.wire = wire, .position.sequence = -1};
	begin_event(watch);
}

static bool is_any(const struct event_member *member, const char *const *values)
{
	for (; *values; values++)
		if (!strcmp(member->value, *values))
			return true;
	return false;
}

/* A text that is not empty: some servers have "" there until the end. */
static bool is_reason(const struct event_member *member)
{
	return member->type == EVENT_TEXT && member->length > 0;
}

/* Of an OpenAI stream: several choices may come in it, each with an end of its own. */
static void note_choice(struct stream_event *event, const struct event_member *member)
{
	unsigned long index;

	if (!strcmp(member->path, "choices[].finish_reason")) {
		event->choice_ends = is_reason(member);
	} else if (!strcmp(member->path, "choices[].index") && member->type == EVENT_WORD) {
		index = strtoul(member->value, NULL, 10);
		event->choice = index < CHOICES_MAX ? (unsigned)index : CHOICES_MAX - 1;
	} else if (!strcmp(member->path, "choices[]") && member->type == EVENT_CLOSED) {
		event->begun |= (uint64_t)1 << event->choice;
		if (event->choice_ends)
			event->ended |= (uint64_t)1 << event->choice;
		event->choice = 0;
		event->choice_ends = false;
	}
}

/* The APIs' ways of saying that the text, picture or sound is complete. */
static bool says_complete(enum api_wire wire, const struct event_member *member)
{
	static const char *const media[] = {"image_generation.completed", "image_edit.completed",
					    "speech.audio.done", "transcript.text.done", NULL};
	static const char *const responses[] = {"response.completed", "response.incomplete", NULL};
	bool type = !strcmp(member->path, "type");

	switch (wire) {
	case API_OPENAI:
		return (type && is_any(member, media)) ||
		       (!strcmp(member->path, "[]") && !strcmp(member->value, "DONE"));
	case API_RESPONSES:
		return type && is_any(member, responses);
	case API_ANTHROPIC:
		return (type && !strcmp(member->value, "message_stop")) ||
		       (!strcmp(member->path, "delta.stop_reason") && is_reason(member));
	case API_OLLAMA:
		return !strcmp(member->path, "done") && !strcmp(member->value, "true");
	}
	return false;
}

static bool says_failed(const struct event_member *member)
{
	static const char *const types[] = {"error", "response.failed", NULL};

	if (!strcmp(member->path, "error"))
		return member->type == EVENT_OPENED;
	return !strcmp(member->path, "type") && is_any(member, types);
}

/* The largest whole number that every reader of JSON has, and the next of which it has, too. */
#define SEQUENCE_MAX (((int64_t)1 << 53) - 2)

/* -1: it is none that can be counted on from. */
static int64_t sequence_of(const struct event_member *member)
{
	char *end;
	int64_t number = strtoll(member->value, &end, 10);

	return *end == '\0' && number >= 0 && number <= SEQUENCE_MAX ? number : -1;
}

/* As it stands there, so that it can be said again as it is. */
static bool is_plain_id(const struct event_member *member, size_t size)
{
	return is_reason(member) && member->length < size && !strchr(member->value, '\\') &&
	       utf8_is_valid(member->value, member->length);
}

static void note_position(struct stream_event *event, const struct event_member *member)
{
	if (!strcmp(member->path, "sequence_number") && member->type == EVENT_WORD)
		event->sequence = sequence_of(member);
	else if (!strcmp(member->path, "response.id") &&
		 is_plain_id(member, sizeof(event->response_id)))
		memcpy(event->response_id, member->value, member->length + 1);
	else if (!strcmp(member->path, "response.background"))
		event->background = !strcmp(member->value, "true");
}

/* Each that has begun, and as many as were asked for. */
static bool choices_ended(const struct stream_watch *watch)
{
	unsigned due = watch->choices_due < CHOICES_MAX ? watch->choices_due : CHOICES_MAX;

	return watch->ended && watch->ended == watch->begun &&
	       (unsigned)__builtin_popcountll(watch->ended) >= due;
}

/* All of the event's JSON has come. */
static void end_json(struct stream_watch *watch)
{
	const struct stream_event *event = &watch->event;

	watch->begun |= event->begun;
	watch->ended |= event->ended;
	watch->complete |= event->finished;
	watch->finished = watch->complete || choices_ended(watch);
	watch->failed |= event->failed || (event->names_error && !event->has_choices);
	watch->background |= event->background;
	if (event->sequence >= 0)
		watch->position.sequence = event->sequence;
	if (!watch->position.response_id[0])
		memcpy(watch->position.response_id, event->response_id, sizeof(event->response_id));
	watch->event = (struct stream_event){.sequence = -1};
}

static void on_member(void *ctx, const struct event_member *member)
{
	struct stream_watch *watch = ctx;
	struct stream_event *event = &watch->event;

	if (!member->path[0] && member->type == EVENT_CLOSED) {
		end_json(watch);
		return;
	}
	if (watch->wire == API_OPENAI)
		note_choice(event, member);
	else if (watch->wire == API_RESPONSES)
		note_position(event, member);
	event->finished |= says_complete(watch->wire, member);
	event->failed |= says_failed(member);
	event->names_error |= !strcmp(member->path, "error") && is_reason(member);
	event->has_choices |= !strcmp(member->path, "choices[]") && member->type == EVENT_OPENED;
}

/* A line that has begun, by what has come of it. */
static void take_name(struct stream_watch *watch, char byte)
{
	if (watch->line == LINE_EMPTY)
		watch->line = byte == ':' ? LINE_COMMENT : LINE_NAME;
	if (watch->line == LINE_COMMENT)
		return;
	if (byte != data_name[watch->name_length]) {
		watch->line = LINE_OTHER;
		return;
	}
	watch->name_length++;
	if (data_name[watch->name_length])
		return;
	watch->line = LINE_DATA;
	if (watch->scan.depth == 0)
		begin_event(watch);
}

static void take_part(struct stream_watch *watch, const char *bytes, size_t length)
{
	size_t at = 0;

	watch->after_cr = false;
	if (watch->line == LINE_EMPTY && watch->wire == API_OLLAMA)
		watch->line = LINE_DATA;
	while (at < length && (watch->line == LINE_EMPTY || watch->line == LINE_NAME))
		take_name(watch, bytes[at++]);
	if (watch->line == LINE_DATA)
		event_scan_take(&watch->scan, bytes + at, length - at, on_member, watch);
}

static void end_line(struct stream_watch *watch)
{
	bool empty = watch->line == LINE_EMPTY;

	if (empty || watch->wire == API_OLLAMA) {
		watch->in_event = false;
		begin_event(watch);
	} else if (watch->line != LINE_COMMENT) {
		watch->in_event = true;
	}
	if (watch->line == LINE_DATA)
		event_scan_take(&watch->scan, "\n", 1, on_member, watch);
	watch->line = LINE_EMPTY;
	watch->name_length = 0;
}

size_t stream_watch_take(struct stream_watch *watch, const char *bytes, size_t length)
{
	size_t whole = 0;

	for (size_t at = 0; at < length; at++) {
		size_t from = at;

		while (at < length && bytes[at] != '\n' && bytes[at] != '\r')
			at++;
		if (at > from)
			take_part(watch, bytes + from, at - from);
		if (at == length)
			break;

		if (bytes[at] != '\n' || !watch->after_cr)
			end_line(watch);
		watch->after_cr = bytes[at] == '\r';
		if (!watch->in_event)
			whole = at + 1;
	}
	return whole;
}

bool stream_watch_end(const struct stream_watch *watch)
{
	return watch->finished || watch->failed;
}
