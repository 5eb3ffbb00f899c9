/* client: `struct baton` and its claims, shared by the files of this folder. The functions in their
 * headers (session.h, claim.h, ..) expect the session's lock to be held and call no handler: they
 * queue a callback (callback_queue.h), and baton_dispatch delivers it. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "base/mono.h"
#include "base/text.h"
#include "baton/baton.h"
#include "client/callback_queue.h"
#include "client/transport.h"

enum {
	SESSION_BACKOFF_MS_MIN = 250,
	SESSION_BACKOFF_MS_MAX = 10 * 1000,
	SESSION_BACKOFF_CLAIM_MS_MAX = 1000, /* while there is a lease or a place to lose */
	SESSION_TTL_MS = 20 * 1000,          /* of leases, if the broker does not say */
	SESSION_ORPHAN_MS = 120 * 1000, /* a default wait ends after this long without a broker */
	SESSION_LATE_MS = 1000,         /* how late the broker's own timeout may be */
	SESSION_SECRET_BYTES = 128,
	SESSION_DETAIL_BYTES = 256,
	SESSION_URL_BYTES = 1024,
	SESSION_QUESTIONS_MAX = 16, /* unanswered per claim */
};

enum session_state {
	SESSION_HELLO, /* connected, hello sent, no welcome yet */
	SESSION_UP,
	SESSION_DOWN, /* until retry_at */
	SESSION_DEAD, /* permanent; `fatal` says why */
};

struct baton_lease {
	uint64_t id, fence;
	size_t gpu_count;
	struct {
		uint32_t index;
		char name[LIMIT_GPU_NAME_BYTES + 1], uuid[LIMIT_GPU_NAME_BYTES + 1];
		char maker[LIMIT_GPU_NAME_BYTES + 1];
		int maker_index; /* -1: unknown */
	} gpus[LIMIT_GPUS];
};

enum claim_phase {
	PHASE_WAITING,  /* requested, or back in the queue */
	PHASE_ACCEPTED, /* offered, accept sent */
	PHASE_HELD,
	PHASE_REVOKED, /* release is sent once the work has stopped */
	PHASE_ENDED,
};

struct baton_claim {
	struct baton *session;
	struct baton_claim *next; /* baton.claims */
	enum claim_phase phase;
	bool freed;    /* by its owner; swept when no handler is running */
	bool requeued; /* release {requeue} is unanswered */
	bool ready;    /* baton_ready was called under this lease */
	int code;      /* PHASE_ENDED: what `ended` says */
	uint64_t ref, id, fence_last;
	struct mono_ms deadline; /* of the wait; MONO_NEVER */
	struct mono_ms due;      /* what baton_time_left_ms counts to; MONO_NEVER: unknown */
	int revoked_code;        /* PHASE_REVOKED: what `ended` will say */
	char revoked_reason[LIMIT_REASON_BYTES + 1];
	char detail[LIMIT_REASON_BYTES + 1]; /* baton_claim_explain; "": none */
	atomic_bool held, yield_asked;
	struct baton_lease lease;
	enum baton_question questions[SESSION_QUESTIONS_MAX]; /* oldest first */
	size_t question_count;
	struct baton_request request; /* strings owned */
	struct baton_claim_handlers handlers;
};

struct baton {
	pthread_mutex_t lock;
	enum session_state state;
	struct transport transport;
	int io_fd;    /* epoll: the connection and the timer */
	int timer_fd; /* at the next deadline */
	int event_fd; /* readable while callbacks are queued */
	int user_fd;  /* epoll: event_fd, and io_fd unless the keepalive thread has it */
	bool link_watched_for_write;
	bool no_reconnect;
	bool in_handler;
	bool cut_off;   /* no answer to hello, as from a broker that is stopping or was killed */
	bool forgotten; /* the broker does not know `secret` any more */
	int32_t connect_timeout_ms;
	struct mono_ms hello_deadline, retry_at, down_since;
	/* When the connection was last known to be open. It may have broken at any time since, so
	 * the linger that the broker grants after a break counts from here. */
	struct mono_ms looked_at;
	int64_t backoff_ms, linger_ms;
	uint64_t epoch, ref_last;
	int fatal; /* enum baton_code */
	struct baton_claim *claims;
	struct callback_queue notices;
	struct text out; /* the message being written */
	void (*link_changed)(struct baton *baton, enum baton_link link, void *ctx);
	void *ctx;
	pthread_t keepalive;
	bool keepalive_runs;
	int keepalive_stop_fd;
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char name[LIMIT_ID_BYTES + 1];
	char secret[SESSION_SECRET_BYTES + 1]; /* sent in `resume`; never logged */
	char detail[SESSION_DETAIL_BYTES];
	pid_t pids[LIMIT_PROCESSES]; /* baton_processes; repeated after each welcome */
	size_t pid_count;
	bool processes_named;
	unsigned processes_asked; /* messages without an answer, on this connection */
	bool processes_recorded;  /* the last answer was no refusal */
	pid_t keeper;
	char cgroup[LIMIT_CGROUP_BYTES + 1];
	int link_code; /* of baton_page_link: 1 requested, 0 link_url is set, else an error code */
	char link_url[SESSION_URL_BYTES];
};
