/* form_scan: the field `model` of a multipart/form-data body (RFC 7578), found in what has come so
 * far. Nothing is changed or decoded: the body goes upstream as it is. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { FORM_MODEL_BYTES = 512, FORM_BOUNDARY_BYTES = 70, FORM_HEAD_BYTES = 4096 };

enum form_result { FORM_MORE /* not found yet */, FORM_FOUND, FORM_NONE, FORM_BROKEN };

struct form_scan {
	char delimiter[4 + FORM_BOUNDARY_BYTES + 1]; /* CRLF, two dashes, the boundary */
	size_t at;                                   /* where the next look begins */
	bool in_part;
};

/* False: the content type names no boundary that RFC 2046 allows. */
bool form_scan_begin(struct form_scan *scan, const char *content_type);
/* All of the body that has come, from its first byte; call again with more. `complete`: there is no
 * more. `ret_model` has FORM_MODEL_BYTES. */
enum form_result form_scan_look(struct form_scan *scan, const char *bytes, size_t length,
				bool complete, char *ret_model);
