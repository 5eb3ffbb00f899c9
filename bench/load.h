/* load: drives one lock server with N clients that take and give one lock in a loop. The engine
 * (load.c) owns sockets and clocks; a protocol says what bytes to write and what an answer means.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct client {
	int fd, number;
	char in[16384];
	size_t in_count;
	char token[64]; /* what the server wants back on release */
	int phase;      /* the protocol's own */
	bool released;  /* it waits for the answer to its release */
	double released_at;
};

enum outcome {
	OUTCOME_MORE,     /* nothing whole has arrived */
	OUTCOME_IGNORED,  /* a message that changes nothing */
	OUTCOME_OFFERED,  /* the lock is on its way: the grant has left the server */
	OUTCOME_GRANTED,  /* the client may work now */
	OUTCOME_RELEASED, /* the release was answered */
	OUTCOME_ERROR,
};

struct protocol {
	const char *name;
	/* Connects client number `number`; a descriptor or -1. */
	int (*connect)(const char *address, int number);
	void (*greet)(struct client *client);
	void (*take)(struct client *client);
	void (*give)(struct client *client);
	/* Looks at client->in and consumes one message. */
	enum outcome (*read)(struct client *client);
};

extern const struct protocol protocol_http, protocol_session, protocol_redis;

void client_write(struct client *client, const char *bytes, size_t length);
void client_consume(struct client *client, size_t length);
/* The bearer token of protocol_http; borrowed. */
extern const char *load_bearer;
int connect_tcp(const char *host_port);
