/* stream_watch: by lines; what it looks for stands in one of them whole. */
#include "gateway/stream_watch.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 64 * 1024 };

void stream_watch_begin(struct stream_watch *watch, enum api_wire wire)
{
	*watch = (struct stream_watch){.wire = wire, .position.sequence = -1};
}

void stream_watch_finish(struct stream_watch *watch)
{
	buf_finish(&watch->line);
}

/* Whether the line gives that key, quotes and all, a value that begins so. Inside a text quotes are
 * escaped, so nothing that a model says is taken for a key. */
static bool line_gives(const struct stream_watch *watch, const char *key, const char *value)
{
	const char *at = buf_data(&watch->line), *end = at + watch->line.length;

	while ((at = memmem(at, (size_t)(end - at), key, strlen(key)))) {
		at += strlen(key);
		while (at < end && (*at == ' ' || *at == ':'))
			at++;
		if ((size_t)(end - at) >= strlen(value) && !memcmp(at, value, strlen(value)))
			return true;
	}
	return false;
}

static bool line_gives_any(const struct stream_watch *watch, const char *key,
			   const char *const *values)
{
	for (; *values; values++)
		if (line_gives(watch, key, *values))
			return true;
	return false;
}

/* A text that is not empty: some servers have "" there until the end. */
static bool line_gives_text(const struct stream_watch *watch, const char *key)
{
	return line_gives(watch, key, "\"") && !line_gives(watch, key, "\"\"");
}

static bool is_done_mark(const struct stream_watch *watch)
{
	static const char mark[] = "data:";
	const char *bytes = buf_data(&watch->line);
	size_t at = strlen(mark);

	if (watch->line.length < at || memcmp(bytes, mark, at) != 0)
		return false;
	while (at < watch->line.length && bytes[at] == ' ')
		at++;
	return watch->line.length - at >= 6 && !memcmp(bytes + at, "[DONE]", 6);
}

/* The APIs' ways of saying that the text, picture or sound is complete. */
static bool says_finished(const struct stream_watch *watch)
{
	static const char *const media[] = {"\"image_generation.completed\"",
					    "\"image_edit.completed\"", "\"speech.audio.done\"",
					    "\"transcript.text.done\"", NULL};
	static const char *const responses[] = {"\"response.completed\"", "\"response.incomplete\"",
						NULL};

	switch (watch->wire) {
	case API_OPENAI:
		return is_done_mark(watch) || line_gives_text(watch, "\"finish_reason\"") ||
		       line_gives_any(watch, "\"type\"", media);
	case API_RESPONSES:
		return line_gives_any(watch, "\"type\"", responses);
	case API_ANTHROPIC:
		return line_gives_text(watch, "\"stop_reason\"") ||
		       line_gives(watch, "\"type\"", "\"message_stop\"");
	case API_OLLAMA:
		return line_gives(watch, "\"done\"", "true");
	}
	return false;
}

static bool says_failed(const struct stream_watch *watch)
{
	static const char *const types[] = {"\"error\"", "\"response.failed\"", NULL};

	return line_gives(watch, "\"error\"", "{") || line_gives_text(watch, "\"error\"") ||
	       line_gives_any(watch, "\"type\"", types);
}

static void note_sequence(struct stream_watch *watch)
{
	static const char key[] = "\"sequence_number\":";
	const char *bytes = buf_data(&watch->line);
	const char *found = memmem(bytes, watch->line.length, key, strlen(key));
	char digits[24];
	size_t at, count = 0;

	if (!found)
		return;

	at = (size_t)(found - bytes) + strlen(key);
	while (at < watch->line.length && count < sizeof(digits) - 1 &&
	       (bytes[at] == ' ' || (bytes[at] >= '0' && bytes[at] <= '9')))
		digits[count++] = bytes[at++];
	digits[count] = '\0';
	watch->position.sequence = strtoll(digits, NULL, 10);
}

static void note_response_id(struct stream_watch *watch)
{
	static const char key[] = "\"id\":\"resp";
	const char *bytes = buf_data(&watch->line);
	const char *found = memmem(bytes, watch->line.length, key, strlen(key));
	size_t from, length = 0;

	if (!found || watch->position.response_id[0])
		return;

	from = (size_t)(found - bytes) + strlen(key) - 4;
	while (from + length < watch->line.length && bytes[from + length] != '"')
		length++;
	if (length >= sizeof(watch->position.response_id))
		return;
	memcpy(watch->position.response_id, bytes + from, length);
	watch->position.response_id[length] = '\0';
}

static void read_line(struct stream_watch *watch)
{
	if (watch->long_line) {
		watch->unread = true;
	} else if (watch->line.length > 0) {
		watch->finished |= says_finished(watch);
		watch->failed |= says_failed(watch);
		note_sequence(watch);
		note_response_id(watch);
	}
}

static void end_line(struct stream_watch *watch)
{
	bool empty = watch->line.length == 0 && !watch->long_line;
	bool comment = watch->line.length > 0 && *buf_data(&watch->line) == ':';

	read_line(watch);
	if (empty || watch->wire == API_OLLAMA)
		watch->in_event = false;
	else if (!comment)
		watch->in_event = true;

	buf_clear(&watch->line, LINE_BYTES);
	watch->long_line = false;
}

static void add_to_line(struct stream_watch *watch, const char *bytes, size_t length)
{
	watch->after_cr = false;
	if (watch->line.length + length > LINE_BYTES ||
	    buf_append(&watch->line, bytes, length) != 0)
		watch->long_line = true;
}

size_t stream_watch_take(struct stream_watch *watch, const char *bytes, size_t length)
{
	size_t whole = 0;

	for (size_t at = 0; at < length; at++) {
		size_t from = at;

		while (at < length && bytes[at] != '\n' && bytes[at] != '\r')
			at++;
		if (at > from)
			add_to_line(watch, bytes + from, at - from);
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

bool stream_watch_end(struct stream_watch *watch)
{
	read_line(watch);
	return watch->finished || watch->failed || watch->unread;
}
