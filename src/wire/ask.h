/* ask: the session protocol on the client's side, outgoing: each function adds one message, without
 * a newline, to `out`. Used by libbaton. */
#pragma once
#include <sys/types.h>

#include "core/event.h"
#include "wire/text.h"

struct ask_hello {
	const char *name;   /* 1..LIMIT_ID_BYTES */
	const char *token;  /* install token, NULL over the Unix socket */
	const char *resume; /* welcome.session of before, or NULL */
};

/* Zeroed means: default. */
struct ask_acquire {
	uint64_t ref;           /* the client's number for this claim, > 0 */
	const char *class_name; /* "voice" .., NULL: the configuration's rules decide */
	const char *gpu;        /* name, uuid, index; NULL: any */
	const char *request_id, *label;
	uint32_t gpu_count; /* 0: one */
	bool slots_given;   /* else 1 */
	uint32_t slots;
	uint64_t vram_mb;
	bool timeout_given;
	int64_t timeout_ms; /* <0: for ever */
	bool no_wait, no_preempt, evictable, loads;
	int64_t uninterruptible_ms, min_residence_ms, load_ms;
	uint64_t parent; /* lease whose holder waits for this claim */
	uint64_t host;   /* lease inside which it is to run */
	uint32_t guests; /* places inside it */
	bool guests_open;
};

void ask_hello(struct text *out, const struct ask_hello *hello);
void ask_acquire(struct text *out, const struct ask_acquire *acquire);
void ask_accept(struct text *out, uint64_t lease);
void ask_cancel(struct text *out, uint64_t ref);
void ask_release(struct text *out, uint64_t lease, bool requeue);
void ask_yielding(struct text *out, uint64_t lease, int64_t need_ms);
void ask_renew(struct text *out, uint64_t lease);
void ask_ready(struct text *out, uint64_t lease);
void ask_change(struct text *out, uint64_t lease, uint32_t slots, uint64_t vram_mb);
void ask_lend(struct text *out, uint64_t lease, uint64_t to);
struct ask_processes {
	const pid_t *pids;
	size_t count;
	pid_t keeper;       /* 0: none; of pids */
	const char *cgroup; /* NULL: none */
};

/* What uses the GPU for this session, instead of what was said before. */
void ask_processes(struct text *out, const struct ask_processes *processes);
void ask_alive(struct text *out);
void ask_bye(struct text *out);
/* `limit`: most waiting rows wanted, 0: the default. */
void ask_status(struct text *out, uint64_t limit);
void ask_subscribe(struct text *out, bool events, bool logs);
void ask_logs(struct text *out, uint64_t limit, uint64_t since);
/* `lease` only for ADMIN_YIELD, ADMIN_REVOKE and ADMIN_CANCEL; reason may be NULL. */
void ask_admin(struct text *out, enum admin_act act, uint64_t lease, const char *reason);
void ask_open(struct text *out);
void ask_reload(struct text *out);
