/* event_scan: one byte at a time; below EVENT_DEPTH only the depth is known. */
#include "gateway/event_scan.h"

#include <ctype.h>
#include <string.h>

static bool is_near_top(const struct event_scan *scan)
{
	return scan->depth <= EVENT_DEPTH;
}

static void cut_path(struct event_scan *scan, size_t length)
{
	scan->path_length = length;
	scan->path[length] = '\0';
}

static bool extend_path(struct event_scan *scan, const char *text, size_t length)
{
	if (scan->path_length + length >= sizeof(scan->path))
		return false;
	memcpy(scan->path + scan->path_length, text, length);
	cut_path(scan, scan->path_length + length);
	return true;
}

static void tell_member(struct event_scan *scan, enum event_member_type type, event_found *found,
			void *ctx)
{
	bool has_value = type == EVENT_TEXT || type == EVENT_WORD;
	size_t kept =
		scan->value_length < EVENT_VALUE_BYTES ? scan->value_length : EVENT_VALUE_BYTES;

	scan->value[has_value ? kept : 0] = '\0';
	found(ctx, &(struct event_member){.type = type,
					  .path = scan->path,
					  .value = scan->value,
					  .length = has_value ? scan->value_length : 0});
}

static void keep_byte(struct event_scan *scan, char byte)
{
	if (scan->value_length < EVENT_VALUE_BYTES)
		scan->value[scan->value_length] = byte;
	scan->value_length++;
}

/* Others than plain names would read like a path. */
static bool is_name(const char *key, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)key[i]) && key[i] != '_')
			return false;
	return length > 0 && length < EVENT_VALUE_BYTES;
}

static void take_key(struct event_scan *scan)
{
	size_t inner = scan->inner[scan->depth];

	cut_path(scan, inner);
	if (!is_name(scan->value, scan->value_length) || (inner && !extend_path(scan, ".", 1)) ||
	    !extend_path(scan, scan->value, scan->value_length)) {
		cut_path(scan, inner);
		extend_path(scan, "?", 1);
	}
}

static void end_text(struct event_scan *scan, event_found *found, void *ctx)
{
	scan->state = EVENT_BETWEEN;
	if (!is_near_top(scan))
		return;
	if (scan->key_next)
		take_key(scan);
	else
		tell_member(scan, EVENT_TEXT, found, ctx);
	scan->key_next = false;
}

static void end_word(struct event_scan *scan, event_found *found, void *ctx)
{
	scan->state = EVENT_BETWEEN;
	if (is_near_top(scan))
		tell_member(scan, EVENT_WORD, found, ctx);
}

static void open_nest(struct event_scan *scan, bool list, event_found *found, void *ctx)
{
	if (is_near_top(scan))
		tell_member(scan, EVENT_OPENED, found, ctx);
	scan->depth++;
	if (!is_near_top(scan))
		return;

	scan->lists[scan->depth] = list && extend_path(scan, "[]", 2);
	scan->inner[scan->depth] = scan->path_length;
	scan->key_next = !list;
}

static void close_nest(struct event_scan *scan, event_found *found, void *ctx)
{
	unsigned depth = scan->depth;

	if (depth == 0)
		return;
	if (is_near_top(scan))
		cut_path(scan, scan->inner[depth] - (scan->lists[depth] ? 2 : 0));
	scan->depth--;
	scan->key_next = false;
	if (is_near_top(scan))
		tell_member(scan, EVENT_CLOSED, found, ctx);
}

static void next_member(struct event_scan *scan)
{
	if (scan->depth == 0 || !is_near_top(scan))
		return;
	cut_path(scan, scan->inner[scan->depth]);
	scan->key_next = !scan->lists[scan->depth];
}

static void begin_value(struct event_scan *scan, enum event_scan_state state)
{
	scan->state = state;
	scan->escaped = false;
	scan->value_length = 0;
}

static void take_between(struct event_scan *scan, char byte, event_found *found, void *ctx)
{
	switch (byte) {
	case '{':
	case '[':
		open_nest(scan, byte == '[', found, ctx);
		break;
	case '}':
	case ']':
		close_nest(scan, found, ctx);
		break;
	case ',':
		next_member(scan);
		break;
	case '"':
		begin_value(scan, EVENT_IN_TEXT);
		break;
	case ':':
	case ' ':
	case '\t':
	case '\n':
	case '\r':
		break;
	default:
		begin_value(scan, EVENT_IN_WORD);
		keep_byte(scan, byte);
	}
}

static void take_in_text(struct event_scan *scan, char byte, event_found *found, void *ctx)
{
	if (byte == '"' && !scan->escaped) {
		end_text(scan, found, ctx);
		return;
	}
	scan->escaped = byte == '\\' && !scan->escaped;
	keep_byte(scan, byte);
}

static void take_in_word(struct event_scan *scan, char byte, event_found *found, void *ctx)
{
	if (!memchr(",:]}[{\" \t\r\n", byte, 11)) {
		keep_byte(scan, byte);
		return;
	}
	end_word(scan, found, ctx);
	take_between(scan, byte, found, ctx);
}

void event_scan_take(struct event_scan *scan, const char *bytes, size_t length, event_found *found,
		     void *ctx)
{
	for (size_t i = 0; i < length; i++) {
		if (scan->state == EVENT_IN_TEXT)
			take_in_text(scan, bytes[i], found, ctx);
		else if (scan->state == EVENT_IN_WORD)
			take_in_word(scan, bytes[i], found, ctx);
		else
			take_between(scan, bytes[i], found, ctx);
	}
}
