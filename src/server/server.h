/* server: the parts of a running daemon. startup.c puts them together, serve.c runs the loop over
 * them; nothing else sees the whole: a function takes the part that it works on, and a part borrows
 * the few others that it needs. */
#pragma once
#include "server/access/access_setup.h"
#include "server/access/key_keeper.h"
#include "server/access/page_links.h"
#include "server/access/site_keeper.h"
#include "server/active_config.h"
#include "server/addresses.h"
#include "server/broker.h"
#include "server/deliver.h"
#include "server/edge.h"
#include "server/endpoints.h"
#include "server/gpus/gpu_sampler.h"
#include "server/http/exchanges.h"
#include "server/http/key_routes.h"
#include "server/http/monitoring_routes.h"
#include "server/http/router.h"
#include "server/http/site_routes.h"
#include "server/inference/inference.h"
#include "server/inference/worker_sockets.h"
#include "server/journal_watch.h"
#include "server/logfile.h"
#include "server/memory_trim.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_feed.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/monitor.h"
#include "server/monitor/position_updates.h"
#include "server/monitor/status_stream.h"
#include "server/monitor/tally.h"
#include "server/monitor/traces.h"
#include "server/monitor/vram_history.h"
#include "server/pages/live_reload.h"
#include "server/pages/pages.h"
#include "server/process_tracker.h"
#include "server/reload.h"
#include "server/run_state.h"
#include "server/session/sessions.h"
#include "server/shutdown.h"
#include "server/signals.h"
#include "server/sockets.h"

struct loop;

struct server {
	struct loop *loop;
	struct broker broker;
	struct endpoints endpoints;
	struct access_setup access;
	struct sites sites;
	struct site_keeper site_keeper;
	struct api_keys api_keys;
	struct key_keeper key_keeper;
	struct pages pages;
	struct log_ring log_ring;
	struct event_ring event_ring;
	struct active_config active;
	struct run_state state;
	struct monitor monitor;
	struct traces traces;
	struct log_feed log_feed;
	struct status_streams status_streams;
	struct position_updates position_updates;
	struct vram_history vram_history;
	struct tally tally;
	struct logfile logfile;
	struct process_tracker tracker;
	struct gpu_sampler gpus;
	struct reload reload;
	struct sockets sockets;
	struct inference inference;
	struct worker_sockets worker_sockets;
	struct live_reload live_reload;
	struct page_links page_links;
	struct sessions sessions;
	struct exchanges exchanges;
	struct monitoring_routes monitoring_routes;
	struct site_routes site_routes;
	struct key_routes key_routes;
	struct router router;
	struct signals signals;
	struct edge edge;
	struct deliver deliver;
	struct journal_watch journal_watch;
	struct shutdown shutdown;
	struct memory_trim memory_trim;
	char home[HOME_BYTES]; /* http://host:port of the first listener */
};
