/* libbaton: take your turn on the GPU.
 *
 * A program opens a session with the broker of this machine (baton_connect), asks for GPU
 * (baton_acquire), and waits in a fair queue. While it has a `struct baton_lease` the GPU is its
 * own; before and after, it is not. There is no other way to a lease: when the broker is away,
 * refuses, answers nonsense or restarts with no memory of us, calls fail and leases end. Never use
 * the GPU without a lease.
 *
 *	struct baton *baton;
 *	struct baton_request request;
 *	struct baton_claim *claim;
 *	int code = baton_connect(NULL, &baton);
 *	if (code < 0)
 *		return code;
 *	baton_request_init(&request);
 *	request.vram_bytes = 8ull << 30;
 *	code = baton_acquire_wait(baton, &request, &claim);
 *	if (code == BATON_OK) {
 *		while (steps_left > 0 && baton_claim_lease(claim) && !baton_yield_asked(claim)) {
 *			steps_left -= 1; // one step of work, shorter than the grace
 *			baton_dispatch(baton, 0);
 *		}
 *		baton_release(claim, false);
 *	}
 *	baton_close(baton);
 *	return code;
 *
 * EVENT LOOPS. baton_fd() is one descriptor for the whole life of the session, over reconnects
 * too. Whenever it is readable, or at any other time, call baton_dispatch(): it reads, answers the
 * broker's heartbeats, reconnects, checks deadlines and calls your handlers. The broker asks for a
 * sign of life every 5 s and takes the lease after 20 s of silence, so a program that computes for
 * longer without dispatching starts the keepalive thread (baton_keepalive_start).
 *
 * BREAKS. An open connection keeps a lease, however long the broker is silent. When it breaks, the
 * broker lets nobody else in for a time that it announced (20 s); the library takes the
 * lease away after half of that, counted from when it last saw the connection open, unless it is
 * back before.
 *
 * RETURNS. Functions that can fail return 0 or a negative enum baton_code; baton_strerror() puts
 * it in words. Output parameters named ret_* are written on success only, except where said.
 *
 * OWNERSHIP. A claim belongs to its session: baton_claim_free() frees it early, baton_close() frees
 * all that are left. A lease belongs to its claim and is gone before the claim's `revoked` or
 * `ended` handler is called (its number and fence remain: baton_claim_id, _fence). Strings passed
 * in are copied; strings handed out are borrowed, good until the handler returns or the claim is
 * freed, whichever the call names.
 *
 * THREADS. Calls on one session may come from any thread; they take the session's lock. Handlers
 * run only inside baton_dispatch() and baton_acquire_wait(), in the calling thread, without the
 * lock, so they may call anything here but baton_close(), baton_dispatch() and the calls named
 * _wait. One thread at a time dispatches. The library starts no thread but the keepalive one, and
 * installs no signal handler. After fork() the child must not use the session; its descriptors are
 * close-on-exec.
 */
#ifndef BATON_BATON_H
#define BATON_BATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BATON_API __attribute__((visibility("default")))
#else
#define BATON_API
#endif

struct baton;       /* a session with the broker */
struct baton_claim; /* a request for GPU, from the queue to its end */
struct baton_lease; /* the right to use the GPU now; exists only while it is held */

enum baton_code {
	BATON_OK = 0,
	BATON_E_UNREACHABLE = -1,  /* nothing answers on the socket */
	BATON_E_UNAUTHORIZED = -2, /* the broker refused this user */
	BATON_E_FORBIDDEN = -3,    /* known, but may not do this */
	BATON_E_PROTOCOL = -4,     /* the peer does not speak Baton's protocol */
	BATON_E_VERSION = -5,      /* it speaks another version of it */
	BATON_E_INVALID = -6,      /* an argument or option is wrong */
	BATON_E_NO_GPU = -7,       /* no GPU of that name */
	BATON_E_NEVER_FITS = -8,   /* no GPU is large enough */
	BATON_E_FULL = -9,         /* too many waiting or connected; try later */
	BATON_E_BUSY = -10,        /* taken, and the request was not to wait */
	BATON_E_TIMEOUT = -11,     /* the wait is over, without a lease */
	BATON_E_CANCELLED = -12,   /* by baton_cancel */
	BATON_E_REVOKED = -13,     /* the lease was taken back */
	BATON_E_LOST = -14,        /* the broker does not know this session or lease any more */
	BATON_E_RELEASED = -15,    /* ended by an operator */
	BATON_E_DEADLOCK = -16,    /* it would wait for a lease that waits for it */
	BATON_E_NO_ROOM = -17,     /* no room for the change; nothing changed */
	BATON_E_STATE = -18,       /* the claim is not in a state that allows this */
	BATON_E_UNAVAILABLE = -19, /* the broker grants nothing now: paused, stopping, disk full */
	BATON_E_NO_MEMORY = -20,
	BATON_E_IO = -21,
	BATON_E_CLOSED = -22,   /* baton_close was called */
	BATON_E_INTERNAL = -23, /* a bug in the broker or in this library */
	BATON_E_PATH = -24,     /* the socket's path is empty or too long */
	BATON_E_NAME = -25,     /* the name is not 1..128 printable bytes */
	BATON_E_MISSED = -26,   /* three offers were not taken in time: we were stopped or busy */
	BATON_E_QUOTA = -27,    /* this user has as many claims as it may */
	BATON_E_CLASS = -28,    /* this user may not ask for that class */
};

/* A sentence for a code, with what to do next. Never NULL; static. Any thread. */
BATON_API const char *baton_strerror(int code);
/* Its short name, "unreachable"; static. */
BATON_API const char *baton_error_name(int code);
/* The sysexits(3) status with which a program that fails for this reason should end: 69 no broker,
 * 75 try again later, 77 not allowed, .. */
BATON_API int baton_exit_code(int code);
/* "0.1.0", of the library in use; static. */
BATON_API const char *baton_version(void);

/* ---- session ---- */

enum baton_link {
	BATON_LINK_UP = 1,   /* connected; after a break: the session went on, claims kept */
	BATON_LINK_DOWN = 2, /* the connection broke; trying again by itself */
	BATON_LINK_LOST = 3, /* connected again, but the broker had forgotten the session: held
				leases have ended, waiting claims were asked for anew */
};

struct baton_options {
	size_t size;                /* set by baton_options_init */
	const char *socket_path;    /* NULL: see baton_socket_path */
	const char *name;           /* who you are in lists, 1..128 printable bytes; NULL: the
				       program's name and pid */
	int32_t connect_timeout_ms; /* for connecting and the first answer; default 4000 */
	bool no_reconnect;          /* a broken connection ends everything at once */
	/* The connection changed. May be NULL. */
	void (*link_changed)(struct baton *baton, enum baton_link link, void *ctx);
	void *ctx;
};

static inline void baton_options_init(struct baton_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = sizeof(*options);
	options->connect_timeout_ms = 4000;
}

/* Writes the path that clients use when told none: $BATON_SOCKET, else the first of these that
 * answers: $XDG_RUNTIME_DIR/baton/baton.sock, /run/user/UID/baton/baton.sock if that user folder
 * exists, /tmp/baton-UID/baton.sock, and where the broker of the default state folder listens; the
 * first of them when none answers. A folder in /tmp that is not ours alone is not trusted:
 * BATON_E_FORBIDDEN when nothing else is left. BATON_E_PATH: too long for `size` or for a socket
 * address. */
BATON_API int baton_socket_path(char *ret_path, size_t size);

/* Connects and says hello; waits for the answer, at most connect_timeout_ms. A broker that seems to
 * be restarting (its socket is there and nobody listens, or was there two seconds ago) is waited
 * for, at most 3 s or connect_timeout_ms; not under no_reconnect. `options` may be NULL
 * for the defaults and is not kept. On failure *ret_baton is set to NULL and there is no session:
 * BATON_E_UNREACHABLE, _UNAUTHORIZED, _FORBIDDEN, _PROTOCOL, _VERSION, _FULL, _UNAVAILABLE,
 * _TIMEOUT (it listens but does not answer), _PATH, _NAME, _INVALID, _NO_MEMORY, _IO. */
BATON_API int baton_connect(const struct baton_options *options, struct baton **ret_baton);

/* Ends every claim and lease, tells the broker so, frees the session and its claims. No handler is
 * called. Takes NULL. Not from inside a handler. */
BATON_API void baton_close(struct baton *baton);

/* Readable when baton_dispatch has something to do. Borrowed: poll it, do not read or close it. */
BATON_API int baton_fd(const struct baton *baton);

/* Does all that is due and calls the handlers. Waits for something to do at most timeout_ms (0: not
 * at all, -1: as long as it takes). Returns the number of handlers called, or a negative code when
 * the session is over for good (refused, or broken under no_reconnect): then all claims have ended
 * (those with stops_later by baton_lease_stopped) and only baton_close is left. A broken connection
 * that is being mended is no error. */
BATON_API int baton_dispatch(struct baton *baton, int timeout_ms);

/* BATON_LINK_UP or _DOWN at this moment. */
BATON_API enum baton_link baton_link_state(const struct baton *baton);
/* The broker's words about the last failure of this session, or "". Borrowed until the next call on
 * the session; not while the keepalive thread runs. */
BATON_API const char *baton_detail(const struct baton *baton);

/* Starts a thread that answers heartbeats, reconnects and notes what comes in while the program
 * computes. It calls no handler: those wait for the next baton_dispatch. baton_claim_lease and
 * baton_yield_asked show the news between two kernels, without a system call. All signals are
 * blocked in that thread. A program that hangs keeps its lease as long as this thread runs, up to
 * the broker's max_hold: do not start it needlessly. BATON_E_STATE: it runs already. */
BATON_API int baton_keepalive_start(struct baton *baton);
/* Stops it; takes at most milliseconds. No error when none runs. baton_close does it too. */
BATON_API void baton_keepalive_stop(struct baton *baton);

/* Names processes that use the GPU for this session besides the connected one, and a cgroup that
 * they are in (an absolute path below the cgroup file system). Replaces what was named before; none
 * and NULL clear it. The broker gives the capacity to others only when all of them are gone, and
 * kills them with us. At most 15, of this user. Kept, and said again after a reconnect. A broker
 * that does not know or refuses it says so in baton_detail; one that cannot follow the cgroup gets
 * the processes alone. BATON_E_INVALID. */
BATON_API int baton_processes(struct baton *baton, const pid_t *pids, size_t count,
			      const char *cgroup);
/* Whether the broker has recorded what was named last, so that it counts after a restart, too: a
 * process that is to go on without us is safe from then on. Dispatch meanwhile. True where nothing
 * was named, and once the session is over. */
BATON_API bool baton_processes_recorded(const struct baton *baton);
/* Names one more that is only waited for and never signalled: it ends what we started when we are
 * killed, and exits once none of it is left. 0: none. */
BATON_API int baton_keeper(struct baton *baton, pid_t pid);

/* Asks for a link to the broker's pages that signs a browser in and works once; waits for the
 * answer, at most connect_timeout_ms (dispatching, so handlers run). BATON_E_FORBIDDEN,
 * _UNREACHABLE, _TIMEOUT, _INVALID (it does not fit). Not from inside a handler. */
BATON_API int baton_page_link(struct baton *baton, char *ret_url, size_t size);

/* ---- claims ---- */

struct baton_place {
	int64_t position;     /* 0: next; -1: unknown, as in the first moment */
	int64_t eta_ms;       /* estimated from past waits; -1: unknown */
	int64_t bound_ms;     /* guaranteed as long as the broker runs and nobody pauses it; -1:
				 nothing is */
	const char *why;      /* a sentence: "train.py holds gpu0." */
	const char *why_code; /* "holder", "behind", "vram", .. (docs/protocol.md) */
	int64_t eta_p90_ms;   /* nine of ten such waits are shorter; -1: unknown */
	const char *estimate; /* in words: "about 30 s; 9 of 10 such waits under 75 s", or "" */
	const char *sentence; /* for people: "Next, in about 30 s: train.py holds gpu0.", or "" */
};

struct baton_yield {
	const char *reason;   /* "preempted", "hold-max", "evicted", "operator", .. */
	const char *for_whom; /* the name of the waiter, or "" */
	int64_t grace_ms;     /* until the lease is revoked */
};

enum baton_question {
	BATON_ASKED_CHANGE = 1,
	BATON_ASKED_LEND = 2,
	BATON_ASKED_RENEW = 3,
	BATON_ASKED_YIELDING = 4,
	BATON_ASKED_READY = 5,
};

/* All may be NULL. `ctx` is the request's. */
struct baton_claim_handlers {
	size_t size; /* set by baton_claim_handlers_init */
	/* In the queue, or the place or its reason changed; at most once a second. */
	void (*queued)(struct baton_claim *claim, const struct baton_place *place, void *ctx);
	/* The GPU is ours from here on. Can come again after baton_release(claim, true). */
	void (*granted)(struct baton_claim *claim, const struct baton_lease *lease, void *ctx);
	/* Please give it back within yield->grace_ms: baton_release. Comes again when another needs
	 * it by now. Whoever ignores it is revoked. What an operator said of it: baton_detail. */
	void (*yield)(struct baton_claim *claim, const struct baton_yield *yield, void *ctx);
	/* Over: stop using the GPU before returning. The lease object is gone already (its fence:
	 * baton_claim_fence). The return is reported to the broker, which lets the next one in;
	 * `ended` follows. Set stops_later if stopping takes longer. A local process that goes on
	 * is killed. An operator's words as above. */
	void (*revoked)(struct baton_claim *claim, const char *reason, void *ctx);
	/* The broker's answer to a change, lend, renew, ready or yielding: 0 or a code. How much
	 * time a yielding has: baton_time_left_ms. */
	void (*answered)(struct baton_claim *claim, enum baton_question question, int code,
			 void *ctx);
	/* The last call for this claim: 0 after a release, else why it ended. A held lease that is
	 * lost comes through here after `revoked`. */
	void (*ended)(struct baton_claim *claim, int code, const char *reason, void *ctx);
	/* `revoked` returns before the work has stopped: nothing is reported and `ended` does not
	 * come before baton_lease_stopped. Go on dispatching meanwhile. */
	bool stops_later;
	/* Nobody needs it any more: the yield is withdrawn and the lease stays ours. */
	void (*kept)(struct baton_claim *claim, void *ctx);
	/* Something to know of a lease that is ours: "idle", "over", "gpu_lost", "gpu_back", or a
	 * code of a newer broker, with a sentence. Nothing follows from it. */
	void (*noticed)(struct baton_claim *claim, const char *code, const char *text, void *ctx);
};

static inline void baton_claim_handlers_init(struct baton_claim_handlers *handlers)
{
	memset(handlers, 0, sizeof(*handlers));
	handlers->size = sizeof(*handlers);
}

#define BATON_TIMEOUT_DEFAULT (-2) /* what the broker's configuration says: 120 s */
#define BATON_TIMEOUT_NEVER   (-1)
#define BATON_SLOTS_ALL       UINT32_MAX /* as many as each GPU has that is granted */

struct baton_request {
	size_t size;             /* set by baton_request_init */
	const char *lease_class; /* "voice", "chat", "normal", "background"; NULL: by the broker's
				    rules */
	uint64_t vram_bytes;     /* per GPU; 0: none stated */
	uint32_t slots;          /* compute turns per GPU; default 1; 0: only keeps memory;
				    BATON_SLOTS_ALL: nobody computes beside us */
	uint32_t gpus;           /* how many at once; default 1 */
	const char *gpu;         /* name, index or uuid; NULL: any */
	int64_t timeout_ms; /* the longest wait, or BATON_TIMEOUT_*; starts over after a requeue */
	bool no_wait;       /* BATON_E_BUSY instead of a place in the queue */
	bool no_preempt;    /* not asked to yield before its max_hold is over */
	bool evictable;     /* may be asked to unload while idle, to free its VRAM */
	int64_t uninterruptible_ms; /* the longest step that cannot be cut: the grace wanted */
	int64_t min_residence_ms;   /* not evicted sooner after loading */
	int64_t load_ms;            /* what loading again costs: the costliest are evicted last */
	const char *label;          /* model or job, shown in lists */
	const char *request_id;     /* the same id again gives the same claim; NULL: made up */
	uint64_t parent_lease;      /* this claim is waited for by the holder of that lease (an id,
				       as in $BATON_LEASE): a cycle is refused; 0: none */
	const struct baton_claim_handlers *handlers; /* copied; may be NULL */
	void *ctx;
	uint64_t host_lease; /* runs inside that lease: waits for one of the places that it offers,
				uses its turn, and ends with it; 0: in its own right */
	uint32_t guests;     /* places inside this lease for others, at most 64 */
	bool guests_open;    /* for other users' claims, too */
	bool loads;          /* brings a model in first: its hold limit begins at baton_ready (with
				no_preempt: at the grant) */
	/* Gives the turn of that lease of this session back, which keeps its memory: whatever runs
	 * under it must be frozen by now. This claim waits for the turn by the lease's place. When
	 * it is granted the lease has its turn again, and this claim ends with BATON_OK. Slots,
	 * GPUs and class are the lease's. 0: a lease of its own */
	uint64_t resumes_lease;
};

static inline void baton_request_init(struct baton_request *request)
{
	memset(request, 0, sizeof(*request));
	request->size = sizeof(*request);
	request->slots = 1;
	request->gpus = 1;
	request->timeout_ms = BATON_TIMEOUT_DEFAULT;
}

/* Asks for GPU and returns at once; the handlers report the rest. `request` is copied. A session
 * that is just reconnecting sends it once connected; its deadline runs meanwhile. BATON_E_INVALID
 * (baton_detail says which field), _NO_MEMORY, _FULL (16 claims in one session), _CLOSED. On
 * failure *ret_claim is NULL. */
BATON_API int baton_acquire(struct baton *baton, const struct baton_request *request,
			    struct baton_claim **ret_claim);

/* The same, and waits (dispatching, so handlers run) until there is a lease or there will be none.
 * 0: *ret_claim is held. Any failure: *ret_claim is NULL, the claim is ended and freed, and there
 * is no lease. Not from inside a handler. */
BATON_API int baton_acquire_wait(struct baton *baton, const struct baton_request *request,
				 struct baton_claim **ret_claim);

/* The lease while it is held, else NULL. Cheap enough to ask before each step. Borrowed until the
 * next baton_dispatch or release. */
BATON_API const struct baton_lease *baton_claim_lease(const struct baton_claim *claim);
/* Whether a yield was asked for and the lease is still held. */
BATON_API bool baton_yield_asked(const struct baton_claim *claim);
/* 0 while it lives; afterwards the code that `ended` gave, or 1 after a plain release. */
BATON_API int baton_claim_ended(const struct baton_claim *claim);

/* Gives the lease back. requeue: comes back into the queue with its old place (for a program that
 * gives way and goes on later) and waits at most timeout_ms of its request once more; `granted`
 * will come again. A revoked lease cannot be requeued. A waiting claim is cancelled. The lease
 * is gone when this returns; `ended` follows unless requeued. BATON_E_STATE: it has ended already.
 */
BATON_API int baton_release(struct baton_claim *claim, bool requeue);
/* The same with requeue, of a program that was moved off the GPU with all its memory (CUDA's
 * checkpoint) and does nothing until `granted` comes again: lists say so. */
BATON_API int baton_release_moved(struct baton_claim *claim);
/* How the work ended, in 1 to 120 printable bytes ("exit status 1"): the release says it, whichever
 * call makes it, and history and events show it. Not with requeue. "": nothing. BATON_E_INVALID,
 * _STATE: it has ended already. */
BATON_API int baton_claim_explain(struct baton_claim *claim, const char *detail);
/* With stops_later: all work under a revoked lease has stopped. This lets the next holder in, so
 * call it neither sooner nor later; `ended` follows. After a break it is reported once connected
 * again. May be called from within `revoked`. baton_release, baton_claim_free and baton_close of
 * such a claim do the same. BATON_E_STATE: its lease is not revoked, or this was reported
 * before. */
BATON_API int baton_lease_stopped(struct baton_claim *claim);
/* Takes a waiting claim out of the queue; releases one that was granted in the meantime. */
BATON_API int baton_cancel(struct baton_claim *claim);
/* Releases it if need be, and frees it. No handler is called for it any more. Takes NULL. */
BATON_API void baton_claim_free(struct baton_claim *claim);

/* Answers a yield: need_ms more are needed to reach a safe point. There is no more time than
 * uninterruptible_ms of the request declared: baton_time_left_ms knows once `answered` was called.
 */
BATON_API int baton_yielding(struct baton_claim *claim, int64_t need_ms);
/* How long the work may still go on: after a yield until the lease is revoked; after `revoked`
 * (with stops_later) until what still runs is killed or may meet the next holder. -1: nothing was
 * asked, or the broker did not say. */
BATON_API int64_t baton_time_left_ms(const struct baton_claim *claim);
/* Shows that work goes on; any message counts as a sign of life. The answer says whether the lease
 * still stands. */
BATON_API int baton_renew(struct baton_claim *claim);
/* A request with `loads` has finished loading: the turn begins now. Without this call in the time
 * that the broker's configuration gives (120 s) the lease is revoked with `load-max`. During a
 * break it is kept, and sent once connected again. */
BATON_API int baton_ready(struct baton_claim *claim);
/* Changes a held lease in place, e.g. {slots 1, vram N} while loading to {slots 0, vram N}
 * afterwards; not to BATON_SLOTS_ALL. The answer comes through `answered`; until it is 0 nothing
 * has changed. */
BATON_API int baton_change(struct baton_claim *claim, uint32_t slots, uint64_t vram_bytes);
/* Lends a held lease to a waiting claim, by the id that lists show: it runs inside this lease while
 * we wait for it. */
BATON_API int baton_lend(struct baton_claim *claim, uint64_t to_claim);

/* The number of the claim in lists and logs (`baton why ID`); 0 until the broker answered. */
BATON_API uint64_t baton_claim_id(const struct baton_claim *claim);
/* The fence of its lease, also after the lease is gone (in `revoked` and `ended`); 0: it never had
 * one. */
BATON_API uint64_t baton_claim_fence(const struct baton_claim *claim);
BATON_API struct baton *baton_claim_session(const struct baton_claim *claim);

/* ---- leases ---- */

/* The same number as baton_claim_id. */
BATON_API uint64_t baton_lease_id(const struct baton_lease *lease);
/* Rises with every grant: whoever guards a resource refuses a smaller one than it has seen. */
BATON_API uint64_t baton_lease_fence(const struct baton_lease *lease);
BATON_API size_t baton_lease_gpu_count(const struct baton_lease *lease);
/* Of the GPU at `at`, below baton_lease_gpu_count: its index and name as the broker lists them, and
 * its UUID or "" when the broker does not know it. Borrowed like the lease. */
BATON_API uint32_t baton_lease_gpu_index(const struct baton_lease *lease, size_t at);
BATON_API const char *baton_lease_gpu_name(const struct baton_lease *lease, size_t at);
BATON_API const char *baton_lease_gpu_uuid(const struct baton_lease *lease, size_t at);
/* "nvidia", "amd" or "intel", and its number among the GPUs of its maker, as CUDA counts them with
 * CUDA_DEVICE_ORDER=PCI_BUS_ID, and ROCm; "" and -1 where the broker does not know it. */
BATON_API const char *baton_lease_gpu_maker(const struct baton_lease *lease, size_t at);
BATON_API int baton_lease_gpu_maker_index(const struct baton_lease *lease, size_t at);

#ifdef __cplusplus
}
#endif

#endif
