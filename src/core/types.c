/* types: the names of classes, states and reasons, and from a class's name or number back
 * to the class. Decides nothing. */
#include "core/types.h"

#include <string.h>

static const char *const class_names[LEASE_CLASS_COUNT] = {
	[LEASE_VOICE] = "voice",
	[LEASE_CHAT] = "chat",
	[LEASE_NORMAL] = "normal",
	[LEASE_BACKGROUND] = "background",
};

/* The predecessor's numbers, which its pages still send. */
static const int class_priorities[LEASE_CLASS_COUNT] = {0, 10, 15, 20};

static const char *const state_names[CLAIM_STATE_COUNT] = {
	[CLAIM_QUEUED] = "queued",     [CLAIM_OFFERED] = "offered", [CLAIM_HELD] = "held",
	[CLAIM_YIELDING] = "yielding", [CLAIM_ENDED] = "ended",     [CLAIM_DRAINING] = "draining",
	[CLAIM_LOADING] = "loading",
};

static const char *const end_names[END_REASON_COUNT] = {
	[END_NONE] = "none",
	[END_RELEASED] = "released",
	[END_TIMEOUT] = "timeout",
	[END_CANCELLED] = "cancelled",
	[END_DISCONNECTED] = "disconnected",
	[END_EXPIRED] = "expired",
	[END_REVOKED] = "revoked",
	[END_DENIED] = "denied",
	[END_FORCE_RELEASED] = "force-released",
};

static const char *const yield_names[YIELD_REASON_COUNT] = {
	[YIELD_PREEMPTED] = "preempted",       [YIELD_HOLD_MAX] = "hold-max",
	[YIELD_EVICTED] = "evicted",           [YIELD_OPERATOR] = "operator",
	[YIELD_EXPIRED] = "expired",           [YIELD_HOST_OVER] = "host-over",
	[YIELD_UNRESPONSIVE] = "unresponsive", [YIELD_LOAD_MAX] = "load-max",
};

/* An index outside the table is a caller's bug, but printing must not crash on it. */
static const char *name_of(const char *const *names, int count, int index)
{
	return index >= 0 && index < count ? names[index] : "unknown";
}

const char *lease_class_name(int cls)
{
	return name_of(class_names, LEASE_CLASS_COUNT, cls);
}

const char *claim_state_name(int state)
{
	return name_of(state_names, CLAIM_STATE_COUNT, state);
}

const char *end_reason_name(int reason)
{
	return name_of(end_names, END_REASON_COUNT, reason);
}

const char *yield_reason_name(int reason)
{
	return name_of(yield_names, YIELD_REASON_COUNT, reason);
}

int lease_class_from_name(const char *name)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (strcmp(class_names[cls], name) == 0)
			return cls;
	return -1;
}

int lease_class_priority(enum lease_class cls)
{
	return class_priorities[cls];
}

static int64_t distance_between(int64_t a, int64_t b)
{
	int64_t gap;

	if (__builtin_sub_overflow(a, b, &gap) || gap == INT64_MIN)
		return INT64_MAX;
	return gap < 0 ? -gap : gap;
}

const char *gpu_maker_name(enum gpu_maker maker)
{
	static const char *const names[GPU_MAKER_COUNT] = {[GPU_MAKER_NVIDIA] = "nvidia",
							   [GPU_MAKER_AMD] = "amd",
							   [GPU_MAKER_INTEL] = "intel"};
	return names[maker];
}

enum lease_class lease_class_from_priority(int64_t priority)
{
	enum lease_class best = LEASE_VOICE;

	for (int cls = LEASE_VOICE; cls < LEASE_CLASS_COUNT; cls++)
		if (distance_between(priority, class_priorities[cls]) <
		    distance_between(priority, class_priorities[best]))
			best = (enum lease_class)cls;
	return best;
}
