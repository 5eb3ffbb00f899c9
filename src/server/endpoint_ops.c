/* endpoint_ops: the table of kinds. Knows none of them. */
#include "server/endpoint_ops.h"

#include <assert.h>

static const struct endpoint_ops *const kinds[ENDPOINT_KIND_COUNT] = {
	[ENDPOINT_REQUEST] = &lock_request_ops, [ENDPOINT_ANSWERED] = &lock_answered_ops,
	[ENDPOINT_STREAM] = &lock_stream_ops,   [ENDPOINT_FEED] = &event_feed_ops,
	[ENDPOINT_STATUS] = &status_stream_ops, [ENDPOINT_GREETING] = &greeting_ops,
	[ENDPOINT_SESSION] = &session_ops,      [ENDPOINT_LEAVING] = &leaving_ops,
};

const struct endpoint_ops *endpoint_ops_of(enum endpoint_kind kind)
{
	assert(kind < ENDPOINT_KIND_COUNT);
	assert(kinds[kind]);
	return kinds[kind];
}
