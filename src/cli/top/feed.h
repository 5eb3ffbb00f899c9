/* feed: the broker's side of `top`: its events as they come, its status once a second, and what the
 * user asks of it, one at a time. Nothing here waits; the caller polls. */
#pragma once
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct http_exchange;
struct http_stream;

enum {
	FEED_FDS = 3,
	FEED_REFRESH_MS = 1000,
	FEED_SETTLE_MS = 200, /* a change is shown so soon, and at most five times a second */
	FEED_SILENT_MS = 4000,
};

struct feed {
	struct http_stream *events;    /* NULL: not connected */
	struct http_exchange *status;  /* NULL: none is under way */
	struct http_exchange *request; /* the same */
	int64_t status_begun_ms, request_begun_ms, next_status_ms;
	int64_t away_since_ms; /* 0: it answers */
	bool changed;          /* an event came since the last status was asked for */
	char error[1024];      /* of the last failure; "": none */
	int err;               /* the same as a negative enum err; 0: none */
	uint64_t last_event;

	void (*on_event)(void *ctx, const json_t *event);
	void (*on_status)(void *ctx, json_t *status); /* takes the reference */
	/* Of feed_send; `error` NULL: done. */
	void (*on_done)(void *ctx, const char *error);
	void *ctx;
};

void feed_finish(struct feed *feed);
/* Starts what is due: a connection, a status; gives up what is silent for too long. Returns when to
 * come again. */
int64_t feed_step(struct feed *feed, int64_t now_ms);
/* Fills FEED_FDS rows for poll, and reads what it found. */
void feed_fill_fds(const struct feed *feed, struct pollfd *ret_fds);
void feed_read(struct feed *feed, const struct pollfd *fds, int64_t now_ms);
/* POSTs to `path`. False: another request is under way. */
bool feed_send(struct feed *feed, const char *path, const char *body, int64_t now_ms);
