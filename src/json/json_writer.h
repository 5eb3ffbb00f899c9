/* json_writer: adds JSON to a text. Braces and brackets are the caller's (text_char, text_str); a
 * comma goes before a key or an item unless the byte before it is `{` or `[`. Keys are constants
 * that need no escape; strings are UTF-8 (what came in was checked by json_reader.h) and escaped so
 * that the whole stays on one line for every reader. */
#pragma once
#include "base/text.h"

void text_json_key_of(struct text *text, const char *key, size_t length);
static inline void text_json_key(struct text *text, const char *key)
{
	text_json_key_of(text, key, strlen(key)); /* nearly always known when it is compiled */
}
void text_json_item(struct text *text);
void text_json_string(struct text *text, const char *string); /* NULL writes null */
/* `"key":value` in one. */
static inline void text_json_str(struct text *text, const char *key, const char *string)
{
	text_json_key(text, key);
	text_json_string(text, string);
}
static inline void text_json_u64(struct text *text, const char *key, uint64_t value)
{
	text_json_key(text, key);
	text_u64(text, value);
}
static inline void text_json_i64(struct text *text, const char *key, int64_t value)
{
	text_json_key(text, key);
	text_i64(text, value);
}
void text_json_bool(struct text *text, const char *key, bool value);
void text_json_seconds(struct text *text, const char *key, int64_t ms);
void text_json_seconds_or_null(struct text *text, const char *key, int64_t ms); /* <0: null */
