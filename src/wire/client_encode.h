/* client_encode: the session protocol on the client's side, outgoing: each function adds one
 * message, without a newline, to `out`. Used by libbaton. */
#pragma once
#include <sys/types.h>

#include "core/event.h"

struct text;

struct client_hello {
	const char *name;   /* 1..LIMIT_ID_BYTES */
	const char *token;  /* install token, NULL over the Unix socket */
	const char *resume; /* welcome.session of before, or NULL */
};

/* Zeroed means: default. */
struct client_acquire {
	uint64_t ref;           /* the client's number for this claim, > 0 */
	const char *class_name; /* "voice" .., NULL: the configuration's rules decide */
	const char *gpu;        /* name, uuid, index; NULL: any */
	const char *request_id, *label;
	uint32_t gpu_count; /* 0: one */
	bool slots_given;   /* else 1 */
	uint32_t slots;
	bool all_slots; /* instead of `slots` */
	uint64_t vram_mb;
	bool timeout_given;
	int64_t timeout_ms; /* <0: no limit */
	bool no_wait, no_preempt, evictable, loads;
	int64_t uninterruptible_ms, min_residence_ms, load_ms;
	uint64_t parent; /* lease whose holder waits for this claim */
	uint64_t host;   /* the lease it runs inside of */
	uint32_t guests; /* places inside it */
	bool guests_open;
	bool accept;      /* ready now: what is free at once needs no offer */
	uint64_t resumes; /* the lease whose turn is given back, and waited for */
};

void client_encode_hello(struct text *out, const struct client_hello *hello);
void client_encode_acquire(struct text *out, const struct client_acquire *acquire);
void client_encode_accept(struct text *out, uint64_t lease);
void client_encode_cancel(struct text *out, uint64_t ref);
/* detail: how its work ended, or "". */
void client_encode_release(struct text *out, uint64_t lease, const char *detail);
/* moved: what ran under it is off the GPU. */
void client_encode_requeue(struct text *out, uint64_t lease, bool moved);
void client_encode_yielding(struct text *out, uint64_t lease, int64_t need_ms);
void client_encode_renew(struct text *out, uint64_t lease);
void client_encode_ready(struct text *out, uint64_t lease);
void client_encode_change(struct text *out, uint64_t lease, uint32_t slots, uint64_t vram_mb);
void client_encode_lend(struct text *out, uint64_t lease, uint64_t to);
struct client_processes {
	const pid_t *pids;
	size_t count;
	pid_t keeper;       /* 0: none; of pids */
	const char *cgroup; /* NULL: none */
};

/* What uses the GPU for this session, instead of what was said before. */
void client_encode_processes(struct text *out, const struct client_processes *processes);
void client_encode_alive(struct text *out);
void client_encode_bye(struct text *out);
/* `limit`: most waiting rows wanted, 0: the default. */
void client_encode_status(struct text *out, uint64_t limit);
void client_encode_subscribe(struct text *out, bool events, bool logs);
void client_encode_logs(struct text *out, uint64_t limit, uint64_t since);
/* `lease` only for ADMIN_YIELD, ADMIN_REVOKE and ADMIN_CANCEL; reason may be NULL. */
void client_encode_admin(struct text *out, enum admin_act act, uint64_t lease, const char *reason);
void client_encode_open(struct text *out);
void client_encode_reload(struct text *out);
