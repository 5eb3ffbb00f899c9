/* Goal: a configuration is taken whole or not at all; what only counts after a restart stays as it
 * runs and is named; the core hears of it by one event. Method: a real file and the real settings;
 * the store and the trail are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "config/paths.h"
#include "core/core.h"
#include "fake_net.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/access/key_keeper.h"
#include "server/access/key_marks.h"
#include "server/active_config.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/gpus/gpu_sampler.h"
#include "server/pages/static_files.h"
#include "server/queued_event.h"
#include "server/reload.h"
#include "store/store.h"

static struct {
	int gpus_rc;
	uint64_t vram_bytes;
	int64_t rules_settle_ms;
	unsigned names_saved, gpus_configured, gpus_asked, policies_set, upstreams_taken, lines,
		trails, shut_out;
	char shut_out_principal[LIMIT_PRINCIPAL_BYTES + 1]; /* by the model servers */
	enum log_level line;
	void (*changed)(void *ctx);
	void *changed_ctx;
} seen;

int store_gpus(struct store *store, const char *const *names, uint32_t count, bool may_move)
{
	(void)store;
	(void)names;
	(void)count;
	assert_false(may_move);
	seen.gpus_asked++;
	return seen.gpus_rc;
}

/* What it will be replayed by is what is in force. */
void store_put_rules(struct store *store, const void *bytes, size_t length)
{
	struct core_config config;

	(void)store;
	core_config_defaults(&config);
	assert_true(core_config_read(&config, bytes, length));
	seen.rules_settle_ms = config.settle_ms;
}

/* Of the last run. */
static struct key_marks kept;
static size_t kept_length;

void store_put_keys(struct store *store, const void *bytes, size_t length)
{
	(void)store;
	assert_int_equal(length, sizeof(kept));
	memcpy(&kept, bytes, length);
	kept_length = length;
}

size_t store_keys(struct store *store, void *bytes, size_t size)
{
	(void)store;
	assert_true(kept_length <= size);
	memcpy(bytes, &kept, kept_length);
	return kept_length;
}

/* One GPU, which grows when more of it is known. */
void gpu_rows_fill(const struct gpu_rows *rows, struct settings *settings)
{
	(void)rows;
	settings->core.gpus[0].vram_bytes_total = seen.vram_bytes;
}

void gpu_names_save(struct gpu_names *names, const char *dir)
{
	(void)names;
	(void)dir;
	seen.names_saved++;
}

void gpu_sampler_configure(struct gpu_sampler *sampler, struct settings *settings)
{
	(void)sampler;
	(void)settings;
	seen.gpus_configured++;
}

void content_policies_set(struct content_policies *policies, const struct settings *settings)
{
	(void)policies;
	(void)settings;
	seen.policies_set++;
}

void trail_init(struct trail *trail, struct loop *loop, const char *path, void (*fn)(void *ctx),
		void *ctx)
{
	(void)loop;
	snprintf(trail->path, sizeof trail->path, "%s", path);
	seen.changed = fn;
	seen.changed_ctx = ctx;
}

int trail_follow(struct trail *trail)
{
	(void)trail;
	seen.trails++;
	return 0;
}

void trail_end(struct trail *trail)
{
	(void)trail;
}

static struct active_config active;

static int read_upstreams(void *ctx, const struct settings *next, char *ret_detail, size_t size)
{
	(void)ctx;
	if (next->upstream_count == 0)
		return 0;
	snprintf(ret_detail, size, "upstreams: %s is not liked", next->upstreams[0].name);
	return -ERR_CONFIG;
}

static void take_upstreams(void *ctx, const struct settings *now)
{
	(void)ctx;
	assert_ptr_equal(now, &active.settings);
	seen.upstreams_taken++;
}

static void shut_out_upstreams(void *ctx, const char *principal)
{
	(void)ctx;
	snprintf(seen.shut_out_principal, sizeof seen.shut_out_principal, "%s", principal);
}

static void on_line(void *ctx, const struct log_line *line)
{
	(void)ctx;
	seen.lines++;
	seen.line = line->level;
}

static void on_shut_out(void *ctx, struct endpoint *endpoint)
{
	(void)ctx;
	seen.shut_out |= 1u << endpoint->conn;
}

static struct endpoints endpoints;
static struct access_setup access_setup;
static struct api_keys made;
static const struct key_keeper made_keys = {.keys = &made, .access = &access_setup};
static struct content_policies policies;
static struct broker broker;
static struct gpu_sampler gpus;
static struct log logger;
static struct reload reload;
static struct settings_change change;
static char detail[4096];

static void write_config(const char *text)
{
	FILE *file = fopen(active.paths.config, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	(void)state;
	fake_net_reset();
	memset(&seen, 0, sizeof seen);
	active = (struct active_config){.options.log_level = -1};
	snprintf(active.paths.config, sizeof active.paths.config, "/tmp/baton-reload-XXXXXX");
	int fd = mkstemp(active.paths.config);
	assert_true(fd >= 0);
	(void)close(fd);
	settings_defaults(&active.settings);
	assert_int_equal(paths_socket(&active.settings, detail, sizeof detail), 0);
	memset(&broker, 0, sizeof broker);
	broker.core = core_create();
	event_queue_init(&broker.queue);
	log_init(&logger, LOG_INFO, -1, loop_wall_now);
	log_set_sink(&logger, on_line, NULL);
	static const struct endpoint_ops ops = {.shut_out = on_shut_out};
	endpoints_init(&endpoints, NULL);
	endpoints_serve(&endpoints, ENDPOINT_SESSION, &ops, NULL);
	made = (struct api_keys){0};
	access_setup = (struct access_setup){0};
	access_setup_init(&access_setup, false);
	reload = (struct reload){
		.active = &active,
		.access = &access_setup,
		.keys = &made_keys,
		.policies = &policies,
		.endpoints = &endpoints,
		.broker = &broker,
		.gpus = &gpus,
		.upstreams = {read_upstreams, take_upstreams, shut_out_upstreams, NULL},
		.log = &logger};
	reload_watch(&reload, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	event_queue_finish(&broker.queue);
	core_destroy(broker.core);
	endpoints_finish(&endpoints);
	(void)unlink(active.paths.config);
	return 0;
}

static void test_a_good_file_is_taken_whole(void **state)
{
	(void)state;
	write_config(
		"log_level: debug\ntiming: {settle_s: 7}\norigins: [\"https://app.example\"]\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);

	assert_int_equal(active.settings.core.settle_ms, 7000);
	assert_int_equal(seen.rules_settle_ms, 7000);
	assert_int_equal(logger.level, LOG_DEBUG);
	assert_int_equal(access_setup.policy.origin_count, 1);
	assert_int_equal(seen.policies_set, 1);
	assert_int_equal(seen.gpus_configured, 1);
	assert_int_equal(seen.upstreams_taken, 1);
	assert_non_null(strstr(change.applied, "timing"));
	assert_string_equal(change.restart, "");
	assert_int_equal(broker.queue.count, 1);
	assert_int_equal(broker.queue.head->in.event.type, EVENT_CONFIG);
	assert_ptr_equal(broker.queue.head->in.event.config, &active.settings.core);
}

/* The flag counts where the file names no mode; a file that does takes it back without a restart.
 */
static void test_the_mode_is_switched(void **state)
{
	(void)state;
	active.options.observe = true;
	write_config("log_level: info\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);
	assert_true(active.settings.core.observe);
	assert_non_null(strstr(change.applied, "mode"));

	write_config("mode: enforce\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);
	assert_false(active.settings.core.observe);
	assert_non_null(strstr(change.applied, "mode"));

	active.options.observe = false;
	write_config("mode: observe\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);
	assert_true(active.settings.core.observe);
}

static void test_a_bad_file_changes_nothing(void **state)
{
	(void)state;
	int64_t settle_ms = active.settings.core.settle_ms;
	write_config("timing: {settle_s: 7}\ntimings: 8\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), -ERR_CONFIG);

	assert_non_null(strstr(detail, ":2: "));
	assert_int_equal(active.settings.core.settle_ms, settle_ms);
	assert_int_equal(broker.queue.count + seen.policies_set + seen.gpus_asked, 0);
	assert_int_equal(seen.lines, 1);
	assert_int_equal(seen.line, LOG_ERROR);
}

static void test_a_key_that_cannot_be_read_changes_nothing(void **state)
{
	(void)state;
	write_config("keys:\n  - name: ci\n    file: /nonexistent/baton/key\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), -ERR_CONFIG);
	assert_non_null(strstr(detail, "ci"));
	assert_int_equal(active.settings.key_count, 0);
	assert_int_equal(broker.queue.count, 0);
}

static void write_key(char path[64], const char *secret)
{
	FILE *file;
	if (!path[0]) {
		snprintf(path, 64, "/tmp/baton-key-XXXXXX");
		(void)close(mkstemp(path));
	}
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(secret, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void open_session(uint64_t conn, const char *principal)
{
	struct endpoint *endpoint = endpoint_open(&endpoints, conn, ENDPOINT_SESSION, NULL);
	endpoint->session = calloc(1, sizeof *endpoint->session);
	assert_non_null(endpoint->session);
	endpoint->session->pidfd = -1;
	snprintf(endpoint->session->principal, sizeof endpoint->session->principal, "%s",
		 principal);
}

/* `two` may be NULL: it is not in the configuration. */
static void read_keys(const char *one, const char *two)
{
	char text[256];
	int length = snprintf(text, sizeof text, "keys:\n  - {name: one, file: %s}\n", one);
	if (two)
		snprintf(text + length, sizeof text - (size_t)length, "  - {name: two, file: %s}\n",
			 two);
	write_config(text);
	seen.shut_out = 0;
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);
}

/* A key that is replaced or removed is good no longer, for those who are in, too. */
static void test_sessions_end_with_their_key(void **state)
{
	char one[64] = "", two[64] = "";
	(void)state;
	write_key(one, "one-0123456789abcdef");
	write_key(two, "two-0123456789abcdef");
	open_session(1, "key:one");
	open_session(2, "key:two");
	open_session(3, "token");
	read_keys(one, two);
	read_keys(one, two);
	assert_int_equal(seen.shut_out, 0);
	const struct key_marks before = kept;

	write_key(one, "new-0123456789abcdef");
	read_keys(one, two);
	assert_int_equal(seen.shut_out, 1 << 1);

	/* And the next broker knows which are the same. */
	const struct key_ring *ring = &access_setup.ring;
	assert_false(key_marks_differ(&kept, ring, "one"));
	assert_false(key_marks_differ(&kept, ring, "two"));
	assert_false(key_marks_differ(&kept, ring, "three"));
	assert_true(key_marks_differ(&before, ring, "one"));
	assert_false(key_marks_differ(&before, ring, "two"));
	assert_memory_not_equal(kept.salt, before.salt, sizeof kept.salt);
	assert_memory_not_equal(kept.v[1].hash, before.v[1].hash, sizeof kept.v[1].hash);

	read_keys(one, NULL);
	assert_int_equal(seen.shut_out, 1 << 2);
	assert_string_equal(seen.shut_out_principal, "key:two");
	read_keys(one, two);
	kept.count = 1;
	assert_true(key_marks_differ(&kept, ring, "two"));
	(void)unlink(one);
	(void)unlink(two);
}

/* What a key is called by tells who it is: a name is one key's. */
static void test_a_made_key_keeps_its_name(void **state)
{
	char one[64] = "", text[128], secret[API_KEY_BYTES];
	(void)state;
	write_key(one, "one-0123456789abcdef");
	assert_int_equal(api_keys_add(&made, "one", &(const struct api_key_limits){0},
				      (const uint8_t[32]){1}, (struct wall_ms){5}, secret),
			 0);
	snprintf(text, sizeof text, "keys:\n  - {name: one, file: %s}\n", one);
	write_config(text);
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), -ERR_CONFIG);
	assert_non_null(strstr(detail, "keys: one: "));
	assert_int_equal(active.settings.key_count, 0);
	(void)unlink(one);
}

/* What was not said of a key is as the configuration says of its principal; others have no more and
 * no less than before. */
static void test_a_made_key_has_its_own_limits(void **state)
{
	const struct api_key_limits own = {
		.classes = 1 << LEASE_CHAT, .held_max = 2, .requests_max = 3, .models = "qwen*"};
	char secret[API_KEY_BYTES];
	(void)state;
	assert_int_equal(api_keys_add(&made, "own", &own, (const uint8_t[32]){1},
				      (struct wall_ms){5}, secret),
			 0);
	assert_int_equal(api_keys_add(&made, "none", &(const struct api_key_limits){0},
				      (const uint8_t[32]){2}, (struct wall_ms){5}, secret),
			 0);
	write_config("principals: [{match: \"key:*\", classes: [normal], queue: 20, held: 4}]\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);

	struct wire_context wire = active.wire;
	wire.principal = "key:own";
	const struct class_rights *rights = class_rights_of(&wire);
	assert_int_equal(rights->classes, 1 << LEASE_CHAT);
	assert_int_equal(rights->waiting_max, 20);
	assert_int_equal(rights->held_max, 2);
	assert_int_equal(rights->requests_max, 3);
	assert_string_equal(rights->models, "qwen*");

	wire.principal = "key:none";
	rights = class_rights_of(&wire);
	assert_int_equal(rights->classes, 1 << LEASE_NORMAL);
	assert_int_equal(rights->held_max, 4);
	assert_int_equal(rights->requests_max, 0);
	assert_null(rights->models);
	wire.principal = "token";
	assert_null(class_rights_of(&wire));

	made.count = 0;
	reload_rights(&reload);
	wire = active.wire;
	wire.principal = "key:own";
	assert_int_equal(class_rights_of(&wire)->classes, 1 << LEASE_NORMAL);
}

static void test_a_model_server_that_is_refused_changes_nothing(void **state)
{
	(void)state;
	write_config("timing: {settle_s: 7}\nupstreams: [{name: far, kind: openai, "
		     "url: \"http://127.0.0.1:1\"}]\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), -ERR_CONFIG);
	assert_non_null(strstr(detail, "far is not liked"));
	assert_int_equal(active.settings.upstream_count, 0);
	assert_int_equal(seen.upstreams_taken, 0);
	assert_int_equal(broker.queue.count, 0);
}

static void test_what_needs_a_restart_stays_and_is_named(void **state)
{
	(void)state;
	char socket_path[sizeof active.settings.socket_path];
	memcpy(socket_path, active.settings.socket_path, sizeof socket_path);
	write_config("socket: /tmp/elsewhere/b.sock\n");
	for (int i = 0; i < 2; i++) { /* each time, for it still differs */
		assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);
		assert_non_null(strstr(change.restart, "socket"));
		assert_string_equal(active.settings.socket_path, socket_path);
	}
}

/* It is a place among the GPUs that run. */
static void test_the_gpu_of_browsers_stays_with_the_gpus(void **state)
{
	(void)state;
	write_config("gpus: [{name: a}, {name: b}]\nbrowser_gpu: b\n");
	settings_defaults(&active.settings);
	assert_int_equal(settings_load(active.paths.config, &active.settings, &active.settings,
				       detail, sizeof detail),
			 0);
	assert_int_equal(settings_find_browser_gpu(&active.settings, detail, sizeof detail), 0);
	assert_int_equal(active.settings.core.browser_gpu, 1);

	write_config("gpus: [{name: b}, {name: a}, {name: c}]\nbrowser_gpu: c\n");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), 0);
		assert_string_equal(active.settings.core.gpus[1].name, "b");
		assert_int_equal(active.settings.core.browser_gpu, 1);
		assert_non_null(strstr(change.restart, "browser_gpu"));
	}
}

static void test_the_journal_may_refuse_the_gpus(void **state)
{
	(void)state;
	seen.gpus_rc = -ERR_STATE;
	write_config("timing: {settle_s: 7}\n");
	assert_int_equal(reload_settings(&reload, &change, detail, sizeof detail), -ERR_CONFIG);
	assert_non_null(strstr(detail, "gpus"));
	assert_int_equal(broker.queue.count, 0);
}

/* What a probe found is in force at once, unless the journal knows the GPUs otherwise. */
static void test_a_gpu_that_is_found_is_lent(void **state)
{
	(void)state;
	seen.vram_bytes = UINT64_C(8) << 30;
	reload_gpus(&reload);
	assert_int_equal(active.settings.core.gpus[0].vram_bytes_total, seen.vram_bytes);
	assert_int_equal(broker.queue.count, 1);
	assert_int_equal(seen.names_saved, 1);

	seen.gpus_rc = -ERR_STATE;
	seen.vram_bytes *= 2;
	reload_gpus(&reload);
	assert_int_equal(active.settings.core.gpus[0].vram_bytes_total, seen.vram_bytes / 2);
	assert_int_equal(broker.queue.count, 1);
	assert_int_equal(seen.line, LOG_WARN);
}

/* A file that is being written is waited for; one that is away for a moment is not read. */
static void test_a_saved_file_is_read_once_it_settled(void **state)
{
	(void)state;
	write_config("timing: {settle_s: 9}\n");
	seen.changed(seen.changed_ctx);
	struct mono_ms due = reload_when_due(&reload, fake_net.now);
	assert_int_equal(due.v, fake_net.now.v + RELOAD_SETTLE_MS);
	assert_int_equal(broker.queue.count, 0);

	assert_int_equal(reload_when_due(&reload, due).v, MONO_NEVER.v);
	assert_int_equal(active.settings.core.settle_ms, 9000);
	assert_int_equal(seen.trails, 2);

	seen.changed(seen.changed_ctx);
	assert_int_equal(unlink(active.paths.config), 0);
	unsigned lines = seen.lines;
	(void)reload_when_due(&reload, mono_after(due, RELOAD_SETTLE_MS));
	assert_int_equal(active.settings.core.settle_ms, 9000);
	assert_int_equal(broker.queue.count, 1);
	assert_int_equal(seen.lines, lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_good_file_is_taken_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_mode_is_switched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_bad_file_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_key_that_cannot_be_read_changes_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_made_key_keeps_its_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_made_key_has_its_own_limits, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_sessions_end_with_their_key, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_model_server_that_is_refused_changes_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_needs_a_restart_stays_and_is_named,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_gpu_of_browsers_stays_with_the_gpus,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_journal_may_refuse_the_gpus, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_gpu_that_is_found_is_lent, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_saved_file_is_read_once_it_settled, set_up,
						tear_down),
	};
	return cmocka_run_group_tests_name("server-reload", tests, NULL, NULL);
}
