/* deliver: carries effects out: answers, messages, lines, signals. */
#pragma once
#include "server/broker.h"

struct message_context;
struct log_ring_line;
struct server;
struct endpoints;

/* The calls of broker_out, with the server as their context. */
struct broker_out deliver_out(struct server *server);
/* A SEND_QUEUED that position_updates.c found due. */
void deliver_place(void *ctx, struct party to, const struct send_effect *queued);
/* A comment line to every stream, so that proxies keep it open. */
void deliver_keepalive(struct endpoints *endpoints);
/* For a kind's `send`: what the message says besides its effect. */
void deliver_fill(struct server *server, struct message_context *context,
		  const struct send_effect *send);
/* For the kinds that hear of their place: notes what this message says of it. A session that came
 * back with a waiting claim has not heard it yet. */
void deliver_note_place(struct server *server, struct party to, const struct send_effect *send,
			const struct message_context *context);
/* A log line to the sessions that asked for them; on_line of log_ring. */
void deliver_line(void *ctx, const struct log_ring_line *line);
/* One line as a `log` message in `out`. */
void deliver_render_line(struct text *scratch, struct text *out, const struct log_ring_line *line);
