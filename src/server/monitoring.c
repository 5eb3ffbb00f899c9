/* monitoring: collects what endpoints, rings and samples know, for people. Changes nothing. Called
 * by sessions.c. */
#include "server/monitoring.h"

#include "net/loop.h"
#include "server/deliver.h"
#include "server/server.h"
#include "wire/monitoring_encode.h"
#include "wire/status_encode.h"

enum { FRAME_BYTES = 16 }; /* what a message costs beside its text, at most */

/* What an answer may be long; 0: nothing. */
static size_t room(const struct server *server, uint64_t conn)
{
	size_t pending = session_pending(server->endpoints.net, conn);
	return pending < WATCH_PENDING_BYTES ? WATCH_PENDING_BYTES - pending : 0;
}

static void add_client(struct text *out, const struct endpoint *endpoint, struct mono_ms now)
{
	const struct endpoint_session *session = endpoint->session;
	const struct client_row client = {
		.session = session->id,
		.id = session->name,
		.principal = session->principal,
		.binding = session->binding,
		.since_ms = mono_since(now, session->since),
		.seen_ms = mono_since(now, session->seen),
		.browser = session->browser,
		.overdue = session->unconfirmed_count > 0,
		.origin = endpoint->origin,
		.uid = session->peer.is_unix ? session->peer.uid : -1,
		.pid = session->peer.is_unix ? session->peer.pid : 0,
		.about = &session->about,
	};
	encode_clients_add(out, &client);
}

bool monitoring_send_clients(struct server *server, uint64_t conn)
{
	struct text *out = &server->body;
	struct mono_ms now = loop_now();
	size_t most = room(server, conn);
	unsigned rows = 0, left_off = 0;
	if (most == 0)
		return false;
	text_clear(out);
	encode_clients_begin(out);
	list_each (it, next, &server->endpoints.kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (endpoint->session->id == 0)
			continue; /* the core has not let it in yet */
		if (rows >= WATCH_CLIENTS_MAX || out->length > most) {
			left_off++;
			continue;
		}
		add_client(out, endpoint, now);
		rows++;
	}
	encode_clients_end(out, left_off);
	deliver_body(server, conn);
	return true;
}

/* From the newest back to the oldest that is wanted and fits, for those who read them want the
 * newest; then sent in their order. */
bool monitoring_send_events(struct server *server, uint64_t conn, const struct session_request *in)
{
	const struct event_ring *ring = &server->event_ring;
	size_t ends[EVENT_ROWS_MAX], count = 0, most = room(server, conn);
	struct text *rows = &server->body;
	if (most == 0)
		return false;
	text_clear(rows);
	for (uint64_t id = ring->next - 1; count < in->limit && id > in->since; id--) {
		const struct event_ring_row *change = event_ring_at(ring, id);
		if (!change)
			break;
		event_encode(rows, &change->trace, change->id, change->at,
			     &server->active.settings.core);
		if (rows->length + (count + 1) * FRAME_BYTES > most)
			break;
		ends[count++] = rows->length;
	}
	for (size_t i = count; i-- > 0;) {
		size_t begin = i ? ends[i - 1] : 0;
		session_send(server->endpoints.net, conn, rows->bytes + begin, ends[i] - begin);
	}
	text_clear(rows);
	session_encode_ok(rows, count);
	deliver_body(server, conn);
	return true;
}

bool monitoring_send_samples(struct server *server, uint64_t conn)
{
	static uint32_t granted_mb[VRAM_HISTORY_COUNT], used_mb[VRAM_HISTORY_COUNT]; /* scratch */
	const struct vram_history *samples = &server->vram_history;
	struct gpu_view gpu;
	if (room(server, conn) == 0)
		return false;
	text_clear(&server->body);
	encode_samples_begin(&server->body, VRAM_HISTORY_STEP_MS,
			     vram_history_newest_ago_ms(samples, loop_now(), loop_suspended_ms()));
	for (uint32_t i = 0; core_gpu(server->broker.core, i, &gpu); i++) {
		const struct sample_series series = {
			.name = gpu.config->name,
			.total_known = gpu.config->vram_known,
			.total_mb = gpu.config->vram_bytes_total >> 20,
			.granted_mb = granted_mb,
			.used_mb = used_mb,
			.count = vram_history_series(samples, i, granted_mb, used_mb),
		};
		encode_samples_add(&server->body, &series);
	}
	encode_samples_end(&server->body);
	deliver_body(server, conn);
	return true;
}
