/* kept_file: the file of a keeper under test, whole; what fails ends the test. */
#pragma once
#include <stddef.h>

/* Readable for its owner alone, as the keepers ask. */
void kept_file_write(const char *path, const char *text);
void kept_file_read(const char *path, char *ret_text, size_t size);
