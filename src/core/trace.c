/* trace: the names of what the core reports of its decisions. */
#include "core/trace.h"

static const char *const trace_names[TRACE_COUNT] = {
#define X(what, word) [what] = word,
	TRACE_TABLE(X)
#undef X
};

const char *trace_name(enum trace_what what)
{
	return (int)what >= 0 && what < TRACE_COUNT ? trace_names[what] : "unknown";
}
