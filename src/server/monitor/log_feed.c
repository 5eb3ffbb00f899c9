/* log_feed: see log_feed.h. Called by the log for each line, and by sessions that ask for those of
 * before. */
#include "server/monitor/log_feed.h"

#include "base/text.h"
#include "net/session.h"
#include "server/endpoints.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/log_view.h"
#include "wire/session_encode.h"
#include "wire/sight.h"
#include "wire/told.h"

static void render_line(struct text *scratch, struct text *out, const struct log_ring_line *line,
			const struct sight *sight)
{
	text_clear(scratch);
	encode_time(scratch, line->at);
	text_format(scratch, " %s ", log_level_name(line->level));
	log_view_line(line->text, sight, scratch);
	text_clear(out);
	session_encode_log(out, scratch->bytes);
}

void log_feed_line(void *ctx, const struct log_ring_line *line)
{
	const struct log_feed *feed = ctx;

	if (feed->ring->subscribers == 0)
		return;
	cleanup_text struct text scratch = {0}, whole = {0}, narrow = {0};

	list_each (it, next, &feed->endpoints->kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (!endpoint->session->logs)
			continue;
		const struct sight sight = sight_of(endpoint->session->principal);
		struct text *shown = sight.narrow ? &narrow : &whole;
		if (shown->length == 0) /* a line says not whose it is: one for all of a kind */
			render_line(&scratch, shown, line, &sight);
		net_session_send(feed->endpoints->net, endpoint->conn, shown->bytes, shown->length);
	}
}

uint64_t log_feed_send(const struct log_feed *feed, uint64_t conn, uint64_t since, uint64_t limit)
{
	cleanup_text struct text message = {0};
	cleanup_text struct text scratch = {0};
	const struct log_ring *ring = feed->ring;
	const struct endpoint *endpoint = endpoint_of(feed->endpoints, conn);
	const struct sight sight =
		sight_of(endpoint && endpoint->session ? endpoint->session->principal : NULL);
	uint64_t first = ring->oldest, count = 0;

	if (since > first)
		first = since;
	else if (!since && ring->next - first > limit)
		first = ring->next - limit;

	for (; count < limit && first < ring->next; first++) {
		const struct log_ring_line *line = log_ring_at(ring, first);
		if (!line)
			continue;
		render_line(&scratch, &message, line, &sight);
		net_session_send(feed->endpoints->net, conn, message.bytes, message.length);
		count++;
	}

	return count;
}
