/* api: connect, dispatch and close: the calls of libbaton that make and drive a session. Handlers
 * are called only here, without the lock. */
#include "client/api.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/where.h"
#include "client/claim.h"
#include "client/client.h"
#include "client/error.h"
#include "client/request.h"
#include "client/session.h"
#include "client/world.h"
#include "wire/client_encode.h"

static int add_to_epoll(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void client_destroy(struct baton *baton)
{
	if (!baton)
		return;

	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		claim->freed = true;
	client_claims_sweep(baton);
	callback_queue_finish(&baton->notices);
	transport_finish(&baton->transport);
	text_finish(&baton->out);

	close_fd(baton->io_fd);
	close_fd(baton->timer_fd);
	close_fd(baton->event_fd);
	close_fd(baton->user_fd);

	pthread_mutex_destroy(&baton->lock);
	explicit_bzero(baton->secret, sizeof(baton->secret));
	free(baton);
}

static int client_create(const struct baton_options *options, struct baton **ret_baton)
{
	struct baton *baton = calloc(1, sizeof(*baton));
	if (!baton)
		return BATON_E_NO_MEMORY;

	pthread_mutex_init(&baton->lock, NULL);
	transport_init(&baton->transport);
	text_init(&baton->out);
	baton->backoff_ms = SESSION_BACKOFF_MS_MIN;
	baton->state = SESSION_DOWN;
	baton->retry_at = MONO_NEVER;

	baton->io_fd = epoll_create1(EPOLL_CLOEXEC);
	baton->user_fd = epoll_create1(EPOLL_CLOEXEC);
	baton->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	baton->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	int rc = client_options_copy(options, baton);
	if (rc == 0 && (baton->io_fd < 0 || baton->user_fd < 0 || baton->event_fd < 0 ||
			baton->timer_fd < 0 || add_to_epoll(baton->io_fd, baton->timer_fd) < 0 ||
			add_to_epoll(baton->user_fd, baton->io_fd) < 0 ||
			add_to_epoll(baton->user_fd, baton->event_fd) < 0))
		rc = BATON_E_IO;

	if (rc < 0) {
		client_destroy(baton);
		return rc;
	}

	*ret_baton = baton;
	return 0;
}

/* Waits for the first welcome or a refusal; the timer enforces the deadline. */
static int await_welcome(struct baton *baton)
{
	const struct client_world *world = client_world();
	while (baton->state == SESSION_HELLO) {
		if (world->wait(world->ctx, baton->io_fd, -1) < 0 && errno != EINTR)
			return BATON_E_IO;
		client_step(baton);
	}
	return baton->state == SESSION_UP ? 0 : baton->fatal;
}

int client_begin(const struct baton_options *options, struct baton **ret_baton)
{
	struct baton *baton;
	int rc = client_create(options, &baton);
	if (rc < 0)
		return rc;

	rc = client_open(baton, client_now());
	if (rc < 0) {
		client_destroy(baton);
		return error_public(rc);
	}

	client_settle(baton);
	*ret_baton = baton;
	return 0;
}

/* `ret_passes`: the broker seems to be restarting. */
static int connect_once(const struct baton_options *options, struct baton **ret_baton,
			bool *ret_passes)
{
	struct baton *baton;
	struct where where = {.count = 1};
	*ret_passes = false;

	int rc = client_create(options, &baton);
	if (rc < 0)
		return rc;

	rc = client_open(baton, client_now());
	bool cut_off = rc == -ERR_UNREACHABLE;
	if (rc < 0) {
		rc = error_public(rc);
	} else {
		client_settle(baton);
		rc = await_welcome(baton);
		cut_off = baton->cut_off;
	}

	if (rc == 0) {
		*ret_baton = baton;
		return 0;
	}

	/* Without a given path it may come back at any of the known ones. */
	if ((options && options->socket_path) || where_look(&where) < 0)
		memcpy(where.paths[0], baton->socket_path, sizeof(where.paths[0]));
	*ret_passes = cut_off && where_may_return(&where);
	client_destroy(baton);
	return rc;
}

int baton_connect(const struct baton_options *options, struct baton **ret_baton)
{
	const struct client_world *world = client_world();
	struct mono_ms begin = client_now();
	int64_t patience_ms = WHERE_RESTART_MS;
	if (options && options->connect_timeout_ms < patience_ms)
		patience_ms = options->connect_timeout_ms;
	if (options && options->no_reconnect)
		patience_ms = 0;

	int pause_ms = WHERE_RESTART_STEP_MS;
	bool passes;
	*ret_baton = NULL;
	int rc;

	while ((rc = connect_once(options, ret_baton, &passes)) < 0 && passes &&
	       mono_since(client_now(), begin) < patience_ms) {
		(void)world->wait(world->ctx, -1, pause_ms);
		pause_ms *= 2;
		if (pause_ms > WHERE_RESTART_STEP_MS_MAX)
			pause_ms = WHERE_RESTART_STEP_MS_MAX;
	}
	return rc;
}

void baton_close(struct baton *baton)
{
	if (!baton)
		return;
	baton_keepalive_stop(baton);
	if (baton->state == SESSION_UP) {
		client_encode_bye(&baton->out);
		client_send(baton);
	}
	client_destroy(baton);
}

int baton_fd(const struct baton *baton)
{
	return baton->user_fd;
}

enum baton_link baton_link_state(const struct baton *baton)
{
	struct baton *self = (struct baton *)baton;
	pthread_mutex_lock(&self->lock);
	enum baton_link link = self->state == SESSION_UP ? BATON_LINK_UP : BATON_LINK_DOWN;
	pthread_mutex_unlock(&self->lock);
	return link;
}

const char *baton_detail(const struct baton *baton)
{
	return baton->detail;
}

/* ---- handlers ---- */

/* Calls the handler of one callback. No lock is held: the handler may call us. */
static void call_handler(struct baton *baton, const struct callback *notice)
{
	struct baton_claim *claim = notice->claim;
	const struct baton_claim_handlers *handlers = claim ? &claim->handlers : NULL;
	void *ctx = claim ? claim->request.ctx : NULL;

	switch (notice->kind) {
	case NOTICE_LINK:
		if (baton->link_changed)
			baton->link_changed(baton, notice->link, baton->ctx);
		break;
	case NOTICE_QUEUED:
		if (handlers->queued) {
			const struct baton_place place = {
				.position = notice->position,
				.eta_ms = notice->eta_ms,
				.bound_ms = notice->bound_ms,
				.eta_p90_ms = notice->eta_p90_ms,
				.estimate = notice->estimate,
				.sentence = notice->sentence,
				.why = notice->words,
				.why_code = notice->reason,
			};
			handlers->queued(claim, &place, ctx);
		}
		break;
	case NOTICE_GRANTED:
		/* If it was lost again meanwhile, only its end is reported. */
		if (handlers->granted && baton_claim_lease(claim))
			handlers->granted(claim, &claim->lease, ctx);
		break;
	case NOTICE_YIELD:
		if (handlers->yield && baton_claim_lease(claim)) {
			const struct baton_yield yield = {
				.reason = notice->reason,
				.for_whom = notice->words,
				.grace_ms = notice->grace_ms,
			};
			handlers->yield(claim, &yield, ctx);
		}
		break;
	case NOTICE_KEPT:
		if (handlers->kept && baton_claim_lease(claim))
			handlers->kept(claim, ctx);
		break;
	case NOTICE_TOLD:
		if (baton_claim_lease(claim))
			handlers->noticed(claim, notice->reason, notice->sentence, ctx);
		break;
	case NOTICE_REVOKED:
		if (handlers->revoked)
			handlers->revoked(claim, notice->reason, ctx);
		break;
	case NOTICE_ANSWERED:
		if (handlers->answered)
			handlers->answered(claim, notice->question, notice->code, ctx);
		break;
	case NOTICE_ENDED:
		if (handlers->ended)
			handlers->ended(claim, notice->code, notice->reason, ctx);
		break;
	case NOTICE_PAGE:
		break;
	}
}

/* Delivers all queued callbacks. Returns how many. */
static int call_handlers(struct baton *baton)
{
	int count = 0;
	struct callback *notice;
	baton->in_handler = true;

	while ((notice = callback_queue_take(&baton->notices))) {
		pthread_mutex_unlock(&baton->lock);
		call_handler(baton, notice);
		pthread_mutex_lock(&baton->lock);
		if (notice->kind == NOTICE_REVOKED)
			client_claim_revoked_told(notice->claim);
		free(notice);
		count++;
	}

	baton->in_handler = false;
	uint64_t shown;
	if (read(baton->event_fd, &shown, sizeof(shown)) < 0)
		shown = 0; /* it was not readable: EAGAIN */

	client_claims_sweep(baton);
	return count;
}

/* Milliseconds left of a timeout that began at `start`; -1: no limit. */
static int left_ms(int timeout_ms, struct mono_ms start)
{
	if (timeout_ms < 0)
		return -1;
	int64_t left = timeout_ms - mono_since(client_now(), start);
	return left > 0 ? (int)left : 0;
}

int baton_dispatch(struct baton *baton, int timeout_ms)
{
	struct mono_ms start = client_now();
	const struct client_world *world = client_world();

	pthread_mutex_lock(&baton->lock);
	if (baton->in_handler) {
		pthread_mutex_unlock(&baton->lock);
		return BATON_E_STATE;
	}

	int rc;
	for (;;) {
		if (!baton->keepalive_runs)
			client_step(baton);
		rc = call_handlers(baton);
		if (rc == 0 && baton->state == SESSION_DEAD)
			rc = baton->fatal;
		int wait_ms = left_ms(timeout_ms, start);
		if (rc != 0 || wait_ms == 0)
			break;

		pthread_mutex_unlock(&baton->lock);
		int ready = world->wait(world->ctx, baton->user_fd, wait_ms);
		pthread_mutex_lock(&baton->lock);
		if (ready < 0)
			break; /* EINTR: the caller may have a flag to look at */
	}

	pthread_mutex_unlock(&baton->lock);
	return rc;
}

int baton_acquire_wait(struct baton *baton, const struct baton_request *request,
		       struct baton_claim **ret_claim)
{
	struct baton_claim *claim;
	*ret_claim = NULL;

	int rc = baton_acquire(baton, request, &claim);
	if (rc < 0)
		return rc;

	int ended;
	while ((ended = baton_claim_ended(claim)) == 0 && !baton_claim_lease(claim)) {
		rc = baton_dispatch(baton, -1);
		if (rc == BATON_E_STATE)
			break; /* from inside a handler: refused */
	}

	if (ended == 0 && rc != BATON_E_STATE) {
		*ret_claim = claim;
		return 0;
	}
	baton_claim_free(claim);
	return ended < 0 ? ended : rc == BATON_E_STATE ? rc : BATON_E_RELEASED;
}
