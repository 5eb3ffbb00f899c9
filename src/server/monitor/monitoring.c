/* monitoring: collects what endpoints, rings and samples know, for people. Changes nothing. Called
 * by session/answers.c. */
#include "server/monitor/monitoring.h"

#include "base/text.h"
#include "core/config.h"
#include "net/loop.h"
#include "net/session.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/gpus/gpu_board.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/monitor.h"
#include "server/monitor/vram_history.h"
#include "wire/event_encode.h"
#include "wire/monitoring_encode.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"
#include "wire/sight.h"

enum { FRAME_BYTES = 16 }; /* what a message costs beside its text, at most */

/* What an answer may be long; 0: nothing. */
static size_t room_bytes(const struct monitor *monitor, uint64_t conn)
{
	size_t pending = net_session_pending(monitor->endpoints->net, conn);
	return pending < WATCH_PENDING_BYTES ? WATCH_PENDING_BYTES - pending : 0;
}

static struct sight sight_of_session(const struct monitor *monitor, uint64_t conn)
{
	const struct endpoint *endpoint = endpoint_of(monitor->endpoints, conn);

	return sight_of(endpoint && endpoint->session ? endpoint->session->principal : NULL);
}

/* What its connection shows tells on whose behalf it is, too. */
static void add_client(struct text *out, const struct endpoint *endpoint, struct mono_ms now,
		       const struct sight *sight)
{
	static const struct client_info nothing;
	const struct endpoint_session *session = endpoint->session;
	bool told = sight_tells(sight, session->principal);
	const struct client_row client = {
		.session = session->id,
		.id = session->name,
		.principal = told ? session->principal : NULL,
		.binding = session->binding,
		.since_ms = mono_since(now, session->since),
		.seen_ms = mono_since(now, session->seen),
		.browser = session->browser,
		.overdue = session->unconfirmed_count > 0,
		.origin = told ? endpoint->origin : NULL,
		.uid = told && session->peer.is_unix ? session->peer.uid : -1,
		.pid = told && session->peer.is_unix ? session->peer.pid : 0,
		.about = told ? &session->about : &nothing,
	};

	encode_clients_add(out, &client);
}

static void send_text(const struct monitor *monitor, uint64_t conn, const struct text *text)
{
	net_session_send(monitor->endpoints->net, conn, text->bytes, text->length);
}

bool monitoring_send_clients(const struct monitor *monitor, uint64_t conn)
{
	struct text out;
	struct mono_ms now = loop_now();
	const struct sight sight = sight_of_session(monitor, conn);
	size_t most = room_bytes(monitor, conn);
	unsigned rows = 0, left_off = 0;

	if (most == 0)
		return false;
	text_init(&out);
	encode_clients_begin(&out);
	list_each (it, next, &monitor->endpoints->kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (endpoint->session->id == 0)
			continue; /* the core has not let it in yet */
		if (rows >= WATCH_CLIENTS_MAX || out.length > most) {
			left_off++;
			continue;
		}
		add_client(&out, endpoint, now, &sight);
		rows++;
	}

	encode_clients_end(&out, left_off);
	send_text(monitor, conn, &out);
	text_finish(&out);
	return true;
}

/* From the newest back to the oldest that is wanted and fits, for those who read them want the
 * newest; then sent in their order. */
bool monitoring_send_events(const struct monitor *monitor, uint64_t conn,
			    const struct session_request *in)
{
	const struct event_ring *ring = monitor->event_ring;
	size_t ends[EVENT_ROWS_MAX], count = 0, most = room_bytes(monitor, conn);
	const struct sight sight = sight_of_session(monitor, conn);
	struct text rows;

	if (most == 0)
		return false;
	text_init(&rows);
	for (uint64_t id = ring->next - 1; count < in->limit && id > in->since; id--) {
		const struct event_ring_row *change = event_ring_at(ring, id);
		if (!change)
			break;
		event_encode(&rows, &change->trace, change->id, change->at, monitor->config,
			     &sight);
		if (rows.length + (count + 1) * FRAME_BYTES > most)
			break;
		ends[count++] = rows.length;
	}

	for (size_t i = count; i-- > 0;) {
		size_t begin = i ? ends[i - 1] : 0;
		net_session_send(monitor->endpoints->net, conn, rows.bytes + begin,
				 ends[i] - begin);
	}

	text_clear(&rows);
	session_encode_ok(&rows, count);
	send_text(monitor, conn, &rows);
	text_finish(&rows);
	return true;
}

bool monitoring_send_samples(const struct monitor *monitor, uint64_t conn)
{
	static uint32_t granted_mb[VRAM_HISTORY_COUNT], used_mb[VRAM_HISTORY_COUNT]; /* scratch */
	const struct vram_history *samples = monitor->vram_history;
	struct gpu_view gpu;
	struct text out;

	if (room_bytes(monitor, conn) == 0)
		return false;
	if (monitor->gpus)
		gpu_board_ask(monitor->gpus, loop_now());
	text_init(&out);
	encode_samples_begin(&out, VRAM_HISTORY_STEP_MS,
			     vram_history_newest_ago_ms(samples, loop_now(), loop_suspended_ms()));
	for (uint32_t i = 0; core_gpu(monitor->broker->core, i, &gpu); i++) {
		const struct sample_series series = {
			.name = gpu.config->name,
			.total_known = gpu.config->vram_known,
			.total_mb = gpu.config->vram_bytes_total >> 20,
			.granted_mb = granted_mb,
			.used_mb = used_mb,
			.count = vram_history_series(samples, i, granted_mb, used_mb),
		};
		encode_samples_add(&out, &series);
	}
	encode_samples_end(&out);
	send_text(monitor, conn, &out);
	text_finish(&out);
	return true;
}
