/* Goal: whatever a llama-swap configuration says, what is printed for it is a configuration that
 * Baton takes once each vram_mb is filled in, and none before; or it is refused, and nothing is
 * printed. Method: libFuzzer, or the corpus as a plain test; the lines are read by Baton's own
 * reader. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "config/settings.h"
#include "import/llama_swap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *fixed_env(const char *name)
{
	return strcmp(name, "HOME") == 0 ? "/a \"b\"" : NULL;
}

static void load_lines(const struct buf *lines, bool good)
{
	static struct settings defaults, settings;
	char path[64], detail[512];
	int fd = memfd_create("lines", 0);

	assert(fd >= 0 && write(fd, buf_data(lines), lines->length) == (ssize_t)lines->length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	settings_defaults(&defaults);
	int rc = settings_load(path, &defaults, &settings, detail, sizeof(detail));
	if ((rc == 0) != good)
		fprintf(stderr, "%s\n%.*s\n", rc ? detail : "taken", (int)lines->length,
			buf_data(lines));
	assert((rc == 0) == good);
	close(fd);
}

static void fill_in(const struct buf *lines, struct buf *ret)
{
	static const char empty[] = "\n        vram_mb: #";
	const char *from = buf_data(lines), *end = from + lines->length;

	for (const char *at; (at = memmem(from, (size_t)(end - from), empty, sizeof(empty) - 1));) {
		at += sizeof(empty) - 2;
		buf_append(ret, from, (size_t)(at - from));
		buf_append_text(ret, "1000 ");
		from = at;
	}
	buf_append(ret, from, (size_t)(end - from));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct llama_swap_source source = {
		.path = "f", .text = (const char *)data, .length = size, .env = fixed_env};
	struct llama_swap_lines lines = {0};
	struct buf filled = {0};
	char detail[256] = "";
	int rc = llama_swap_import(&source, &lines, detail, sizeof(detail));

	if (rc != 0) {
		assert(rc == -ERR_CONFIG && strncmp(detail, "f:", 2) == 0);
		assert(lines.lines.length == 0 && lines.warnings.length == 0);
		return 0;
	}

	if (lines.servers > 0)
		load_lines(&lines.lines, false);
	fill_in(&lines.lines, &filled);
	if (filled.length < SETTINGS_FILE_BYTES)
		load_lines(&filled, true);
	buf_finish(&filled);
	llama_swap_finish(&lines);
	return 0;
}
