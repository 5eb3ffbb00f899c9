/* client: the body of `struct baton` and its claims, shared by the files of this folder. All
 * functions here expect the session's lock to be held, and call no handler: what handlers must be
 * told is noted (callback_queue.c) and delivered by baton_dispatch. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "base/err.h"
#include "baton/baton.h"
#include "client/callback_queue.h"
#include "client/transport.h"
#include "core/types.h"
#include "wire/client_decode.h"
#include "wire/text.h"

enum {
	SESSION_BACKOFF_MS_MIN = 250,
	SESSION_BACKOFF_MS_MAX = 10 * 1000,
	SESSION_TTL_MS = 20 * 1000,     /* of leases, when the broker does not say */
	SESSION_ORPHAN_MS = 120 * 1000, /* a default wait ends after so long without a broker */
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
	SESSION_DEAD, /* for good, `fatal` says why */
};

struct baton_lease {
	uint64_t id, fence;
	size_t gpu_count;
	struct {
		uint32_t index;
		char name[LIMIT_GPU_NAME_BYTES + 1], uuid[LIMIT_GPU_NAME_BYTES + 1];
	} gpus[LIMIT_GPUS];
};

enum claim_phase {
	PHASE_WAITING,  /* asked for, or back in the queue */
	PHASE_ACCEPTED, /* offered, accept sent */
	PHASE_HELD,
	PHASE_REVOKED, /* the work has to stop before release is sent */
	PHASE_ENDED,
};

struct baton_claim {
	struct baton *session;
	struct baton_claim *next; /* baton.claims */
	enum claim_phase phase;
	bool freed;    /* by its owner: swept once no handler runs */
	bool requeued; /* release {requeue} not answered yet */
	bool ready;    /* baton_ready was called under this lease */
	int code;      /* PHASE_ENDED: what `ended` says */
	uint64_t ref, id, fence_last;
	struct mono_ms deadline; /* of the wait; MONO_NEVER */
	struct mono_ms due;      /* what baton_time_left_ms counts to; MONO_NEVER: unknown */
	int revoked_code;        /* PHASE_REVOKED: what `ended` will say */
	char revoked_reason[LIMIT_REASON_BYTES + 1];
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
	int io_fd;    /* epoll: the link and the timer */
	int timer_fd; /* at the next deadline */
	int event_fd; /* readable while notices wait */
	int user_fd;  /* epoll: event_fd, and io_fd unless the keepalive thread has it */
	bool link_watched_for_write;
	bool no_reconnect;
	bool in_handler;
	bool cut_off;   /* no answer to hello, as by a broker that stops or was killed */
	bool forgotten; /* the broker does not know `secret` any more */
	int32_t connect_timeout_ms;
	struct mono_ms hello_deadline, retry_at, down_since;
	/* The link was open then. It may have broken at any time since, and what the broker leaves
	 * us after a break is counted from here. */
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
	char secret[SESSION_SECRET_BYTES + 1]; /* what `resume` shows; never logged */
	char detail[SESSION_DETAIL_BYTES];
	pid_t pids[LIMIT_PROCESSES]; /* baton_processes, said after each welcome */
	size_t pid_count;
	bool processes_named;
	pid_t keeper;
	char cgroup[LIMIT_CGROUP_BYTES + 1];
	int link_code; /* of baton_page_link: 1 asked, 0 link_url is there, else a code */
	char link_url[SESSION_URL_BYTES];
};

struct mono_ms client_now(void);
/* baton_connect without waiting for the answer: 0 and a session that said hello, or a public code.
 * For the simulator. */
int client_begin(const struct baton_options *options, struct baton **ret_baton);
/* One attempt to connect and say hello. 0 or a negative enum err; the state is HELLO or DOWN. */
int client_open(struct baton *baton, struct mono_ms now);
/* Reads, writes, reconnects, judges deadlines: all that is due. */
void client_step(struct baton *baton);
/* Arms the timer and shows waiting notices on the descriptor: last in whatever changed something.
 */
void client_settle(struct baton *baton);
/* The connection is of no use any more: DOWN with a retry, or DEAD. `code` is public. */
void client_break(struct baton *baton, int code, const char *detail, struct mono_ms now);
/* The session is over: every claim ends with `code`. */
void client_die(struct baton *baton, int code, const char *detail);
/* Queues baton->out as one message and tries to send it. Dropped unless the session is UP or says
 * hello: after a reconnect both sides compare what they know instead. */
void client_send(struct baton *baton);
void client_detail(struct baton *baton, const char *detail);
/* After a welcome: what baton_processes named. */
void client_send_processes(struct baton *baton);
/* When others may be let in, as far as we must fear, minus the margin: to stop, to be gone. */
struct mono_ms client_lost_at(const struct baton *baton);
struct mono_ms client_gone_at(const struct baton *baton);

/* receive.c: one message of the broker. 0, or a negative enum err: the connection must go. */
int client_receive(struct baton *baton, const struct received *reply, struct mono_ms now);

/* claim.c */
struct baton_claim *client_claim_by_ref(struct baton *baton, uint64_t ref);
struct baton_claim *client_claim_by_id(struct baton *baton, uint64_t id);
void client_claim_send_acquire(struct baton_claim *claim, struct mono_ms now);
/* The `revoked` handler was told: gives the lease back and ends the claim, unless it stops later.
 */
void client_claim_revoked_told(struct baton_claim *claim);
/* Ends it, lease and all; notes `revoked` first when it was held. */
void client_claim_end(struct baton_claim *claim, int code, const char *reason);
/* The lease is over, `due` says when who goes on with it meets somebody; release is sent once the
 * work has stopped. */
void client_claim_revoke(struct baton_claim *claim, int code, const char *reason,
			 struct mono_ms due);
void client_claim_ask(struct baton_claim *claim, enum baton_question question);
/* Takes the oldest unanswered question of this kind (0: any); 0: there was none. */
int client_claim_answered(struct baton_claim *claim, int question);
/* Judges its deadlines. Returns the next one. */
struct mono_ms client_claim_tick(struct baton_claim *claim, struct mono_ms now);
/* Frees those that their owners freed. */
void client_claims_sweep(struct baton *baton);

/* request.c: copies what a caller gave, of any version of the struct. *ret_problem: of
 * BATON_E_INVALID, which field and why. */
int client_request_copy(const struct baton_request *request, struct baton_request *ret_request,
			struct baton_claim_handlers *ret_handlers, const char **ret_problem);
void client_request_finish(struct baton_request *request);
/* A request id that was never used: the claim is a new one for the broker. */
int client_request_id_renew(struct baton_request *request);
int client_options_copy(const struct baton_options *options, struct baton *baton);
