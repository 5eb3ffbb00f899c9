/* listing: walks the core's views for GET /v1/gpu/status and the `status` message, part by part.
 * Asks, never changes. Called by the route, the sessions and once per loop turn. */
#include "server/listing.h"

#include <stdlib.h>

#include "net/loop.h"
#include "server/facts.h"
#include "server/respond.h"
#include "server/server.h"

struct listing {
	struct list link; /* listings.all */
	struct render render;
	struct text text;
	uint64_t conn, limit;
	bool own; /* only what is of this session, which has no number before its welcome */
	uint64_t session;
	uint64_t after;    /* holders: id of the last row */
	uint32_t position; /* waiters: the next row */
	bool as_message, begun;
};

void listings_init(struct listings *listings)
{
	*listings = (struct listings){0};
	list_init(&listings->all);
}

static void destroy(struct listings *listings, struct listing *listing)
{
	list_remove(&listing->link);
	listings->count--;
	render_finish(&listing->render);
	text_finish(&listing->text);
	free(listing);
}

void listings_finish(struct listings *listings)
{
	list_each(it, next, &listings->all)
		destroy(listings, container_of(it, struct listing, link));
}

static struct listing *listing_of(const struct listings *listings, uint64_t conn)
{
	list_each(it, next, &listings->all)
	{
		struct listing *listing = container_of(it, struct listing, link);
		if (listing->conn == conn)
			return listing;
	}
	return NULL;
}

void listing_drop(struct listings *listings, uint64_t conn)
{
	struct listing *listing = listing_of(listings, conn);
	if (listing)
		destroy(listings, listing);
}

static bool is_shown(const struct listing *listing, const struct claim_view *view)
{
	return !listing->own || (listing->session && view->rec->session == listing->session);
}

static bool add_waiter(const struct server *server, struct listing *listing)
{
	const struct core *core = server->broker.core;
	struct mono_ms now = server->broker.now;
	struct claim_view view;
	struct why why;
	if (listing->position >= listing->limit ||
	    !core_waiter_at(core, listing->position, now, &view))
		return false;
	if (!is_shown(listing, &view)) {
		listing->position++;
		return true;
	}
	if (listing->render.part == RENDER_QUEUED) {
		render_queued(&listing->render, &view);
	} else if (listing->render.part == RENDER_START_TIMES) {
		render_start_time(&listing->render, &view);
	} else {
		uint64_t id = view.rec->id;
		char names[FACTS_NAMES_BYTES];
		core_why(core, id, now, &why);
		struct render_wait wait = {.position = listing->position,
					   .why = &why,
					   .holder_name = facts_in_the_way(core, &why, now, names)};
		facts_told(core, id, now, server->broker.wall, &wait.told);
		render_waiter(&listing->render, &view, now, &server->live.settings.core, &wait);
	}
	listing->position++;
	return true;
}

static bool add_holder(const struct server *server, struct listing *listing)
{
	const struct core *core = server->broker.core;
	struct mono_ms now = server->broker.now;
	struct claim_view view;
	if (!core_holder_after(core, listing->after, now, &view))
		return false;
	listing->after = view.rec->id;
	if (!is_shown(listing, &view))
		return true;
	render_lease(&listing->render, &view, now, &server->live.settings.core,
		     facts_name(core, view.yield_for, now));
	return true;
}

static bool add_gpu(const struct server *server, struct listing *listing)
{
	struct gpu_view gpu;
	if (!core_gpu(server->broker.core, listing->position, &gpu))
		return false;
	render_gpu(&listing->render, listing->position++, &gpu);
	return true;
}

/* One row; false: the whole status is written. */
static bool add_row(const struct server *server, struct listing *listing)
{
	bool added = false;
	switch (listing->render.part) {
	case RENDER_GPUS:
		added = add_gpu(server, listing);
		break;
	case RENDER_LEASES:
		added = add_holder(server, listing);
		break;
	case RENDER_QUEUED:
	case RENDER_START_TIMES:
	case RENDER_WAITING:
		added = add_waiter(server, listing);
		break;
	case RENDER_HEAD:
		break;
	case RENDER_END:
		return false;
	}
	if (!added) {
		listing->position = 0;
		listing->after = 0;
		render_next(&listing->render);
	}
	return true;
}

/* True: there is more to write. */
static bool add_slice(const struct server *server, struct listing *listing, struct mono_ms end)
{
	do {
		for (int n = 0; n < LISTING_ROWS_PER_LOOK; n++)
			if (!add_row(server, listing))
				return false;
	} while (mono_before(loop_now(), end));
	return true;
}

/* A status that fits into one slice has a length; a longer one is a stream. */
static void send_http(struct server *server, struct listing *listing, bool more)
{
	struct net *net = server->endpoints.net;
	struct endpoint *endpoint = endpoint_of(&server->endpoints, listing->conn);
	const char *origin = endpoint ? endpoint->origin : NULL;
	const struct answer answer = {.status = 200, .content_type = "application/json"};
	if (!listing->begun && !more) {
		respond_text(net, listing->conn, origin, &answer, &listing->text);
		return;
	}
	if (!listing->begun)
		respond_stream(net, listing->conn, origin, answer.content_type);
	listing->begun = true;
	http_stream_write(net, listing->conn, listing->text.bytes, listing->text.length);
	text_clear(&listing->text);
	if (!more)
		http_stream_end(net, listing->conn);
}

static bool reader_lags(const struct server *server, const struct listing *listing)
{
	return listing->begun &&
	       http_stream_pending(server->endpoints.net, listing->conn) > LISTING_PENDING_BYTES;
}

/* True: there is more to write. The listing is gone otherwise. */
static bool step(struct server *server, struct listing *listing, struct mono_ms end)
{
	bool more = add_slice(server, listing, end);
	uint64_t conn = listing->conn;
	if (!listing->as_message)
		send_http(server, listing, more);
	else if (!more)
		session_send(server->endpoints.net, conn, listing->text.bytes,
			     listing->text.length);
	if (more)
		return true;
	if (!listing->as_message)
		endpoint_shut(&server->endpoints, endpoint_of(&server->endpoints, conn));
	destroy(&server->listings, listing);
	return false;
}

bool listing_begin(struct server *server, uint64_t conn, bool as_message, uint64_t limit)
{
	const struct endpoint *endpoint = endpoint_of(&server->endpoints, conn);
	bool own = endpoint && endpoint->session && endpoint->session->rights == ACCESS_QUEUE;
	struct core_stats stats;
	struct claim_view holder;
	if (listing_of(&server->listings, conn))
		return false;
	struct listing *listing = calloc(1, sizeof *listing);
	if (!listing)
		abort();
	core_stats(server->broker.core, &stats);
	struct render_head head = {
		.stats = &stats,
		.version = BATON_VERSION,
		.paused_reason = server->paused_reason,
		.uptime_ms = mono_since(server->broker.now, server->started),
		.wall = server->broker.wall,
		.draining = server->draining,
	};
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		core_waits(server->broker.core, (enum lease_class)cls, &head.waits[cls]);
	head.grants = core_grants(server->broker.core, server->broker.now, &head.grants_left_ms);
	head.grants_detail = facts_grants_detail(server, head.grants);
	if (!own && core_holder_after(server->broker.core, 0, server->broker.now, &holder))
		head.owner = holder.rec->name;
	listing->conn = conn;
	listing->as_message = as_message;
	listing->limit = limit;
	listing->own = own;
	listing->session = own ? endpoint->session->id : 0;
	text_init(&listing->text);
	render_begin(&listing->render, &listing->text, &head, as_message);
	list_init(&listing->link);
	list_append(&server->listings.all, &listing->link);
	server->listings.count++;
	return true;
}

struct mono_ms listings_step(struct server *server)
{
	struct list *all = &server->listings.all;
	if (server->listings.count == 0)
		return MONO_NEVER;
	struct mono_ms wake = MONO_NEVER, now = loop_now();
	struct mono_ms end = mono_after(now, LISTING_SLICE_MS);
	for (unsigned left = server->listings.count; left > 0; left--) {
		struct listing *listing = container_of(all->next, struct listing, link);
		list_remove(&listing->link);
		list_append(all, &listing->link);
		if (reader_lags(server, listing)) {
			wake = mono_min(wake, mono_after(now, LISTING_LAG_MS));
			continue;
		}
		bool more = step(server, listing, end);
		if (more || (left > 1 && mono_due(end, loop_now())))
			return now;
	}
	return wake;
}
