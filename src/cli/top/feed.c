/* feed: keeps one event stream and at most two exchanges; says what came by callbacks. */
#include "cli/top/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/field.h"
#include "cli/http_client.h"

static void note_failure(struct feed *feed, int err, int64_t now_ms)
{
	feed->err = err;
	if (feed->away_since_ms == 0)
		feed->away_since_ms = now_ms;
}

void feed_finish(struct feed *feed)
{
	http_stream_close(feed->events);
	http_exchange_drop(feed->status);
	http_exchange_drop(feed->request);
	feed->events = NULL;
	feed->status = feed->request = NULL;
}

/* ---- events ---- */

static void take_line(void *ctx, const char *line)
{
	struct feed *feed = ctx;
	if (strncmp(line, "data:", 5) != 0)
		return;

	line += 5 + strspn(line + 5, " ");
	json_t *event = json_loads(line, 0, NULL);
	uint64_t id = field_u64(event, "id");
	feed->changed = true;
	if (id > feed->last_event)
		feed->last_event = id;
	if (event)
		feed->on_event(feed->ctx, event);
	json_decref(event);
}

/* From the oldest that the broker remembers, or from where we were. */
static void follow_events(struct feed *feed)
{
	char path[64], error[sizeof(feed->error)];
	snprintf(path, sizeof(path), "/v1/gpu/events?since=%" PRIu64, feed->last_event);
	if (!feed->events)
		(void)http_stream_request(path, &feed->events, error, sizeof(error));
}

static void read_events(struct feed *feed)
{
	if (http_stream_read(feed->events, take_line, feed) <= 0) {
		http_stream_close(feed->events);
		feed->events = NULL;
		feed->changed = true;
	}
}

/* ---- status ---- */

static void ask_status(struct feed *feed, int64_t now_ms)
{
	feed->changed = false;
	feed->next_status_ms = now_ms + FEED_REFRESH_MS;
	feed->status_begun_ms = now_ms;
	follow_events(feed); /* first, so that no change after the answer is missed */

	int rc = http_exchange_begin("GET", "/v1/gpu/status", NULL, &feed->status, feed->error,
				     sizeof(feed->error));
	if (rc < 0)
		note_failure(feed, rc, now_ms);
}

static void end_status(struct feed *feed, int rc, int64_t now_ms)
{
	struct http_exchange *exchange = feed->status;
	json_t *status;
	feed->status = NULL;
	rc = http_exchange_end(exchange, rc, &status, feed->error, sizeof(feed->error));
	if (rc < 0) {
		note_failure(feed, rc, now_ms);
		return;
	}

	feed->err = 0;
	feed->error[0] = '\0';
	feed->away_since_ms = 0;
	feed->on_status(feed->ctx, status);
}

/* ---- requests ---- */

bool feed_send(struct feed *feed, const char *path, const char *body, int64_t now_ms)
{
	char error[sizeof(feed->error)];
	if (feed->request)
		return false;

	feed->request_begun_ms = now_ms;
	if (http_exchange_begin("POST", path, body, &feed->request, error, sizeof(error)) < 0)
		feed->on_done(feed->ctx, error);
	return true;
}

static void end_request(struct feed *feed, int rc)
{
	struct http_exchange *exchange = feed->request;
	char error[sizeof(feed->error)];
	json_t *answer = NULL;
	feed->request = NULL;
	rc = http_exchange_end(exchange, rc, &answer, error, sizeof(error));
	feed->on_done(feed->ctx, rc < 0 ? error : NULL);
	feed->changed = true;
	json_decref(answer);
}

/* ---- the loop's side ---- */

int64_t feed_step(struct feed *feed, int64_t now_ms)
{
	if (feed->status && now_ms >= feed->status_begun_ms + FEED_SILENT_MS)
		end_status(feed, -ERR_SLOW, now_ms);
	if (feed->request && now_ms >= feed->request_begun_ms + FEED_SILENT_MS)
		end_request(feed, -ERR_SLOW);

	int64_t soon_ms = feed->status_begun_ms + FEED_SETTLE_MS;
	int64_t due_ms = feed->changed && !feed->err && soon_ms < feed->next_status_ms
				 ? soon_ms
				 : feed->next_status_ms;
	if (!feed->status && now_ms >= due_ms) {
		ask_status(feed, now_ms);
		due_ms = feed->next_status_ms;
	}

	if (feed->status)
		due_ms = feed->status_begun_ms + FEED_SILENT_MS;
	if (feed->request && feed->request_begun_ms + FEED_SILENT_MS < due_ms)
		due_ms = feed->request_begun_ms + FEED_SILENT_MS;
	return due_ms;
}

void feed_fill_fds(const struct feed *feed, struct pollfd *ret_fds)
{
	ret_fds[0] = (struct pollfd){.fd = feed->events ? http_stream_fd(feed->events) : -1,
				     .events = POLLIN};
	ret_fds[1] = (struct pollfd){.fd = feed->status ? http_exchange_fd(feed->status) : -1,
				     .events = POLLIN};
	ret_fds[2] = (struct pollfd){.fd = feed->request ? http_exchange_fd(feed->request) : -1,
				     .events = POLLIN};
}

void feed_read(struct feed *feed, const struct pollfd *fds, int64_t now_ms)
{
	if (fds[0].revents && feed->events)
		read_events(feed);

	if (fds[1].revents && feed->status) {
		int rc = http_exchange_step(feed->status);
		if (rc <= 0)
			end_status(feed, rc, now_ms);
	}

	if (fds[2].revents && feed->request) {
		int rc = http_exchange_step(feed->request);
		if (rc <= 0)
			end_request(feed, rc);
	}
}
