/* dmem: lines of "drm/0000:03:00.0/vram0 12550144" or "nvidia/0000:01:00.0/vidmem 12550144". A card
 * may have several regions of VRAM; what else there is (stolen memory) is the machine's. */
#include "gpu/dmem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gpu/files.h"

/* A line's bytes. False: it is of another region, or no such line. */
static bool parse_line(const char *line, size_t length, const char *start, uint64_t *ret_bytes)
{
	size_t at = strlen(start);
	uint64_t bytes = 0;

	if (length <= at || strncmp(line, start, at) != 0)
		return false;
	while (at < length && line[at] != ' ')
		at++;
	at++;
	if (length - at == 3 && at < length && strncmp(line + at, "max", 3) == 0) {
		*ret_bytes = DMEM_NO_LIMIT;
		return true;
	}

	for (size_t digit = at; digit < length; digit++)
		if (line[digit] < '0' || line[digit] > '9' ||
		    __builtin_mul_overflow(bytes, 10, &bytes) ||
		    __builtin_add_overflow(bytes, (uint64_t)(line[digit] - '0'), &bytes))
			return false;
	*ret_bytes = bytes;
	return at < length;
}

bool dmem_parse(const char *text, const char *pci, uint64_t *ret_bytes)
{
	char drm[64], nvidia[64];
	uint64_t sum = 0, bytes;
	bool found = false;

	(void)snprintf(drm, sizeof(drm), "drm/%.40s/vram", pci);
	(void)snprintf(nvidia, sizeof(nvidia), "nvidia/%.40s/vidmem", pci);
	for (const char *line = text; *line; line += *line == '\n') {
		size_t length = strcspn(line, "\n");
		if (pci[0] && (parse_line(line, length, drm, &bytes) ||
			       parse_line(line, length, nvidia, &bytes))) {
			found = true;
			if (__builtin_add_overflow(sum, bytes, &sum))
				sum = DMEM_NO_LIMIT;
		}
		line += length;
	}
	if (found)
		*ret_bytes = sum;
	return found;
}

bool dmem_read(const char *folder, const char *file, const char *pci, uint64_t *ret_bytes)
{
	char text[DMEM_TEXT_BYTES];

	return gpu_file_read(text, sizeof(text), "%s/%s", folder, file) > 0 &&
	       dmem_parse(text, pci, ret_bytes);
}
