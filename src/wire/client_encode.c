/* client_encode: what a client says in a session, as text. Checks nothing: the broker does. Called
 * by libbaton. */
#include "wire/client_encode.h"

#include <assert.h>

#include "json/json_writer.h"
#include "wire/encode_common.h"
#include "wire/session_decode.h"

static void open_message(struct text *out, const char *type)
{
	text_char(out, '{');
	text_json_str(out, "type", type);
}

static void lease_message(struct text *out, const char *type, uint64_t lease)
{
	assert(lease > 0);
	open_message(out, type);
	text_json_u64(out, "lease", lease);
}

static void optional_text(struct text *out, const char *key, const char *value)
{
	if (value)
		text_json_str(out, key, value);
}

static void optional_ms(struct text *out, const char *key, int64_t ms)
{
	if (ms > 0)
		text_json_i64(out, key, ms);
}

static void optional_true(struct text *out, const char *key, bool value)
{
	if (value)
		text_json_bool(out, key, true);
}

void client_encode_hello(struct text *out, const struct client_hello *hello)
{
	open_message(out, "hello");
	text_json_i64(out, "version", PROTOCOL_VERSION);
	text_json_str(out, "id", hello->name);
	optional_text(out, "token", hello->token);
	optional_text(out, "resume", hello->resume);
	text_char(out, '}');
}

void client_encode_acquire(struct text *out, const struct client_acquire *acquire)
{
	assert(acquire->ref > 0);
	open_message(out, "acquire");
	text_json_u64(out, "ref", acquire->ref);
	optional_text(out, "class", acquire->class_name);
	optional_text(out, "gpu", acquire->gpu);
	if (acquire->gpu_count)
		text_json_u64(out, "gpus", acquire->gpu_count);
	if (acquire->all_slots)
		text_json_str(out, "slots", "all");
	else if (acquire->slots_given)
		text_json_u64(out, "slots", acquire->slots);

	if (acquire->vram_mb)
		text_json_u64(out, "vram_mb", acquire->vram_mb);
	if (acquire->timeout_given)
		text_json_seconds_or_null(out, "timeout_s", acquire->timeout_ms);
	if (acquire->no_wait)
		text_json_bool(out, "wait", false);
	if (acquire->no_preempt)
		text_json_bool(out, "preemptible", false);

	optional_true(out, "evictable", acquire->evictable);
	optional_true(out, "loads", acquire->loads);
	optional_ms(out, "uninterruptible_ms", acquire->uninterruptible_ms);
	optional_ms(out, "min_residence_ms", acquire->min_residence_ms);
	optional_ms(out, "load_ms", acquire->load_ms);
	if (acquire->parent)
		text_json_u64(out, "parent", acquire->parent);
	if (acquire->host)
		text_json_u64(out, "host", acquire->host);
	if (acquire->resumes)
		text_json_u64(out, "resumes", acquire->resumes);
	if (acquire->guests)
		text_json_u64(out, "guests", acquire->guests);

	optional_true(out, "guests_open", acquire->guests_open);
	optional_true(out, "accept", acquire->accept);
	optional_text(out, "request_id", acquire->request_id);
	optional_text(out, "label", acquire->label);
	text_char(out, '}');
}

void client_encode_accept(struct text *out, uint64_t lease)
{
	lease_message(out, "accept", lease);
	text_char(out, '}');
}

void client_encode_cancel(struct text *out, uint64_t ref)
{
	assert(ref > 0);
	open_message(out, "cancel");
	text_json_u64(out, "ref", ref);
	text_char(out, '}');
}

void client_encode_release(struct text *out, uint64_t lease, const char *detail)
{
	lease_message(out, "release", lease);
	optional_text(out, "detail", *detail ? detail : NULL);
	text_char(out, '}');
}

void client_encode_requeue(struct text *out, uint64_t lease, bool moved)
{
	lease_message(out, "release", lease);
	optional_true(out, "requeue", true);
	optional_true(out, "moved", moved);
	text_char(out, '}');
}

void client_encode_yielding(struct text *out, uint64_t lease, int64_t need_ms)
{
	lease_message(out, "yielding", lease);
	text_json_i64(out, "need_ms", need_ms);
	text_char(out, '}');
}

void client_encode_renew(struct text *out, uint64_t lease)
{
	lease_message(out, "renew", lease);
	text_char(out, '}');
}

void client_encode_ready(struct text *out, uint64_t lease)
{
	lease_message(out, "ready", lease);
	text_char(out, '}');
}

void client_encode_change(struct text *out, uint64_t lease, uint32_t slots, uint64_t vram_mb)
{
	lease_message(out, "change", lease);
	text_json_u64(out, "slots", slots);
	text_json_u64(out, "vram_mb", vram_mb);
	text_char(out, '}');
}

void client_encode_lend(struct text *out, uint64_t lease, uint64_t to)
{
	lease_message(out, "lend", lease);
	text_json_u64(out, "to", to);
	text_char(out, '}');
}

void client_encode_processes(struct text *out, const struct client_processes *processes)
{
	open_message(out, "processes");
	text_json_key(out, "pids");
	text_char(out, '[');
	for (size_t i = 0; i < processes->count; i++) {
		text_json_item(out);
		text_i64(out, processes->pids[i]);
	}
	text_char(out, ']');
	if (processes->keeper)
		text_json_i64(out, "keeper", processes->keeper);
	optional_text(out, "cgroup", processes->cgroup);
	text_char(out, '}');
}

void client_encode_alive(struct text *out)
{
	open_message(out, "alive");
	text_char(out, '}');
}

void client_encode_bye(struct text *out)
{
	open_message(out, "bye");
	text_char(out, '}');
}

void client_encode_status(struct text *out, uint64_t limit)
{
	open_message(out, "status");
	if (limit)
		text_json_u64(out, "limit", limit);
	text_char(out, '}');
}

void client_encode_subscribe(struct text *out, bool events, bool logs)
{
	open_message(out, "subscribe");
	text_json_bool(out, "events", events);
	text_json_bool(out, "logs", logs);
	text_char(out, '}');
}

void client_encode_logs(struct text *out, uint64_t limit, uint64_t since)
{
	open_message(out, "logs");
	text_json_u64(out, "limit", limit);
	if (since)
		text_json_u64(out, "since", since);
	text_char(out, '}');
}

void client_encode_admin(struct text *out, enum admin_act act, uint64_t lease, const char *reason)
{
	open_message(out, "admin");
	text_json_str(out, "act", admin_act_name(act));
	if (act == ADMIN_YIELD || act == ADMIN_REVOKE || act == ADMIN_CANCEL)
		text_json_u64(out, "lease", lease);
	optional_text(out, "reason", reason);
	text_char(out, '}');
}

void client_encode_open(struct text *out)
{
	open_message(out, "open");
	text_char(out, '}');
}

void client_encode_reload(struct text *out)
{
	open_message(out, "reload");
	text_char(out, '}');
}
