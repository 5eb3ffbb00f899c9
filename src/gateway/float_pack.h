/* float_pack: an embeddings answer on its way: each list of numbers that is the value of a key
 * `embedding` becomes a base64 text of little-endian 32-bit floats, as was asked of a server that
 * sends numbers all the same; every other byte stays as it is. In constant memory, however it is
 * cut. What is base64 already, or a list of anything else, stays too. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct text;

enum float_pack_state {
	PACK_COPY,    /* outside any text */
	PACK_TEXT,    /* in a text */
	PACK_KEY,     /* after a text `embedding`: a colon makes it a key */
	PACK_VALUE,   /* after the colon */
	PACK_OPENED,  /* after the bracket: a list of numbers? */
	PACK_BETWEEN, /* numbers: before one */
	PACK_NUMBER,  /* in one */
	PACK_AFTER,   /* after one */
	PACK_BROKEN,
};

/* All zero to begin. */
struct float_pack {
	enum float_pack_state state;
	bool escaped;
	char word[12]; /* the text's beginning */
	size_t word_length;
	char number[48];
	size_t number_length;
	unsigned char rest[3]; /* not yet enough for four digits of base64 */
	size_t rest_length;
};

/* Adds what the bytes become. False: a list of numbers holds something else. */
bool float_pack_take(struct float_pack *pack, const char *bytes, size_t length, struct text *out);
/* False: the bytes ended within a list of numbers. */
bool float_pack_end(const struct float_pack *pack);
