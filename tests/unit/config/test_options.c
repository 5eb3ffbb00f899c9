/* Goal: the command line of `baton serve`, and where its files lie. Method: argv arrays and an
 * environment of the test's own. */
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
#include "config/options.h"
#include "config/paths.h"

static char detail[512];

static int parse(struct options *options, int argc, const char **argv)
{
	detail[0] = 0;
	return options_parse(argc, (char **)argv, options, detail, sizeof detail);
}

#define PARSE(options, ...)                                                                        \
	parse(options, (int)(sizeof((const char *[]){"serve", __VA_ARGS__}) / sizeof(char *)),     \
	      (const char *[]){"serve", __VA_ARGS__, NULL})

/* Options stand over the settings, repeatable ones replace the whole list. */
static void test_apply(void **state)
{
	(void)state;
	struct options o;
	struct settings s;
	settings_defaults(&s);
	assert_int_equal(PARSE(&o, "--listen", "127.0.0.1:0", "--listen=[::1]:7", "--fake-gpu",
			       "a:10", "--fake-gpu", "b:20:2", "--log-level", "error", "--socket",
			       "/tmp/x/s", "--compat", "bridge"),
			 0);
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), 0);
	assert_int_equal(s.listen_count, 2);
	assert_string_equal(s.listen[1], "[::1]:7");
	assert_int_equal(s.core.gpu_count, 2);
	assert_string_equal(s.core.gpus[0].name, "a");
	assert_int_equal(s.log_level, LOG_ERROR);
	assert_string_equal(s.socket_path, "/tmp/x/s");
	assert_true(o.bridge);
}

/* The browser's GPU is one of those that there are in the end, by name or uuid; else the first. */
static void test_browser_gpu(void **state)
{
	(void)state;
	struct options o;
	struct settings s;
	settings_defaults(&s);
	assert_int_equal(PARSE(&o, "--fake-gpu", "a:10", "--fake-gpu", "b:20"), 0);
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), 0);
	assert_int_equal(s.core.browser_gpu, 0);
	snprintf(s.browser_gpu, sizeof s.browser_gpu, "b");
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), 0);
	assert_int_equal(s.core.browser_gpu, 1);
	snprintf(s.browser_gpu, sizeof s.browser_gpu, "gpu0");
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), -ERR_CONFIG);
	assert_string_equal(detail, "browser_gpu: no GPU is named 'gpu0'; there are a, b");
}

/* Each mistake is refused with its word. */
static void test_refusals(void **state)
{
	(void)state;
	struct options o;
	assert_int_equal(PARSE(&o, "--bogus"), -ERR_BAD_FIELD);
	assert_non_null(strstr(detail, "--bogus"));
	assert_int_equal(PARSE(&o, "--state"), -ERR_BAD_FIELD);
	assert_non_null(strstr(detail, "--state"));
	assert_int_equal(PARSE(&o, "--listen", "--state", "x"), -ERR_BAD_FIELD);
	assert_non_null(strstr(detail, "--listen"));
	assert_int_equal(PARSE(&o, "--compat", "x"), -ERR_BAD_FIELD);
	assert_int_equal(PARSE(&o, "--log-level", "x"), -ERR_BAD_FIELD);
	assert_int_equal(PARSE(&o, "word"), -ERR_BAD_FIELD);
	assert_non_null(strstr(detail, "word"));
	assert_int_equal(PARSE(&o, "--help"), 0);
	assert_true(o.help);
}

/* An address that others can reach needs --allow-remote (P39). */
static void test_remote(void **state)
{
	(void)state;
	struct options o;
	struct settings s;
	settings_defaults(&s);
	assert_int_equal(PARSE(&o, "--listen", "0.0.0.0:8470"), 0);
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), -ERR_BAD_FIELD);
	assert_non_null(strstr(detail, "--allow-remote"));
	assert_int_equal(PARSE(&o, "--listen", "0.0.0.0:8470", "--allow-remote"), 0);
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), 0);
	/* The file cannot open what the command line did not allow. */
	settings_defaults(&s);
	snprintf(s.listen[0], sizeof s.listen[0], "192.168.1.1:1");
	assert_int_equal(PARSE(&o, "--log-level", "info"), 0);
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), -ERR_BAD_FIELD);
}

/* XDG variables, then HOME; relative values do not count. */
static void test_paths(void **state)
{
	(void)state;
	struct options o;
	struct paths p;
	struct settings s;
	settings_defaults(&s);
	assert_int_equal(PARSE(&o, "--log-level", "info"), 0);
	setenv("HOME", "/h", 1);
	setenv("XDG_STATE_HOME", "/s", 1);
	setenv("XDG_RUNTIME_DIR", "/r", 1);
	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), 0);
	assert_string_equal(p.state_dir, "/s/baton");
	assert_string_equal(p.config, "");
	assert_int_equal(paths_socket(&s, detail, sizeof detail), 0);
	assert_string_equal(s.socket_path, "/r/baton/baton.sock");
	setenv("XDG_STATE_HOME", "relative", 1);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), 0);
	assert_string_equal(p.state_dir, "/h/.local/state/baton");
	unsetenv("HOME");
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), -ERR_CONFIG);
	assert_int_equal(PARSE(&o, "--state", "d", "--config", "c"), 0);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), 0);
	assert_string_equal(p.state_dir, "d");
	assert_string_equal(p.config, "c");
	assert_true(p.config_given);
}

/* Where pages and models come from: what is named must be there, and --dev needs the source tree.
 */
static void test_pages(void **state)
{
	(void)state;
	char dir[64] = "/tmp/baton-pages-XXXXXX", here[4096];
	struct options o;
	struct paths p;
	struct settings s;
	settings_defaults(&s);
	assert_non_null(mkdtemp(dir));
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(PARSE(&o, "--state", "d"), 0);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), 0);
	assert_true(p.web[0] == '/');
	assert_string_equal(p.dev, "");
	assert_int_equal(PARSE(&o, "--state", "d", "--web", dir, "--models", dir), 0);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), 0);
	assert_string_equal(p.web, dir);
	assert_int_equal(options_apply(&o, &s, detail, sizeof detail), 0);
	assert_string_equal(s.models_dir, dir);
	assert_int_equal(PARSE(&o, "--state", "d", "--web", "/nonexistent"), 0);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), -ERR_CONFIG);
	assert_non_null(strstr(detail, "--web"));
	assert_int_equal(PARSE(&o, "--state", "d", "--models", "/nonexistent"), 0);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), -ERR_CONFIG);
	assert_non_null(strstr(detail, "--models"));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(PARSE(&o, "--state", "d", "--dev"), 0);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), -ERR_CONFIG);
	assert_non_null(strstr(detail, "--dev"));
	assert_int_equal(mkdir("web", 0700), 0);
	assert_int_equal(mkdir("web/pages", 0700), 0);
	assert_int_equal(paths_find(&o, &p, detail, sizeof detail), 0);
	assert_string_equal(p.dev, "web");
	rmdir("web/pages");
	rmdir("web");
	assert_int_equal(chdir(here), 0);
	rmdir(dir);
}

/* A folder is made 0700 with its parents; a file in its place is refused. */
static void test_folder(void **state)
{
	(void)state;
	char dir[64] = "/tmp/baton-paths-XXXXXX", path[128];
	struct stat st;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a/b", dir);
	assert_int_equal(paths_make_private(path, detail, sizeof detail), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(paths_make_private(path, detail, sizeof detail), 0);
	char file[160];
	snprintf(file, sizeof file, "%s/f", path);
	fclose(fopen(file, "w"));
	assert_int_equal(paths_make_private(file, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, file));
	unlink(file);
	rmdir(path);
	snprintf(path, sizeof path, "%s/a", dir);
	rmdir(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply),    cmocka_unit_test(test_browser_gpu),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_remote),
		cmocka_unit_test(test_paths),    cmocka_unit_test(test_pages),
		cmocka_unit_test(test_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
