/* session_fixture: see session_fixture.h. */
#include "session_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"
#include "core/send.h"
#include "net/http.h"
#include "net/loop.h"
#include "server/endpoint_ops.h"
#include "server/queued_event.h"
#include "server/reload.h"
#include "server/respond.h"
#include "wire/session_decode.h"

struct session_fixture fixture;

static struct queued_event *shown;
static const char *const hosts[] = {"127.0.0.1:8470"};

/* ---- what stands outside ---- */

void process_tracker_take(struct process_tracker *tracker, uint64_t session, int pidfd)
{
	(void)tracker;
	(void)pidfd;
	fixture.taken = session;
}

bool process_tracker_gone(const struct process_tracker *tracker, uint64_t session)
{
	(void)tracker;
	(void)session;
	return fixture.peer_gone;
}

int reload_settings(struct reload *reload, struct settings_change *ret_change, char *detail,
		    size_t detail_size)
{
	(void)reload;
	fixture.reloads++;
	snprintf(detail, detail_size, "line 3 is wrong");
	if (fixture.reload_rc == 0)
		*ret_change = (struct settings_change){.applied = "timing, keys"};
	return fixture.reload_rc;
}

/* ---- the room ---- */

static void connect_room(struct session_fixture *f)
{
	f->sessions = (struct sessions){.endpoints = &f->endpoints,
					.queue = &f->broker.queue,
					.wire = &f->active.wire,
					.state = &f->state,
					.tracker = &f->tracker};
	f->sessions.greeting = (struct greeting){&f->endpoints,   &f->broker, &f->access,
						 &f->site_keeper, &f->state,  &f->lines.log};
	f->sessions.requests =
		(struct session_requests){&f->endpoints, &f->broker.queue, &f->sessions.answers};
	f->sessions.answers = (struct session_answers){&f->monitor,  &f->status_streams, &f->events,
						       &f->log_feed, &f->links,          f->reload};
	f->sessions.effects = (struct session_effects){.endpoints = &f->endpoints,
						       .broker = &f->broker,
						       .active = &f->active,
						       .state = &f->state,
						       .tracker = &f->tracker,
						       .position_updates = &f->position_updates};
	sessions_begin(&f->sessions);
}

int session_set_up(void **state)
{
	struct session_fixture *f = &fixture;

	*f = (struct session_fixture){0};
	*state = f;
	fake_net_reset();
	endpoints_init(&f->endpoints, NULL);
	f->broker.core = core_create();
	f->broker.now = fake_net.now;
	f->broker.wall = loop_wall_now();
	event_queue_init(&f->broker.queue);
	settings_defaults(&f->active.settings);
	f->active.wire.config = &f->active.settings.core;
	f->state.epoch = 7;

	access_setup_init(&f->access, false);
	f->access.policy.uid = FIXTURE_UID;
	f->access.policy.hosts = hosts;
	f->access.policy.host_count = 1;
	snprintf(f->access.token, sizeof f->access.token, FIXTURE_TOKEN);
	snprintf(f->access.admin_token, sizeof f->access.admin_token, FIXTURE_ADMIN_TOKEN);
	sites_init(&f->sites);
	f->site_keeper = (struct site_keeper){&f->sites, &f->access, &f->active.paths, NULL};

	log_ring_init(&f->lines, LOG_INFO);
	f->lines.log.fd = -1;
	event_ring_init(&f->events, 7);
	f->monitor = (struct monitor){.endpoints = &f->endpoints,
				      .broker = &f->broker,
				      .config = &f->active.settings.core,
				      .state = &f->state,
				      .event_ring = &f->events};
	status_streams_init(&f->status_streams, &f->monitor);
	position_updates_init(&f->position_updates);
	f->log_feed = (struct log_feed){&f->endpoints, &f->lines};
	f->links = (struct page_links){&f->access.keys, &f->broker.random, "http://127.0.0.1:8470"};
	connect_room(f);
	return 0;
}

static void drop_shown(void)
{
	if (shown)
		event_queue_drop(&fixture.broker.queue, shown);
	shown = NULL;
}

int session_tear_down(void **state)
{
	struct session_fixture *f = *state;
	drop_shown();
	status_streams_finish(&f->status_streams);
	position_updates_finish(&f->position_updates);
	event_ring_finish(&f->events);
	log_ring_finish(&f->lines);
	event_queue_finish(&f->broker.queue);
	core_destroy(f->broker.core);
	endpoints_finish(&f->endpoints);
	return 0;
}

void fixture_connect(uint64_t conn, int64_t uid)
{
	const struct net_peer peer = {
		.is_unix = true, .uid = uid, .pid = 4242, .pid_start = 99, .pidfd = -1};
	greeting_open(&fixture.sessions.greeting, conn, &peer);
}

void fixture_connect_page(uint64_t conn, enum access_right rights, const char *origin, bool paired)
{
	const struct http_request request = {.conn = conn,
					     .method = "GET",
					     .websocket = true,
					     .peer.uid = -1,
					     .peer.pid = 77,
					     .peer.pidfd = -1};
	const struct request_context context = {
		.request = &request,
		.verdict = {.rights = rights,
			    .allow_origin = origin,
			    .browser = origin != NULL,
			    .paired = paired,
			    .who = {.uid = -1, .origin = origin}},
	};
	greeting_open_websocket(&fixture.sessions.greeting, &context);
}

void fixture_say(uint64_t conn, const char *message)
{
	char copy[1024];
	int length = snprintf(copy, sizeof copy, "%s", message);
	assert((size_t)length < sizeof copy);
	sessions_on_message(&fixture.sessions, conn, copy, (size_t)length);
}

void fixture_enter(uint64_t conn, uint64_t id)
{
	const struct send_effect welcome = {.msg = SEND_WELCOME, .lease = id};

	fixture_connect(conn, FIXTURE_UID);
	fixture_say(conn, "{\"type\":\"hello\",\"version\":1,\"id\":\"me\"}");
	assert(fixture_event()->type == EVENT_SESSION_OPEN);
	endpoints_send(&fixture.endpoints, conn, &welcome);
	assert(endpoint_of(&fixture.endpoints, conn)->session->id == id);
}

const struct event *fixture_event(void)
{
	drop_shown();
	while (fixture.broker.queue.count > 1)
		event_queue_drop(&fixture.broker.queue, event_queue_shift(&fixture.broker.queue));
	shown = event_queue_shift(&fixture.broker.queue);
	return shown ? &shown->in.event : NULL;
}
