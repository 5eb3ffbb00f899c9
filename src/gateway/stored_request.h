/* errand: what is asked of a response that a server has stored: GET, DELETE and cancel. It takes no
 * turn, loads nothing, and goes to the server that made the response and to no other. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "gateway/response_book.h"

struct catalog;
struct gateway_client;
struct http_request;
struct log;
struct net;
struct upstream;

struct errands {
	struct net *net;
	struct upstream *upstream;
	struct log *log;
	const struct catalog *catalog;
	struct list list; /* struct errand */
	struct response_book book;
};

/* The others are set; borrowed until errands_finish. */
void errands_init(struct errands *errands);
void errands_finish(struct errands *errands); /* without a word */
/* A request on /v1/responses/ID, its body whole. */
void errand_begin(struct errands *errands, const struct http_request *request,
		  const struct gateway_client *client);
/* Those of this principal (NULL: of all) are refused, or cut where their answer has begun. */
void errands_end(struct errands *errands, const char *principal, int err, const char *message);
/* The callbacks of net; others' exchanges are passed over. */
void errands_writable(struct errands *errands, uint64_t conn);
bool errands_gone(struct errands *errands, uint64_t conn); /* true: it was one */
