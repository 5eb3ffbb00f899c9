/* stream_watch: by lines; what it looks for stands in one of them whole. */
#include "gateway/stream_watch.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 64 * 1024 };

void stream_watch_begin(struct stream_watch *watch)
{
	*watch = (struct stream_watch){.position.sequence = -1};
}

void stream_watch_finish(struct stream_watch *watch)
{
	buf_finish(&watch->line);
}

static bool line_has(const struct stream_watch *watch, const char *words)
{
	return memmem(buf_data(&watch->line), watch->line.length, words, strlen(words)) != NULL;
}

/* The four APIs' ways of saying that the text is complete. */
static bool says_finished(const struct stream_watch *watch)
{
	static const char *const words[] = {
		"\"finish_reason\":\"",      "\"finish_reason\": \"", "\"stop_reason\":\"",
		"\"type\":\"message_stop\"", "\"done\":true",         "response.completed",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (line_has(watch, words[i]))
			return true;
	return false;
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

static void end_line(struct stream_watch *watch)
{
	if (watch->line.length > 0 && !watch->long_line) {
		watch->events++;
		watch->finished |= says_finished(watch);
		note_sequence(watch);
		note_response_id(watch);
	}

	buf_clear(&watch->line, LINE_BYTES);
	watch->in_line = watch->long_line = false;
}

static void add_to_line(struct stream_watch *watch, const char *bytes, size_t length)
{
	watch->in_line = true;
	if (watch->line.length + length > LINE_BYTES ||
	    buf_append(&watch->line, bytes, length) != 0)
		watch->long_line = true;
}

void stream_watch_take(struct stream_watch *watch, const char *bytes, size_t length)
{
	while (length > 0) {
		size_t piece = 0;

		while (piece < length && bytes[piece] != '\n' && bytes[piece] != '\r')
			piece++;
		if (piece > 0)
			add_to_line(watch, bytes, piece);
		if (piece == length)
			return;

		end_line(watch);
		bytes += piece + 1;
		length -= piece + 1;
	}
}
