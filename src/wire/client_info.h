/* client_info: what a client says of itself for people: which page it is, whether anybody looks at
 * it, which adapter it has. Nothing is decided by it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct parsed;
struct text;

enum {
	CLIENT_INFO_TEXT_BYTES = 128,
	CLIENT_INFO_NUMBER_MAX =
		1000 * 1000 * 1000, /* of stalled_ms and vram_mb: more is nonsense */
};

/* A text is "" and a number or a flag not known until it was said. */
struct client_info {
	char page[CLIENT_INFO_TEXT_BYTES + 1];
	char adapter[CLIENT_INFO_TEXT_BYTES + 1];
	char clamped[CLIENT_INFO_TEXT_BYTES + 1]; /* limits of the adapter that had to be lowered */
	char origin[CLIENT_INFO_TEXT_BYTES + 1];
	bool visible, visible_known;
	bool stalled_known, vram_known;
	uint32_t stalled_ms; /* how long its main thread did not answer */
	uint32_t vram_mb;    /* what it believes to use */
};

/* The fields of an `about` message. 0 or -ERR_BAD_FIELD with parsed->detail. */
int client_info_decode(struct parsed *parsed, struct client_info *ret_about);
/* What was said now replaces what was said before; the rest stays. */
void client_info_merge(struct client_info *about, const struct client_info *said);
/* Adds what is known to an open object. */
void client_info_encode(struct text *out, const struct client_info *about);
