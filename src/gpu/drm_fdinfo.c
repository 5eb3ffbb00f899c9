/* drm_fdinfo: see drm_fdinfo.h. */
#include "gpu/drm_fdinfo.h"

#include <string.h>

enum { REGIONS_MAX = 16, REGION_BYTES = 24 };

enum measure { RESIDENT, MEMORY, TOTAL, SHARED, MEASURE_COUNT };

struct region {
	char name[REGION_BYTES];
	uint64_t bytes[MEASURE_COUNT];
	bool known[MEASURE_COUNT], seen[MEASURE_COUNT];
};

struct regions {
	struct region v[REGIONS_MAX];
	size_t count;
};

struct line {
	const char *key, *value;
	size_t key_length, value_length;
};

/* The next "KEY: VALUE"; the last line may lack its end. False: no more lines. */
static bool next_line(const char **at, const char *end, struct line *ret_line)
{
	while (*at < end) {
		const char *begin = *at;
		const char *stop = memchr(begin, '\n', (size_t)(end - begin));
		stop = stop ? stop : end;
		*at = stop < end ? stop + 1 : end;

		const char *colon = memchr(begin, ':', (size_t)(stop - begin));
		if (!colon)
			continue;
		ret_line->key = begin;
		ret_line->key_length = (size_t)(colon - begin);
		for (colon++; colon < stop && (*colon == ' ' || *colon == '\t'); colon++)
			;
		ret_line->value = colon;
		ret_line->value_length = (size_t)(stop - colon);
		return true;
	}
	return false;
}

static bool key_is(const struct line *line, const char *key)
{
	return line->key_length == strlen(key) && memcmp(line->key, key, line->key_length) == 0;
}

static bool text_is(const char *text, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(text, wanted, length) == 0;
}

/* Digits, then perhaps a unit; none is bytes. */
static bool take_bytes(const char *text, size_t length, uint64_t *ret_bytes)
{
	uint64_t number = 0, unit = 1;
	size_t i = 0;

	for (; i < length && text[i] >= '0' && text[i] <= '9'; i++)
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
			return false;
	if (i == 0)
		return false;

	while (i < length && text[i] == ' ')
		i++;
	if (text_is(text + i, length - i, "KiB"))
		unit = 1 << 10;
	else if (text_is(text + i, length - i, "MiB"))
		unit = 1 << 20;
	else if (i < length)
		return false;
	return !__builtin_mul_overflow(number, unit, ret_bytes);
}

/* The region's name behind "drm-MEASURE-"; NULL: another key. */
static const char *region_of_key(const struct line *line, enum measure *ret_measure)
{
	static const char *const prefixes[MEASURE_COUNT] = {[RESIDENT] = "drm-resident-",
							    [MEMORY] = "drm-memory-",
							    [TOTAL] = "drm-total-",
							    [SHARED] = "drm-shared-"};

	for (int measure = 0; measure < MEASURE_COUNT; measure++) {
		size_t length = strlen(prefixes[measure]);
		if (line->key_length <= length || line->key_length - length >= REGION_BYTES ||
		    memcmp(line->key, prefixes[measure], length) != 0)
			continue;
		*ret_measure = (enum measure)measure;
		return line->key + length;
	}
	return NULL;
}

/* Of a key that is repeated the first counts. */
static void take_region(struct regions *regions, const struct line *line)
{
	enum measure measure;
	const char *name = region_of_key(line, &measure);
	size_t length = name ? (size_t)(line->key + line->key_length - name) : 0, i = 0;

	if (!name)
		return;
	while (i < regions->count && !text_is(name, length, regions->v[i].name))
		i++;
	if (i == REGIONS_MAX)
		return;

	struct region *region = &regions->v[i];
	if (i == regions->count) {
		*region = (struct region){0};
		memcpy(region->name, name, length);
		regions->count++;
	}
	if (!region->seen[measure])
		region->known[measure] =
			take_bytes(line->value, line->value_length, &region->bytes[measure]);
	region->seen[measure] = true;
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void add_region(struct drm_fdinfo *info, const struct region *region)
{
	static const enum measure order[] = {RESIDENT, MEMORY, TOTAL};
	struct drm_memory *memory = NULL;
	uint64_t bytes = 0;
	bool known = false;

	if (begins_with(region->name, "vram") || begins_with(region->name, "local"))
		memory = &info->card;
	else if (begins_with(region->name, "gtt") || begins_with(region->name, "system") ||
		 begins_with(region->name, "memory"))
		memory = &info->shared;
	if (!memory)
		return;

	for (size_t i = 0; i < 3 && !known; i++)
		if (region->known[order[i]]) {
			bytes = region->bytes[order[i]];
			known = true;
		}
	if (!known)
		return;

	uint64_t shared = region->known[SHARED] ? region->bytes[SHARED] : 0;
	bytes = bytes > shared ? bytes - shared : 0;
	if (__builtin_add_overflow(memory->bytes, bytes, &memory->bytes))
		memory->bytes = UINT64_MAX;
	memory->known = true;
}

bool drm_parse_fdinfo(const char *text, size_t length, struct drm_fdinfo *ret_info)
{
	struct regions regions = {.count = 0};
	struct drm_fdinfo info = {0};
	const char *at = text, *end = text + length;
	bool has_client = false;
	struct line line;

	while (next_line(&at, end, &line)) {
		if (key_is(&line, "drm-client-id") && !has_client) {
			has_client = take_bytes(line.value, line.value_length, &info.client);
		} else if (key_is(&line, "drm-pdev") && !info.pdev[0]) {
			if (line.value_length <= GPU_PCI_BYTES)
				memcpy(info.pdev, line.value, line.value_length);
		} else {
			take_region(&regions, &line);
		}
	}

	if (!has_client || !info.pdev[0])
		return false;
	for (size_t i = 0; i < regions.count; i++)
		add_region(&info, &regions.v[i]);
	*ret_info = info;
	return true;
}
