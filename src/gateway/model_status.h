/* model_status: models, requests and switches, for people. */
#pragma once
#include "base/limits.h"
#include "base/mono.h"

struct gateway;
struct gateway_client;
struct sight;
struct text;

/* Who looks; borrowed for the call. */
struct gateway_viewer {
	const struct gateway_client *client; /* NULL: the operator, who sees all */
	const struct sight *sight;           /* of others' requests; NULL: the same */
	const char *gpus[LIMIT_GPUS];        /* names, by their number; NULL: there is none */
};
/* Residents, requests and switches as JSON members: "models":[..],"requests":[..],"switches":[..];
 * of models and of whom a switch was for without what the viewer may not know. */
void gateway_status(const struct gateway *gateway, const struct gateway_viewer *viewer,
		    struct text *out, struct mono_ms now);
