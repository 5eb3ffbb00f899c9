/* mcp_args: types and limits of a tool's arguments. The words are for a model, which tries again.
 */
#include "cli/mcp/mcp_args.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/units.h"

enum { SECONDS_MAX = 365 * 24 * 3600 };

__attribute__((format(printf, 2, 3))) static void note_problem(struct mcp_args *args,
							       const char *format, ...)
{
	va_list list;

	if (args->problem[0])
		return;
	va_start(list, format);
	vsnprintf(args->problem, sizeof(args->problem), format, list);
	va_end(list);
}

static bool is_known(const char *const *known, const char *name)
{
	for (; *known; known++)
		if (strcmp(*known, name) == 0)
			return true;
	return false;
}

void mcp_args_begin(struct mcp_args *args, const json_t *object, const char *const *known)
{
	const char *name;
	json_t *value;

	*args = (struct mcp_args){.object = object};
	json_object_foreach ((json_t *)object, name, value)
		if (!is_known(known, name))
			note_problem(args, "there is no argument `%.60s`", name);
}

static const json_t *value_of(const struct mcp_args *args, const char *name)
{
	const json_t *value = json_object_get(args->object, name);
	return json_is_null(value) ? NULL : value;
}

void mcp_args_text(struct mcp_args *args, const char *name, const char **ret)
{
	const json_t *value = value_of(args, name);
	const char *text = json_string_value(value);

	if (value && (!text || !*text || strlen(text) != json_string_length(value)))
		note_problem(args, "`%s` is a text", name);
	else if (value)
		*ret = text;
}

void mcp_args_choice(struct mcp_args *args, const char *name, const char *const *choices,
		     const char **ret)
{
	const char *text = NULL;

	mcp_args_text(args, name, &text);
	if (text && !is_known(choices, text))
		note_problem(args, "`%s` cannot be \"%.40s\"", name, text);
	else if (text)
		*ret = text;
}

void mcp_args_size(struct mcp_args *args, const char *name, uint64_t *ret_bytes)
{
	const char *text = NULL;

	mcp_args_text(args, name, &text);
	if (text && !units_parse_size(text, ret_bytes))
		note_problem(args, "`%s` is a size such as \"8G\" or \"512M\", not \"%.40s\"", name,
			     text);
}

void mcp_args_seconds(struct mcp_args *args, const char *name, int64_t *ret_ms)
{
	const json_t *value = value_of(args, name);
	double seconds = json_number_value(value);

	if (value && (!json_is_number(value) || !(seconds >= 0) || seconds > SECONDS_MAX))
		note_problem(args, "`%s` is a number of seconds, 0 to %d", name, SECONDS_MAX);
	else if (value)
		*ret_ms = (int64_t)llround(seconds * 1000);
}

void mcp_args_number(struct mcp_args *args, const char *name, uint64_t min, uint64_t max,
		     uint64_t *ret)
{
	const json_t *value = value_of(args, name);
	json_int_t number = json_integer_value(value);

	if (value && (!json_is_integer(value) || number < 0 || (uint64_t)number < min ||
		      (uint64_t)number > max))
		note_problem(args, "`%s` is a whole number, %" PRIu64 " to %" PRIu64, name, min,
			     max);
	else if (value)
		*ret = (uint64_t)number;
}

bool mcp_args_end(struct mcp_args *args, const char *required)
{
	if (required && !value_of(args, required))
		note_problem(args, "`%s` is required", required);
	return args->problem[0] == '\0';
}
