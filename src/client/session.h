/* session: the connection of a `struct baton`, its retries and its deadlines. */
#pragma once
#include "base/mono.h"

struct baton;

struct mono_ms client_now(void);

/* One attempt to connect and send hello. 0 or a negative enum err; the state becomes HELLO, or
 * stays as it was on an error. */
int client_open(struct baton *baton, struct mono_ms now);
/* Reads, writes, reconnects and handles expired deadlines: everything that is due. */
void client_step(struct baton *baton);
/* Arms the timer and makes the descriptor readable if callbacks are queued. Call it last after any
 * change. */
void client_settle(struct baton *baton);
/* Drops a connection that is no longer usable: DOWN with a retry, or DEAD. `code` is public. */
void client_break(struct baton *baton, int code, const char *detail, struct mono_ms now);
/* Ends the session: every claim ends with `code`. */
void client_die(struct baton *baton, int code, const char *detail);

/* Queues baton->out as one message and tries to send it. Dropped unless the session is UP or in
 * HELLO: after a reconnect both sides compare their state instead. */
void client_send(struct baton *baton);
/* Sets what baton_detail returns; NULL clears it. */
void client_detail(struct baton *baton, const char *detail);

/* The earliest time the broker may let others in, less the margin: by then a holder must have been
 * asked to stop, and must be gone. */
struct mono_ms client_lost_at(const struct baton *baton);
struct mono_ms client_gone_at(const struct baton *baton);
