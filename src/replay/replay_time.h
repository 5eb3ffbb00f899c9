/* replay_time: a moment as people write it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* "2026-11-22", "2026-11-22T08:30", "2026-11-22 08:30:15Z" (with Z: UTC, else local time), or "7d",
 * "36h", "90m", "30s": so long before `now_ms`. False: it is none of these. */
bool replay_time_parse(const char *text, int64_t now_ms, int64_t *ret_wall_ms);
