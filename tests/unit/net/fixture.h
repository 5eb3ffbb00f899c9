/* fixture: a net with recording handlers and clients on real sockets, all driven by one loop in one
 * process: nothing sleeps, everything waits for a condition with a deadline, and the test fails
 * when a descriptor is left open. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/net.h"

enum fixture_mode {
	FIXTURE_REPLY,  /* 200 with the path as body, at once */
	FIXTURE_PARK,   /* no answer; fixture.conn tells the number */
	FIXTURE_STREAM, /* begins a stream */
	FIXTURE_ACCEPT, /* takes WebSockets, answers the rest */
	FIXTURE_ECHO    /* streams a body back as it comes, no faster than it is taken */
};

enum { FIXTURE_CLIENT_BYTES = 6 * 1024 * 1024 };

struct fixture {
	struct loop *loop;
	struct net *net;
	uint16_t port;
	char folder[64], line_path[96], http_path[96];
	int descriptors; /* before */
	enum fixture_mode mode;
	bool echo;                  /* sessions get their messages back */
	struct http_body_rule rule; /* bytes_max 0: none is given */
	bool pause_at_once;         /* a streamed body, in on_request */
	bool pause_at_piece;        /* in on_body */
	unsigned requests, gone, delivered, sessions, messages, closed, errors;
	unsigned heads, pieces, bodies, writable;
	size_t streamed_bytes;
	uint32_t streamed_sum; /* as fixture_sum counts it */
	int64_t body_bytes;
	uint64_t conn, conn_gone, conn_delivered, conn_closed;
	bool clean, reserved;
	int error;
	char path[256], body[256], text[256], what[128], order[256];
	size_t body_length, text_length;
	struct net_peer peer;
	bool had_pidfd; /* the newest session came with one; closed already */
};

struct client {
	int fd;
	char in[FIXTURE_CLIENT_BYTES];
	size_t length;
	bool ended, mute; /* peer ended; mute: reads nothing */
};

/* Short times, LIMIT_CONNECTIONS places, listening on TCP and two Unix sockets. */
struct fixture *fixture_open(const struct net_options *options); /* NULL: the defaults */
void fixture_close(struct fixture *fixture);                     /* checks the descriptors */
void fixture_turn(struct fixture *fixture);
uint32_t fixture_sum(uint32_t sum, const char *bytes, size_t length);
void fixture_wait(struct fixture *fixture, const unsigned *counter, unsigned at_least);

struct client *client_open(struct fixture *fixture);
struct client *client_open_unix(const char *path);
size_t client_send_some(struct client *client, const char *bytes, size_t length);
void client_send(struct client *client, const char *bytes, size_t length);
void client_send_text(struct client *client, const char *text);
void client_close(struct client *client);             /* takes NULL */
void client_leave(struct client *client, bool reset); /* closes, by RST or FIN */
/* Sends all of it, however long that takes; false: the peer closed. */
bool client_send_all(struct fixture *fixture, struct client *client, const char *bytes,
		     size_t length);
/* Turns the loop and reads until .. */
void client_wait_bytes(struct fixture *fixture, struct client *client, size_t length);
void client_wait_text(struct fixture *fixture, struct client *client, const char *text);
void client_wait_end(struct fixture *fixture, struct client *client);
void client_pump(struct fixture *fixture, struct client *client);
int client_status(const struct client *client); /* of the first answer; 0: none yet */
