/* field: see field.h. Knows no particular fields. */
#include "http/field.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/fault.h"
#include "http/syntax.h"

enum { LENGTH_DIGITS_MAX = 18 }; /* fits 63 bits */

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

bool http_field_split(const char *line, size_t length, struct http_field *ret_field,
		      struct http_fault *ret_fault)
{
	size_t name = 0;
	while (name < length && http_is_token_byte((unsigned char)line[name]))
		name++;
	if (name == 0)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "empty header name or folded header line");
	if (name == length || line[name] != ':')
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "header line without a colon behind its name");

	size_t start = name + 1, end = length;
	while (start < end && is_blank(line[start]))
		start++;
	while (end > start && is_blank(line[end - 1]))
		end--;
	if (http_has_control(line + start, end - start))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "control byte in a header");

	*ret_field = (struct http_field){
		.name = line,
		.value = line + start,
		.name_length = name,
		.value_length = end - start,
	};
	return true;
}

bool http_field_is(const struct http_field *field, const char *name)
{
	return strlen(name) == field->name_length &&
	       strncasecmp(field->name, name, field->name_length) == 0;
}

bool http_field_is_any(const struct http_field *field, const char *const *names)
{
	for (; *names; names++)
		if (http_field_is(field, *names))
			return true;
	return false;
}

/* A parsed request has a NUL after each value, in place of the CR or the white space before it. */
bool http_field_next(struct http_field_iterator *iterator, struct http_field *ret_field)
{
	struct http_fault fault;
	while (iterator->at < iterator->end) {
		const char *line = iterator->at;
		size_t left = (size_t)(iterator->end - line);
		const char *lf = memchr(line, '\n', left);
		size_t length = lf ? (size_t)(lf - line) : left;

		iterator->at = lf ? lf + 1 : iterator->end;
		if (length && line[length - 1] == '\r')
			length--;
		const char *nul = memchr(line, '\0', length);
		if (nul)
			length = (size_t)(nul - line);
		if (http_field_split(line, length, ret_field, &fault))
			return true;
	}
	return false;
}

bool http_field_text(struct http_field_iterator fields, const char *name, char *ret_text,
		     size_t size)
{
	struct http_field field;

	while (http_field_next(&fields, &field)) {
		if (!http_field_is(&field, name) || field.value_length >= size)
			continue;
		memcpy(ret_text, field.value, field.value_length);
		ret_text[field.value_length] = '\0';
		return true;
	}
	return false;
}

bool http_list_has(const char *list, size_t length, const char *token)
{
	size_t token_length = strlen(token);
	for (size_t at = 0; at < length;) {
		size_t start = at;
		while (at < length && !is_blank(list[at]) && list[at] != ',')
			at++;
		if (at - start == token_length &&
		    strncasecmp(list + start, token, token_length) == 0)
			return true;
		if (at == start)
			at++;
	}
	return false;
}

struct http_hop_names http_hop_names(struct http_field_iterator fields)
{
	struct http_hop_names names = {.length = 0};
	struct http_field field;

	while (http_field_next(&fields, &field)) {
		if (!http_field_is(&field, "connection") ||
		    names.length + 1 + field.value_length > sizeof(names.list))
			continue;
		names.list[names.length++] = ',';
		memcpy(names.list + names.length, field.value, field.value_length);
		names.length += field.value_length;
	}
	return names;
}

bool http_is_hop(const struct http_hop_names *names, const struct http_field *field)
{
	char name[sizeof(names->list)];

	if (names->length == 0 || field->name_length >= sizeof(name))
		return false;
	memcpy(name, field->name, field->name_length);
	name[field->name_length] = '\0';
	return http_list_has(names->list, names->length, name);
}

bool http_read_length(const char *value, size_t length, uint64_t *ret_length)
{
	uint64_t number = 0;
	if (length == 0 || length > LENGTH_DIGITS_MAX)
		return false;

	for (size_t i = 0; i < length; i++) {
		if (value[i] < '0' || value[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(value[i] - '0');
	}
	*ret_length = number;
	return true;
}
