/* notice: tells a holder, once, what the readings of its GPUs show and it may not know. Nothing
 * else follows from it. */
#pragma once
#include <stdint.h>

struct claim;
struct core;

enum {
	NOTICE_IDLE_MS = 60 * 1000, /* so long without computing, it is told */
};

/* More than what it declared by so much, or so much of a GPU that is not its own, it is told: a
 * driver's context is not all it may be. */
#define NOTICE_OVER_BYTES ((uint64_t)64 << 20)

/* For how long a holder's GPUs have computed nothing since it was granted them; 0: they do, or it
 * is not known. */
int64_t notice_idle_ms(const struct core *core, const struct claim *claim);
/* After each reading. */
void notice_judge(struct core *core, uint32_t gpu);
