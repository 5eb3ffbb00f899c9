/* deliver: carries effects out: answers, messages, lines, signals. */
#pragma once
#include "server/broker.h"

struct observed_line;
struct server;

/* The calls of broker_out, with the server as their context. */
struct broker_out deliver_out(struct server *server);
/* A SEND_QUEUED that places.c found due. */
void deliver_place(void *ctx, struct party to, const struct send_effect *queued);
/* Writes new changes to those who read /v1/gpu/events. True: some have more to read. */
bool deliver_feeds(struct server *server);
/* A comment line to every stream, so that proxies keep it open. */
void deliver_keepalive(struct server *server);
/* A log line to the sessions that asked for them; on_line of observers. */
void deliver_line(void *ctx, const struct observed_line *line);
/* One line as a `log` message in `out`. */
void deliver_render_line(struct text *scratch, struct text *out, const struct observed_line *line);
/* A message of our own to a session. Takes what is in server->body. */
void deliver_body(struct server *server, uint64_t conn);
