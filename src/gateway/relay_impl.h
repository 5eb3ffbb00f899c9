/* relay_impl: private to gateway*.c and relay_*.c: the steps that one part leaves to another. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"
#include "http/field.h"

struct gateway;
struct http_header;
struct model;
struct model_server;
struct relay;
struct send_effect;

enum { RELAY_FIELD_COUNT = 64 };

/* relay_receive.c: from the first byte of the body to the model. What of a request's fields a
 * server gets, "name\0value\0..", the caller's to free. */
char *relay_keep_fields(struct http_field_iterator all, size_t *ret_size);
void relay_resolve(struct gateway *gateway, struct relay *relay, struct mono_ms now);

/* relay_wait.c: for the model and for the turn. */
void relay_want_model(struct gateway *gateway, struct relay *relay, struct mono_ms now);
struct mono_ms relay_patience(const struct gateway *gateway, const struct relay *relay);
void relay_worker_changed(struct gateway *gateway); /* some may have room */
/* A tab is going: nobody waits for its model any more. */
void relay_worker_left(struct gateway *gateway, const struct model_server *server);
void relay_model_changed(struct gateway *gateway, struct model *model);
struct relay *relay_of_party(const struct gateway *gateway, uint64_t party);
void relay_news(struct gateway *gateway, struct relay *relay, const struct send_effect *send);
void relay_leave_queue(struct gateway *gateway, struct relay *relay); /* whatever it waits for */
void relay_give_back(struct gateway *gateway, struct relay *relay);

/* relay_share.c: several in one turn. */
/* Whether it has part in one that runs: it was forwarded, and may have ended. */
bool relay_join(struct gateway *gateway, struct relay *relay, struct mono_ms now);
/* The same of one that waits for its turn, at its look_at. */
void relay_join_late(struct gateway *gateway, struct relay *relay, struct mono_ms now);
/* Somebody has joined, or there is room again: of those who wait for this model the first look at
 * once, as many as its server works on. */
void relay_look_soon(struct gateway *gateway, const struct model *model, struct mono_ms now);
/* This turn has begun: those who wait for one like it come along. */
void relay_take_along(struct gateway *gateway, uint64_t party, struct mono_ms now);
/* Its turn goes to another that has part in it; false: there is none. */
bool relay_hand_on(struct gateway *gateway, struct relay *relay);
/* That turn was taken away: who has part in it ends, but for its holder. */
void relay_turn_lost(struct gateway *gateway, uint64_t party);

/* relay_forward.c: to the server and back. Those, and what Baton says for them: how many of
 * RELAY_FIELD_COUNT. `bearer` "": none. */
size_t relay_gather_fields(const char *kept, size_t kept_size, const char *bearer,
			   struct http_header *ret_fields);
void relay_forward(struct gateway *gateway, struct relay *relay, struct mono_ms now);
void relay_push_body(struct gateway *gateway, struct relay *relay);
/* What it asked is not wanted any more; the server hears it. */
void relay_cancel(struct gateway *gateway, struct relay *relay);
/* The client does not read, or reads again. */
void relay_pause(struct gateway *gateway, struct relay *relay, bool paused);
/* Wiped: it is not sent again. */
void relay_forget_body(struct gateway *gateway, struct relay *relay);

/* relay_answer.c: to the client. */
void relay_begin_answer(struct gateway *gateway, struct relay *relay, int status,
			struct http_field_iterator fields);
void relay_keep_alive(struct gateway *gateway, struct relay *relay, struct mono_ms now);
/* Its server makes this response to the end though nobody listens any more. */
bool relay_goes_on_alone(const struct relay *relay);
/* It may hold embeddings in numbers where the client asked for base64. */
bool relay_wants_base64(const struct relay *relay);
/* Some of the server's answer: by whole events where it is a stream of them. */
void relay_pass_on(struct gateway *gateway, struct relay *relay, const char *bytes, size_t length);
/* The server says that this was all. Takes it. */
void relay_answer_ended(struct gateway *gateway, struct relay *relay);
/* Ends it with an error, in the shape that fits what was sent already. Takes it. */
void relay_fail(struct gateway *gateway, struct relay *relay, int err, const char *message,
		int64_t retry_ms);
/* Its client has all of its answer, or no more of it: it ends, or settles. Takes it. */
void relay_leave(struct gateway *gateway, struct relay *relay, const char *outcome);
/* Logs its outcome, gives back what it holds, frees it. Takes it. */
void relay_end(struct gateway *gateway, struct relay *relay, const char *outcome);
/* Its client has left, or is not to get more; the server may still work. Takes it. */
void relay_abandon(struct gateway *gateway, struct relay *relay, const char *outcome);

/* What its server says of its work is too long to be read, and it is asked again: the log has it,
 * once. */
void relay_note_too_long(struct relay *relay);

/* relay_settle.c: over for its client. */
bool relay_must_settle(const struct relay *relay);
void relay_settle(struct relay *relay, int64_t most_ms);
void relay_look(struct relay *relay); /* whether the server works */
/* Its turn is wanted, in so long; 0: not any more. */
void relay_hurry(struct relay *relay, int64_t grace_ms);
/* Its time is over, whatever its server does; what that makes in the background is stopped. Takes
 * it. */
void relay_stop_settling(struct gateway *gateway, struct relay *relay);
