/* edge: what net brings in, to the part that it is for. */
#pragma once

struct endpoints;
struct inference;
struct log;
struct net_handlers;
struct router;
struct sessions;

/* All is borrowed. */
struct edge {
	const struct router *router;
	struct sessions *sessions;
	struct endpoints *endpoints;
	struct inference *inference;
	struct log *log;
};

extern const struct net_handlers edge_handlers; /* of struct edge */
