/* units: sizes, durations and signals as people write them, and back. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "8G", "8GB", "8GiB", "512M", "1.5T" (all binary), bytes only with their unit: "1048576B". False:
 * not a size. */
bool units_parse_size(const char *text, uint64_t *ret_bytes);
/* "500ms", "90s", "90", "5m", "1h30m", "1.5h", "2d". */
bool units_parse_duration(const char *text, int64_t *ret_ms);
bool units_parse_count(const char *text, uint32_t *ret_count);
/* A count, or "all": BATON_SLOTS_ALL. */
bool units_parse_slots(const char *text, uint32_t *ret_slots);
bool units_parse_signal(const char *text, int *ret_signo);

enum { UNITS_BYTES = 32 };
/* "0.4s", "12s", "3m 20s", "2h 05m", "3d 4h"; "-" for a negative one. Returns `out`. */
const char *units_duration(char out[UNITS_BYTES], double seconds);
/* MiB as "512M", "8.0G", "1.5T"; "?" for a negative one. */
const char *units_mb(char out[UNITS_BYTES], double mb);
