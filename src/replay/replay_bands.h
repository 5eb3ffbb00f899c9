/* replay_bands: the requests of a trace by client, for the picture: equal ids share a band. */
#pragma once
#include "core/types.h"

struct replay_result;
struct replay_trace;

enum { BANDS_MAX = 36 }; /* the clients beyond it share the last band */

struct band {
	const char *id;       /* NULL: the shared last one */
	enum lease_class cls; /* the highest that its requests have */
	size_t client_count, request_count, timeout_count, granted_count;
	int64_t first_ms;
};

struct bands {
	struct band *v;
	size_t count;
	size_t *of_request; /* index into v per request of the trace */
};

/* By class, then by first arrival. Aborts on allocation failure. */
void bands_init(struct bands *bands, const struct replay_trace *trace,
		const struct replay_result *result);
void bands_finish(struct bands *bands);
