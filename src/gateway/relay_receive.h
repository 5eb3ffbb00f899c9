/* relay_receive: requests of inference APIs, from net to the gateway. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gateway;
struct gateway_client;
struct http_request;
/* A request on one of api.h's routes, its body streamed. */
void gateway_request(struct gateway *gateway, const struct http_request *request,
		     const struct gateway_client *client);
/* One about a stored response, its body whole: see stored_request.h. */
void gateway_stored(struct gateway *gateway, const struct http_request *request,
		    const struct gateway_client *client);
/* What asks for this principal is refused, whatever has begun of it. */
void gateway_shut_out(struct gateway *gateway, const char *principal);
/* The callbacks of net for exchanges that came by those two; others are passed over. */
void gateway_body(struct gateway *gateway, uint64_t conn, const char *bytes, size_t length);
void gateway_body_end(struct gateway *gateway, uint64_t conn);
void gateway_writable(struct gateway *gateway, uint64_t conn);
bool gateway_gone(struct gateway *gateway, uint64_t conn); /* true: it was one */
