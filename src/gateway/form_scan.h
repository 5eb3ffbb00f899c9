/* form_scan: the field `model` of a multipart/form-data body (RFC 7578), found while the body
 * arrives in pieces, in constant memory. Nothing is changed or decoded: the body goes upstream as
 * it is, so the scan reads all of it, and refuses what two readers could read differently: the
 * field twice, a delimiter that only some take for one, a head that is folded or has a name in
 * another form. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { FORM_MODEL_BYTES = 512, FORM_BOUNDARY_BYTES = 70, FORM_LINE_BYTES = 2048 };

enum form_state {
	FORM_START,     /* the first delimiter */
	FORM_CONTENT,   /* of a part, until its delimiter */
	FORM_DELIMITED, /* behind a delimiter: a line's end, or `--` */
	FORM_NEXT,      /* .. whose CR was seen */
	FORM_LAST,      /* .. whose first dash was seen */
	FORM_HEAD,      /* a line of a part's head */
	FORM_DONE,      /* the last delimiter was seen */
	FORM_BROKEN,    /* see `problem` */
};

struct form_scan {
	enum form_state state;
	char delimiter[3 + FORM_BOUNDARY_BYTES + 1]; /* LF, two dashes, the boundary */
	size_t delimiter_length, matched;
	bool after_cr; /* what is matched is */
	bool last_cr;  /* the last byte was one */
	char line[FORM_LINE_BYTES];
	size_t line_length;
	bool disposed, is_model, is_file, is_encoded;           /* of the part whose head is read */
	char value[FORM_MODEL_BYTES + 4 + FORM_BOUNDARY_BYTES]; /* with the delimiter behind it */
	size_t value_length;
	bool found;          /* `value` is the model's name, with a NUL */
	const char *problem; /* in words */
};

/* False: the content type names no boundary, or two, or one that RFC 2046 does not allow. */
bool form_scan_begin(struct form_scan *scan, const char *content_type);
/* False: broken, see `problem`. */
bool form_scan_take(struct form_scan *scan, const char *bytes, size_t length);
