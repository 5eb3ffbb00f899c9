/* receive: what the broker's messages do to a session. */
#pragma once
#include "base/mono.h"

struct baton;
struct received;

/* Handles one message. 0, or a negative enum err: the connection must be closed. */
int client_receive(struct baton *baton, const struct received *reply, struct mono_ms now);
