/* send: the names of what a holder is told of its GPUs. */
#include "core/send.h"

static const char *const notice_names[NOTICE_COUNT] = {[NOTICE_IDLE] = "idle",
						       [NOTICE_OVER] = "over",
						       [NOTICE_LOST] = "gpu_lost",
						       [NOTICE_BACK] = "gpu_back",
						       [NOTICE_ASTRAY] = "other_gpu"};

const char *notice_name(int notice)
{
	return notice >= 0 && notice < NOTICE_COUNT ? notice_names[notice] : "unknown";
}
