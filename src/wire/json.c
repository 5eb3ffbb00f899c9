/* json: bytes to one strict JSON object, and typed fields of it with errors in words. Parsing is
 * jansson's; what it would take or recurse into too far is refused by a scan before. Knows no
 * message. Called by lock.c, message.c, reply.c. */
#include "wire/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static int fail(struct parsed *parsed, int err,
						      const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(parsed->detail, sizeof(parsed->detail), format, args);
	va_end(args);
	return -err;
}

/* The byte after a string that begins at `at` (its quote), or `end`. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\' && at + 1 < end)
			at++;
	return at < end ? at + 1 : end;
}

/* -0, -0.0, -0e9: jansson would give 0 for the first, and nobody means it. */
static bool is_negative_zero(const char *at, const char *end)
{
	at++;
	if (at == end || *at != '0')
		return false;
	while (at < end && (*at == '0' || *at == '.'))
		at++;
	return at == end || !(*at >= '1' && *at <= '9');
}

/* Flat look at the whole text, no recursion: nesting and negative zeros (CASES.md C17, C18). */
static int scan(const char *bytes, size_t length, struct parsed *parsed)
{
	const char *end = bytes + length;
	unsigned depth = 0;
	for (const char *at = bytes; at < end;) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (*at == '[' || *at == '{')
			depth++;
		else if ((*at == ']' || *at == '}') && depth)
			depth--;
		if (depth > LIMIT_JSON_DEPTH)
			return fail(parsed, ERR_BAD_JSON,
				    "at byte %td: nested deeper than %d levels", at - bytes,
				    LIMIT_JSON_DEPTH);
		bool number = *at == '-' && (at == bytes || !strchr("eE", at[-1]));
		if (number && is_negative_zero(at, end))
			return fail(parsed, ERR_BAD_JSON, "at byte %td: -0 is no number here",
				    at - bytes);
		at++;
	}
	return 0;
}

/* jansson's texts quote the input near the fault; that part is dropped, a body is never echoed. */
static int parse_error(struct parsed *parsed, const json_error_t *error)
{
	size_t length = strlen(error->text);
	const char *near = strstr(error->text, " near ");
	if (near)
		length = (size_t)(near - error->text);
	return fail(parsed, ERR_BAD_JSON, "line %d, column %d: %.*s", error->line, error->column,
		    (int)length, error->text);
}

int json_parse(const char *bytes, size_t length, size_t bytes_max, struct parsed *ret_parsed)
{
	*ret_parsed = (struct parsed){0};
	if (length > bytes_max)
		return fail(ret_parsed, ERR_TOO_LARGE, "%zu bytes, at most %zu", length, bytes_max);
	if (!length)
		return fail(ret_parsed, ERR_BAD_JSON, "empty; one JSON object is expected");
	int err = scan(bytes, length, ret_parsed);
	if (err < 0)
		return err;
	json_error_t error;
	json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return parse_error(ret_parsed, &error);
	if (!json_is_object(root)) {
		json_decref(root);
		return fail(ret_parsed, ERR_BAD_JSON, "one JSON object is expected, not a list");
	}
	ret_parsed->root = root;
	return 0;
}

void parsed_finish(struct parsed *parsed)
{
	json_decref(parsed->root);
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
static const json_t *field_of(const json_t *object, const char *field)
{
	const json_t *value = json_object_get(object, field);
	return json_is_null(value) ? NULL : value;
}

static void set_present(bool *ret_present, const json_t *value)
{
	if (ret_present)
		*ret_present = value != NULL;
}

int json_u64(struct parsed *parsed, const json_t *object, const char *field, uint64_t min,
	     uint64_t max, uint64_t *ret, bool *ret_present)
{
	const json_t *value = field_of(object, field);
	set_present(ret_present, value);
	if (!value)
		return 0;
	json_int_t number = -1;
	if (json_is_integer(value)) {
		number = json_integer_value(value);
	} else if (json_is_real(value)) {
		/* 5.0 and 5e3 are whole numbers too; past 2^53 a double is not exact. */
		double real = json_real_value(value);
		if (real == floor(real) && fabs(real) <= 9007199254740992.0)
			number = (json_int_t)real;
	}
	if (number < 0 || (uint64_t)number < min || (uint64_t)number > max)
		return fail(parsed, ERR_BAD_FIELD,
			    "field `%s`: expected a whole number from %" PRIu64 " to %" PRIu64,
			    field, min, max);
	*ret = (uint64_t)number;
	return 0;
}

int json_seconds(struct parsed *parsed, const json_t *object, const char *field, int64_t max_s,
		 int64_t *ret_ms, bool *ret_present)
{
	const json_t *value = field_of(object, field);
	set_present(ret_present, value);
	if (!value)
		return 0;
	double seconds = json_is_number(value) ? json_number_value(value) : -1;
	if (!(seconds >= 0 && seconds <= (double)max_s))
		return fail(parsed, ERR_BAD_FIELD,
			    "field `%s`: expected a number of seconds from 0 to %" PRId64, field,
			    max_s);
	*ret_ms = (int64_t)llround(seconds * 1000);
	return 0;
}

int json_ms(struct parsed *parsed, const json_t *object, const char *field, int64_t max_ms,
	    int64_t *ret_ms)
{
	uint64_t value = (uint64_t)*ret_ms;
	int err = json_u64(parsed, object, field, 0, (uint64_t)max_ms, &value, NULL);
	if (err < 0)
		return err;
	*ret_ms = (int64_t)value;
	return 0;
}

int json_bool(struct parsed *parsed, const json_t *object, const char *field, bool *ret)
{
	const json_t *value = field_of(object, field);
	if (!value)
		return 0;
	if (!json_is_boolean(value))
		return json_refuse(parsed, field, "expected true or false");
	*ret = json_is_true(value);
	return 0;
}

int json_name(struct parsed *parsed, const json_t *object, const char *field, size_t max_bytes,
	      const char **ret)
{
	const json_t *value = field_of(object, field);
	if (!value)
		return 0;
	const char *problem = "must be text";
	if (json_is_string(value))
		problem = name_problem(json_string_value(value), json_string_length(value),
				       max_bytes);
	if (problem)
		return fail(parsed, ERR_BAD_FIELD,
			    "field `%s`: %s; expected 1 to %zu printable bytes", field, problem,
			    max_bytes);
	*ret = json_string_value(value);
	return 0;
}

int json_token(struct parsed *parsed, const json_t *object, const char *field, bool *ret_present)
{
	const json_t *value = field_of(object, field);
	set_present(ret_present, value);
	if (!value)
		return 0;
	if (!json_is_string(value) ||
	    !token_from_hex(json_string_value(value), json_string_length(value), &parsed->token))
		return json_refuse(parsed, field, "expected 32 hex digits");
	return 0;
}
