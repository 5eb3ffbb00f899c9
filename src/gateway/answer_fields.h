/* answer_fields: the head of an answer that is passed on: what the server says of it, without what
 * is about its connection to Baton, and what Baton adds. What does not fit is left out. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "net/http.h"

enum { ANSWER_FIELD_COUNT = 48, ANSWER_FIELD_BYTES = 16 * 1024 };

/* Large; only the counts need to be zero. */
struct answer_fields {
	struct http_header v[ANSWER_FIELD_COUNT];
	size_t count;
	char text[ANSWER_FIELD_BYTES];
	size_t used;
};

/* With those of the server that go on. */
void answer_fields_begin(struct answer_fields *fields, struct http_field_iterator from);
void answer_fields_text(struct answer_fields *fields, const char *name, const char *value);
void answer_fields_number(struct answer_fields *fields, const char *name, int64_t number);
/* A page of that origin may read it; NULL: none asked. */
void answer_fields_origin(struct answer_fields *fields, const char *origin);
