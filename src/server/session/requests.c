/* requests: see requests.h. What concerns no lease is answered in answers.c. */
#include "server/session/requests.h"

#include "base/err.h"
#include "server/access/operator_name.h"
#include "server/endpoints.h"
#include "server/event_queue.h"
#include "server/queued_event.h"
#include "server/session/answers.h"
#include "server/session/named_processes.h"
#include "server/session/refusal.h"

static void queue_event(const struct session_requests *requests, struct endpoint *endpoint,
			struct queued_event *queued)
{
	struct event *event = &queued->in.event;

	event->from = party_of(PARTY_SESSION, endpoint->conn);
	if (event->type == EVENT_ACQUIRE) {
		event->acquire.binding = endpoint->session->binding;
		event->acquire.browser = endpoint->session->browser;
	} else if (event->type == EVENT_PROCESSES && endpoint->session->binding == BIND_NATIVE) {
		char detail[128];
		int rc = named_processes_check(&endpoint->session->peer, &queued->in.named, detail,
					       sizeof(detail));
		if (rc) {
			session_deny(requests->endpoints->net, endpoint->conn, 0, -rc, detail);
			event_queue_drop(requests->queue, queued);
			return;
		}
	} else if (event->type == EVENT_RELEASE) {
		endpoint_released(endpoint, event->release.lease); /* also when it comes too late */
	}

	event_queue_push(requests->queue, queued);
}

/* Of itself alone: its own rows of the status, and what asks for nothing but an `ok`. */
static bool site_may_ask(const struct session_request *in)
{
	return in->kind == REQUEST_STATUS ||
	       (in->kind == REQUEST_SUBSCRIBE && !in->events && !in->logs) ||
	       (in->kind == REQUEST_EVENTS && in->limit == 0);
}

/* 0 or an enum err. A session that has shown nothing but a secret that the core has not judged yet
 * learns nothing; its events meet the core's own refusal. */
static int judge_request(const struct session_request *in, enum access_right rights)
{
	bool event = in->kind == REQUEST_EVENT || in->kind == REQUEST_ADMIN;
	bool asks = !event && in->kind != REQUEST_ABOUT;
	bool for_admins =
		in->kind == REQUEST_ADMIN || in->kind == REQUEST_OPEN || in->kind == REQUEST_RELOAD;

	if (rights == ACCESS_NONE && (asks || for_admins))
		return ERR_UNAUTHORIZED;
	if ((for_admins && rights < ACCESS_ADMIN) ||
	    (rights == ACCESS_QUEUE && asks && !site_may_ask(in)))
		return ERR_FORBIDDEN;
	return 0;
}

void session_said(const struct session_requests *requests, struct endpoint *endpoint,
		  struct queued_event *queued)
{
	struct session_request *in = &queued->in;
	const struct endpoint_session *session = endpoint->session;
	int err = judge_request(in, session->rights);

	if (err) {
		session_deny(requests->endpoints->net, endpoint->conn, in->ref, err, NULL);
		event_queue_drop(requests->queue, queued);
		return;
	}

	if (in->kind == REQUEST_ADMIN) {
		operator_name(&session->peer, session->principal, queued->who, sizeof(queued->who));
		in->event.admin.who = queued->who;
	}

	if (in->kind == REQUEST_EVENT || in->kind == REQUEST_ADMIN) {
		queue_event(requests, endpoint, queued);
		return;
	}

	/* Whatever a session says shows that it lives. */
	event_queue_event(requests->queue, EVENT_ALIVE, party_of(PARTY_SESSION, endpoint->conn));
	session_answer(requests->answers, endpoint, in);
	event_queue_drop(requests->queue, queued);
}
