/* tree: a JSON text read into one flat array of values. What stands in it is borrowed from the
 * block that tree_read made. Whoever asks for what is not there, or of another kind, gets nothing:
 * NULL is taken for a value everywhere. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tree_kind {
	TREE_NO,
	TREE_FALSE,
	TREE_TRUE,
	TREE_WHOLE,
	TREE_PART,
	TREE_TEXT,
	TREE_ROW,
	TREE_MAP
};

struct json {
	enum tree_kind kind; /* TREE_NO: null; TREE_PART: a number with a fraction or an exponent */
	uint32_t count;      /* bytes of a text, values of a list or an object */
	uint32_t size;       /* so many values later stands the next one */
	uint32_t key_length;
	const char *key; /* in an object; ends with a NUL and has none before, as texts do */
	union {
		const char *text; /* ends with a NUL and has none before */
		int64_t whole;
		double part;
		uint64_t initials; /* TREE_MAP: of its keys, as tree_initial */
	};
};

/* Strict: UTF-8, no key twice, one value, no number that does not fit, no negative zero, no NUL,
 * at most LIMIT_JSON_DEPTH deep. The first value, to be freed with free(); or NULL with where it
 * went wrong and what was expected there, in words ("" where memory was out). */
struct json *tree_read(const char *bytes, size_t length, size_t *ret_at, const char **ret_words);

/* A bit for what a key begins with: most fields that are asked for are not there. */
static inline uint64_t tree_initial(const char *key)
{
	return UINT64_C(1) << (key[0] & 63);
}
const struct json *json_get(const struct json *object, const char *field);
const struct json *json_at(const struct json *list, size_t index);
static inline bool json_is(const struct json *value, enum tree_kind kind)
{
	return value && value->kind == kind;
}
/* How many values a list has; 0 for anything else. */
static inline size_t json_count(const struct json *list)
{
	return json_is(list, TREE_ROW) ? list->count : 0;
}
static inline const char *json_text(const struct json *value)
{
	return json_is(value, TREE_TEXT) ? value->text : NULL;
}
static inline int64_t json_whole(const struct json *value)
{
	return json_is(value, TREE_WHOLE) ? value->whole : 0;
}
static inline bool json_is_numeric(const struct json *value)
{
	return json_is(value, TREE_WHOLE) || json_is(value, TREE_PART);
}
static inline double json_number(const struct json *value)
{
	return json_is(value, TREE_PART) ? value->part : (double)json_whole(value);
}
