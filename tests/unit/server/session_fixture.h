/* session_fixture: the session room over an empty core and a fake net. The tracker and the reload
 * are the fixture's: they note what they are asked. */
#pragma once
#include "base/log.h"
#include "fake_net.h"
#include "server/access/access_setup.h"
#include "server/access/page_links.h"
#include "server/access/site_keeper.h"
#include "server/access/sites.h"
#include "server/active_config.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_feed.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/monitor.h"
#include "server/monitor/position_updates.h"
#include "server/monitor/status_stream.h"
#include "server/process_tracker.h"
#include "server/run_state.h"
#include "server/session/sessions.h"

enum { FIXTURE_UID = 1000 };
#define FIXTURE_TOKEN       "the-install-token"
#define FIXTURE_ADMIN_TOKEN "the-admin-token"

struct session_fixture {
	struct endpoints endpoints;
	struct broker broker;
	struct active_config active;
	struct run_state state;
	struct access_setup access;
	struct sites sites;
	struct site_keeper site_keeper;
	struct log_ring lines;
	struct event_ring events;
	struct monitor monitor;
	struct status_streams status_streams;
	struct position_updates position_updates;
	struct log_feed log_feed;
	struct page_links links;
	struct process_tracker tracker;
	struct reload *reload; /* never looked into */
	struct sessions sessions;
	/* What the parts outside were asked, and what they say. */
	uint64_t taken; /* the session whose pidfd the tracker took */
	bool peer_gone;
	unsigned reloads;
	int reload_rc;
};
extern struct session_fixture fixture;

int session_set_up(void **state);
int session_tear_down(void **state);
/* A line session of this user that has not said hello, and a WebSocket as access judged it. */
void fixture_connect(uint64_t conn, int64_t uid);
void fixture_connect_page(uint64_t conn, enum access_right rights, const char *origin, bool paired);
void fixture_say(uint64_t conn, const char *message);
/* Connected and greeted, and the core let it in as `id`. */
void fixture_enter(uint64_t conn, uint64_t id);
/* The newest queued event, taken out of the queue; it stays good until the next call. */
const struct event *fixture_event(void);
