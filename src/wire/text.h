/* text: a growing buffer of bytes and the JSON, log and header writers that add to it. The owner
 * clears it and uses it again, so a busy loop allocates nothing. Out of memory aborts. Strings
 * given are borrowed for the call and must be UTF-8 (what came in was checked by json.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	char *bytes; /* NUL-terminated after length once anything was added; NULL before */
	size_t length, capacity;
};

void text_init(struct text *text);
void text_clear(struct text *text); /* keeps the memory */
void text_finish(struct text *text);
/* A local text that finishes itself: `cleanup_text struct text body = {0};`. */
#define cleanup_text __attribute__((cleanup(text_finish)))

void text_add(struct text *text, const char *bytes, size_t length);
static inline void text_str(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}
void text_char(struct text *text, char c);
void text_u64(struct text *text, uint64_t value);
void text_i64(struct text *text, int64_t value);
/* Seconds with three decimals at most, from milliseconds: 1500 -> 1.5, 2000 -> 2. */
void text_seconds(struct text *text, int64_t ms);
__attribute__((format(printf, 2, 3))) void text_format(struct text *text, const char *format, ...);

/* JSON. A comma goes before a key or an item unless the byte before is `{` or `[`. */
void text_add_key(struct text *text, const char *key, size_t length);
static inline void text_json_key(struct text *text, const char *key)
{
	text_add_key(text, key, strlen(key)); /* nearly always known when it is compiled */
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

/* One `key="value"` of a log line after a blank; control bytes, quotes, backslashes and bidi marks
 * are escaped, so a value never ends its line (CASES.md C39). */
void text_log_str(struct text *text, const char *key, const char *string);
