/* stored_request: what is asked of a response that a server has stored: GET, DELETE and cancel. It
 * takes no turn, loads nothing, and goes to the server that made the response and to no other. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "gateway/response_index.h"

struct catalog;
struct gateway_client;
struct http_request;
struct log;
struct model_server;
struct net;
struct text;
struct upstream;

struct stored_requests {
	struct net *net;
	struct upstream *upstream;
	struct log *log;
	const struct catalog *catalog;
	struct list list; /* struct stored_request */
	struct response_index index;
};

/* The others are set; borrowed until stored_requests_finish. */
void stored_requests_init(struct stored_requests *requests);
void stored_requests_finish(struct stored_requests *requests); /* without a word */
/* A request on /v1/responses/ID, its body whole. */
void stored_request_begin(struct stored_requests *requests, const struct http_request *request,
			  const struct gateway_client *client);
/* Those of this principal (NULL: of all) are refused, or cut where their answer has begun. */
void stored_requests_end(struct stored_requests *requests, const char *principal, int err,
			 const char *message);
/* Where the response is that a request of this principal goes on from. ERR_NONE: there, NULL where
 * nobody here knows of it; else why it cannot, in words. */
int stored_requests_locate(const struct stored_requests *requests, const char *id,
			   const char *principal, const struct model_server **ret_server,
			   struct text *words);
/* The callbacks of net; others' exchanges are passed over. */
void stored_requests_writable(struct stored_requests *requests, uint64_t conn);
bool stored_requests_gone(struct stored_requests *requests, uint64_t conn); /* true: it was one */
