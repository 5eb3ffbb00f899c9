/* fields_row: how one row of a table is written, for fields.c and for callers whose table is known
 * at compile time: fields_put_rows then becomes straight code per field instead of a walk. The
 * bytes are the same. */
#pragma once
#include <endian.h>
#include <string.h>

#include "base/fields.h"
#include "base/mono.h"

#define FIELDS_INLINE static inline __attribute__((always_inline))

/* Small numbers of either sign are short. */
FIELDS_INLINE uint64_t fields_fold_sign(int64_t value)
{
	return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

/* "Never" and "always" are no distance from anywhere. */
FIELDS_INLINE int64_t fields_rebase(int64_t time, int64_t base, bool back)
{
	struct mono_ms from = {time};

	if (time == INT64_MAX || time == INT64_MIN)
		return time;
	return back ? mono_after(from, base).v : mono_since(from, (struct mono_ms){base});
}

FIELDS_INLINE uint8_t *fields_write_number(uint8_t *at, uint64_t value)
{
	uint64_t little = htole64(value);

	memcpy(at, &little, 8);
	return at + (71 - __builtin_clzll(value)) / 8;
}

/* Most fields are one number, and many of them zero. */
FIELDS_INLINE uint8_t *write_single(const struct field *field, const struct fields_how *how,
				    const uint8_t *from, uint8_t *at)
{
	uint32_t word;
	uint64_t value;

	switch (field->shape) {
	case FIELD_SHAPE(FIELD_UINT, 1):
		value = *from;
		break;
	case FIELD_SHAPE(FIELD_UINT, 4):
		memcpy(&word, from, 4);
		value = word;
		break;
	case FIELD_SHAPE(FIELD_TIME, 8):
		memcpy(&value, from, 8);
		value = (uint64_t)fields_rebase((int64_t)value, how->base, false);
		break;
	default:
		memcpy(&value, from, 8);
	}

	if (how->map && field->sense)
		value = how->map(how->arg, field->sense, value);

	if (value == 0)
		return at;
	if (field->kind != FIELD_UINT)
		value = fields_fold_sign((int64_t)value);

	at[0] = field->tag;
	at[1] = (uint8_t)(fields_write_number(at + 2, value) - at - 2);
	return at + 2 + at[1];
}

/* Of a text that is not empty. */
FIELDS_INLINE uint8_t *write_text(const struct field *field, const uint8_t *from, uint8_t *at)
{
	size_t length = strnlen((const char *)from, field->size);

	at[0] = field->tag;
	if (length < 0x80)
		at[1] = (uint8_t)length;
	else
		*++at = (uint8_t)(length | 0x80), at[1] = (uint8_t)(length >> 7);

	memcpy(at + 2, from, length);
	return at + 2 + length;
}

FIELDS_INLINE uint8_t *fields_put_row(const struct field *field, const void *object,
				      const struct fields_how *how, uint8_t *at)
{
	const uint8_t *from = (const uint8_t *)object + field->offset;

	if (field->shape)
		return write_single(field, how, from, at);
	if (field->kind == FIELD_TEXT && *from == '\0')
		return at;
	if (field->kind == FIELD_TEXT && !how->map)
		return write_text(field, from, at);
	return fields_write_row(field, object, how, at);
}

/* `rows` and `count` are known to the compiler. */
FIELDS_INLINE uint8_t *fields_put_rows(const struct field *rows, size_t count, const void *object,
				       const struct fields_how *how, uint8_t *at)
{
#pragma GCC unroll 64
	for (size_t i = 0; i < count; i++)
		at = fields_put_row(&rows[i], object, how, at);
	return at;
}
