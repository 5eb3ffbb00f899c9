/* upstream_poll: libcurl's sockets and its timer as events of the loop (curl_multi_socket_action).
 */
#include <event2/event.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/upstream_impl.h"

struct poll_socket {
	struct upstream *upstream;
	struct event event;
};

static void on_socket_event(evutil_socket_t fd, short events, void *ctx)
{
	struct upstream *upstream =
		((struct poll_socket *)ctx)->upstream; /* ctx may be freed below */
	int running = 0;
	int what = (events & EV_READ ? CURL_CSELECT_IN : 0) |
		   (events & EV_WRITE ? CURL_CSELECT_OUT : 0);

	loop_touch(upstream->loop);
	(void)curl_multi_socket_action(upstream->multi, fd, what, &running);
	upstream_reap(upstream);
}

/* libcurl asks for a timer of 0 ms: this saves an iteration of the loop. */
void upstream_poll_begin(struct upstream *upstream)
{
	int running = 0;

	upstream->begun = false;
	(void)curl_multi_socket_action(upstream->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	struct upstream *upstream = ctx;
	(void)fd, (void)events;

	loop_touch(upstream->loop);
	upstream_poll_begin(upstream);
	upstream_reap(upstream);
}

static int forget_socket(struct poll_socket *watched)
{
	if (watched)
		(void)event_del(&watched->event);
	free(watched);
	return 0;
}

/* Returning an error would end all transfers; end only this one. */
static int give_up(CURL *easy)
{
	struct transfer *transfer = NULL;
	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	if (transfer)
		transfer_fail(transfer, ERR_NO_MEMORY, "out of memory");
	return 0;
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
	struct upstream *upstream = ctx;
	struct poll_socket *watched = socket_ctx;
	if (what == CURL_POLL_REMOVE)
		return forget_socket(watched);

	if (watched) {
		(void)event_del(&watched->event);
	} else {
		watched = malloc(sizeof(*watched));
		if (!watched || curl_multi_assign(upstream->multi, fd, watched) != CURLM_OK) {
			free(watched);
			return give_up(easy);
		}
		watched->upstream = upstream;
	}

	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) |
			       (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);
	(void)event_assign(&watched->event, loop_base(upstream->loop), fd, events, on_socket_event,
			   watched);
	return event_add(&watched->event, NULL) == 0 ? 0 : give_up(easy);
}

/* Never calls into libcurl from here: it may be in the middle of something. */
static int set_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	(void)multi;
	struct upstream *upstream = ctx;
	struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	if (timeout_ms < 0)
		return evtimer_del(&upstream->timer);
	return evtimer_add(&upstream->timer, &wait);
}

void upstream_poll_init(struct upstream *upstream)
{
	(void)evtimer_assign(&upstream->timer, loop_base(upstream->loop), on_timer, upstream);
	(void)curl_multi_setopt(upstream->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	(void)curl_multi_setopt(upstream->multi, CURLMOPT_SOCKETDATA, upstream);
	(void)curl_multi_setopt(upstream->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	(void)curl_multi_setopt(upstream->multi, CURLMOPT_TIMERDATA, upstream);
}
