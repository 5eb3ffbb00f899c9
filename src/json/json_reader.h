/* tree: a JSON text read into one flat array of values. What stands in it is borrowed from the
 * block that json_read made. Whoever asks for what is not there, or of another kind, gets nothing:
 * NULL is taken for a value everywhere. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_FALSE,
	JSON_KIND_TRUE,
	JSON_KIND_INTEGER,
	JSON_KIND_DOUBLE,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT
};

struct json {
	enum json_kind kind; /* JSON_KIND_NULL: null; JSON_KIND_DOUBLE: a number with a fraction or
				an exponent */
	uint32_t count;      /* bytes of a text, values of a list or an object */
	uint32_t size;       /* so many values later stands the next one */
	uint32_t key_length;
	const char *key; /* in an object; ends with a NUL and has none before, as texts do */
	union {
		const char *text; /* ends with a NUL and has none before */
		int64_t whole;
		double part;
		uint64_t initials; /* JSON_KIND_OBJECT: of its keys, as json_initial */
	};
};

/* Strict: UTF-8, no key twice, one value, no number that does not fit, no negative zero, no NUL,
 * at most LIMIT_JSON_DEPTH deep. The first value, to be freed with free(); or NULL with where it
 * went wrong and what was expected there, in words ("" where memory was out). */
struct json *json_read(const char *bytes, size_t length, size_t *ret_at, const char **ret_words);

const struct json *json_at(const struct json *list, size_t index);
static inline bool json_is(const struct json *value, enum json_kind kind)
{
	return value && value->kind == kind;
}
/* A bit for how a key begins: most fields that are asked for are not there. */
static inline uint64_t json_initial(const char *key)
{
	return UINT64_C(1) << ((key[0] ? key[0] ^ key[1] * 8 : 0) & 63);
}
static inline bool json_may_have(const struct json *object, const char *field)
{
	return json_is(object, JSON_KIND_OBJECT) && object->initials & json_initial(field);
}
const struct json *json_find(const struct json *object, const char *field);
static inline const struct json *json_get(const struct json *object, const char *field)
{
	return json_may_have(object, field) ? json_find(object, field) : NULL;
}
/* How many values a list has; 0 for anything else. */
static inline size_t json_count(const struct json *list)
{
	return json_is(list, JSON_KIND_ARRAY) ? list->count : 0;
}
static inline const char *json_text(const struct json *value)
{
	return json_is(value, JSON_KIND_STRING) ? value->text : NULL;
}
static inline int64_t json_whole(const struct json *value)
{
	return json_is(value, JSON_KIND_INTEGER) ? value->whole : 0;
}
static inline bool json_is_numeric(const struct json *value)
{
	return json_is(value, JSON_KIND_INTEGER) || json_is(value, JSON_KIND_DOUBLE);
}
static inline double json_number(const struct json *value)
{
	return json_is(value, JSON_KIND_DOUBLE) ? value->part : (double)json_whole(value);
}
