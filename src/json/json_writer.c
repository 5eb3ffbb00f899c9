/* json_writer: JSON as it is written, byte behind byte into a text. It keeps no state of its own:
 * where a comma belongs is read off the last byte. */
#include "json/json_writer.h"

void text_json_item(struct text *text)
{
	char last = text->length ? text->bytes[text->length - 1] : '{';
	if (last != '{' && last != '[')
		text_char(text, ',');
}

/* May have to be escaped: quotes, backslash, controls, DEL, and what begins a line separator. */
static bool is_plain(unsigned char c)
{
	static const bool others[256] = {
		1,         1,          1,          1,          1, 1, 1, 1,
		1,         1,          1,          1,          1, 1, 1, 1, /* up to 0x0f */
		1,         1,          1,          1,          1, 1, 1, 1,
		1,         1,          1,          1,          1, 1, 1, 1, /* up to 0x1f */
		['"'] = 1, ['\\'] = 1, [0x7f] = 1, [0xe2] = 1,
	};
	return !others[c];
}

/* One byte, or a line separator of three; returns how many. */
static size_t add_escape(struct text *text, const char *at, bool separator)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char c = (unsigned char)*at;

	if (separator)
		text_str(text, (unsigned char)at[2] == 0xa8 ? "\\u2028" : "\\u2029");
	else if (c == '"' || c == '\\')
		text_add(text, (char[]){'\\', (char)c}, 2);
	else if (c == '\n')
		text_add(text, "\\n", 2);
	else
		text_add(text, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
	return separator ? 3 : 1;
}

/* As it is, between quotes, at once: nearly all that is written. False: something must be escaped.
 */
static bool add_plain(struct text *text, const char *string)
{
	size_t length = 0;
	while (is_plain((unsigned char)string[length]))
		length++;
	if (string[length])
		return false;

	char *end = text_reserve(text, length + 2);
	end[0] = '"';
	memcpy(end + 1, string, length);
	memcpy(end + 1 + length, "\"", 2);
	text->length += length + 2;
	return true;
}

/* Only what JSON demands: quotes, backslash, controls; and DEL and the line separators, so that a
 * message stays one line for every reader. */
void text_json_string(struct text *text, const char *string)
{
	if (!string) {
		text_str(text, "null");
		return;
	}
	if (add_plain(text, string))
		return;

	text_char(text, '"');
	for (const char *plain = string, *at = string;;) {
		while (is_plain((unsigned char)*at))
			at++;
		unsigned char c = (unsigned char)*at;
		bool separator = c == 0xe2 && (unsigned char)at[1] == 0x80 &&
				 ((unsigned char)at[2] == 0xa8 || (unsigned char)at[2] == 0xa9);
		if (c == 0xe2 && !separator) {
			at++;
			continue;
		}

		text_add(text, plain, (size_t)(at - plain));
		if (!c)
			break;
		at += add_escape(text, at, separator);
		plain = at;
	}
	text_char(text, '"');
}

void text_json_key_of(struct text *text, const char *key, size_t length)
{
	char last = text->length ? text->bytes[text->length - 1] : '{';
	char *end = text_reserve(text, length + 4);
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
