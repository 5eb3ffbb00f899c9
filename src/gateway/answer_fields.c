/* answer_fields: see answer_fields.h. Copies into a buffer of its own: servers' fields are not
 * terminated. */
#include "gateway/answer_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void add_field(struct answer_fields *fields, const char *name, size_t name_length,
		      const char *value, size_t value_length)
{
	char *at = fields->text + fields->used;

	if (fields->count == ANSWER_FIELD_COUNT ||
	    fields->used + name_length + value_length + 2 > sizeof(fields->text))
		return;

	memcpy(at, name, name_length);
	at[name_length] = '\0';
	memcpy(at + name_length + 1, value, value_length);
	at[name_length + 1 + value_length] = '\0';
	fields->v[fields->count++] = (struct http_header){at, at + name_length + 1};
	fields->used += name_length + value_length + 2;
}

void answer_fields_text(struct answer_fields *fields, const char *name, const char *value)
{
	add_field(fields, name, strlen(name), value, strlen(value));
}

void answer_fields_number(struct answer_fields *fields, const char *name, int64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, number);
	answer_fields_text(fields, name, digits);
}

void answer_fields_origin(struct answer_fields *fields, const char *origin)
{
	if (!origin)
		return;
	answer_fields_text(fields, "Access-Control-Allow-Origin", origin);
	answer_fields_text(fields, "Vary", "Origin");
}

/* What of the server's answer is about its connection to Baton, or is Baton's to say. */
static bool is_kept_back(const struct http_field *field)
{
	static const char *const kept_back[] = {"connection",
						"keep-alive",
						"transfer-encoding",
						"content-length",
						"trailer",
						"upgrade",
						"date",
						"server",
						"set-cookie",
						"vary",
						"alt-svc",
						"location",
						"proxy-authenticate",
						NULL};

	return http_field_is_any(field, kept_back) ||
	       (field->name_length > 15 && !strncasecmp(field->name, "access-control-", 15)) ||
	       (field->name_length > 8 && !strncasecmp(field->name, "x-baton-", 8));
}

void answer_fields_begin(struct answer_fields *fields, struct http_field_iterator from)
{
	const struct http_hop_names hops = http_hop_names(from);
	struct http_field field;

	fields->count = fields->used = 0;
	while (http_field_next(&from, &field))
		if (!is_kept_back(&field) && !http_is_hop(&hops, &field))
			add_field(fields, field.name, field.name_length, field.value,
				  field.value_length);
}
