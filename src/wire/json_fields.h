/* json_fields: a client's text as one strict JSON object (json_reader.h), and typed fields of it,
 * with errors in words for the client: where in the text, or which field and what was expected.
 * Fields that nobody asks for are ignored. */
#pragma once
#include "base/token.h"
#include "json/json_reader.h"

enum { PARSED_DETAIL_BYTES = 200 };

/* Owns what the event of a body or message points to: keep it, unmoved, until core_step is done.
 * After an error it owns nothing but `detail`, and parsed_finish may still be called. */
struct parsed {
	struct json *root;
	struct token token;
	char detail[PARSED_DETAIL_BYTES]; /* what was wrong, in words; "" when nothing */
};

/* 0, or -ERR_BAD_JSON, -ERR_TOO_LARGE with parsed->detail. Clients' texts: LIMIT_BODY_BYTES. */
int json_parse(const char *bytes, size_t length, size_t bytes_max, struct parsed *ret_parsed);
void parsed_finish(struct parsed *parsed);

/* Fields of `object` (parsed->root or a part of it). Absent and null alike leave *ret as it is, so
 * the caller sets the default first, and `ret_present` (may be NULL) tells. 0 or -ERR_BAD_FIELD
 * with parsed->detail: "field `vram_mb`: expected a whole number from 0 to 16777216". */
int json_read_u64(struct parsed *parsed, const struct json *object, const char *field, uint64_t min,
		  uint64_t max, uint64_t *ret, bool *ret_present);
/* Here, so that a field which is not there costs next to nothing: most are not. */
static inline int json_u64(struct parsed *parsed, const struct json *object, const char *field,
			   uint64_t min, uint64_t max, uint64_t *ret, bool *ret_present)
{
	if (json_may_have(object, field))
		return json_read_u64(parsed, object, field, min, max, ret, ret_present);
	if (ret_present)
		*ret_present = false;
	return 0;
}
/* A number of seconds, fractions allowed, as milliseconds. */
int json_seconds(struct parsed *parsed, const struct json *object, const char *field, int64_t max_s,
		 int64_t *ret_ms, bool *ret_present);
int json_ms(struct parsed *parsed, const struct json *object, const char *field, int64_t max_ms,
	    int64_t *ret_ms);
int json_read_bool(struct parsed *parsed, const struct json *object, const char *field, bool *ret);
static inline int json_bool(struct parsed *parsed, const struct json *object, const char *field,
			    bool *ret)
{
	return json_may_have(object, field) ? json_read_bool(parsed, object, field, ret) : 0;
}
/* Text of 1 to max_bytes printable bytes (display_name_problem); *ret is borrowed from parsed. */
int json_name(struct parsed *parsed, const struct json *object, const char *field, size_t max_bytes,
	      const char **ret);
/* 32 hex digits into parsed->token. */
int json_token(struct parsed *parsed, const struct json *object, const char *field,
	       bool *ret_present);
/* "<session id>-<32 hex digits>", as welcome gives it: the secret into parsed->token. */
int json_session(struct parsed *parsed, const struct json *object, const char *field,
		 bool *ret_present);
/* -ERR_BAD_FIELD with "field `x`: <words>"; the way to refuse what the getters cannot judge. */
int json_refuse(struct parsed *parsed, const char *field, const char *words);
/* -ERR_BAD_FIELD with "field `x`: required". */
int json_missing(struct parsed *parsed, const char *field);
