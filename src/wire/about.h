/* about: what a client says of itself for people: which page it is, whether anybody looks at it,
 * which adapter it has. Nothing is decided by it. */
#pragma once
#include "wire/json.h"
#include "wire/text.h"

enum {
	ABOUT_TEXT_BYTES = 128,
	ABOUT_NUMBER_MAX = 1000 * 1000 * 1000, /* of stalled_ms and vram_mb: more is nonsense */
};

/* A text is "" and a number or a flag not known until it was said. */
struct about {
	char page[ABOUT_TEXT_BYTES + 1];
	char adapter[ABOUT_TEXT_BYTES + 1];
	char clamped[ABOUT_TEXT_BYTES + 1]; /* limits of the adapter that had to be lowered */
	char origin[ABOUT_TEXT_BYTES + 1];
	bool visible, visible_known;
	bool stalled_known, vram_known;
	uint32_t stalled_ms; /* how long its main thread did not answer */
	uint32_t vram_mb;    /* what it believes to use */
};

/* The fields of an `about` message. 0 or -ERR_BAD_FIELD with parsed->detail. */
int about_parse(struct parsed *parsed, struct about *ret_about);
/* What was said now replaces what was said before; the rest stays. */
void about_merge(struct about *about, const struct about *said);
/* Adds what is known to an open object. */
void about_render(struct text *out, const struct about *about);
