/* inference: the gateway inside the server: its requests become events, effects for its claims
 * become its news, and its routes are served. */
#pragma once
#include "config/settings.h"
#include "core/party.h"
#include "gateway/lease_port.h"
#include "gateway/process_port.h"
#include "server/access/credentials.h"
#include "server/inference/managed.h"

struct core;
struct event_queue;
struct gateway;
struct gpu_board;
struct log;
struct loop;
struct net;
struct request_context;
struct send_effect;
struct wire_context;

struct inference {
	struct gateway *gateway; /* NULL: not open */
	struct loop *loop;
	struct net *net;
	struct log *log;
	struct lease_port port;
	const struct core *core; /* NULL: not yet */
	const struct gpu_board *gpus;
	struct process_port processes;
	struct managed managed;
	/* From inference_read to inference_take, by the place of their servers; "": none. */
	char keys[SETTINGS_UPSTREAM_COUNT][SECRET_TEXT_BYTES];
	char held_dir[SETTINGS_PATH_BYTES + 16]; /* of what waits on the disk */
	struct event_queue *queue;
	const struct wire_context *wire; /* who may ask for which class */
};

/* All but `inference` are borrowed until inference_close. 0 or -ERR_CONFIG, -ERR_NO_MEMORY with
 * `detail`. */
int inference_open(struct inference *inference, struct loop *loop, struct net *net,
		   struct event_queue *queue, struct log *log, const struct wire_context *wire,
		   const struct settings *settings, const char *state_dir, char *detail,
		   size_t detail_size);
/* After a restart: models that were in memory are asked for again, before anybody else asks. */
void inference_resume(struct inference *inference, const struct core *core,
		      const struct gpu_board *gpus);
/* The broker stops: requests hear of it. */
void inference_drain(struct inference *inference);
/* Some server has not heard yet what that means for it. */
bool inference_is_stopping(const struct inference *inference);
void inference_close(struct inference *inference);
/* The settings again: first whether they can be followed, 0 or -ERR_CONFIG with `detail` and
 * nothing changed, then that they are. `ctx` is the inference. */
int inference_read(void *ctx, const struct settings *settings, char *detail, size_t detail_size);
void inference_take(void *ctx, const struct settings *settings);
/* The requests of a principal end. */
void inference_shut_out(void *ctx, const char *principal);

/* Handlers of the routes. */
void inference_request(struct inference *inference, const struct request_context *context);
void inference_response(struct inference *inference, const struct request_context *context);
void inference_models(struct inference *inference, const struct request_context *context);
void inference_status(struct inference *inference, const struct request_context *context);
void inference_no_realtime(struct inference *inference, const struct request_context *context);

/* A session of the predecessor's kind is let in, see gateway.h; its turns are on the browser's GPU.
 */
int inference_open_bridge(struct inference *inference, uint64_t conn, const char *principal,
			  bool embeds, const char *model);

/* The callbacks of net, for requests that came by inference_request and
 * inference_response. */
void inference_body(struct inference *inference, uint64_t conn, const char *bytes, size_t length);
void inference_body_end(struct inference *inference, uint64_t conn);
void inference_writable(struct inference *inference, uint64_t conn);
bool inference_gone(struct inference *inference, uint64_t conn); /* true: it was one of them */

/* An effect for a claim of the gateway. */
void inference_send(struct inference *inference, struct party to, const struct send_effect *send);
/* What is due; returns when to look again. */
struct mono_ms inference_step(struct inference *inference, struct mono_ms now);
