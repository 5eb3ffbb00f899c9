/* json_reader: see json_reader.h. Why not a library: a message is read for each step of a lease,
 * and one that makes a hash table of every object took a fifth of a lock cycle; this makes one
 * block of memory. It reads in one pass; the depth is bounded, so it may recurse. */
#include "json/json_reader.h"

#include <assert.h>
#include <endian.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/token.h"
#include "base/utf8.h"

static const char too_many[] = "more values than a message has";

enum {
	FEW_VALUES =
		16,    /* a usual message has; so its block is one of the allocator's small ones */
	FEW_KEYS = 16, /* so many are compared each with each */
};

static_assert(LIMIT_JSON_DEPTH == 16, "the words say so");

struct reading {
	const char *at, *end;
	struct json *values;
	uint32_t count, count_max;
	char *copy;        /* of the texts, each with its NUL */
	const char *words; /* why it ended */
};

static bool set_problem(struct reading *r, const char *words)
{
	r->words = words;
	return false;
}

static inline __attribute__((always_inline)) void skip_blanks(struct reading *r)
{
	while (r->at < r->end && (unsigned char)*r->at <= ' ' &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
		r->at++;
}

/* Four hex digits of an escape, or -1. */
static int32_t read_hex(struct reading *r)
{
	int32_t code = 0;
	if (r->end - r->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = token_hex_digit(*r->at++);
		if (digit < 0)
			return -1;
		code = code << 4 | digit;
	}
	return code;
}

static void put_utf8(struct reading *r, uint32_t code)
{
	if (code < 0x80) {
		*r->copy++ = (char)code;
		return;
	}
	int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
	*r->copy++ = (char)(lead[more] | code >> (6 * more));
	while (more-- > 0)
		*r->copy++ = (char)(0x80 | ((code >> (6 * more)) & 0x3f));
}

static bool read_unicode(struct reading *r)
{
	int32_t code = read_hex(r), low = 0;
	if (code < 0)
		return set_problem(r, "an escape needs four hex digits");
	if (code == 0)
		return set_problem(r, "a text must not hold NUL");
	if (code >= 0xdc00 && code <= 0xdfff)
		return set_problem(r, "half of a surrogate pair");

	if (code >= 0xd800 && code <= 0xdbff) {
		if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
			return set_problem(r, "half of a surrogate pair");
		r->at += 2;
		low = read_hex(r);
		if (low < 0xdc00 || low > 0xdfff)
			return set_problem(r, "half of a surrogate pair");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}

	put_utf8(r, (uint32_t)code);
	return true;
}

static bool read_escape(struct reading *r)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *known = r->at < r->end && *r->at ? strchr(from, *r->at) : NULL;
	if (known) {
		*r->copy++ = to[known - from];
		r->at++;
		return true;
	}
	if (r->at == r->end || *r->at != 'u')
		return set_problem(r, "no such escape");
	r->at++;
	return read_unicode(r);
}

/* ASCII but for controls, quotes and backslashes. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* How many bytes of the word are plain before one that is not. Each term has the high bit of the
 * first such byte; behind that one a borrow may set others. */
static size_t count_plain(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
	uint64_t other =
		((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (word - ones * 0x20) | word;

	other &= high;
	return other ? (size_t)__builtin_ctzll(other) / 8 : sizeof(word);
}

/* A word at a time; the copy never stands further than what is read, so a whole word fits. */
static void copy_plain(struct reading *r)
{
	const char *at = r->at;
	char *copy = r->copy;
	size_t plain = sizeof(uint64_t);

	while (plain == sizeof(uint64_t) && (size_t)(r->end - at) >= sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, at, sizeof(word));
		memcpy(copy, &word, sizeof(word));
		plain = count_plain(le64toh(word));
		at += plain;
		copy += plain;
	}
	while (plain == sizeof(uint64_t) && at < r->end && is_plain((unsigned char)*at))
		*copy++ = *at++;

	r->at = at;
	r->copy = copy;
}

/* From its first quote to behind its last. */
static bool read_text(struct reading *r, const char **ret_text, uint32_t *ret_length)
{
	char *begin = r->copy;

	for (r->at++;; r->at++) {
		copy_plain(r);
		if (r->at == r->end)
			return set_problem(r, "a text has no end");
		unsigned char c = (unsigned char)*r->at;
		if (c == '"')
			break;
		if (c < 0x20)
			return set_problem(r, "a control character in a text");
		if (c == '\\') {
			r->at++;
			if (!read_escape(r))
				return false;
			r->at--;
			continue;
		}
		uint32_t code;
		size_t bytes = utf8_code_point((const unsigned char *)r->at,
					       (size_t)(r->end - r->at), &code);
		if (!bytes)
			return set_problem(r, "a text is not valid UTF-8");
		memcpy(r->copy, r->at, bytes);
		r->copy += bytes;
		r->at += bytes - 1;
	}

	r->at++;
	*ret_text = begin;
	*ret_length = (uint32_t)(r->copy - begin);
	*r->copy++ = '\0';
	return true;
}

static bool is_digit(const struct reading *r)
{
	return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool skip_digits(struct reading *r)
{
	if (!is_digit(r))
		return set_problem(r, "a digit is missing");
	while (is_digit(r))
		r->at++;
	return true;
}

/* strtod wants the decimal point of the locale, and a NUL. */
static bool read_part(struct reading *r, const char *begin, struct json *value)
{
	char *number = r->copy, *point;
	size_t length = (size_t)(r->at - begin);
	memcpy(number, begin, length);
	number[length] = '\0';
	point = memchr(number, '.', length);
	if (point)
		*point = *localeconv()->decimal_point;
	value->kind = JSON_KIND_DOUBLE;
	value->part = strtod(number, NULL);
	return isfinite(value->part) ? true : set_problem(r, "a number is too large");
}

static bool read_whole(struct reading *r, const char *begin, struct json *value)
{
	bool negative = *begin == '-';
	int64_t whole = 0;
	for (const char *at = begin + negative; at < r->at; at++) {
		int digit = negative ? -(*at - '0') : *at - '0';
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, digit, &whole))
			return set_problem(r, "a number is too large");
	}
	value->kind = JSON_KIND_INTEGER;
	value->whole = whole;
	return true;
}

/* Nobody means -0, -0.0 or -0e9. */
static bool is_negative_zero(const char *begin, const char *end)
{
	if (*begin++ != '-')
		return false;
	while (begin < end && (*begin == '0' || *begin == '.'))
		begin++;
	return begin == end || *begin == 'e' || *begin == 'E';
}

static bool read_number(struct reading *r, struct json *value)
{
	const char *begin = r->at;
	bool whole = true;

	r->at += *r->at == '-';
	if (r->end - r->at > 1 && r->at[0] == '0' && r->at[1] >= '0' && r->at[1] <= '9')
		return set_problem(r, "a number must not begin with 0");

	if (!skip_digits(r))
		return false;
	if (r->at < r->end && *r->at == '.') {
		whole = false;
		r->at++;
		if (!skip_digits(r))
			return false;
	}

	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
		whole = false;
		r->at++;
		r->at += r->at < r->end && (*r->at == '+' || *r->at == '-');
		if (!skip_digits(r))
			return false;
	}

	if (is_negative_zero(begin, r->at)) {
		r->at = begin;
		return set_problem(r, "-0 is no number here");
	}

	return whole ? read_whole(r, begin, value) : read_part(r, begin, value);
}

static bool read_word(struct reading *r, struct json *value)
{
	static const struct {
		const char *word;
		size_t length;
		enum json_kind kind;
	} rows[] = {{"true", 4, JSON_KIND_TRUE},
		    {"false", 5, JSON_KIND_FALSE},
		    {"null", 4, JSON_KIND_NULL}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if ((size_t)(r->end - r->at) >= rows[i].length &&
		    memcmp(r->at, rows[i].word, rows[i].length) == 0) {
			value->kind = rows[i].kind;
			r->at += rows[i].length;
			return true;
		}
	return set_problem(r, "a value is expected");
}

static bool same_key(const struct json *a, const struct json *b)
{
	return a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0;
}

static int by_key(const void *a, const void *b)
{
	const struct json *const *x = a, *const *y = b;
	if ((*x)->key_length != (*y)->key_length)
		return (*x)->key_length < (*y)->key_length ? -1 : 1;
	return memcmp((*x)->key, (*y)->key, (*x)->key_length);
}

static const struct json *next_of(const struct json *value)
{
	return value + value->size;
}

static bool keys_differ_of_many(struct reading *r, const struct json *object)
{
	const struct json **sorted = malloc(object->count * sizeof(*sorted)), *it = object + 1;
	bool differ = true;
	if (!sorted)
		return set_problem(r, "");
	for (uint32_t i = 0; i < object->count; i++, it = next_of(it))
		sorted[i] = it;
	qsort(sorted, object->count, sizeof(*sorted), by_key);
	for (uint32_t i = 1; i < object->count && differ; i++)
		differ = !same_key(sorted[i - 1], sorted[i]);
	free(sorted);
	return differ ? true : set_problem(r, "a key stands twice");
}

static bool keys_differ(struct reading *r, const struct json *object)
{
	if (object->count > FEW_KEYS)
		return keys_differ_of_many(r, object);
	const struct json *a = object + 1;
	for (uint32_t i = 0; i < object->count; i++, a = next_of(a)) {
		const struct json *b = next_of(a);
		for (uint32_t k = i + 1; k < object->count; k++, b = next_of(b))
			if (same_key(a, b))
				return set_problem(r, "a key stands twice");
	}
	return true;
}

static bool read_key(struct reading *r, struct json *value)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != '"')
		return set_problem(r, "a key in quotes is expected");
	if (!read_text(r, &value->key, &value->key_length))
		return false;
	skip_blanks(r);
	if (r->at == r->end || *r->at != ':')
		return set_problem(r, "':' is expected");
	r->at++;
	return true;
}

static bool read_value(struct reading *r, struct json *value, unsigned depth);

/* A list, or an object. */
static bool read_values(struct reading *r, struct json *parent, unsigned depth)
{
	bool map = *r->at == '{';
	char end = map ? '}' : ']';

	if (depth > LIMIT_JSON_DEPTH)
		return set_problem(r, "nested deeper than 16 levels");
	parent->kind = map ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
	parent->count = 0;
	parent->initials = 0;
	r->at++;
	skip_blanks(r);
	if (r->at < r->end && *r->at == end) {
		r->at++;
		return true;
	}

	for (;;) {
		struct json *value = &r->values[r->count];
		if (r->count++ == r->count_max)
			return set_problem(r, too_many);
		if (map) {
			if (!read_key(r, value))
				return false;
			parent->initials |= json_initial(value->key);
		}
		if (!read_value(r, value, depth))
			return false;
		parent->count++;
		skip_blanks(r);
		if (r->at == r->end || (*r->at != ',' && *r->at != end))
			return set_problem(r, map ? "',' or '}' is expected"
						  : "',' or ']' is expected");
		if (*r->at++ == end)
			return map ? keys_differ(r, parent) : true;
	}
}

static bool read_value(struct reading *r, struct json *value, unsigned depth)
{
	uint32_t at = r->count - 1;
	bool ok;

	skip_blanks(r);
	if (r->at == r->end)
		return set_problem(r, "a value is expected");

	switch (*r->at) {
	case '"':
		value->kind = JSON_KIND_STRING;
		ok = read_text(r, &value->text, &value->count);
		break;
	case '{':
	case '[':
		ok = read_values(r, value, depth + 1);
		break;
	default:
		ok = *r->at == '-' || is_digit(r) ? read_number(r, value) : read_word(r, value);
	}

	value->size = r->count - at;
	return ok;
}

/* No text has more: each but the first stands behind one of these. */
static size_t values_of(const char *bytes, size_t length)
{
	size_t count = 1;
	for (size_t i = 0; i < length; i++)
		count += bytes[i] == ',' || bytes[i] == '[' || bytes[i] == '{';
	return count;
}

static struct json *read_with(const char *bytes, size_t length, size_t count_max, size_t *ret_at,
			      const char **ret_words)
{
	size_t values = count_max * sizeof(struct json);
	struct json *block = malloc(values + length + 2);
	struct reading r = {.at = bytes,
			    .end = bytes + length,
			    .values = block,
			    .count = 1,
			    .count_max = (uint32_t)count_max,
			    .copy = (char *)block + values};

	*ret_at = 0;
	*ret_words = "";
	if (!block)
		return NULL;

	bool ok = read_value(&r, &block[0], 0);
	if (ok) {
		skip_blanks(&r);
		ok = r.at == r.end ? true : set_problem(&r, "the end is expected");
	}

	if (ok)
		return block;
	free(block);
	*ret_at = (size_t)(r.at - bytes);
	*ret_words = r.words;
	return NULL;
}

struct json *json_read(const char *bytes, size_t length, size_t *ret_at, const char **ret_words)
{
	struct json *values = read_with(bytes, length, FEW_VALUES, ret_at, ret_words);
	if (values || *ret_words != too_many)
		return values;
	return read_with(bytes, length, values_of(bytes, length), ret_at, ret_words);
}

const struct json *json_find(const struct json *object, const char *field)
{
	const struct json *value = object + 1;
	for (uint32_t i = 0; i < object->count; i++, value = next_of(value))
		if (value->key[0] == field[0] && strcmp(value->key, field) == 0)
			return value;
	return NULL;
}

const struct json *json_at(const struct json *list, size_t index)
{
	if (index >= json_count(list))
		return NULL;
	const struct json *value = list + 1;
	while (index-- > 0)
		value = next_of(value);
	return value;
}
