/* gateway: requests of inference APIs, each a claim: the model is brought in, the turn waited for,
 * the request forwarded, the answer passed on as it comes. Speaks to whoever grants leases by
 * lease_port.h and to model servers by net/upstream.h; sits on the server's loop and net. */
#pragma once
#include "base/limits.h"
#include "base/mono.h"
#include "gateway/api.h"

struct gateway;
struct gateway_server_config;
struct http_request;
struct lease_kept;
struct lease_port;
struct log;
struct loop;
struct net;
struct process_port;
struct send_effect;
struct sight;
struct text;
struct worker_message;

struct gateway_options {
	const struct gateway_server_config *servers;
	unsigned server_count;
	int64_t quiet_ms;       /* nothing is sent before, so that a refusal keeps its status */
	int64_t whole_wait_ms;  /* of a request that is answered in one piece */
	int64_t stream_wait_ms; /* of one that is streamed */
	int64_t finish_ms;      /* what runs may go on when others need the GPU */
	int64_t hold_ms_max[LEASE_CLASS_COUNT]; /* of a turn */
	int64_t load_ms_max, unload_ms_max, settle_ms_max;
	uint64_t body_bytes_max, body_bytes_total; /* held in memory, or on the disk: of one, of
						      all */
	const char *held_dir; /* for what waits on the disk; NULL: there is none */
};

/* Who asks, as access judged it; borrowed for the call. */
struct gateway_client {
	const char *principal, *name; /* name "": it does not say how it is called */
	uint32_t classes;             /* that it may ask for: bit = enum lease_class */
	const char *models;           /* that it may know: globs with commas between; NULL: all */
	uint32_t requests_max;        /* of its principal at the same time; 0: any number */
	const char *origin;           /* to allow in the answer, or NULL */
};

/* Limits that nobody sets; the rest is zero. */
void gateway_defaults(struct gateway_options *ret_options);
/* The ports and `log` are borrowed until gateway_destroy. 0 or -ERR_NO_MEMORY. */
int gateway_create(struct loop *loop, struct net *net, const struct lease_port *port,
		   const struct process_port *processes, struct log *log,
		   const struct gateway_options *options, struct gateway **ret_gateway);
/* Opens the listeners of pages that are not there; gateway_reload takes them. 0, or why not, with
 * the place of the server, and nothing changed. */
int gateway_listen(struct gateway *gateway, const struct gateway_options *options,
		   unsigned *ret_failed, char *detail, size_t detail_size);
/* The configuration was read again: servers come, go and change; see docs/gateway.md. */
void gateway_reload(struct gateway *gateway, const struct gateway_options *options);
/* That model was in memory when the last broker ended. */
void gateway_resume(struct gateway *gateway, const struct lease_kept *kept);
/* The same of what waited on the disk. */
void gateway_resume_held(struct gateway *gateway);
/* The broker stops: all requests, those that still come too, hear ERR_DRAINING. What they hold or
 * wait for is not given back: nothing is granted any more. */
void gateway_drain(struct gateway *gateway);
/* A server is told to stop what it makes in the background, and has not heard it yet. */
bool gateway_is_stopping(const struct gateway *gateway);
void gateway_destroy(struct gateway *gateway); /* takes NULL; cuts all requests */

/* Of what process_port started: all of it is gone. `status`: of its exit, 128 and more for a
 * signal.
 */
void gateway_process_ended(struct gateway *gateway, uint64_t process, int status);

/* A worker's session, let in to answer the requests of one principal, or (NULL) everybody's. 0 or
 * -ERR_TOO_MANY_CONNECTIONS. */
int gateway_worker_open(struct gateway *gateway, uint64_t conn, const char *principal,
			const struct worker_message *hello);
/* The same of one that speaks as the predecessor's tabs did, see worker.h. */
int gateway_worker_open_bridge(struct gateway *gateway, uint64_t conn, const char *principal,
			       bool embeds, const char *model, uint32_t gpus);
void gateway_worker_said(struct gateway *gateway, uint64_t conn, const char *text, size_t length);
void gateway_worker_gone(struct gateway *gateway, uint64_t conn);

void gateway_lease_news(struct gateway *gateway, uint64_t party, const struct send_effect *send);
void gateway_tick(struct gateway *gateway, struct mono_ms now);
struct mono_ms gateway_next(const struct gateway *gateway); /* when it wants the next tick */
