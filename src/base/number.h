/* number: what people type as a number or a size. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* A plain decimal number at *text, which moves behind it: no sign, no exponent, no "inf". */
bool number_parse(const char **text, double *ret);
/* "8G", "512M", "1.5GiB", "4096B": powers of 1024, always with a unit, at most 2^60 bytes. */
bool number_parse_size(const char *text, uint64_t *ret_bytes);
