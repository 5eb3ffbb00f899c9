/* files: small files of sysfs and procfs, as text and as numbers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GPU_PATH_BYTES = 512 };

/* The text of the file at a path made by printf, at most size - 1 bytes, NUL-terminated. Returns
 * its length, or a negative errno. */
__attribute__((format(printf, 3, 4))) int gpu_file_read(char *ret_text, size_t size,
							const char *format, ...);
/* A file of one decimal number, and nothing else. */
__attribute__((format(printf, 2, 3))) bool gpu_file_number(uint64_t *ret_number, const char *format,
							   ...);
__attribute__((format(printf, 1, 2))) bool gpu_file_exists(const char *format, ...);
/* The value of KEY in lines of KEY=VALUE. False: not there, or too long. */
bool gpu_line_value(const char *text, const char *key, char *ret_value, size_t size);
/* MemTotal and MemAvailable in bytes, of the text of /proc/meminfo. False: not both are there. */
bool gpu_parse_meminfo(const char *text, uint64_t *ret_total_bytes, uint64_t *ret_available_bytes);
