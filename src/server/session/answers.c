/* answers: see answers.h. Each is answered at once, or in slices by the monitor. */
#include "server/session/answers.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "net/session.h"
#include "server/access/page_links.h"
#include "server/endpoints.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_feed.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/monitor.h"
#include "server/monitor/monitoring.h"
#include "server/monitor/status_stream.h"
#include "server/reload.h"
#include "server/session/refusal.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"

static void send_text(const struct session_answers *answers, uint64_t conn, const struct text *text)
{
	net_session_send(answers->monitor->endpoints->net, conn, text->bytes, text->length);
}

static void deny_question(const struct session_answers *answers, uint64_t conn, int err,
			  const char *detail)
{
	session_deny(answers->monitor->endpoints->net, conn, 0, err, detail);
}

static void set_subscriptions(const struct session_answers *answers, struct endpoint *endpoint,
			      bool events, bool logs)
{
	struct endpoint_session *session = endpoint->session;
	answers->event_ring->subscribers += (unsigned)events - (unsigned)session->events;
	answers->log_feed->ring->subscribers += (unsigned)logs - (unsigned)session->logs;
	session->events = events;
	session->logs = logs;
}

void session_unsubscribe(const struct session_answers *answers, struct endpoint *endpoint)
{
	set_subscriptions(answers, endpoint, false, false);
	status_stream_drop(answers->status_streams, endpoint->conn);
}

static void send_ok(const struct session_answers *answers, uint64_t conn, uint64_t count)
{
	cleanup_text struct text body = {0};
	session_encode_ok(&body, count);
	send_text(answers, conn, &body);
}

/* The long answers, which wait for nobody who does not read. */
static void send_watched(const struct session_answers *answers, uint64_t conn,
			 const struct session_request *in)
{
	const struct monitor *monitor = answers->monitor;
	bool sent = in->kind == REQUEST_CLIENTS  ? monitoring_send_clients(monitor, conn)
		    : in->kind == REQUEST_EVENTS ? monitoring_send_events(monitor, conn, in)
						 : monitoring_send_samples(monitor, conn);
	if (!sent)
		deny_question(answers, conn, ERR_RATE_LIMITED, "read what was sent before");
}

static void send_link(const struct session_answers *answers, uint64_t conn)
{
	cleanup_text struct text body = {0};
	cleanup_text struct text line = {0};

	page_links_write(answers->links, &line);
	session_encode_link(&body, line.bytes);
	send_text(answers, conn, &body);
	explicit_bzero(line.bytes, line.length);
}

static void send_reloaded(const struct session_answers *answers, uint64_t conn)
{
	cleanup_text struct text body = {0};
	char detail[512];
	struct settings_change change;
	const char *words[32];
	size_t count = 0;
	char *save = NULL;

	if (reload_settings(answers->reload, &change, detail, sizeof(detail))) {
		deny_question(answers, conn, ERR_CONFIG, detail);
		return;
	}

	for (char *word = strtok_r(change.applied, ", ", &save); word && count < 32;
	     word = strtok_r(NULL, ", ", &save))
		words[count++] = word;
	session_encode_reloaded(&body, words, count);
	send_text(answers, conn, &body);
}

void session_answer(const struct session_answers *answers, struct endpoint *endpoint,
		    const struct session_request *in)
{
	uint64_t conn = endpoint->conn;

	switch (in->kind) {
	case REQUEST_STATUS:
		if (!status_stream_begin(answers->status_streams, conn, true, in->limit))
			deny_question(answers, conn, ERR_RATE_LIMITED, "status: one at a time");
		break;
	case REQUEST_SUBSCRIBE:
		set_subscriptions(answers, endpoint, in->events, in->logs);
		send_ok(answers, conn, 0);
		break;
	case REQUEST_LOGS:
		send_ok(answers, conn,
			log_feed_send(answers->log_feed, conn, in->since, in->limit));
		break;
	case REQUEST_ABOUT:
		client_info_merge(&endpoint->session->about, &in->about);
		break;
	case REQUEST_CLIENTS:
	case REQUEST_EVENTS:
	case REQUEST_SAMPLES:
		send_watched(answers, conn, in);
		break;
	case REQUEST_OPEN:
		send_link(answers, conn);
		break;
	case REQUEST_RELOAD:
		send_reloaded(answers, conn);
		break;
	case REQUEST_HELLO:
	case REQUEST_EVENT:
	case REQUEST_ADMIN:
		assert(false && "no question");
		break;
	}
}
