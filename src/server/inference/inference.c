/* inference: see inference.h. Decides nothing: translates. */
#include "server/inference/inference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/view.h"
#include "gateway/catalog.h"
#include "gateway/gateway.h"
#include "gateway/json_scan.h"
#include "gateway/model.h"
#include "gateway/model_list.h"
#include "gateway/model_status.h"
#include "gateway/relay_receive.h"
#include "json/json_writer.h"
#include "net/http.h"
#include "net/loop.h"
#include "server/event_queue.h"
#include "server/inference/claim_words.h"
#include "server/queued_event.h"
#include "server/respond.h"
#include "wire/display_name.h"
#include "wire/http_decode.h"
#include "wire/http_encode.h"
#include "wire/sight.h"

/* The gateway counts its parties by itself; net's numbers never come so far. */
#define PARTY_BASE ((uint64_t)1 << 62)

static struct party party_of_number(uint64_t number)
{
	return party_of(PARTY_GATEWAY, PARTY_BASE + number);
}

/* Names of models may be longer than labels: cut between two characters. */
static void copy_label(char ret_label[LIMIT_LABEL_BYTES + 1], const char *name)
{
	size_t length = strnlen(name, LIMIT_LABEL_BYTES + 1);

	if (length > LIMIT_LABEL_BYTES)
		for (length = LIMIT_LABEL_BYTES; length > 0 && (name[length] & 0xc0) == 0x80;)
			length--;
	snprintf(ret_label, LIMIT_LABEL_BYTES + 1, "%.*s", (int)length, name);
}

/* As copy_label leaves it: less than a character is missing to the limit. */
static bool is_cut_label(const char *label)
{
	return strlen(label) > LIMIT_LABEL_BYTES - 4;
}

static void on_acquire(void *ctx, const struct lease_ask *ask)
{
	struct inference *inference = ctx;
	struct queued_event *queued = event_queue_new(inference->queue);
	struct event *event = &queued->in.event;
	struct wire_context wire = *inference->wire;
	const struct class_rights *rights;

	snprintf(queued->who, sizeof(queued->who), "%s", ask->principal);
	snprintf(queued->name, sizeof(queued->name), "%s", ask->name);
	copy_label(queued->label, ask->label);
	snprintf(queued->request_id, sizeof(queued->request_id), "%s",
		 ask->again ? ask->again : "");
	wire.principal = queued->who;
	rights = ask->loads ? NULL : class_rights_of(&wire); /* models are nobody's claims */
	event->type = EVENT_ACQUIRE;
	event->from = party_of_number(ask->party);
	event->acquire = (struct ev_acquire){
		.binding = BIND_PROXIED,
		.cls = ask->cls,
		.need = {.slots = ask->slots,
			 .vram_bytes = ask->vram_bytes,
			 .gpu_mask = ask->gpu_mask,
			 .gpu_count = 1},
		.preemptible = ask->preemptible,
		.evictable = ask->evictable,
		.loads = ask->loads,
		.uses = ask->uses,
		.uninterruptible_ms = ask->uninterruptible_ms,
		.waited_ms = ask->waited_ms,
		.timeout_ms = ask->timeout_ms,
		.name = queued->name,
		.label = queued->label,
		.request_id = queued->request_id,
		.principal = queued->who,
		.waiting_max = rights ? rights->waiting_max : 0,
		.held_max = rights ? rights->held_max : 0,
	};
	event_queue_push(inference->queue, queued);
}

/* An event about the lease with this token. */
static struct queued_event *new_event(struct inference *inference, enum event_type type,
				      uint64_t party, const struct token *token)
{
	struct queued_event *queued = event_queue_new(inference->queue);

	queued->in.event.type = type;
	queued->in.event.from = party_of_number(party);
	queued->in.parsed.token = *token;
	return queued;
}

static void on_ready(void *ctx, uint64_t party, const struct token *token)
{
	struct inference *inference = ctx;
	struct queued_event *queued = new_event(inference, EVENT_READY, party, token);

	queued->in.event.renew.token = &queued->in.parsed.token;
	event_queue_push(inference->queue, queued);
}

static void on_release(void *ctx, uint64_t party, const struct token *token, bool requeue)
{
	struct inference *inference = ctx;
	struct queued_event *queued = new_event(inference, EVENT_RELEASE, party, token);

	queued->in.event.release.token = &queued->in.parsed.token;
	queued->in.event.release.requeue = requeue;
	event_queue_push(inference->queue, queued);
}

static void on_gone(void *ctx, uint64_t party)
{
	struct inference *inference = ctx;

	event_queue_event(inference->queue, EVENT_CONN_CLOSED, party_of_number(party));
}

static unsigned on_waiting(void *ctx)
{
	const struct inference *inference = ctx;

	return inference->core ? core_waiting_count(inference->core) : 0;
}

static bool on_waits(void *ctx, uint64_t party)
{
	const struct inference *inference = ctx;

	return inference->core && core_conn_waits(inference->core, party_of_number(party).id);
}

static int on_tell(void *ctx, uint64_t claim, const char *principal, struct text *out)
{
	const struct inference *inference = ctx;

	return inference->core ? claim_words_tell(inference->core, inference->wire->config,
						  inference->gpus, claim, principal, out)
			       : 0;
}

static uint32_t gpu_mask_of(const struct core_config *core, const char *name)
{
	for (uint32_t gpu = 0; gpu < core->gpu_count; gpu++)
		if (!strcmp(core->gpus[gpu].name, name) || !strcmp(core->gpus[gpu].uuid, name))
			return 1u << gpu;
	return 0;
}

/* 0: none of that name, of those that are there. */
static uint32_t upstream_gpus(const struct settings *settings,
			      const struct settings_upstream *upstream)
{
	return gpu_mask_of(&settings->core, upstream->gpu);
}

static bool is_on_gpu(const struct settings_upstream *upstream)
{
	return strcmp(upstream->gpu, "none") != 0;
}

static int read_upstream(const struct settings *settings, const struct settings_upstream *upstream,
			 char ret_key[SECRET_TEXT_BYTES], char *detail, size_t detail_size)
{
	char why[SETTINGS_KEY_PATH_BYTES * 2 + 128];

	ret_key[0] = '\0';
	if (is_on_gpu(upstream) && upstream->gpu[0] && !upstream_gpus(settings, upstream)) {
		snprintf(detail, detail_size, "upstreams: %s: no GPU is named '%s'", upstream->name,
			 upstream->gpu);
		return -ERR_CONFIG;
	}
	if (upstream->key_file[0] &&
	    credential_read(upstream->key_file, ret_key, why, sizeof(why)) != 0) {
		snprintf(detail, detail_size, "upstreams: %s: %s", upstream->name, why);
		return -ERR_CONFIG;
	}
	return 0;
}

/* What the gateway is given of the configuration. */
struct server_rows {
	struct gateway_server_config servers[SETTINGS_UPSTREAM_COUNT];
	struct gateway_model_config models[SETTINGS_UPSTREAM_MODEL_COUNT];
	struct gateway_rule rules[SETTINGS_UPSTREAM_ROUTE_COUNT];
};

static void fill_servers(const struct inference *inference, const struct settings *settings,
			 struct server_rows *rows)
{
	for (uint32_t i = 0; i < settings->upstream_count; i++) {
		const struct settings_upstream *from = &settings->upstreams[i];
		rows->servers[i] = (struct gateway_server_config){
			.name = from->name,
			.kind = from->kind,
			.url = from->url,
			.key = inference->keys[i][0] ? inference->keys[i] : NULL,
			.on_gpu = is_on_gpu(from),
			.gpu_mask = upstream_gpus(settings, from),
			.vram_bytes = from->vram_bytes,
			.cmd = from->cmd.bytes,
			.env = from->env.bytes,
			.cmd_count = from->cmd.count,
			.env_count = from->env.count,
			.ready = from->ready,
			.idle_ms = from->idle_ms,
			.silence_ms = from->silence_ms,
			.parallel = from->parallel,
			.listen = from->listen,
			.wait_ms = from->wait_ms,
		};
	}
}

/* The same of routes. */
static void fill_rules(const struct settings *settings, struct server_rows *rows)
{
	for (uint32_t i = 0; i < settings->upstream_route_count; i++) {
		const struct settings_upstream_route *from = &settings->upstream_routes[i];
		struct gateway_server_config *server = &rows->servers[from->upstream];

		rows->rules[i].cls = from->cls;
		snprintf(rows->rules[i].match, sizeof(rows->rules[i].match), "%s", from->match);
		if (server->rule_count++ == 0)
			server->rules = &rows->rules[i];
	}
}

/* Models stand in the settings by server, in order. */
static void fill_models(const struct settings *settings, struct server_rows *rows)
{
	for (uint32_t i = 0; i < settings->upstream_model_count; i++) {
		const struct settings_upstream_model *from = &settings->upstream_models[i];
		struct gateway_server_config *server = &rows->servers[from->upstream];

		rows->models[i] =
			(struct gateway_model_config){.name = from->name,
						      .alias = from->alias[0] ? from->alias : NULL,
						      .vram_bytes = from->vram_bytes};
		if (server->model_count++ == 0)
			server->models = &rows->models[i];
	}
}

static void fill_options(const struct inference *inference, const struct settings *settings,
			 struct server_rows *rows, struct gateway_options *ret_options)
{
	fill_servers(inference, settings, rows);
	fill_models(settings, rows);
	fill_rules(settings, rows);
	gateway_defaults(ret_options);

	ret_options->quiet_ms = settings->gateway.quiet_ms;
	ret_options->whole_wait_ms = settings->gateway.whole_wait_ms;
	ret_options->stream_wait_ms = settings->gateway.stream_wait_ms;
	ret_options->finish_ms = settings->gateway.finish_ms;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		ret_options->hold_ms_max[cls] = settings->core.classes[cls].hold_ms_max;

	ret_options->load_ms_max = settings->core.load_ms_max;
	ret_options->unload_ms_max = settings->core.unload_ms_max;
	ret_options->servers = rows->servers;
	ret_options->server_count = settings->upstream_count;
	ret_options->held_dir = inference->held_dir;
}

/* The listeners of pages that are not there yet. 0 or -ERR_CONFIG. */
static int listen_for_pages(struct inference *inference, const struct settings *settings,
			    char *detail, size_t detail_size)
{
	static struct server_rows rows; /* large */
	struct gateway_options options;
	char why[256];
	unsigned failed = 0;

	rows = (struct server_rows){0};
	fill_options(inference, settings, &rows, &options);
	if (gateway_listen(inference->gateway, &options, &failed, why, sizeof(why)) == 0)
		return 0;
	snprintf(detail, detail_size, "%s:%u: upstreams/%u/listen: %s", settings->file,
		 settings->listen_lines[failed], failed, why);
	explicit_bzero(inference->keys, sizeof(inference->keys));
	return -ERR_CONFIG;
}

int inference_read(void *ctx, const struct settings *settings, char *detail, size_t detail_size)
{
	struct inference *inference = ctx;

	for (uint32_t i = 0; i < settings->upstream_count; i++) {
		int rc = read_upstream(settings, &settings->upstreams[i], inference->keys[i],
				       detail, detail_size);
		if (rc != 0) {
			explicit_bzero(inference->keys, sizeof(inference->keys));
			return rc;
		}
	}
	return inference->gateway ? listen_for_pages(inference, settings, detail, detail_size) : 0;
}

static void take_settings(struct inference *inference, const struct settings *settings)
{
	static struct server_rows rows; /* large */
	struct gateway_options options;

	rows = (struct server_rows){0};
	fill_options(inference, settings, &rows, &options);
	gateway_reload(inference->gateway, &options);
	explicit_bzero(inference->keys, sizeof(inference->keys));
}

/* 0, or as gateway_create. */
static int make_gateway(struct inference *inference, const struct settings *settings)
{
	struct server_rows *rows = calloc(1, sizeof(*rows));
	struct gateway_options options;
	int rc;

	if (!rows)
		return -ERR_NO_MEMORY;
	fill_options(inference, settings, rows, &options);
	rc = gateway_create(inference->loop, inference->net, &inference->port,
			    &inference->processes, inference->log, &options, &inference->gateway);
	free(rows);
	return rc;
}

void inference_take(void *ctx, const struct settings *settings)
{
	take_settings(ctx, settings);
}

/* NVIDIA's devices by their uuid, which no other program reorders. NULL: it cannot be said. */
static const char *device_of(const struct core_config *core, uint32_t gpus)
{
	for (uint32_t gpu = 0; gpu < core->gpu_count; gpu++)
		if (gpus >> gpu & 1)
			return !strncmp(core->gpus[gpu].uuid, "GPU-", 4) ||
					       !strncmp(core->gpus[gpu].uuid, "MIG-", 4)
				       ? core->gpus[gpu].uuid
				       : NULL;
	return NULL;
}

static int on_process_start(void *ctx, const struct process_ask *ask)
{
	struct inference *inference = ctx;

	return managed_start(&inference->managed, ask,
			     device_of(inference->wire->config, ask->gpus));
}

static void on_process_stop(void *ctx, uint64_t process)
{
	struct inference *inference = ctx;

	managed_stop(&inference->managed, process);
}

static void on_process_end(void *ctx, uint64_t process, int status)
{
	struct inference *inference = ctx;

	gateway_process_ended(inference->gateway, process, status);
}

int inference_open(struct inference *inference, struct loop *loop, struct net *net,
		   struct event_queue *queue, struct log *log, const struct wire_context *wire,
		   const struct settings *settings, const char *state_dir, char *detail,
		   size_t detail_size)
{
	int rc;

	*inference = (struct inference){
		.loop = loop,
		.net = net,
		.log = log,
		.port = {on_acquire, on_ready, on_release, on_gone, on_waiting, on_waits, on_tell,
			 inference},
		.processes = {on_process_start, on_process_stop, inference},
		.queue = queue,
		.wire = wire,
	};
	snprintf(inference->held_dir, sizeof(inference->held_dir), "%s/held", state_dir);
	managed_init(&inference->managed, loop, log, on_process_end, inference);
	rc = inference_read(inference, settings, detail, detail_size);
	if (rc != 0)
		return rc;

	rc = make_gateway(inference, settings);
	if (rc != 0) {
		snprintf(detail, detail_size, "the gateway cannot be made: %s", err_text(rc));
		return rc;
	}
	rc = listen_for_pages(inference, settings, detail, detail_size);
	if (rc == 0)
		take_settings(inference, settings);
	return rc;
}

void inference_resume(struct inference *inference, const struct core *core,
		      const struct gpu_board *gpus)
{
	struct claim_view view;
	uint64_t id = 0;

	inference->core = core;
	inference->gpus = gpus;
	while (core_holder_after(core, id, loop_now(), &view)) {
		const struct claim_record *rec = view.rec;

		id = rec->id;
		if (rec->binding == BIND_PROXIED && rec->need.slots == 0 && !rec->revoked)
			gateway_resume(inference->gateway,
				       &(struct lease_kept){rec->id, rec->name, rec->label,
							    rec->request_id,
							    is_cut_label(rec->label)});
	}
	gateway_resume_held(inference->gateway);
}

void inference_drain(struct inference *inference)
{
	if (inference->gateway)
		gateway_drain(inference->gateway);
}

bool inference_is_stopping(const struct inference *inference)
{
	return inference->gateway && gateway_is_stopping(inference->gateway);
}

void inference_close(struct inference *inference)
{
	if (inference->gateway)
		managed_finish(&inference->managed);
	gateway_destroy(inference->gateway);
	inference->gateway = NULL;
}

/* What people see as the client: the program that asks, by its User-Agent's first product; "": it
 * has none. */
static void name_client(const struct http_request *request, char ret_name[LIMIT_ID_BYTES + 1])
{
	const char *agent = request->user_agent ? request->user_agent : "";
	size_t length = strcspn(agent, " ");

	if (display_name_problem(agent, length, LIMIT_ID_BYTES))
		ret_name[0] = '\0';
	else
		snprintf(ret_name, LIMIT_ID_BYTES + 1, "%.*s", (int)length, agent);
}

struct client_names {
	char principal[LIMIT_PRINCIPAL_BYTES + 1], name[LIMIT_ID_BYTES + 1];
};

static struct gateway_client client_of(const struct inference *inference,
				       const struct request_context *context,
				       struct client_names *names)
{
	struct wire_context wire = *inference->wire;
	const struct class_rights *rights;

	access_principal(&context->verdict.who, names->principal);
	name_client(context->request, names->name);
	wire.principal = names->principal;
	rights = class_rights_of(&wire);
	return (struct gateway_client){.principal = names->principal,
				       .name = names->name,
				       .classes = rights ? rights->classes : UINT32_MAX,
				       .models = rights ? rights->models : NULL,
				       .requests_max = rights ? rights->requests_max : 0,
				       .origin = context->verdict.allow_origin};
}

void inference_request(struct inference *inference, const struct request_context *context)
{
	struct client_names names;
	struct gateway_client client = client_of(inference, context, &names);

	gateway_request(inference->gateway, context->request, &client);
}

void inference_response(struct inference *inference, const struct request_context *context)
{
	struct client_names names;
	struct gateway_client client = client_of(inference, context, &names);

	gateway_stored(inference->gateway, context->request, &client);
}

int inference_open_bridge(struct inference *inference, uint64_t conn, const char *principal,
			  bool embeds, const char *model)
{
	uint32_t gpus = UINT32_C(1) << inference->wire->config->browser_gpu;

	return gateway_worker_open_bridge(inference->gateway, conn, principal, embeds, model, gpus);
}

void inference_shut_out(void *ctx, const char *principal)
{
	struct inference *inference = ctx;
	if (inference->gateway)
		gateway_shut_out(inference->gateway, principal);
}

void inference_models(struct inference *inference, const struct request_context *context)
{
	static const char prefix[] = "/v1/models/";
	const char *path = context->request->path;
	struct client_names names;
	struct gateway_client client = client_of(inference, context, &names);
	bool one = !strncmp(path, prefix, strlen(prefix));
	char id[JSON_SCAN_MODEL_BYTES];

	if (one && !route_path_text(path + strlen(prefix), id, sizeof(id)))
		respond_error(context, ERR_NOT_FOUND, NULL);
	else
		gateway_models(inference->gateway, context->request->conn,
			       strncmp(path, "/api/", 5) ? API_OPENAI : API_OLLAMA, one ? id : NULL,
			       &client);
}

void inference_status(struct inference *inference, const struct request_context *context)
{
	bool operates = context->verdict.rights == ACCESS_ADMIN;
	cleanup_text struct text body = {0};
	struct client_names names;
	struct gateway_client client = client_of(inference, context, &names);
	const struct sight sight = sight_of(client.principal);
	struct gateway_viewer viewer = {.client = operates ? NULL : &client,
					.sight = operates ? NULL : &sight};
	const struct core_config *core = inference->wire->config;

	for (uint32_t gpu = 0; gpu < core->gpu_count; gpu++)
		viewer.gpus[gpu] = core->gpus[gpu].name;
	text_char(&body, '{');
	gateway_status(inference->gateway, &viewer, &body, loop_now());
	text_char(&body, '}');
	respond_json(context, 200, &body);
}

/* Whoever asks: some clients show their key where no server reads it. Clients print `message`. */
void inference_no_realtime(struct inference *inference, const struct request_context *context)
{
	static const char words[] =
		"Realtime sessions are not served here: no kind of model server behind Baton "
		"speaks them. Use /v1/audio/transcriptions, /v1/chat/completions with `stream`, "
		"and /v1/audio/speech.";
	const struct http_answer answer = {.status = err_http_status(ERR_NOT_FOUND),
					   .content_type = "application/json"};
	cleanup_text struct text body = {0};

	(void)inference;
	text_str(&body, "{\"status\":\"error\"");
	text_json_str(&body, "msg", words);
	text_json_key(&body, "error");
	text_char(&body, '{');
	text_json_str(&body, "code", err_name(ERR_NOT_FOUND));
	text_json_str(&body, "message", words);
	text_str(&body, "}}");
	respond_text(context->net, context->request->conn, context->verdict.allow_origin, &answer,
		     &body);
}

void inference_body(struct inference *inference, uint64_t conn, const char *bytes, size_t length)
{
	if (inference->gateway)
		gateway_body(inference->gateway, conn, bytes, length);
}

void inference_body_end(struct inference *inference, uint64_t conn)
{
	if (inference->gateway)
		gateway_body_end(inference->gateway, conn);
}

void inference_writable(struct inference *inference, uint64_t conn)
{
	if (inference->gateway)
		gateway_writable(inference->gateway, conn);
}

bool inference_gone(struct inference *inference, uint64_t conn)
{
	return inference->gateway && gateway_gone(inference->gateway, conn);
}

void inference_send(struct inference *inference, struct party to, const struct send_effect *send)
{
	if (inference->gateway)
		gateway_lease_news(inference->gateway, to.id - PARTY_BASE, send);
}

struct mono_ms inference_step(struct inference *inference, struct mono_ms now)
{
	struct mono_ms next;

	if (!inference->gateway)
		return MONO_NEVER;

	next = managed_step(&inference->managed, now);
	if (mono_due(gateway_next(inference->gateway), now))
		gateway_tick(inference->gateway, now);
	return mono_min(next, gateway_next(inference->gateway));
}
