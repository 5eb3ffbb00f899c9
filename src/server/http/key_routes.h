/* key_routes: the operator makes keys for programs, sees them, and ends them. */
#pragma once

struct key_keeper;
struct log;
struct reload;
struct request_context;

/* All is borrowed. */
struct key_routes {
	const struct key_keeper *keeper;
	struct reload *reload; /* what came by a key ends with it; its broker has random bits */
	struct log *log;
};

void route_keys(struct key_routes *routes, const struct request_context *context);
void route_key_new(struct key_routes *routes, const struct request_context *context);
void route_key_revoke(struct key_routes *routes, const struct request_context *context);
