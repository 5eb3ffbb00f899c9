/* kept_file: see kept_file.h. */
#include "kept_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/stat.h>

void kept_file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

void kept_file_read(const char *path, char *ret_text, size_t size)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
	assert_int_equal(fclose(file), 0);
}
