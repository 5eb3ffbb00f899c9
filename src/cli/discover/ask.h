/* ask: short questions to local servers, all at once, over plain HTTP. */
#pragma once
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct ask {
	uint16_t port;    /* of 127.0.0.1 */
	const char *path; /* GET */
	int status;       /* 0: no answer, in time, that is HTTP */
	json_t *json;     /* its body; NULL: none, or no JSON. The caller's */
	char *text;       /* a body that is no JSON; or NULL. The caller's */
};

/* Returns when all have answered, or after `time_ms`. Aborts without memory. */
void ask_all(struct ask *asks, size_t count, int64_t time_ms);
