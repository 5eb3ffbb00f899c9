/* Goal: what a llama-swap configuration says stands in the lines for Baton, or a comment says that
 * it does not; what is malformed is refused with its line, and nothing printed. Method: short
 * configurations, and the parts of the lines that they must become. tests/fuzz/fuzz_import.c reads
 * the lines as Baton does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "import/llama_swap.h"
#include "yaml/yaml_depth.h"

static const char *test_env(const char *name)
{
	if (strcmp(name, "HOME") == 0)
		return "/home/\"me\"";
	return strcmp(name, "BROKEN") == 0 ? "\xff" : NULL;
}

static int import_text(const char *text, size_t length, struct llama_swap_lines *ret, char *detail,
		       size_t size)
{
	const struct llama_swap_source source = {
		.path = "f", .text = text, .length = length, .env = test_env};

	*ret = (struct llama_swap_lines){0};
	return llama_swap_import(&source, ret, detail, size);
}

/* The lines, with a NUL behind them. */
static struct llama_swap_lines imported(const char *text)
{
	struct llama_swap_lines lines;
	char detail[512] = "";

	if (import_text(text, strlen(text), &lines, detail, sizeof detail) != 0)
		fail_msg("%s", detail);
	assert_int_equal(buf_append(&lines.lines, "", 1), 0);
	assert_int_equal(buf_append(&lines.warnings, "", 1), 0);
	return lines;
}

static void assert_line(const struct llama_swap_lines *lines, const char *part)
{
	if (!strstr(buf_data(&lines->lines), part))
		fail_msg("no '%s' in:\n%s", part, buf_data(&lines->lines));
}

static void assert_becomes(const char *text, const char *part)
{
	struct llama_swap_lines lines = imported(text);

	assert_line(&lines, part);
	llama_swap_finish(&lines);
}

static void assert_left_out(const char *text, const char *why)
{
	struct llama_swap_lines lines = imported(text);

	assert_line(&lines, why);
	assert_non_null(strstr(buf_data(&lines.warnings), why));
	assert_line(&lines, "\n#  - name: ");
	llama_swap_finish(&lines);
}

static void assert_refused(const char *text, const char *detail)
{
	struct llama_swap_lines lines;
	char got[512] = "";

	assert_int_equal(import_text(text, strlen(text), &lines, got, sizeof got), -ERR_CONFIG);
	assert_string_equal(got, detail);
	assert_int_equal(lines.lines.length, 0);
	assert_int_equal(lines.warnings.length, 0);
}

#define MODEL(rest) "models:\n  m: {cmd: \"x ${PORT}\"" rest "}\n"

static void test_whole(void **state)
{
	struct llama_swap_lines lines =
		imported("startPort: 9000\nglobalTTL: 30\nmodels:\n"
			 "  m:\n    cmd: |\n      # the server\n      llama-server --port ${PORT}\n"
			 "      -m 'a b.gguf'\n    env: [A=b]\n    aliases: [gpt]\n");

	(void)state;
	assert_line(&lines,
		    "\nupstreams:\n"
		    "  - name: m\n"
		    "    kind: llama-server\n"
		    "    url: http://127.0.0.1:9000\n"
		    "    cmd: [llama-server,\n      --port, \"${PORT}\",\n      -m, \"a b.gguf\"]\n"
		    "    env: [A=b]\n"
		    "    ready: /health\n"
		    "    idle_s: 30\n"
		    "    models:\n"
		    "      - name: m\n"
		    "        alias: gpt\n"
		    "        vram_mb: # fill in: the MiB that it needs\n");
	assert_int_equal(lines.servers, 1);
	assert_int_equal(lines.remarks, 0);
	llama_swap_finish(&lines);
}

static void test_macros(void **state)
{
	(void)state;
	assert_becomes("macros: {a: 1, b: \"<${a}>\"}\nmodels:\n"
		       "  m: {cmd: \"x ${PORT} ${b} ${MODEL_ID}\"}\n",
		       "cmd: [x, \"${PORT}\", \"<1>\", m]");
	assert_becomes("macros: {a: 1, b: \"<${a}>\"}\nmodels:\n"
		       "  m: {cmd: \"x ${PORT} ${b}\", macros: {a: 2, c: 3}}\n",
		       "cmd: [x, \"${PORT}\", \"<2>\"]");
	assert_becomes(MODEL(", env: [\"A=${env.HOME}\"]"), "env: [\"A=/home/\\\"me\\\"\"]");

	assert_refused("models:\n  m:\n    cmd: x ${PORT} ${no}\n",
		       "f:3: 'm': cmd has the unknown macro '${no}'");
	assert_refused("macros:\n  a: ${a}\nmodels:\n  m: {cmd: x}\n",
		       "f:2: macro 'a' uses itself");
	assert_refused("macros:\n  a: ${b}\n  b: ${a}\nmodels:\n  m: {cmd: \"x ${b}\"}\n",
		       "f:5: 'm': cmd needs the macro 'b' in one that is defined above it; a macro "
		       "may use "
		       "those above it, and none in a circle");
	assert_refused("macros: {PORT: 1}\n", "f:1: the macro PORT is llama-swap's own");
	assert_refused("macros: {a b: 1}\n",
		       "f:1: 'a b' is not a macro's name: letters, digits, _ and -, "
		       "at most 63");
	assert_refused("macros: {a: {b: c}}\nmodels:\n  m: {cmd: \"x ${a}\"}\n",
		       "f:3: 'm': cmd uses the macro 'a', which is a mapping");
	assert_refused(
		"models:\n  m: {cmd: \"x ${env.NO}\"}\n",
		"f:2: 'm': cmd needs the environment variable NO, which is not set here; set it as "
		"for llama-swap");
	assert_refused("models:\n  m: {cmd: \"x ${env.BROKEN}\"}\n",
		       "f:2: 'm': cmd needs the environment variable BROKEN, which is not one line "
		       "of UTF-8");
}

static void test_names(void **state)
{
	(void)state;
	assert_becomes("models:\n  a/b:8b: {cmd: \"x ${PORT}\"}\n",
		       "- name: a-b-8b\n    # the server's name");
	assert_becomes("models:\n  a/b: {cmd: \"x ${PORT}\"}\n  a:b: {cmd: \"x ${PORT}\"}\n",
		       "- name: a-b-2\n");
	assert_becomes(MODEL(", useModelName: real, aliases: [q]"),
		       "      - name: real\n        alias: m\n");
	assert_becomes(MODEL(", useModelName: real, aliases: [q]"), "# the alias q is left out");
	assert_becomes(MODEL(", aliases: [{id: q, name: r}, s]"), "        alias: q\n");
	assert_becomes(MODEL(", aliases: [m]"), "# the alias m is left out: it is a model's name");
	assert_becomes(MODEL(", aliases: [\"a\\u202eb\\n\"]"), "alias: \"a\\u202eb\\n\"\n");
	assert_refused("models:\n  a: {cmd: \"x ${PORT}\", aliases: [q]}\n"
		       "  b: {cmd: \"x ${PORT}\", aliases:\n      [q]}\n",
		       "f:4: the alias 'q' is that of 'a' too");
}

static void test_ports(void **state)
{
	(void)state;
	assert_becomes("models:\n  a: {cmd: \"x ${PORT}\"}\n  b: {cmd: \"x ${PORT}\"}\n",
		       "url: http://127.0.0.1:5801\n");
	assert_becomes("startPort: 7\nmodels:\n  a: {cmd: x, proxy: \"http://localhost:7/\"}\n"
		       "  b: {cmd: \"x ${PORT}\"}\n",
		       "url: http://127.0.0.1:8\n");
	assert_becomes("models:\n  a: {cmd: x --port 9, proxy: \"http://localhost:9\"}\n"
		       "  b: {cmd: x --port 9, proxy: \"http://localhost:9\"}\n",
		       "# its port was 9, as that of a; each has its own now\n    kind: openai\n"
		       "    url: http://127.0.0.1:5800\n    cmd: [x,\n      --port, \"${PORT}\"]");
	assert_left_out("models:\n  a: {cmd: x, proxy: \"http://localhost:9\"}\n"
			"  b: {cmd: y 9, proxy: \"http://localhost:9\"}\n",
			"its port 9 is another model's");
	assert_left_out(MODEL(", proxy: \"http://box:1\""), "its proxy is not on http://127.0.0.1");
	assert_left_out(MODEL(", proxy: \"https://localhost:1\""),
			"its proxy is not on http://127.0.0.1");
	assert_left_out(MODEL(", proxy: \"http://localhost:${PORT}/v1\""), "its proxy has");
	assert_left_out(MODEL(", proxy: \"http://localhost:9/v1\""), "its proxy has a path");
	assert_left_out(MODEL(", proxy: \"http://localhost:70000\""), "its proxy has no port");
	assert_refused("models:\n  m: {cmd: x}\n",
		       "f:2: 'm': cmd does not have ${PORT}, and proxy does not say another port");
	assert_refused(
		"startPort: 65535\nmodels:\n  a: {cmd: \"x ${PORT}\"}\n  b: {cmd: \"x ${PORT}\"}\n",
		"f:4: no port is left for 'b', counted from startPort 65535");
}

/* No key is lost without a word. */
static void test_counterparts(void **state)
{
	static const char *const model_keys[] = {
		"cmdStop: y",           "name: y",      "description: y",
		"unlisted: true",       "filters: {}",  "concurrencyLimit: 2",
		"metadata: {}",         "timeouts: {}", "sendLoadingState: true",
		"whatever: [1, {a: b}]"};
	static const char *const file_keys[] = {"groups: {}",      "matrix: {}", "hooks: {}",
						"apiKeys: [s3]",   "peers: {}",  "logLevel: info",
						"whatever: [1, 2]"};
	char text[256], part[64];

	(void)state;
	for (size_t i = 0; i < sizeof model_keys / sizeof *model_keys; i++) {
		snprintf(text, sizeof text, "models:\n  m: {cmd: \"x ${PORT}\", %s}\n",
			 model_keys[i]);
		snprintf(part, sizeof part, "    # %.*s: ", (int)strcspn(model_keys[i], ":"),
			 model_keys[i]);
		assert_becomes(text, part);
	}
	for (size_t i = 0; i < sizeof file_keys / sizeof *file_keys; i++) {
		snprintf(text, sizeof text, "%s\n" MODEL(""), file_keys[i]);
		snprintf(part, sizeof part, "\n# %.*s: ", (int)strcspn(file_keys[i], ":"),
			 file_keys[i]);
		assert_becomes(text, part);
	}
	assert_becomes("healthCheckTimeout: 500\n" MODEL(""), "# healthCheckTimeout: it was 500;");
	assert_becomes(MODEL(", checkEndpoint: none"), "# checkEndpoint: ");
	assert_becomes("models:\n  m: {cmd: \"x ${PORT} > y\"}\n", "so \">\" does not redirect");
	assert_becomes(MODEL(", checkEndpoint: up"), "    ready: /up\n");
	assert_becomes(MODEL(", ttl: 0"), "    ready: /health\n    models:\n");
}

static void test_limits(void **state)
{
	char text[8192] = "models:\n";
	struct llama_swap_lines lines;

	(void)state;
	for (int i = 0; i < 20; i++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof text - used, "  m%d: {cmd: \"x ${PORT}\"}\n", i);
	}
	lines = imported(text);
	assert_int_equal(lines.servers, 16);
	assert_line(&lines, "# Left out: Baton takes 16 servers in all.\n#  - name: m16\n");
	llama_swap_finish(&lines);

	assert_left_out(MODEL(", env: [\"A=${HOME:-x}\"]"),
			"env has a ${..} that Baton does not fill in");
	assert_left_out(MODEL(", env: [A]"), "env is not NAME=VALUE");
	snprintf(text, sizeof text, "models:\n  m: {cmd: \"x ${PORT} %02100d\"}\n", 0);
	assert_left_out(text, "cmd has more than 64 words or 2048 bytes");
}

/* What is left out is printed, too, and may be more than Baton reads. */
static void test_large(void **state)
{
	struct buf text = {0};
	struct llama_swap_lines lines;

	(void)state;
	buf_append_text(&text, "models:\n");
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "  m%d: {cmd: \"x ${PORT} %01900d\"}\n", i, i);
	assert_int_equal(buf_append(&text, "", 1), 0);
	lines = imported(buf_data(&text));
	assert_null(strstr(buf_data(&lines.warnings), "its lines are"));
	llama_swap_finish(&lines);

	buf_clear(&text, 0);
	buf_append_text(&text, "macros: {long: ");
	buf_printf(&text, "\"%01900d\"}\nmodels:\n", 0);
	for (int i = 0; i < 200; i++)
		buf_printf(&text, "  m%d: {cmd: \"x ${PORT} ${long}\"}\n", i);
	assert_int_equal(buf_append(&text, "", 1), 0);
	lines = imported(buf_data(&text));
	assert_non_null(
		strstr(buf_data(&lines.warnings), "f:1: its lines are more than the 256 KiB"));
	llama_swap_finish(&lines);
	buf_finish(&text);
}

static void test_malformed(void **state)
{
	(void)state;
	assert_refused("", "f:1: there are no models");
	assert_refused("- a\n", "f:1: the file is not a mapping (key: value)");
	assert_refused("models: [a]\n", "f:1: models is not a mapping (key: value)");
	assert_refused("models:\n  m: x\n", "f:2: a model is not a mapping (key: value)");
	assert_refused("models:\n  m: {ttl: 1}\n", "f:2: 'm' has no cmd");
	assert_refused("models:\n  m:\n    cmd: [a]\n", "f:3: 'm': cmd is not a text");
	assert_refused("models:\n  m: {cmd: \"x 'y\"}\n",
		       "f:2: 'm': cmd has a ' without its second one");
	assert_refused("models:\n  m: {cmd: \"x\\0y\"}\n", "f:2: 'm': cmd has a zero byte");
	assert_refused(MODEL(", ttl: soon"),
		       "f:2: 'm': ttl is not a whole number from -1 to 1073741824");
	assert_refused(MODEL(", env: {A: b}"), "f:2: 'm': env is not a list");
	assert_refused("startPort: 0\n", "f:1: startPort is not a whole number from 1 to 65535");
	assert_refused("models:\n  m: {cmd: \"x ${PORT}\"}\n  m: {cmd: y}\n",
		       "f:3: repeated key 'm'");
	assert_refused("models:\n  m: {cmd: \"x\n", "f:2: found unexpected end of stream");
	assert_refused("models:\n  \xff: x\n", "f:2: invalid leading UTF-8 octet");
}

static void test_merges(void **state)
{
	(void)state;
	assert_becomes("x: &x {cmd: \"x ${PORT}\", ttl: 5}\nmodels:\n  m: {<<: *x, ttl: 6}\n",
		       "    idle_s: 6\n");
	assert_becomes("models: &m\n  m: {<<: *m, cmd: \"x ${PORT}\"}\n", "cmd: [x, \"${PORT}\"]");
	assert_refused("models:\n  m: {<<: x}\n",
		       "f:2: what << merges is not a mapping (key: value)");
}

static void assert_text_refused(struct buf *text, const char *detail)
{
	assert_int_equal(buf_append(text, "", 1), 0);
	assert_refused(buf_data(text), detail);
	buf_finish(text);
}

/* Texts that are small, and would be large, or slow, once they are taken at their word. */
static void test_bombs(void **state)
{
	enum { BYTES = 200 * 1024 };
	struct buf text = {0};
	char *tail;

	(void)state;
	assert_int_equal(buf_reserve(&text, BYTES, &tail), 0);
	memset(tail, '[', BYTES);
	buf_extend(&text, BYTES);
	assert_text_refused(&text, "f:1: nested too deep");

	buf_append_text(&text, "a0: &a0 {x: 1}\n");
	for (int i = 1; i < 9; i++) {
		buf_printf(&text, "a%d: &a%d {<<: [", i, i);
		for (int j = 0; j < 9; j++)
			buf_printf(&text, "%s*a%d", j ? ", " : "", i - 1);
		buf_append_text(&text, "]}\n");
	}
	buf_append_text(&text, "models:\n  m: {<<: *a7}\n");
	assert_text_refused(&text, "f:1: too many keys in all");

	buf_append_text(&text, "macros:\n  m0: xxxxxxxxxx\n");
	for (int i = 1; i < 40; i++)
		buf_printf(&text, "  m%d: ${m%d}${m%d}${m%d}\n", i, i - 1, i - 1, i - 1);
	buf_append_text(&text, "models:\n  m: {cmd: \"x ${PORT} ${m39}\"}\n");
	assert_text_refused(&text, "f:43: 'm': cmd has more than 16384 bytes once it is filled in");

	assert_int_equal(buf_reserve(&text, 256 * 1024 + 1, &tail), 0);
	memset(tail, ' ', 256 * 1024 + 1);
	buf_extend(&text, 256 * 1024 + 1);
	assert_text_refused(&text, "f: larger than 256 KiB");
}

static void test_depth(void **state)
{
	char text[64];

	(void)state;
	memset(text, '[', sizeof text);
	text[5] = '\n';
	assert_int_equal(yaml_depth_line(text, YAML_DEPTH_MAX), 0);
	assert_int_equal(yaml_depth_line(text, sizeof text), 2);
	assert_int_equal(yaml_depth_line("a: [[], [], {}]\n", 16), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),        cmocka_unit_test(test_macros),
		cmocka_unit_test(test_names),        cmocka_unit_test(test_ports),
		cmocka_unit_test(test_counterparts), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_large),        cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_merges),       cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
