/* text: the growing buffer behind everything that Baton writes for others, with JSON and log
 * escapes. It does not know what it writes. Called by all of wire, the server and the client. */
#include "wire/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MIN = 1024 };

void text_init(struct text *text)
{
	*text = (struct text){0};
}

void text_clear(struct text *text)
{
	text->length = 0;
	if (text->bytes)
		text->bytes[0] = '\0';
}

void text_finish(struct text *text)
{
	free(text->bytes);
	*text = (struct text){0};
}

__attribute__((noinline)) static void text_grow(struct text *text, size_t wanted)
{
	size_t capacity = text->capacity ? text->capacity : TEXT_BYTES_MIN;
	while (capacity < wanted)
		capacity *= 2;
	char *bytes = realloc(text->bytes, capacity);
	if (!bytes)
		abort();
	text->bytes = bytes;
	text->capacity = capacity;
}

/* Room for `length` more bytes and the NUL. */
static inline char *text_room(struct text *text, size_t length)
{
	assert(length < SIZE_MAX / 4);
	size_t wanted = text->length + length + 1;
	if (wanted > text->capacity)
		text_grow(text, wanted);
	return text->bytes + text->length;
}

void text_add(struct text *text, const char *bytes, size_t length)
{
	char *end = text_room(text, length);
	if (length)
		memcpy(end, bytes, length);
	end[length] = '\0';
	text->length += length;
}

void text_char(struct text *text, char c)
{
	char *end = text_room(text, 1);
	end[0] = c;
	end[1] = '\0';
	text->length++;
}

void text_u64(struct text *text, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	text_add(text, digits + at, sizeof(digits) - at);
}

void text_i64(struct text *text, int64_t value)
{
	if (value < 0)
		text_char(text, '-');
	text_u64(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void text_seconds(struct text *text, int64_t ms)
{
	uint64_t magnitude = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	if (ms < 0)
		text_char(text, '-');
	text_u64(text, magnitude / 1000);
	unsigned rest = (unsigned)(magnitude % 1000);
	if (!rest)
		return;
	char digits[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
			  (char)('0' + rest % 10)};
	size_t length = sizeof(digits);
	while (digits[length - 1] == '0')
		length--;
	text_add(text, digits, length);
}

void text_format(struct text *text, const char *format, ...)
{
	va_list args, again;
	size_t room = TEXT_BYTES_MIN;
	char *end = text_room(text, room);
	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(end, room, format, args);
	va_end(args);
	assert(length >= 0);
	if ((size_t)length >= room) {
		end = text_room(text, (size_t)length);
		vsnprintf(end, (size_t)length + 1, format, again);
	}
	va_end(again);
	text->length += (size_t)length;
}

void text_json_item(struct text *text)
{
	char last = text->length ? text->bytes[text->length - 1] : '{';
	if (last != '{' && last != '[')
		text_char(text, ',');
}

/* May have to be escaped: quotes, backslash, controls, DEL, and what begins a line separator. */
static bool is_plain(unsigned char c)
{
	static const uint32_t plain[8] = {0,          0xfffffffb, 0xefffffff, 0x7fffffff,
					  0xffffffff, 0xffffffff, 0xffffffff, 0xfffffffb};
	return plain[c / 32] >> (c % 32) & 1;
}

/* Only what JSON demands: quotes, backslash, controls; and DEL and the line separators, so that a
 * message stays one line for every reader. */
void text_json_string(struct text *text, const char *string)
{
	static const char hex[] = "0123456789abcdef";

	if (!string) {
		text_str(text, "null");
		return;
	}

	text_char(text, '"');
	const char *plain = string;
	for (const char *at = string;; at++) {
		while (is_plain((unsigned char)*at))
			at++;
		unsigned char c = (unsigned char)*at;
		bool separator = c == 0xe2 && (unsigned char)at[1] == 0x80 &&
				 ((unsigned char)at[2] == 0xa8 || (unsigned char)at[2] == 0xa9);
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && !separator)
			continue;
		text_add(text, plain, (size_t)(at - plain));
		if (!c)
			break;
		if (c == '"' || c == '\\')
			text_add(text, (char[]){'\\', (char)c}, 2);
		else if (c == '\n')
			text_add(text, "\\n", 2);
		else if (separator)
			text_str(text, (unsigned char)at[2] == 0xa8 ? "\\u2028" : "\\u2029");
		else
			text_add(text, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
		at += separator ? 2 : 0;
		plain = at + 1;
	}

	text_char(text, '"');
}

/* Keys are our own constants and need no escaping. */
void text_add_key(struct text *text, const char *key, size_t length)
{
	char last = text->length ? text->bytes[text->length - 1] : '{';
	char *end = text_room(text, length + 4);
	if (last != '{' && last != '[')
		*end++ = ',';
	*end++ = '"';
	memcpy(end, key, length);
	end += length;
	memcpy(end, "\":", 3);
	text->length = (size_t)(end + 2 - text->bytes);
}

void text_json_bool(struct text *text, const char *key, bool value)
{
	text_json_key(text, key);
	text_str(text, value ? "true" : "false");
}

void text_json_seconds(struct text *text, const char *key, int64_t ms)
{
	text_json_key(text, key);
	text_seconds(text, ms);
}

void text_json_seconds_or_null(struct text *text, const char *key, int64_t ms)
{
	text_json_key(text, key);
	if (ms < 0)
		text_str(text, "null");
	else
		text_seconds(text, ms);
}

/* U+0080..9F, U+200B..200F, U+2028..202E, U+2060..2069, U+FEFF: invisible, or able to turn a line
 * round. `at` is at a lead byte of valid UTF-8; returns how many bytes to hide, or 0. */
static size_t log_hidden(const unsigned char *at)
{
	if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
		return 2;
	if (at[0] == 0xe2 && at[1] == 0x80 &&
	    ((at[2] >= 0x8b && at[2] <= 0x8f) || (at[2] >= 0xa8 && at[2] <= 0xae)))
		return 3;
	if (at[0] == 0xe2 && at[1] == 0x81 && at[2] >= 0xa0 && at[2] <= 0xa9)
		return 3;
	if (at[0] == 0xef && at[1] == 0xbb && at[2] == 0xbf)
		return 3;
	return 0;
}

void text_log_str(struct text *text, const char *key, const char *string)
{
	text_char(text, ' ');
	text_str(text, key);
	text_add(text, "=\"", 2);
	const unsigned char *at = (const unsigned char *)string;
	while (at && *at) {
		size_t hidden = log_hidden(at);
		if (hidden) {
			for (size_t i = 0; i < hidden; i++)
				text_format(text, "\\x%02x", at[i]);
			at += hidden;
			continue;
		}
		if (*at == '"' || *at == '\\')
			text_format(text, "\\%c", *at);
		else if (*at == '\n')
			text_str(text, "\\n");
		else if (*at < 0x20 || *at == 0x7f)
			text_format(text, "\\x%02x", *at);
		else
			text_char(text, (char)*at);
		at++;
	}

	text_char(text, '"');
}
