/* json_span: see json_span.h. Judges nothing: it counts brackets outside of strings. */
#include "json/json_span.h"

#include <stdbool.h>
#include <string.h>

struct span_scan {
	const char *at, *end;
};

static const struct json_span no_span;

static char peek_byte(const struct span_scan *scan)
{
	return scan->at < scan->end ? *scan->at : '\0';
}

static void skip_space(struct span_scan *scan)
{
	while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at)
		scan->at++;
}

/* A byte, and the space around it. */
static bool skip_byte(struct span_scan *scan, char byte)
{
	skip_space(scan);
	if (peek_byte(scan) != byte)
		return false;
	scan->at++;
	skip_space(scan);
	return true;
}

/* At its quote. */
static void skip_string(struct span_scan *scan)
{
	scan->at++;
	while (scan->at < scan->end && *scan->at != '"')
		scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
	if (scan->at < scan->end)
		scan->at++;
}

static void skip_nest(struct span_scan *scan)
{
	size_t depth = 0;

	while (scan->at < scan->end) {
		char byte = *scan->at;
		if (byte == '"') {
			skip_string(scan);
			continue;
		}
		scan->at++;
		if (byte == '{' || byte == '[')
			depth++;
		else if ((byte == '}' || byte == ']') && --depth == 0)
			return;
	}
}

static struct json_span take_value(struct span_scan *scan)
{
	const char *from = scan->at;
	char first = peek_byte(scan);

	if (first == '"')
		skip_string(scan);
	else if (first == '{' || first == '[')
		skip_nest(scan);
	else
		while (scan->at < scan->end && !strchr(",]} \t\r\n", *scan->at))
			scan->at++;
	return (struct json_span){from, (size_t)(scan->at - from)};
}

static bool is_key(struct json_span span, const char *key)
{
	size_t length = strlen(key);

	return span.length == length + 2 && !memcmp(span.from + 1, key, length);
}

struct json_span json_span_member(struct json_span object, const char *key)
{
	struct span_scan scan = {object.from, object.from + object.length};

	if (!object.from || !skip_byte(&scan, '{'))
		return no_span;
	while (peek_byte(&scan) == '"') {
		struct json_span name = take_value(&scan);
		if (!skip_byte(&scan, ':'))
			break;
		struct json_span value = take_value(&scan);
		if (is_key(name, key) && value.length > 0)
			return value;
		if (!skip_byte(&scan, ','))
			break;
	}
	return no_span;
}

struct json_span json_span_first(struct json_span list)
{
	struct span_scan scan = {list.from, list.from + list.length};
	struct json_span value = no_span;

	if (list.from && skip_byte(&scan, '['))
		value = take_value(&scan);
	return value.length > 0 ? value : no_span;
}
