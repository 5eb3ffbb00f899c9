/* deliver: carries effects out: answers, messages, lines, signals. */
#pragma once
#include "server/broker.h"

struct server;
struct endpoints;

/* The calls of broker_out, with the server as their context. */
struct broker_out deliver_out(struct server *server);
/* A SEND_QUEUED that position_updates.c found due. */
void deliver_place(void *ctx, struct party to, const struct send_effect *queued);
/* A comment line to every stream, so that proxies keep it open. */
void deliver_keepalive(struct endpoints *endpoints);
