/* api_error: refusals in the shape that the client of each API reads, as an answer of its own and,
 * once an answer has begun, as the last event of a stream. Clients branch on `code`, a name of
 * base/err.h. */
#pragma once
#include "gateway/api.h"

struct text;

struct api_error {
	int err;             /* enum err, positive: status, code */
	const char *message; /* what failed, on which object, what to do */
	int64_t retry_ms;    /* 0: by the table of errors */
};

enum { API_RESPONSE_ID_BYTES = 512 };

/* Where a stream stands, for the shapes that go on counting. */
struct api_stream_position {
	char response_id[API_RESPONSE_ID_BYTES]; /* of a Responses stream; "" */
	int64_t sequence;                        /* the last one seen; -1: none */
	const char *model;                       /* that was asked for; NULL: none */
	int64_t created_s;                       /* when, in Unix time */
};

const char *api_error_content_type(enum api_wire wire);
int api_error_status(const struct api_error *error);
int api_error_retry_s(const struct api_error *error); /* 1 to 59; 0: no use in trying again */
void api_error_body(struct text *out, enum api_wire wire, const struct api_error *error);
void api_error_event(struct text *out, enum api_wire wire, const struct api_error *error,
		     const struct api_stream_position *position);
