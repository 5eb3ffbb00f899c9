/* field: header fields: single lines, whole blocks in the order sent, and common kinds of values.
 * Strict: refuses lines that two parsers could read differently. Modifies and allocates nothing;
 * results point into the input. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_fault;

struct http_field {
	const char *name, *value; /* not NUL-terminated; the value without white space around it */
	size_t name_length, value_length;
};

/* One line without its CRLF: name ":" value. */
bool http_field_split(const char *line, size_t length, struct http_field *ret_field,
		      struct http_fault *ret_fault);
bool http_field_is(const struct http_field *field, const char *name);             /* ignores case */
bool http_field_is_any(const struct http_field *field, const char *const *names); /* up to NULL */

/* A block of complete lines that http_field_split has accepted. Iterate over a copy to start again.
 */
struct http_field_iterator {
	const char *at, *end;
};
bool http_field_next(struct http_field_iterator *iterator, struct http_field *ret_field);
/* The first value of that name which fits, as text; false: there is none. */
bool http_field_text(struct http_field_iterator fields, const char *name, char *ret_text,
		     size_t size);

/* Whether the comma-separated list contains the token; ignores case. */
bool http_list_has(const char *list, size_t length, const char *token);
/* The names in the Connection fields: those fields are about that connection alone, and go no
 * further (RFC 9110, 7.6.1). What is longer than this is left out. */
struct http_hop_names {
	char list[256];
	size_t length;
};
struct http_hop_names http_hop_names(struct http_field_iterator fields);
bool http_is_hop(const struct http_hop_names *names, const struct http_field *field);
/* A Content-Length: only digits, at most 63 bits. */
bool http_read_length(const char *value, size_t length, uint64_t *ret_length);
