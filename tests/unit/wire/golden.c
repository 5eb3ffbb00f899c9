/* golden: the files that show each message as it is on the wire. Called by the tests of wire. */
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 64 * 1024 };

static FILE *golden_open(const char *name, const char *mode)
{
	char path[1024];
	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, name);
	FILE *file = fopen(path, mode);
	if (!file)
		fail_msg("cannot open %s", path);
	return file;
}

char *golden_read(const char *name)
{
	FILE *file = golden_open(name, "r");
	char *text = calloc(1, FILE_BYTES_MAX + 1);
	assert_non_null(text);
	size_t length = fread(text, 1, FILE_BYTES_MAX, file);
	fclose(file);
	assert_true(length > 0 && text[length - 1] == '\n');
	text[length - 1] = '\0';
	return text;
}

void golden_check(const char *name, const char *text)
{
	if (getenv("BATON_GOLDEN_WRITE")) {
		FILE *file = golden_open(name, "w");
		fprintf(file, "%s\n", text);
		assert_int_equal(fclose(file), 0);
		return;
	}
	char *wanted = golden_read(name);
	if (strcmp(wanted, text) != 0)
		print_error("%s\n  has:  %s\n  want: %s\n", name, text, wanted);
	assert_string_equal(text, wanted);
	free(wanted);
}
