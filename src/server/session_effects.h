/* session_effects: effects as messages of a session. */
#pragma once
#include "core/send.h"
#include "server/endpoints.h"

struct server;

/* Sends it. A session that the core denies before its welcome is closed. */
void session_send_effect(void *ctx, struct endpoint *endpoint, const struct send_effect *send);
