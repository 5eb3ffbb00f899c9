/* text: a growing buffer of bytes, and what writes words and numbers into it (JSON: json_writer.h).
 * The owner clears it and uses it again, so a busy loop allocates nothing. Aborts when out of
 * memory. Strings are borrowed for the call and must be UTF-8. */
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

/* Room for `length` more bytes and the NUL; whoever fills it raises text->length. */
void text_grow(struct text *text, size_t length);
static inline char *text_reserve(struct text *text, size_t length)
{
	if (length >= text->capacity - text->length)
		text_grow(text, length);
	return text->bytes + text->length;
}
void text_add(struct text *text, const char *bytes, size_t length);
static inline void text_str(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}
static inline void text_char(struct text *text, char c)
{
	char *end = text_reserve(text, 1);
	end[0] = c;
	end[1] = '\0';
	text->length++;
}
void text_u64(struct text *text, uint64_t value);
void text_i64(struct text *text, int64_t value);
/* Seconds with three decimals at most, from milliseconds: 1500 -> 1.5, 2000 -> 2. */
void text_seconds(struct text *text, int64_t ms);
__attribute__((format(printf, 2, 3))) void text_format(struct text *text, const char *format, ...);

/* The caller's to free; NULL of NULL. Aborts on allocation failure. */
char *text_dup(const char *string);

/* One `key="value"` of a log line after a blank; control bytes, quotes, backslashes and bidi marks
 * are escaped, so a value never ends its line (CASES.md C39). */
void text_log_str(struct text *text, const char *key, const char *string);
