/* memory_trim: see memory_trim.h. Called once per loop turn. */
#include "server/memory_trim.h"

#include <malloc.h>

#include "core/view.h"

enum {
	CROWD = 4096, /* claims and sessions at once */
	CROWD_GONE_MS = 1000,
};

struct mono_ms memory_trim_step(struct memory_trim *trim, const struct core *core,
				struct mono_ms now)
{
	unsigned there =
		core_waiting_count(core) + core_held_count(core) + core_session_count(core);

	if (there >= trim->crowd_max || trim->crowd_max < CROWD)
		trim->crowd_max = there;
	if (trim->crowd_max < CROWD || there > trim->crowd_max / 4)
		trim->left = MONO_NEVER;
	else if (trim->left.v == MONO_NEVER.v)
		trim->left = mono_after(now, CROWD_GONE_MS);

	if (mono_due(trim->left, now)) {
		trim->crowd_max = there;
		trim->left = MONO_NEVER;
		(void)malloc_trim(0);
	}
	return trim->left;
}
