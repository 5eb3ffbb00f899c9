/* field: header fields: one line, a whole block in the order it was sent, and what values have in
 * common. Strict: a line that two readers could read differently is refused. Nothing is changed or
 * allocated; results point into the bytes that were given. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/fault.h"

struct http_field {
	const char *name, *value; /* not NUL-terminated; the value without white space around it */
	size_t name_length, value_length;
};

/* One line without its CRLF: name ":" value. */
bool http_field_split(const char *line, size_t length, struct http_field *ret_field,
		      struct http_fault *ret_fault);
bool http_field_is(const struct http_field *field, const char *name); /* in any case */

/* A block of whole lines that http_field_split has taken. A copy walks once more. */
struct http_field_iterator {
	const char *at, *end;
};
bool http_field_next(struct http_field_iterator *iterator, struct http_field *ret_field);

/* Does the comma-separated list hold the token, in any case? */
bool http_list_has(const char *list, size_t length, const char *token);
/* A Content-Length: digits alone, of 63 bits at most. */
bool http_read_length(const char *value, size_t length, uint64_t *ret_length);
