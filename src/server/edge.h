/* edge: what net brings in, to the part that it is for. */
#pragma once
#include "base/log.h"
#include "server/endpoints.h"
#include "server/http/router.h"
#include "server/inference/inference.h"
#include "server/session/sessions.h"

/* All is borrowed. */
struct edge {
	const struct router *router;
	struct sessions *sessions;
	struct endpoints *endpoints;
	struct inference *inference;
	struct log *log;
};

extern const struct net_handlers edge_handlers; /* of struct edge */
