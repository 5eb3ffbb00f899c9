/* json_fields: see json_fields.h. Knows no message, and how a text is read is json_reader.c's. */
#include "wire/json_fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "json/json_reader.h"
#include "wire/display_name.h"

__attribute__((format(printf, 3, 4))) static int fail(struct parsed *parsed, int err,
						      const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(parsed->detail, sizeof(parsed->detail), format, args);
	va_end(args);
	return -err;
}

/* Where in the text, in words; a body is never echoed. */
static int bad_text(struct parsed *parsed, const char *bytes, size_t at, const char *words)
{
	int line = 1, column = 1;
	if (!words[0])
		return fail(parsed, ERR_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < at; i++) {
		column = bytes[i] == '\n' ? 1 : column + 1;
		line += bytes[i] == '\n';
	}
	return fail(parsed, ERR_BAD_JSON, "line %d, column %d: %s", line, column, words);
}

int json_parse(const char *bytes, size_t length, size_t bytes_max, struct parsed *ret_parsed)
{
	const char *words;
	size_t at;

	ret_parsed->root = NULL;
	ret_parsed->detail[0] = '\0';
	if (length > bytes_max)
		return fail(ret_parsed, ERR_TOO_LARGE, "%zu bytes, at most %zu", length, bytes_max);

	if (!length)
		return fail(ret_parsed, ERR_BAD_JSON, "empty; one JSON object is expected");
	struct json *root = json_read(bytes, length, &at, &words);
	if (!root)
		return bad_text(ret_parsed, bytes, at, words);

	if (!json_is(root, JSON_KIND_OBJECT)) {
		free(root);
		return fail(ret_parsed, ERR_BAD_JSON, "one JSON object is expected, not a list");
	}

	ret_parsed->root = root;
	return 0;
}

void parsed_finish(struct parsed *parsed)
{
	free(parsed->root);
	parsed->root = NULL;
}

int json_refuse(struct parsed *parsed, const char *field, const char *words)
{
	return fail(parsed, ERR_BAD_FIELD, "field `%s`: %s", field, words);
}

int json_missing(struct parsed *parsed, const char *field)
{
	return json_refuse(parsed, field, "required");
}

/* NULL: absent, or null. */
static const struct json *field_of(const struct json *object, const char *field)
{
	const struct json *value = json_get(object, field);
	return json_is(value, JSON_KIND_NULL) ? NULL : value;
}

static void set_present(bool *ret_present, const struct json *value)
{
	if (ret_present)
		*ret_present = value != NULL;
}

int json_read_u64(struct parsed *parsed, const struct json *object, const char *field, uint64_t min,
		  uint64_t max, uint64_t *ret, bool *ret_present)
{
	const struct json *value = field_of(object, field);

	set_present(ret_present, value);
	if (!value)
		return 0;

	int64_t number = -1;
	if (json_is(value, JSON_KIND_INTEGER)) {
		number = json_whole(value);
	} else if (json_is(value, JSON_KIND_DOUBLE)) {
		/* 5.0 and 5e3 are whole numbers too; past 2^53 a double is not exact. */
		double real = json_number(value);
		if (real == floor(real) && fabs(real) <= 9007199254740992.0)
			number = (int64_t)real;
	}

	if (number < 0 || (uint64_t)number < min || (uint64_t)number > max)
		return fail(parsed, ERR_BAD_FIELD,
			    "field `%s`: expected a whole number from %" PRIu64 " to %" PRIu64,
			    field, min, max);

	*ret = (uint64_t)number;
	return 0;
}

int json_seconds(struct parsed *parsed, const struct json *object, const char *field, int64_t max_s,
		 int64_t *ret_ms, bool *ret_present)
{
	const struct json *value = field_of(object, field);
	set_present(ret_present, value);
	if (!value)
		return 0;
	double seconds = json_is_numeric(value) ? json_number(value) : -1;
	if (!(seconds >= 0 && seconds <= (double)max_s))
		return fail(parsed, ERR_BAD_FIELD,
			    "field `%s`: expected a number of seconds from 0 to %" PRId64, field,
			    max_s);
	*ret_ms = (int64_t)llround(seconds * 1000);
	return 0;
}

int json_ms(struct parsed *parsed, const struct json *object, const char *field, int64_t max_ms,
	    int64_t *ret_ms)
{
	uint64_t value = (uint64_t)*ret_ms;
	int err = json_u64(parsed, object, field, 0, (uint64_t)max_ms, &value, NULL);
	if (err < 0)
		return err;
	*ret_ms = (int64_t)value;
	return 0;
}

int json_read_bool(struct parsed *parsed, const struct json *object, const char *field, bool *ret)
{
	const struct json *value = field_of(object, field);
	if (!value)
		return 0;
	if (!json_is(value, JSON_KIND_TRUE) && !json_is(value, JSON_KIND_FALSE))
		return json_refuse(parsed, field, "expected true or false");
	*ret = json_is(value, JSON_KIND_TRUE);
	return 0;
}

int json_name(struct parsed *parsed, const struct json *object, const char *field, size_t max_bytes,
	      const char **ret)
{
	const struct json *value = field_of(object, field);
	if (!value)
		return 0;
	const char *problem = "must be text";
	if (json_is(value, JSON_KIND_STRING))
		problem = display_name_problem(value->text, value->count, max_bytes);
	if (problem)
		return fail(parsed, ERR_BAD_FIELD,
			    "field `%s`: %s; expected 1 to %zu printable bytes", field, problem,
			    max_bytes);
	*ret = value->text;
	return 0;
}

int json_session(struct parsed *parsed, const struct json *object, const char *field,
		 bool *ret_present)
{
	const char *text = NULL;
	int err = json_name(parsed, object, field, LIMIT_LABEL_BYTES, &text);
	*ret_present = text != NULL;
	if (err < 0 || !text)
		return err;

	size_t digits = strspn(text, "0123456789");
	const char *hex = text + digits + 1;
	if (!digits || digits > 20 || text[digits] != '-' ||
	    !token_from_hex(hex, strlen(hex), &parsed->token))
		return json_refuse(parsed, field, "expected the session text of a welcome");
	return 0;
}

int json_token(struct parsed *parsed, const struct json *object, const char *field,
	       bool *ret_present)
{
	const struct json *value = field_of(object, field);
	set_present(ret_present, value);
	if (!value)
		return 0;
	if (!json_is(value, JSON_KIND_STRING) ||
	    !token_from_hex(value->text, value->count, &parsed->token))
		return json_refuse(parsed, field, "expected 32 hex digits");
	return 0;
}
