/* json_span: where a part of a JSON text stands in it, so that it can go on as the very bytes that
 * came. For texts that json_parse took; whatever else is given, nothing past its end is read. */
#pragma once
#include <stddef.h>

/* Borrowed from the text; `from` NULL: there is no such part. */
struct json_span {
	const char *from;
	size_t length;
};

/* The value of a key that is written without an escape. */
struct json_span json_span_member(struct json_span object, const char *key);
/* The first value of a list. */
struct json_span json_span_first(struct json_span list);
