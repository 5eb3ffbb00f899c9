/* text: the growing buffer behind everything that Baton writes for others, with JSON and log
 * escapes. It does not know what it writes. Called by all of wire, the server and the client. */
#include "base/text.h"

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

void text_grow(struct text *text, size_t length)
{
	assert(length < SIZE_MAX / 4);
	size_t wanted = text->length + length + 1;
	size_t capacity = text->capacity ? text->capacity : TEXT_BYTES_MIN;

	while (capacity < wanted)
		capacity *= 2;
	char *bytes = realloc(text->bytes, capacity);
	if (!bytes)
		abort();
	text->bytes = bytes;
	text->capacity = capacity;
}

void text_add(struct text *text, const char *bytes, size_t length)
{
	char *end = text_reserve(text, length);
	if (length)
		memcpy(end, bytes, length);
	end[length] = '\0';
	text->length += length;
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
	char *end = text_reserve(text, room);
	va_start(args, format);
	va_copy(again, args);
	int length = vsnprintf(end, room, format, args);
	va_end(args);
	assert(length >= 0);
	if ((size_t)length >= room) {
		end = text_reserve(text, (size_t)length);
		vsnprintf(end, (size_t)length + 1, format, again);
	}
	va_end(again);
	text->length += (size_t)length;
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

char *text_dup(const char *string)
{
	char *copy = string ? strdup(string) : NULL;

	if (string && !copy)
		abort();
	return copy;
}
