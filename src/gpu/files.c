/* files: see files.h. Keeps nothing open. */
#include "gpu/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

__attribute__((format(printf, 2, 0))) static bool make_path(char ret_path[GPU_PATH_BYTES],
							    const char *format, va_list values)
{
	int length = vsnprintf(ret_path, GPU_PATH_BYTES, format, values);
	return length > 0 && length < GPU_PATH_BYTES;
}

static int read_whole(const char *path, char *ret_text, size_t size)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t length = 0;
	ssize_t got = 1;

	ret_text[0] = '\0';
	if (fd < 0)
		return -errno;

	while (got > 0 && length < size - 1) {
		got = read(fd, ret_text + length, size - 1 - length);
		if (got > 0)
			length += (size_t)got;
	}
	if (got < 0 && length == 0)
		return -errno;

	ret_text[length] = '\0';
	return (int)length;
}

int gpu_file_read(char *ret_text, size_t size, const char *format, ...)
{
	char path[GPU_PATH_BYTES];
	va_list values;

	va_start(values, format);
	bool fits = make_path(path, format, values);
	va_end(values);

	ret_text[0] = '\0';
	return fits ? read_whole(path, ret_text, size) : -ENAMETOOLONG;
}

/* A decimal number at *at, which moves behind it. False: none, or more than 64 bits. */
static bool take_number(const char **at, uint64_t *ret_number)
{
	const char *digit = *at;
	uint64_t number = 0;

	for (; *digit >= '0' && *digit <= '9'; digit++) {
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*digit - '0'), &number))
			return false;
	}

	if (digit == *at)
		return false;
	*at = digit;
	*ret_number = number;
	return true;
}

bool gpu_file_number(uint64_t *ret_number, const char *format, ...)
{
	char path[GPU_PATH_BYTES], text[32];
	const char *at = text;
	uint64_t number;
	va_list values;

	va_start(values, format);
	bool fits = make_path(path, format, values);
	va_end(values);

	if (!fits || read_whole(path, text, sizeof(text)) <= 0 || !take_number(&at, &number))
		return false;
	if (at[strspn(at, "\n")] != '\0')
		return false;
	*ret_number = number;
	return true;
}

bool gpu_file_exists(const char *format, ...)
{
	char path[GPU_PATH_BYTES];
	va_list values;

	va_start(values, format);
	bool fits = make_path(path, format, values);
	va_end(values);
	return fits && access(path, F_OK) == 0;
}

bool gpu_line_value(const char *text, const char *key, char *ret_value, size_t size)
{
	size_t length = strlen(key);

	for (const char *line = text; *line; line += line[0] == '\n') {
		size_t rest = strcspn(line, "\n");
		if (rest > length && line[length] == '=' && strncmp(line, key, length) == 0) {
			if (rest - length - 1 >= size)
				return false;
			memcpy(ret_value, line + length + 1, rest - length - 1);
			ret_value[rest - length - 1] = '\0';
			return true;
		}
		line += rest;
	}
	return false;
}

/* "KEY:   123 kB" at the begin of a line. */
static bool take_kb(const char *text, const char *key, uint64_t *ret_bytes)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += line[0] == '\n';
		if (strncmp(line, key, length) != 0 || line[length] != ':')
			continue;
		const char *at = line + length + 1;
		uint64_t kb;
		at += strspn(at, " \t");
		if (!take_number(&at, &kb) || strncmp(at, " kB", 3) != 0 || kb >> 54)
			return false;
		*ret_bytes = kb << 10;
		return true;
	}
	return false;
}

bool gpu_parse_meminfo(const char *text, uint64_t *ret_total_bytes, uint64_t *ret_available_bytes)
{
	uint64_t total, available;

	if (!take_kb(text, "MemTotal", &total) || !take_kb(text, "MemAvailable", &available) ||
	    available > total)
		return false;
	*ret_total_bytes = total;
	*ret_available_bytes = available;
	return true;
}
