/* json_span: see json_span.h. Judges nothing: it counts brackets outside of strings. */
#include "wire/json_span.h"

#include <stdbool.h>
#include <string.h>

struct json_reader {
	const char *at, *end;
};

static const struct json_span no_span;

static char peek_byte(const struct json_reader *reader)
{
	return reader->at < reader->end ? *reader->at : '\0';
}

static void skip_space(struct json_reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
}

/* A byte, and the space around it. */
static bool skip_byte(struct json_reader *reader, char byte)
{
	skip_space(reader);
	if (peek_byte(reader) != byte)
		return false;
	reader->at++;
	skip_space(reader);
	return true;
}

/* At its quote. */
static void skip_string(struct json_reader *reader)
{
	reader->at++;
	while (reader->at < reader->end && *reader->at != '"')
		reader->at += *reader->at == '\\' && reader->end - reader->at > 1 ? 2 : 1;
	if (reader->at < reader->end)
		reader->at++;
}

static void skip_nest(struct json_reader *reader)
{
	size_t depth = 0;

	while (reader->at < reader->end) {
		char byte = *reader->at;
		if (byte == '"') {
			skip_string(reader);
			continue;
		}
		reader->at++;
		if (byte == '{' || byte == '[')
			depth++;
		else if ((byte == '}' || byte == ']') && --depth == 0)
			return;
	}
}

static struct json_span take_value(struct json_reader *reader)
{
	const char *from = reader->at;
	char first = peek_byte(reader);

	if (first == '"')
		skip_string(reader);
	else if (first == '{' || first == '[')
		skip_nest(reader);
	else
		while (reader->at < reader->end && !strchr(",]} \t\r\n", *reader->at))
			reader->at++;
	return (struct json_span){from, (size_t)(reader->at - from)};
}

static bool is_key(struct json_span span, const char *key)
{
	size_t length = strlen(key);

	return span.length == length + 2 && !memcmp(span.from + 1, key, length);
}

struct json_span json_span_member(struct json_span object, const char *key)
{
	struct json_reader reader = {object.from, object.from + object.length};

	if (!object.from || !skip_byte(&reader, '{'))
		return no_span;
	while (peek_byte(&reader) == '"') {
		struct json_span name = take_value(&reader);
		if (!skip_byte(&reader, ':'))
			break;
		struct json_span value = take_value(&reader);
		if (is_key(name, key) && value.length > 0)
			return value;
		if (!skip_byte(&reader, ','))
			break;
	}
	return no_span;
}

struct json_span json_span_first(struct json_span list)
{
	struct json_reader reader = {list.from, list.from + list.length};
	struct json_span value = no_span;

	if (list.from && skip_byte(&reader, '['))
		value = take_value(&reader);
	return value.length > 0 ? value : no_span;
}
