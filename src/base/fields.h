/* fields: a struct as bytes and back, by a const table of its fields. Each field is a tag, a length
 * and a value; what is zero is left out. A reader passes over tags that it does not know and leaves
 * zero what is not there, so older and newer programs read each other. There is one encoding of
 * each value: tags rise, numbers are little-endian and as short as can be. To add a field is to add
 * a row with a tag that was never used before. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
	FIELD_UINT,  /* bool, enum, uint32_t or uint64_t */
	FIELD_INT,   /* int64_t */
	FIELD_TIME,  /* struct mono_ms, written as its distance from `base` */
	FIELD_TEXT,  /* char[], with its NUL */
	FIELD_BYTES, /* uint8_t[] */
	FIELD_PARTS, /* a struct with a table of its own */
};

struct field_table {
	const struct field {
		uint8_t tag, kind; /* tags: 1..127, rising */
		uint8_t sense;     /* for `map`; 0: none */
		uint16_t count;    /* 1, or of an array */
		uint32_t offset, size;
		uint64_t below; /* FIELD_UINT: values are less; 0: any */
		const struct field_table *parts;
		uint8_t shape; /* FIELD_SHAPE, so that one look says how it is read; 0: it does not
				*/
	} * v;
	size_t count;
};

/* Rows of a table for struct T: a number, one below a limit, a signed one, a time, a text, bytes, a
 * field whose number means something elsewhere, a struct, an array of numbers, of structs. */
#define FIELD_SHAPE(kind, size) ((kind) <= FIELD_TIME ? (kind)*16 + (size) : 0)
#define ROW(T, tag, kind, member, sense, below)                                                    \
	{                                                                                          \
		tag, kind, sense, 1, offsetof(T, member), sizeof(((T *)0)->member), below, NULL,   \
			FIELD_SHAPE(kind, sizeof(((T *)0)->member))                                \
	}
#define ROW_OF(T, tag, kind, member, sense, parts)                                                 \
	{                                                                                          \
		tag, kind, sense, sizeof(((T *)0)->member) / sizeof(((T *)0)->member[0]),          \
			offsetof(T, member), sizeof(((T *)0)->member[0]), 0, parts, 0              \
	}
#define ROW_UINT(T, tag, member)        ROW(T, tag, FIELD_UINT, member, 0, 0)
#define ROW_LESS(T, tag, member, below) ROW(T, tag, FIELD_UINT, member, 0, below)
#define ROW_MARK(T, tag, member, sense) ROW(T, tag, FIELD_UINT, member, sense, 0)
#define ROW_INT(T, tag, member)         ROW(T, tag, FIELD_INT, member, 0, 0)
#define ROW_TIME(T, tag, member)        ROW(T, tag, FIELD_TIME, member, 0, 0)
#define ROW_TEXT(T, tag, member)        ROW(T, tag, FIELD_TEXT, member, 0, 0)
#define ROW_PART(T, tag, member, parts)                                                            \
	{                                                                                          \
		tag, FIELD_PARTS, 0, 1, offsetof(T, member), sizeof(((T *)0)->member), 0, parts, 0 \
	}
#define ROW_PART_MARK(T, tag, member, parts, sense)                                                \
	{                                                                                          \
		tag, FIELD_PARTS, sense, 1, offsetof(T, member), sizeof(((T *)0)->member), 0,      \
			parts, 0                                                                   \
	}
#define FIELD_TABLE(rows)                                                                          \
	{                                                                                          \
		rows, sizeof(rows) / sizeof((rows)[0])                                             \
	}

/* How a struct is written or read; all zero: as it is. */
struct fields_how {
	int64_t base; /* of times */
	/* What is written for a number with a sense; of text, bytes and structs it is asked for
	 * their place in the array, from 1, and 0 leaves them out. NULL: itself. */
	uint64_t (*map)(const void *arg, unsigned sense, uint64_t value);
	const void *arg;
};

/* The most that one struct can take. */
size_t fields_bytes_max(const struct field_table *table);
/* Writes to `at`, which has room for fields_bytes_max; returns the end. */
uint8_t *fields_write(const struct field_table *table, const void *object,
		      const struct fields_how *how, uint8_t *at);
/* Replaces every field of the table. False: these bytes were not written by fields_write; the
 * object is then half filled. */
bool fields_read(const struct field_table *table, void *object, const struct fields_how *how,
		 const uint8_t *bytes, size_t size);

uint8_t *fields_put_number(uint8_t *at, uint64_t value); /* at most 10 bytes, by 7 bits each */
/* Moves *at behind the number; false: there is none. */
bool fields_take_number(const uint8_t **at, const uint8_t *end, uint64_t *ret_value);
/* Of a text that is not empty, bytes, a struct or an array. */
uint8_t *fields_write_row(const struct field *field, const void *object,
			  const struct fields_how *how, uint8_t *at);
