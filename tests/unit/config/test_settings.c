/* Goal: a configuration is taken whole or refused with the line of its mistake. Method: files in a
 * folder of the test, loaded over the defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "config/settings.h"

struct fixture {
	char dir[64], path[96], detail[512];
	struct settings defaults, got;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "/tmp/baton-settings-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/c.yaml", f->dir);
	settings_defaults(&f->defaults);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static int load(struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	memset(&f->got, 0xee, sizeof f->got);
	f->detail[0] = 0;
	return settings_load(f->path, &f->defaults, &f->got, f->detail, sizeof f->detail);
}

/* Refused, with `where` ("3: unknown key 'x'") after the file's name, and nothing written. */
static void refuse(struct fixture *f, const char *text, const char *where)
{
	char expected[256];
	assert_int_equal(load(f, text), -ERR_CONFIG);
	snprintf(expected, sizeof expected, "%s:%s", f->path, where);
	if (strncmp(f->detail, expected, strlen(expected)) != 0)
		fail_msg("expected %s.., got %s", expected, f->detail);
	assert_int_equal(((unsigned char *)&f->got)[0], 0xee);
}

/* An empty file and one with comments only mean: all defaults. */
static void test_empty(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, ""), 0);
	assert_int_equal(load(f, "# nothing\n"), 0);
	struct settings_change change;
	settings_compare(&f->defaults, &f->got, &change);
	assert_string_equal(change.applied, "");
	assert_string_equal(change.restart, "");
}

/* Every key arrives, with its unit. */
static void test_all_keys(void **state)
{
	struct fixture *f = *state;
	int rc =
		load(f, "listen: ['127.0.0.1:1', '[::1]:2']\n"
			"socket: /run/x/b.sock\n"
			"origins: ['http://LOCALHOST:8000', 'https://App.example:443']\n"
			"models: /srv/models\n"
			"model_origins: ['https://models.example', 'https://b.example:8443']\n"
			"log_level: warn\n"
			"browser_gpu: b\n"
			"connections: 2000\n"
			"connections_per_process: 70\n"
			"vram_headroom_mb: 7\n"
			"classes:\n  voice: {offset_s: 0, hold_max_s: 1.5}\n"
			"  background: {offset_s: 300}\n"
			"class_rules:\n  - {match: 'a*', class: background}\n"
			"principals:\n  - {match: 'uid:1000'}\n"
			"  - {match: 'key:*', classes: [chat, background], queue: 5, held: 1}\n"
			"keys:\n  - {name: alice, file: /etc/baton/alice.key}\n"
			"gpus:\n  - {name: a, uuid: GPU-1, vram_mb: 24576, slots: 2}\n  - name: b\n"
			"timing: {grace_s: 0.3, http_ttl_s: 10, settle_s: 0}\n"
			"queue: {max: 20000, per_session_max: 3, per_principal_max: 700, "
			"held_per_principal_max: 9}\n");
	if (rc)
		fail_msg("%s", f->detail);
	const struct settings *s = &f->got;
	assert_int_equal(s->listen_count, 2);
	assert_string_equal(s->listen[1], "[::1]:2");
	assert_string_equal(s->socket_path, "/run/x/b.sock");
	assert_int_equal(s->origin_count, 2);
	assert_string_equal(s->origins[0], "http://localhost:8000");
	assert_string_equal(s->origins[1], "https://app.example");
	assert_string_equal(s->models_dir, "/srv/models");
	assert_int_equal(s->model_origin_count, 2);
	assert_string_equal(s->model_origins[1], "https://b.example:8443");
	assert_int_equal(s->log_level, LOG_WARN);
	assert_string_equal(s->browser_gpu, "b");
	assert_int_equal(s->connections_max, 2000);
	assert_int_equal(s->connections_per_process_max, 70);
	assert_int_equal(s->core.vram_headroom_bytes, 7 << 20);
	assert_int_equal(s->core.classes[LEASE_VOICE].hold_ms_max, 1500);
	assert_int_equal(s->core.classes[LEASE_BACKGROUND].offset_ms, 300000);
	assert_int_equal(s->core.classes[LEASE_BACKGROUND].hold_ms_max,
			 f->defaults.core.classes[LEASE_BACKGROUND].hold_ms_max);
	assert_int_equal(s->rule_count, 1);
	assert_int_equal(s->rules[0].cls, LEASE_BACKGROUND);
	assert_int_equal(s->principal_count, 2);
	assert_int_equal(s->principals[0].classes, 0xf);
	assert_int_equal(s->principals[0].queue_max, 0);
	assert_string_equal(s->principals[1].match, "key:*");
	assert_int_equal(s->principals[1].classes, 1 << LEASE_CHAT | 1 << LEASE_BACKGROUND);
	assert_int_equal(s->principals[1].queue_max, 5);
	assert_int_equal(s->principals[1].held_max, 1);
	assert_int_equal(s->key_count, 1);
	assert_string_equal(s->keys[0].name, "alice");
	assert_string_equal(s->keys[0].file, "/etc/baton/alice.key");
	assert_int_equal(s->core.gpu_count, 2);
	assert_int_equal(s->core.gpus[0].vram_bytes_total, UINT64_C(24576) << 20);
	assert_int_equal(s->core.gpus[0].slots, 2);
	assert_false(s->core.gpus[1].vram_known);
	assert_int_equal(s->core.gpus[1].slots, 1);
	assert_int_equal(s->core.grace_ms, 300);
	assert_int_equal(s->core.http_ttl_ms, 10000);
	assert_int_equal(s->core.settle_ms, 0);
	assert_int_equal(s->core.queue_count_max, 20000);
	assert_int_equal(s->core.queue_per_session_max, 3);
	assert_int_equal(s->core.queue_per_principal_max, 700);
	assert_int_equal(s->core.held_per_principal_max, 9);
}

/* A mistake is named with the line it stands in, whoever finds it: tree, libcyaml or range check.
 */
static void test_refusals(void **state)
{
	struct fixture *f = *state;
	refuse(f, "listen:\n  - 127.0.0.1:1\ntiming: {ack_s: }\n", "3: no value for 'ack_s'");
	refuse(f, "origins:\n [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "2: nested too deep");
	refuse(f, "upstreams:\n", "1: no value for 'upstreams'");
	refuse(f, "log_level: info\n\nbogus: 1\n", "3: unknown key 'bogus'");
	refuse(f, "classes:\n  voice:\n    offset: 1\n", "3: unknown key 'offset'");
	refuse(f, "gpus:\n  - {name: a}\n  - {name: b, vram: 2}\n", "3: unknown key 'vram'");
	refuse(f, "timing:\n  ack_s: 1\n  ack_s: 2\n", "3: repeated key 'ack_s'");
	refuse(f, "timing:\n  ack_s: soon\n", "2: Invalid FLOAT value");
	refuse(f, "timing:\n  grace_s: 1\n  ack_s: .nan\n", "3: ");
	refuse(f, "timing:\n  grace_s: 1\n  ack_s: 1e9\n", "3: timing/ack_s: not between");
	refuse(f, "timing:\n  heartbeat_s: -1\n", "2: timing/heartbeat_s: not between");
	refuse(f, "timing: {heartbeat_s: 30}\n", "1: timing/session_ttl_s: shorter");
	refuse(f, "gpus:\n - {name: a}\n - {name: b, slots: 0}\n", "3: gpus/1/slots: not between");
	refuse(f, "gpus:\n - {name: a}\n - {name: a}\n", "3: gpus/1/name: two GPUs");
	refuse(f, "gpus:\n - {name: a}\n - {name: Any}\n", "3: gpus/1/name: 'Any' is what");
	refuse(f, "gpus:\n - {name: '7'}\n", "2: gpus/0/name: '7' reads as an index");
	refuse(f, "gpus:\n - {slots: 2}\n", "2: Missing required mapping field: name");
	refuse(f, "gpus: []\n", "1: ");
	refuse(f, "listen: [localhost]\n", "1: listen/0: not ADDRESS:PORT");
	refuse(f, "origins: ['*']\n", "1: origins/0: has a wildcard");
	refuse(f, "origins: ['http://a/']\n", "1: origins/0: has more than scheme, host and port");
	refuse(f, "origins: ['null']\n", "1: origins/0: is what pages without an origin");
	refuse(f, "origins: ['http://münchen.example']\n", "1: origins/0: is not ASCII");
	refuse(f, "models: here\n", "1: models: not a whole path");
	refuse(f, "model_origins: ['http://a.example']\n", "1: model_origins/0: not an origin");
	refuse(f, "model_origins:\n - https://a.example\n - 'https://b; script-src *'\n",
	       "3: model_origins/1: not an origin");
	refuse(f, "model_origins: ['https://*.example']\n", "1: model_origins/0: not an origin");
	refuse(f, "model_origins: ['https://a.example/x']\n", "1: model_origins/0: not an origin");
	refuse(f, "model_origins: ['https://']\n", "1: model_origins/0: not an origin");
	refuse(f, "class_rules:\n - {match: a, class: king}\n", "2: ");
	refuse(f, "log_level: loud\n", "1: ");
	refuse(f, "principals:\n - {match: a, classes: [king]}\n", "2: ");
	refuse(f, "principals:\n - {match: a, classes: []}\n", "2: ");
	refuse(f, "principals:\n - {match: a}\n - {match: 'b c'}\n",
	       "3: principals/1: has a space");
	refuse(f, "principals:\n - {match: a, queue: 0}\n", "2: principals/0: has a count");
	refuse(f, "principals:\n - {match: a, held: 1000001}\n", "2: principals/0: has a count");
	refuse(f, "principals:\n - {match: a, rights: all}\n", "2: unknown key 'rights'");
	refuse(f, "keys:\n - {name: a}\n", "2: Missing required mapping field: file");
	refuse(f, "keys:\n - {name: a, file: x}\n", "2: keys/0: has a file that is not a whole");
	refuse(f, "keys:\n - {name: 'a b', file: /x}\n", "2: keys/0: has a name with other");
	refuse(f, "keys:\n - {name: a, file: /x}\n - {name: a, file: /y}\n",
	       "3: keys/1: has the name of another");
	refuse(f, "queue: {per_principal_max: 0}\n", "1: queue/per_principal_max: not between");
	refuse(f, "queue: {held_per_principal_max: 1000001}\n",
	       "1: queue/held_per_principal_max: not between");
	refuse(f, "queue: {max: 2, per_session_max: 3}\n", "1: queue/per_session_max: not between");
	refuse(f, "connections: 64\n", "1: connections: not between");
	refuse(f, "connections_per_process: 0\n", "1: connections_per_process: not between");
	refuse(f, "connections_per_process: 1025\n", "1: connections_per_process: not between");
	refuse(f, "[]\n", "1: ");
	refuse(f, "listen: [1\nx: 2\n", "2: ");
	refuse(f, "a: &x 1\nlisten: *x\n", "1: unknown key 'a'");
}

/* A file that is missing, a folder, a FIFO or too large is refused with its name. */
static void test_files(void **state)
{
	struct fixture *f = *state;
	char detail[256] = "";
	struct settings got;
	assert_int_equal(settings_load("/nonexistent/x", &f->defaults, &got, detail, sizeof detail),
			 -ERR_CONFIG);
	assert_non_null(strstr(detail, "/nonexistent/x: "));
	assert_int_equal(settings_load(f->dir, &f->defaults, &got, detail, sizeof detail),
			 -ERR_CONFIG);
	char fifo[sizeof(f->dir) + 8];
	snprintf(fifo, sizeof(fifo), "%s/fifo", f->dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	alarm(20);
	assert_int_equal(settings_load(fifo, &f->defaults, &got, detail, sizeof detail),
			 -ERR_CONFIG);
	alarm(0);
	assert_non_null(strstr(detail, "fifo: not a regular file"));
	unlink(fifo);
	assert_int_equal(settings_load("/dev/null", &f->defaults, &got, detail, sizeof detail), 0);
	char *large = malloc(SETTINGS_FILE_BYTES + 2);
	memset(large, '#', SETTINGS_FILE_BYTES + 1);
	large[SETTINGS_FILE_BYTES + 1] = 0;
	assert_int_equal(load(f, large), -ERR_CONFIG);
	assert_non_null(strstr(f->detail, "larger than"));
	free(large);
}

/* Addresses are numeric with a port; loopback is told from the rest. */
static void test_addresses(void **state)
{
	(void)state;
	bool loopback;
	assert_true(settings_take_address("127.0.0.1:8470", NULL, &loopback) && loopback);
	assert_true(settings_take_address("127.9.9.9:0", NULL, &loopback) && loopback);
	assert_true(settings_take_address("[::1]:65535", NULL, &loopback) && loopback);
	assert_true(settings_take_address("0.0.0.0:1", NULL, &loopback) && !loopback);
	assert_true(settings_take_address("[::]:1", NULL, &loopback) && !loopback);
	const char *bad[] = {"",          ":1",         "localhost",  "127.0.0.1",  "127.0.0.1:",
			     "1.2.3:1",   "::1:1",      "[::1]",      "[::1:1",     "1.2.3.4:65536",
			     "1.2.3.4:x", "1.2.3.4:1 ", "1.2.3.4:-1", "[1.2.3.4]:1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (settings_take_address(bad[i], NULL, &loopback))
			fail_msg("taken: '%s'", bad[i]);
}

/* "localhost" is 127.0.0.1, which is what is listened on and compared with. */
static void test_localhost(void **state)
{
	(void)state;
	char address[SETTINGS_ADDRESS_BYTES + 1];
	bool loopback = false;
	assert_true(settings_take_address("localhost:8470", address, &loopback) && loopback);
	assert_string_equal(address, "127.0.0.1:8470");
	assert_true(settings_take_address("[::1]:1", address, &loopback));
	assert_string_equal(address, "[::1]:1");
	assert_false(settings_take_address("[localhost]:1", address, &loopback));
	assert_false(settings_take_address("example.org:1", address, &loopback));
}

/* --fake-gpu takes NAME:VRAM[:SLOTS], VRAM in MiB or with a unit, and nothing else. */
static void test_gpu_specs(void **state)
{
	(void)state;
	struct settings s;
	char detail[256];
	settings_defaults(&s);
	s.core.gpu_count = 0;
	assert_int_equal(settings_add_gpu(&s, "a:8192", detail, sizeof detail), 0);
	assert_int_equal(settings_add_gpu(&s, "b:16:3", detail, sizeof detail), 0);
	assert_int_equal(s.core.gpus[1].slots, 3);
	assert_int_equal(s.core.gpus[1].vram_bytes_total, 16 << 20);
	const char *bad[] = {"",        "a",       "c:",   "c:x",   "c:0",     "c:1:0",
			     "c:1:2:3", "c:1:999", "a:5",  "c:1Q",  "c:9999T", "c:1K",
			     "any:5",   "ANY:5",   "12:5", "c d:5", "c,d:5"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (settings_add_gpu(&s, bad[i], detail, sizeof detail) != -ERR_CONFIG)
			fail_msg("taken: '%s'", bad[i]);
	assert_int_equal(s.core.gpu_count, 2);
	assert_int_equal(settings_add_gpu(&s, "c:1.5G:2", detail, sizeof detail), 0);
	assert_int_equal(s.core.gpus[2].vram_bytes_total, 1536u << 20);
	assert_int_equal(settings_add_gpu(&s, "0a:512MiB", detail, sizeof detail), 0);
	assert_int_equal(s.core.gpus[3].vram_bytes_total, 512u << 20);
}

/* A reload names what changed, and what only a restart can change. */
static void test_compare(void **state)
{
	(void)state;
	struct settings a, b;
	struct settings_change change;
	settings_defaults(&a);
	b = a;
	b.core.grace_ms++;
	b.core.classes[LEASE_CHAT].offset_ms++;
	b.rules[0].cls = LEASE_CHAT;
	b.listen_count = 0;
	settings_compare(&a, &b, &change);
	assert_string_equal(change.applied, "classes, class_rules, timing");
	assert_string_equal(change.restart, "listen");
	b = a;
	snprintf(b.models_dir, sizeof b.models_dir, "/srv/models");
	b.model_origin_count = 1;
	settings_compare(&a, &b, &change);
	assert_string_equal(change.applied, "models, model_origins");
	assert_string_equal(change.restart, "");
	b = a;
	snprintf(b.core.gpus[0].name, sizeof b.core.gpus[0].name, "other");
	settings_compare(&a, &b, &change);
	assert_string_equal(change.restart, "gpus");
	b = a;
	b.core.gpus[0].slots = 4;
	settings_compare(&a, &b, &change);
	assert_string_equal(change.applied, "gpus");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_localhost),
		cmocka_unit_test(test_gpu_specs),
		cmocka_unit_test(test_compare),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
