/* field: reads members of the broker's JSON; absent and mistyped ones read as the default. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

static inline const char *field_text(const json_t *object, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : fallback;
}

static inline double field_number(const json_t *object, const char *key, double fallback)
{
	const json_t *value = json_object_get(object, key);
	return json_is_number(value) ? json_number_value(value) : fallback;
}

static inline uint64_t field_u64(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value > 0 ? (uint64_t)value : 0;
}

static inline bool field_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}
