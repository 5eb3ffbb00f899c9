/* router: from a request to the handler of its route, once access has let it in. */
#pragma once

struct access_setup;
struct exchanges;
struct greeting;
struct http_body_rule;
struct http_request;
struct inference;
struct key_routes;
struct log;
struct monitoring_routes;
struct net;
struct pages;
struct reload;
struct run_state;
struct site_routes;
struct worker_sockets;

/* What the handlers work on, by the name that a row of wire/route_table.h gives it. */
struct route_parts {
	struct exchanges *exchanges;
	struct monitoring_routes *monitoring;
	struct pages *pages;
	struct site_routes *sites;
	struct key_routes *keys;
	struct greeting *sessions;
	struct reload *config;
	struct inference *inference;
	struct worker_sockets *workers;
};

/* The pointers are borrowed. */
struct router {
	struct net *net;
	struct access_setup *access; /* its throttles count wrong tokens */
	struct run_state *state;     /* counts requests */
	struct log *log;
	struct route_parts parts;
};

/* How the route of a request takes its body. */
void router_on_head(const struct http_request *request, struct http_body_rule *rule);
/* Each request is answered at once, or an endpoint is opened for the effect that will. */
void router_on_request(const struct router *router, const struct http_request *request);
