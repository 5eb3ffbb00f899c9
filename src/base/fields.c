/* fields: the walk over a table, once to write and once to read. It knows no struct and allocates
 * nothing. Used by the core's export and the journal's codec. */
#include "base/fields.h"

#include <endian.h>
#include <string.h>

#include "base/contracts.h"
#include "base/fields_row.h"

enum { NUMBER_BYTES_MAX = 10, LENGTH_BYTES_MAX = 3 };

#define INLINE FIELDS_INLINE

uint8_t *fields_put_number(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

bool fields_take_number(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
		uint64_t bits = *(*at)++;
		if (shift == 63 && bits > 1)
			return false;
		value |= (bits & 0x7f) << shift;

		if (bits & 0x80)
			continue;
		*ret_value = value;
		return bits != 0 || shift == 0;
	}
	return false;
}

static size_t number_size(uint64_t value)
{
	uint8_t bytes[NUMBER_BYTES_MAX];

	return value < 0x80 ? 1 : (size_t)(fields_put_number(bytes, value) - bytes);
}

size_t fields_bytes_max(const struct field_table *table)
{
	size_t sum = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct field *field = &table->v[i];
		size_t one =
			field->kind == FIELD_PARTS ? fields_bytes_max(field->parts) : field->size;

		if (field->count > 1)
			one += number_size(field->count);
		sum += field->count * (1 + number_size(one) + one);
	}

	/* What turns out to be zero was begun, and is taken back; a number is written as eight
	 * bytes and cut. */
	return sum + 1 + 2 * LENGTH_BYTES_MAX + 8;
}

INLINE int64_t unfold_sign(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

INLINE uint64_t load_number(const struct field *field, const uint8_t *from)
{
	uint64_t wide;
	uint32_t word;

	if (field->size == 1)
		return *from;

	if (field->size == 4) {
		memcpy(&word, from, 4);
		return word;
	}

	PRE(field->size == 8);
	memcpy(&wide, from, 8);
	return wide;
}

INLINE void store_number(const struct field *field, uint8_t *to, uint64_t value)
{
	uint32_t word = (uint32_t)value;

	if (field->size == 1)
		*to = (uint8_t)value;
	else if (field->size == 4)
		memcpy(to, &word, 4);
	else
		memcpy(to, &value, 8);
}

/* Zero: it is left out. */
INLINE uint64_t number_of(const struct field *field, const struct fields_how *how,
			  const uint8_t *from)
{
	uint64_t value = load_number(field, from);

	if (field->kind == FIELD_TIME)
		value = (uint64_t)fields_rebase((int64_t)value, how->base, false);
	if (how->map && field->sense)
		value = how->map(how->arg, field->sense, value);
	return field->kind == FIELD_UINT ? value : fields_fold_sign((int64_t)value);
}

static uint8_t *write_bytes(const struct field *field, const uint8_t *from, uint8_t *at)
{
	size_t length = field->size;

	if (field->kind == FIELD_TEXT)
		length = strnlen((const char *)from, field->size);
	while (field->kind == FIELD_BYTES && length > 0 && from[length - 1] == 0)
		length--;
	if (length > 0)
		memcpy(at, from, length);
	return at + length;
}

static uint8_t *write_value(const struct field *field, const struct fields_how *how, size_t index,
			    const uint8_t *from, uint8_t *at)
{
	if (field->kind > FIELD_TIME && field->sense && how->map &&
	    !how->map(how->arg, field->sense, index + 1))
		return at;
	if (field->kind == FIELD_PARTS)
		return fields_write(field->parts, from, how, at);
	if (field->kind == FIELD_TEXT || field->kind == FIELD_BYTES)
		return write_bytes(field, from, at);

	uint64_t value = number_of(field, how, from);
	return value ? fields_write_number(at, value) : at;
}

/* Most lengths take one byte; for the others the value moves. */
static uint8_t *write_one(const struct field *field, const struct fields_how *how, size_t index,
			  const uint8_t *from, uint8_t *at)
{
	uint8_t *body = at + 2, *value = field->count > 1 ? fields_put_number(body, index) : body;
	uint8_t *end = write_value(field, how, index, from, value);
	uint8_t length[NUMBER_BYTES_MAX];
	size_t size = (size_t)(end - body), length_size;

	if (end == value)
		return at;

	at[0] = field->tag;
	if (size < 0x80) {
		at[1] = (uint8_t)size;
		return end;
	}

	length_size = (size_t)(fields_put_number(length, size) - length);
	INVARIANT(length_size <= LENGTH_BYTES_MAX);
	memmove(at + 1 + length_size, body, size);
	memcpy(at + 1, length, length_size);

	return at + 1 + length_size + size;
}

uint8_t *fields_write_row(const struct field *field, const void *object,
			  const struct fields_how *how, uint8_t *at)
{
	const uint8_t *from = (const uint8_t *)object + field->offset;

	for (size_t n = 0; n < field->count; n++)
		at = write_one(field, how, n, from + n * field->size, at);
	return at;
}

uint8_t *fields_write(const struct field_table *table, const void *object,
		      const struct fields_how *how, uint8_t *at)
{
	const struct field *end = table->v + table->count;

	for (const struct field *field = table->v; field < end; field++)
		at = fields_put_row(field, object, how, at);
	return at;
}

INLINE bool read_number(const struct field *field, const struct fields_how *how, uint8_t *to,
			const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	if (size > 8 || bytes[size - 1] == 0)
		return false;

	memcpy(&value, bytes, size);
	value = le64toh(value);

	if (field->kind == FIELD_TIME)
		value = (uint64_t)fields_rebase(unfold_sign(value), how->base, true);
	else if (field->kind == FIELD_INT)
		value = (uint64_t)unfold_sign(value);
	else if ((field->below && value >= field->below) ||
		 (field->size < 8 && value >> (8 * field->size)))
		return false;

	store_number(field, to, value);
	return true;
}

/* `size` is never 0: a value that is zero is left out. */
static bool read_value(const struct field *field, const struct fields_how *how, uint8_t *to,
		       const uint8_t *bytes, size_t size)
{
	if (field->kind == FIELD_PARTS)
		return fields_read(field->parts, to, how, bytes, size);
	if (field->kind != FIELD_TEXT && field->kind != FIELD_BYTES)
		return read_number(field, how, to, bytes, size);

	if (size + (field->kind == FIELD_TEXT) > field->size || bytes[size - 1] == 0 ||
	    (field->kind == FIELD_TEXT && memchr(bytes, '\0', size)))
		return false;

	memcpy(to, bytes, size);
	return true;
}

/* As if nothing was there: zero, and for a time `base` itself. */
static void clear_field(const struct field *field, uint8_t *to, int64_t base)
{
	for (size_t n = 0; n < field->count; n++, to += field->size)
		if (field->kind == FIELD_TIME)
			store_number(field, to, (uint64_t)base);
		else if (field->kind != FIELD_PARTS)
			memset(to, 0, field->size);
		else
			for (size_t i = 0; i < field->parts->count; i++)
				clear_field(&field->parts->v[i], to + field->parts->v[i].offset,
					    base);
}

/* The field of a tag, NULL: none. *at is moved behind it; what it passes is cleared, and so is what
 * will not be written as a whole. */
static const struct field *find_field(const struct field_table *table, size_t *at, uint64_t tag,
				      uint8_t *object, int64_t base)
{
	const struct field *field;

	for (; *at < table->count && table->v[*at].tag <= tag; ++*at) {
		field = &table->v[*at];
		if (field->tag < tag || field->count > 1 || field->kind > FIELD_TIME)
			clear_field(field, object + field->offset, base);
	}
	return *at > 0 && table->v[*at - 1].tag == tag ? &table->v[*at - 1] : NULL;
}

bool fields_read(const struct field_table *table, void *object, const struct fields_how *how,
		 const uint8_t *bytes, size_t size)
{
	const uint8_t *end = bytes + size;
	uint64_t least = 1; /* tag * 2^32 + index of an array: they rise */
	size_t at = 0;

	while (bytes < end) {
		uint64_t tag, length, index = 0;
		const uint8_t *value;

		if (end - bytes >= 2 && bytes[0] < 0x80 && bytes[1] < 0x80) {
			tag = *bytes++;
			length = *bytes++;
		} else if (!fields_take_number(&bytes, end, &tag) || tag > UINT16_MAX ||
			   !fields_take_number(&bytes, end, &length)) {
			return false;
		}

		if (length > (size_t)(end - bytes))
			return false;

		const struct field *field = find_field(table, &at, tag, object, how->base);
		value = bytes;
		bytes += length;

		if (field && field->count > 1 &&
		    (!fields_take_number(&value, bytes, &index) || index >= field->count))
			return false;

		if (value == bytes || (tag << 32 | index) < least)
			return false;
		least = (tag << 32 | index) + (field != NULL);

		if (field &&
		    !read_value(field, how, (uint8_t *)object + field->offset + index * field->size,
				value, (size_t)(bytes - value)))
			return false;
	}

	find_field(table, &at, UINT64_MAX, object, how->base);
	return true;
}
