/* fake: a broker that says what the test tells it to say, over a real Unix socket. The test plays
 * both sides in one thread; only calls that block inside libbaton get a helper thread. Everything
 * has a deadline, nothing sleeps. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "baton/baton.h"

enum { FAKE_MS_MAX = 10 * 1000 };

struct fake {
	char folder[64], path[96];
	int listen_fd, fd;
	struct buf in;
};

void fake_open(struct fake *fake);
void fake_close(struct fake *fake); /* the folder, too */

void fake_stop_listening(struct fake *fake); /* as if the broker had died */
void fake_listen(struct fake *fake);
bool fake_has_guest(struct fake *fake); /* somebody has connected */
void fake_accept(struct fake *fake);
void fake_hang_up(struct fake *fake);

/* One line each. `'` stands for `"`. */
__attribute__((format(printf, 2, 3))) void fake_send(struct fake *fake, const char *format, ...);
void fake_send_bytes(struct fake *fake, const char *bytes, size_t length);
/* The next message, which must be of this type; the caller's to json_decref. Only who asks for
 * `processes` sees it. */
json_t *fake_take(struct fake *fake, const char *type);
/* The same, thrown away; returns its `lease` or `ref`. */
json_int_t fake_expect(struct fake *fake, const char *type);
/* True: no message is on its way. */
bool fake_is_quiet(struct fake *fake);
/* True: the client has closed the connection; what it said before is thrown away. */
bool fake_is_closed(struct fake *fake);

/* baton_connect, answered by a helper thread with `answer` (NULL: a plain welcome). The result is
 * the client's. */
int fake_connect(struct fake *fake, const struct baton_options *options, const char *answer,
		 struct baton **ret_baton);
/* Accepts a reconnect and checks what `resume` shows. */
void fake_resume(struct fake *fake, bool known);

/* What the handlers saw. */
struct seen {
	int queued, granted, yields, kept, revoked, answered, ended, links;
	int code, answer_code, question; /* of the last ended and answered */
	enum baton_link link;
	struct baton_place place;
	uint64_t fence, lease;
	int64_t grace_ms;
	bool lease_in_revoked, release_in_yield, stopped_in_revoked;
	uint64_t fence_in_revoked;
	char reason[64], why[128], for_whom[64], gpu[64], uuid[64];
};
void seen_handlers(struct baton_claim_handlers *ret_handlers);
void seen_link(struct baton *baton, enum baton_link link, void *ctx);
/* Dispatches until *count reaches `wanted`. */
void pump(struct baton *baton, const int *count, int wanted);

/* A claim that is asked for, and one that is held, with `seen` as its ctx. Its ref is 1 in a fresh
 * session, its lease 7, its fence 100. */
struct baton_claim *fake_claim(struct fake *fake, struct baton *baton, struct seen *seen);
struct baton_claim *fake_hold(struct fake *fake, struct baton *baton, struct seen *seen);
/* The same with stops_later. */
struct baton_claim *fake_hold_later(struct fake *fake, struct baton *baton, struct seen *seen);
