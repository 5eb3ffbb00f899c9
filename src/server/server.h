/* server: the parts of a running daemon, put together by serve.c. A function takes the part that it
 * works on; only callbacks and routes, which touch several, take the whole. */
#pragma once
#include "config/options.h"
#include "server/access_setup.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/hangup.h"
#include "server/logfile.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/position_updates.h"
#include "server/monitor/tally.h"
#include "server/monitor/vram_history.h"
#include "server/pages/live_reload.h"
#include "server/pages/pages.h"
#include "server/process_tracker.h"
#include "server/reload.h"
#include "server/sites.h"
#include "server/sockets.h"
#include "server/status_stream.h"

struct loop;

/* The configuration in force. */
struct active_config {
	struct settings settings;
	struct class_rule rules[SETTINGS_RULE_COUNT];
	struct class_rights rights[SETTINGS_PRINCIPAL_COUNT];
	struct wire_context wire; /* points into those above */
	struct options options;
	struct paths paths;
};

struct server {
	struct loop *loop;
	struct broker broker;
	struct endpoints endpoints;
	struct access_setup access;
	struct sites sites;
	struct pages pages;
	struct log_ring log_ring;
	struct event_ring event_ring;
	struct active_config active;
	struct status_streams status_streams;
	struct position_updates position_updates;
	struct vram_history vram_history;
	struct tally tally;
	struct logfile logfile;
	struct process_tracker tracker;
	struct reload_watch config_watch;
	struct sockets sockets;
	struct live_reload live_reload;
	struct hangup hangup;
	struct text body, line; /* scratch, for the length of one function */
	uint64_t epoch, requests;
	unsigned crowd_max;        /* the most claims and sessions since memory was given back */
	struct mono_ms crowd_left; /* when it will be, for most of them have left */
	int64_t turn_ms_max;       /* the longest that anybody waited for the loop */
	struct mono_ms started, keepalive_at, drain_until;
	char paused_reason[LIMIT_REASON_BYTES + 1];
	char doubt[160]; /* why it is not known who held before */
	bool doubt_open; /* the journal says that nothing may be granted yet */
	bool draining, stop;
	char home[ACCESS_HOST_BYTES + 16]; /* http://host:port of the first listener */
};
