/* session: the connection of a `struct baton` over its whole life: hello, welcome, breaks,
 * reconnects with backoff, and their deadlines. What messages mean for claims is in receive.c and
 * claim.c. Fails closed: no path here leads to a lease. */
#include "client/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/margin.h"
#include "client/claim.h"
#include "client/client.h"
#include "client/error.h"
#include "client/receive.h"
#include "client/world.h"
#include "wire/client_decode.h"
#include "wire/client_encode.h"

enum { READS_PER_STEP = 64 };

struct mono_ms client_now(void)
{
	return client_world()->now(client_world()->ctx);
}

void client_detail(struct baton *baton, const char *detail)
{
	snprintf(baton->detail, sizeof(baton->detail), "%s", detail ? detail : "");
}

static void watch_link(struct baton *baton, bool for_write)
{
	const struct client_world *world = client_world();
	(void)world->watch(world->ctx, baton->io_fd, baton->transport.fd, false, for_write);
	baton->link_watched_for_write = for_write;
}

static void flush_link(struct baton *baton)
{
	/* A failed write shows up as end of file in the next read, after the broker's last
	 * messages; so nothing is decided here. */
	(void)transport_flush(&baton->transport);
	bool wants_write = transport_wants_write(&baton->transport);
	if (wants_write != baton->link_watched_for_write)
		watch_link(baton, wants_write);
}

void client_send(struct baton *baton)
{
	bool connected = baton->state == SESSION_UP || baton->state == SESSION_HELLO;
	if (connected &&
	    transport_queue(&baton->transport, baton->out.bytes, baton->out.length) == 0)
		flush_link(baton);
	text_clear(&baton->out);
}

static int64_t add_jitter(int64_t ms)
{
	uint16_t random = 0;
	(void)client_world()->random(client_world()->ctx, &random, sizeof(random));
	return ms / 2 + ms / 2 * random / UINT16_MAX;
}

struct mono_ms client_lost_at(const struct baton *baton)
{
	return mono_after(baton->looked_at, margin_stop_after_ms(baton->linger_ms));
}

struct mono_ms client_gone_at(const struct baton *baton)
{
	return mono_after(baton->looked_at, margin_kill_after_ms(baton->linger_ms));
}

static void wait_to_retry(struct baton *baton, struct mono_ms now)
{
	int64_t max_ms = baton->claims ? SESSION_BACKOFF_CLAIM_MS_MAX : SESSION_BACKOFF_MS_MAX;

	baton->state = SESSION_DOWN;
	baton->retry_at = mono_after(now, add_jitter(baton->backoff_ms));
	baton->backoff_ms *= 2;
	if (baton->backoff_ms > max_ms)
		baton->backoff_ms = max_ms;
}

int client_open(struct baton *baton, struct mono_ms now)
{
	const struct client_world *world = client_world();
	int rc = transport_open(&baton->transport, baton->socket_path);
	if (rc < 0)
		return rc;

	if (world->watch(world->ctx, baton->io_fd, baton->transport.fd, true, false) < 0) {
		transport_close(&baton->transport);
		return -ERR_IO;
	}

	baton->link_watched_for_write = false;
	baton->state = SESSION_HELLO;
	baton->hello_deadline = mono_after(now, baton->connect_timeout_ms);

	const struct client_hello hello = {
		.name = baton->name,
		.resume = baton->secret[0] && !baton->forgotten ? baton->secret : NULL,
	};

	text_clear(&baton->out);
	client_encode_hello(&baton->out, &hello);
	client_send(baton);
	return 0;
}

void client_die(struct baton *baton, int code, const char *detail)
{
	if (baton->state == SESSION_DEAD)
		return;

	transport_close(&baton->transport); /* leaves the epoll set by itself */
	baton->state = SESSION_DEAD;
	baton->fatal = code;
	client_detail(baton, detail);

	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		client_claim_end(claim, code, baton_error_name(code));
}

/* Refusals that a retry cannot fix. */
static bool is_final(int code)
{
	return code == BATON_E_UNAUTHORIZED || code == BATON_E_FORBIDDEN || code == BATON_E_VERSION;
}

static void forget_questions(struct baton_claim *claim)
{
	int question;
	while ((question = client_claim_answered(claim, 0))) {
		struct callback *notice =
			callback_queue_add(&claim->session->notices, NOTICE_ANSWERED, claim);
		notice->question = (enum baton_question)question;
		notice->code = BATON_E_UNREACHABLE;
	}
}

void client_break(struct baton *baton, int code, const char *detail, struct mono_ms now)
{
	bool was_up = baton->state == SESSION_UP;
	bool never_up = !baton->secret[0];

	if (baton->state == SESSION_DEAD)
		return;
	if (never_up || baton->no_reconnect || is_final(code)) {
		client_die(baton, code, detail);
		return;
	}

	transport_close(&baton->transport);
	baton->processes_asked = 0;
	baton->processes_recorded = false;
	client_detail(baton, detail);

	if (was_up) {
		baton->down_since = now;
		callback_queue_add(&baton->notices, NOTICE_LINK, NULL)->link = BATON_LINK_DOWN;
		for (struct baton_claim *claim = baton->claims; claim; claim = claim->next) {
			forget_questions(claim);
			if (claim->phase == PHASE_WAITING && claim->request.no_wait)
				client_claim_end(claim, code, baton_error_name(code));
		}
	}

	wait_to_retry(baton, now);
}

/* Takes all complete lines, then reads more, until nothing comes or the budget is spent. */
static void read_link(struct baton *baton, struct mono_ms now)
{
	for (int i = 0; i < READS_PER_STEP; i++) {
		const char *line;
		size_t length;
		int rc;

		while ((rc = transport_line(&baton->transport, &line, &length)) > 0) {
			struct received reply;
			rc = client_decode(line, length, &reply);
			if (rc == 0)
				rc = client_receive(baton, &reply, now);
			else
				client_detail(baton, "the broker sent a line that is no message");
			client_decode_finish(&reply);
			if (baton->transport.fd < 0)
				return; /* the message closed the connection itself */
			if (rc < 0)
				break;
		}

		if (rc < 0) {
			char detail[SESSION_DETAIL_BYTES];
			snprintf(detail, sizeof(detail), "%s", baton->detail);
			client_break(baton, BATON_E_PROTOCOL, detail, now);
			return;
		}

		rc = transport_read(&baton->transport);
		if (rc == 0)
			return;
		if (rc < 0) {
			baton->cut_off = true;
			client_break(baton, BATON_E_UNREACHABLE, "the broker closed the connection",
				     now);
			return;
		}
	}
}

/* A break is seen at once, but only by a thread that runs. Nobody can tell afterwards how long it
 * did not, so while it holds a lease it also checks at intervals. */
static bool holds_lease(const struct baton *baton)
{
	for (const struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		if (claim->phase == PHASE_HELD)
			return true;
	return false;
}

static void arm_timer(struct baton *baton, struct mono_ms now)
{
	struct mono_ms next = MONO_NEVER;
	if (baton->state == SESSION_HELLO)
		next = baton->hello_deadline;
	else if (baton->state == SESSION_DOWN)
		next = baton->retry_at;
	else if (baton->state == SESSION_UP && holds_lease(baton))
		next = mono_after(baton->looked_at, margin_look_every_ms(baton->linger_ms));

	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		next = mono_min(next, client_claim_tick(claim, now));
	client_world()->arm(client_world()->ctx, baton->timer_fd, next);
}

void client_settle(struct baton *baton)
{
	uint64_t one = 1;
	arm_timer(baton, client_now());
	if (baton->notices.first && write(baton->event_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* already readable */
}

void client_step(struct baton *baton)
{
	struct mono_ms now = client_now();
	uint64_t expirations;
	if (read(baton->timer_fd, &expirations, sizeof(expirations)) < 0)
		assert(errno == EAGAIN);

	if (baton->state == SESSION_DOWN && mono_due(baton->retry_at, now)) {
		int rc = client_open(baton, now);
		if (rc < 0)
			client_break(baton, error_public(rc), "no broker answers on the socket",
				     now);
	}

	if (baton->state == SESSION_HELLO || baton->state == SESSION_UP) {
		flush_link(baton);
		read_link(baton, now);
	}

	if (baton->state == SESSION_HELLO && mono_due(baton->hello_deadline, now))
		client_break(baton, BATON_E_TIMEOUT, "the broker did not answer hello", now);
	if (baton->state == SESSION_UP)
		baton->looked_at = now;
	client_settle(baton);
}
