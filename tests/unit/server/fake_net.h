/* fake_net: net for tests of what stands above it: no socket, no clock; it notes what it is given.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"
#include "server/endpoints.h"

struct fake_net {
	/* What the tests say. */
	struct mono_ms now;
	size_t pending;  /* of every connection */
	bool no_upgrade; /* a WebSocket is refused */
	/* What was given to net. */
	unsigned replies, messages, begins, writes, ends, closes, upgrades;
	uint64_t conn; /* of the last of them */
	int status, close_code;
	char headers[4096];   /* of the last answer */
	char body[64 * 1024]; /* of the last answer or message; of a stream, all since it began */
	size_t length;
};
extern struct fake_net fake_net;

void fake_net_reset(void); /* at 5000 ms */
/* As the session room makes one, and as it is once the core has let it in. */
struct endpoint *fake_session(struct endpoints *endpoints, uint64_t conn, uint64_t id);
