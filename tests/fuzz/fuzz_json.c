/* Goal: no body crashes the parsers of the HTTP routes; what they take is in range and points into
 * what they own; and any printable text that Baton writes as JSON reads back the same. Method:
 * libFuzzer, or the corpus as a plain test. The first byte chooses the route. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "core/config.h"
#include "json/json_writer.h"
#include "wire/display_name.h"
#include "wire/http_decode.h"
#include "wire/json_fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct core_config config = {
	.timeout_ms = 120 * 1000,
	.http_ttl_ms_max = 3600 * 1000,
	.gpu_count = 3,
	.gpus = {{.name = "gpu0", .uuid = "GPU-6f1d"}, {.name = "big"}, {.name = "1"}},
};
static const struct class_rule rules[] = {{"Root-Mic*", LEASE_VOICE}, {"*[a-", LEASE_CHAT}};
static const struct wire_context ctx = {.config = &config, .rules = rules, .rule_count = 2};

static void check_text(const char *text, size_t bytes_max)
{
	assert(!text || !display_name_problem(text, strlen(text), bytes_max));
}

static void check_acquire(const struct ev_acquire *a)
{
	check_text(a->name, LIMIT_ID_BYTES);
	check_text(a->request_id, LIMIT_REQUEST_ID_BYTES);
	check_text(a->label, LIMIT_LABEL_BYTES);
	assert(a->name);
	assert(a->cls < LEASE_CLASS_COUNT);
	assert(a->need.gpu_mask < 1u << config.gpu_count || a->need.gpu_mask == UINT32_MAX);
	assert(a->need.gpu_count >= 1 && a->need.gpu_count <= LIMIT_GPUS);
	assert(a->need.slots > 0 || a->need.vram_bytes > 0);
	assert(a->need.vram_bytes <= UINT64_C(1) << 44);
	assert(a->timeout_ms >= -1 && a->timeout_ms <= INT64_C(365) * 24 * 3600 * 1000);
	assert(a->ttl_ms >= 0 && a->ttl_ms <= config.http_ttl_ms_max);
	assert(a->uninterruptible_ms >= 0 && a->min_residence_ms >= 0 && a->load_ms >= 0);
}

static int parse_route(uint8_t route, const char *body, size_t length, struct parsed *parsed,
		       struct event *event)
{
	switch (route % 4) {
	case 0:
		return http_decode_lock(body, length, &ctx, BIND_HTTP, parsed, event);
	case 1:
		return http_decode_unlock(body, length, parsed, event);
	case 2:
		return http_decode_renew(body, length, &ctx, parsed, event);
	default:
		return http_decode_admin(body, length, ADMIN_RESET, 0, "uid 0", parsed, event);
	}
}

static void try_route(uint8_t route, const char *body, size_t length)
{
	struct parsed parsed;
	struct event event;
	int rc = parse_route(route, body, length, &parsed, &event);
	assert(rc <= 0 && rc > -ERR_COUNT);
	assert(rc == 0 || parsed.detail[0]);
	if (rc == 0 && event.type == EVENT_ACQUIRE)
		check_acquire(&event.acquire);
	else if (rc == 0 && event.type == EVENT_RELEASE)
		assert(event.release.token == &parsed.token || event.release.id);
	else if (rc == 0 && (event.type == EVENT_RENEW || event.type == EVENT_YIELDING))
		assert(event.renew.token == &parsed.token);
	else if (rc == 0)
		check_text(event.admin.reason, LIMIT_REASON_BYTES);
	parsed_finish(&parsed);
}

/* The writer against the parser. */
static void try_round_trip(const char *bytes, size_t length)
{
	char name[LIMIT_ID_BYTES + 1];
	struct parsed parsed;
	struct event event;
	struct text text;
	if (display_name_problem(bytes, length, LIMIT_ID_BYTES))
		return;
	memcpy(name, bytes, length);
	name[length] = '\0';
	text_init(&text);
	text_char(&text, '{');
	text_json_str(&text, "id", name);
	text_char(&text, '}');
	int rc = http_decode_lock(text.bytes, text.length, &ctx, BIND_HTTP, &parsed, &event);
	assert(rc == 0);
	assert(strcmp(event.acquire.name, name) == 0);
	parsed_finish(&parsed);
	text_clear(&text);
	text_log_str(&text, "id", name);
	assert(!strchr(text.bytes, '\n'));
	text_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	try_route(data[0], (const char *)data + 1, size - 1);
	try_round_trip((const char *)data + 1, size - 1);
	return 0;
}
