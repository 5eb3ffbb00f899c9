/* json_scan: the top-level fields of a request's body that the gateway reads, `model`, `stream`,
 * `n`, `encoding_format` and `previous_response_id`, found while the body arrives in pieces, in
 * constant memory and without parsing the rest: bodies go upstream as the very bytes that came.
 * Whether the rest is valid JSON is for the upstream to judge; refused is only what two readers
 * could read differently: a field twice or in other letters' size, or a key with an escape. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_SCAN_MODEL_BYTES = 512, JSON_SCAN_KEY_BYTES = 24 };

enum json_scan_state {
	SCAN_BEFORE, /* the opening brace */
	SCAN_KEY,    /* a key or the closing brace */
	SCAN_IN_KEY,
	SCAN_COLON,
	SCAN_VALUE,
	SCAN_IN_TEXT,     /* a string value at the top */
	SCAN_IN_WORD,     /* a number or literal at the top */
	SCAN_IN_NEST,     /* an object or list */
	SCAN_NEST_TEXT,   /* a string inside one */
	SCAN_AFTER_VALUE, /* a comma or the closing brace */
	SCAN_DONE,        /* the object is closed */
	SCAN_BROKEN,
};

/* As it stands, with quotes, and without the end that a name has. */
struct json_scan_text {
	char bytes[JSON_SCAN_MODEL_BYTES - 1 + 2];
	unsigned length;
};

/* All zero to begin. Offsets count from the body's first byte. */
struct json_scan {
	enum json_scan_state state;
	uint64_t at;
	unsigned depth; /* of what is nested, below the top */
	bool escaped;
	char key[JSON_SCAN_KEY_BYTES];
	unsigned key_length;
	char word[8];
	unsigned word_length;
	struct json_scan_text model;
	uint64_t model_from, model_to; /* [from, to) of it; to 0: not seen, or not complete */
	bool stream_seen, stream;
	unsigned choices;                /* `n`; 0: not said */
	bool base64;                     /* `encoding_format` says so */
	uint64_t format_from, format_to; /* [from, to) of its text; to 0: none */
	struct json_scan_text previous;  /* the response that it goes on from */
	bool previous_seen;
	const char *problem; /* SCAN_BROKEN: in words */
};

/* False: broken, see `problem`. */
bool json_scan_take(struct json_scan *scan, const char *bytes, size_t length);
/* The model's name, decoded; false: absent, too long, or no valid string. `ret_name` has
 * JSON_SCAN_MODEL_BYTES. */
bool json_scan_model(const struct json_scan *scan, char *ret_name);
/* The same of the response that it goes on from. */
bool json_scan_previous(const struct json_scan *scan, char *ret_id);
