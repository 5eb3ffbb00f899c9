/* Goal: no text message crashes either side of the session protocol; what the broker takes is in
 * range; and a refusal can always be written and read. Method: libFuzzer, or the corpus as a plain
 * test. Each input is tried as a first message, as a later one, and as one of the broker's. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "core/config.h"
#include "wire/client_decode.h"
#include "wire/display_name.h"
#include "wire/http_decode.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct core_config config = {
	.timeout_ms = 120 * 1000,
	.http_ttl_ms_max = 3600 * 1000,
	.gpu_count = 2,
	.gpus = {{.name = "gpu0", .uuid = "GPU-6f1d"}, {.name = "big"}},
};
static const struct class_rule rules[] = {{"Root-Mic*", LEASE_VOICE}};
static const struct wire_context ctx = {.config = &config, .rules = rules, .rule_count = 1};

static void check_event(const struct session_request *m)
{
	const struct event *event = &m->event;
	if (event->type == EVENT_SESSION_OPEN) {
		const char *name = event->session.name;
		assert(name && !display_name_problem(name, strlen(name), LIMIT_ID_BYTES));
		assert(!event->session.resume || event->session.resume == &m->parsed.token);
	} else if (event->type == EVENT_ACQUIRE) {
		assert(event->acquire.ref > 0 && event->acquire.ref == m->ref);
		assert(event->acquire.cls < LEASE_CLASS_COUNT);
		assert(event->acquire.need.gpu_mask < 1u << config.gpu_count);
		assert(event->acquire.need.gpu_count <= LIMIT_GPUS);
		assert(!event->acquire.name);
	} else if (event->type == EVENT_RELEASE) {
		assert(event->release.lease > 0 && !event->release.token && !event->release.id);
	} else if (event->type == EVENT_YIELDING || event->type == EVENT_RENEW) {
		assert(event->renew.lease > 0 && event->renew.ttl_ms >= 0);
	} else if (event->type == EVENT_ADMIN) {
		assert(m->kind == REQUEST_ADMIN);
		assert(event->admin.act <= ADMIN_FORCE_RELEASE_ALL);
	}
	assert(m->limit <= LIMIT_LOG_LINES);
}

/* Texts that people are shown are names, and what was said is written as it was read. */
static void check_about(const struct client_info *about)
{
	const char *const texts[] = {about->page, about->adapter, about->clamped, about->origin};
	struct client_info kept = {0};
	struct text text;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert(!texts[i][0] ||
		       !display_name_problem(texts[i], strlen(texts[i]), CLIENT_INFO_TEXT_BYTES));
	assert(about->stalled_ms <= CLIENT_INFO_NUMBER_MAX &&
	       about->vram_mb <= CLIENT_INFO_NUMBER_MAX);
	client_info_merge(&kept, about);
	text_init(&text);
	text_char(&text, '{');
	client_info_encode(&text, &kept);
	text_char(&text, '}');
	struct parsed parsed;
	struct client_info again;
	int rc = json_parse(text.bytes, text.length, LIMIT_BODY_BYTES, &parsed);
	assert(rc == 0);
	rc = client_info_decode(&parsed, &again);
	assert(rc == 0 && memcmp(&again, &kept, sizeof(kept)) == 0);
	parsed_finish(&parsed);
	text_finish(&text);
}

/* A refusal is a message that the client's side reads, with the same code. */
static void check_refusal(const struct session_request *m, int rc)
{
	struct text text;
	struct received reply;
	text_init(&text);
	session_encode_denied(&text, m->ref, rc, m->parsed.detail);
	int parsed = client_decode(text.bytes, text.length, &reply);
	assert(parsed == 0);
	assert(reply.type == RECEIVED_DENIED && reply.err == -rc && reply.ref == m->ref);
	assert(reply.detail && strcmp(reply.detail, m->parsed.detail) == 0);
	client_decode_finish(&reply);
	text_finish(&text);
}

static void try_message(const char *text, size_t length, const char *name)
{
	struct session_request m;
	int rc = session_decode(text, length, &ctx, name, &m);
	assert(rc <= 0 && rc > -ERR_COUNT);
	if (rc == 0) {
		assert((m.kind == REQUEST_HELLO) == (name == NULL));
		check_event(&m);
		if (m.kind == REQUEST_ABOUT)
			check_about(&m.about);
	} else {
		check_refusal(&m, rc);
	}
	session_request_finish(&m);
}

static void try_reply(const char *text, size_t length)
{
	struct received reply;
	int rc = client_decode(text, length, &reply);
	assert(rc <= 0 && rc > -ERR_COUNT);
	assert(reply.type < RECEIVED_TYPE_COUNT && reply.gpu_count <= LIMIT_GPUS);
	assert(reply.err >= 0 && reply.err < ERR_COUNT && reply.state < CLAIM_STATE_COUNT);
	client_decode_finish(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_message((const char *)data, size, NULL);
	try_message((const char *)data, size, "Root-Mic");
	try_reply((const char *)data, size);
	return 0;
}
