/* Goal: a page is answered by what the browser has: a link, a cookie, nothing; and a file in the
 * form that was asked for. Method: the real sources with two files compiled in; net only notes
 * answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "config/options.h"
#include "config/paths.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/pages/embedded_assets.h"
#include "server/pages/pages.h"
#include "server/random_pool.h"
#include "server/respond.h"

static const unsigned char plain[] = "0123456789", packed[] = "packed";
const struct embedded_asset embedded_assets[] = {
	{"/pages/dashboard/index.html", "\"page\"", plain, packed, 10, 6},
	{"/pages/mic/mic.js", "\"script\"", plain, packed, 10, 6},
};
const size_t embedded_asset_count = 2;
const char embedded_script_hashes[] = " 'sha256-abc='", embedded_style_hashes[] = " 'sha256-def='";

/* ---- what net was given ---- */

static struct {
	int status, file_answers;
	char headers[4096], body[4096];
} answer;

static void note_answer(int status, const struct http_header *headers, size_t count,
			const char *body, size_t length)
{
	size_t used = 0;
	answer.status = status;
	answer.headers[0] = '\0';
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(answer.headers + used, sizeof(answer.headers) - used,
					 "%s: %s\n", headers[i].name, headers[i].value);
	snprintf(answer.body, sizeof(answer.body), "%.*s", (int)length, body);
}

void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length)
{
	(void)net;
	(void)conn;
	note_answer(status, headers, header_count, body, body_length);
}

void http_reply_file(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		     size_t header_count, int file, uint64_t offset, uint64_t length)
{
	char body[64] = "";
	ssize_t got =
		pread(file, body, length < sizeof(body) ? length : sizeof(body), (off_t)offset);

	(void)net;
	(void)conn;
	(void)close(file);
	answer.file_answers++;
	note_answer(status, headers, header_count, body, got > 0 ? (size_t)got : 0);
}

void http_stream_begin(struct net *net, uint64_t conn, int status,
		       const struct http_header *headers, size_t header_count)
{
	(void)net;
	(void)conn;
	note_answer(status, headers, header_count, "", 0);
}

static struct mono_ms now = {1000};
struct mono_ms loop_now(void)
{
	return now;
}

/* ---- one browser ---- */

static struct settings settings;
static struct paths paths;
static struct access_setup setup;
static struct log log_of_test;
static struct random_pool random_bits;
static struct pages pages;

static int set_up(void **state)
{
	char dir[] = "/tmp/pages-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	memset(&setup, 0, sizeof(setup));
	memset(&answer, 0, sizeof(answer));
	memset(&settings, 0, sizeof(settings));
	snprintf(paths.state_dir, sizeof(paths.state_dir), "%s", dir);
	log_init(&log_of_test, LOG_ERROR, STDERR_FILENO, NULL);
	setup.policy.cookie_name = "baton";
	pages = (struct pages){.paths = &paths,
			       .settings = &settings,
			       .access = &setup,
			       .log = &log_of_test,
			       .random = &random_bits};
	content_policies_set(&pages.policies, &settings);
	return 0;
}

static int tear_down(void **state)
{
	char path[SETTINGS_PATH_BYTES + 32];

	(void)state;
	snprintf(path, sizeof(path), "%s/page-keys", paths.state_dir);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/small.onnx", paths.state_dir);
	(void)unlink(path);
	return rmdir(paths.state_dir);
}

static void get_page(const char *method, const char *query, bool signed_in)
{
	const struct http_request request = {.method = method, .path = "/", .query = query};
	struct request_context context = {.request = &request};

	assert_int_equal(route_find("GET", "/", true, &context.verdict.match), 0);
	context.verdict.signed_in = signed_in;
	pages_answer(&pages, &context);
}

static void get_file(const char *url, const char *etag, const char *encoding, const char *range)
{
	const struct http_request request = {.method = "GET",
					     .path = url,
					     .query = "",
					     .if_none_match = etag,
					     .accept_encoding = encoding,
					     .range = range};
	struct request_context context = {.request = &request};

	assert_int_equal(route_find("GET", url, false, &context.verdict.match), 0);
	static_files_answer(&pages, &context, url, "");
}

static const char *link_query(void)
{
	static char query[SECRET_HEX_BYTES + 16];
	static const uint8_t bits[32] = {7};

	snprintf(query, sizeof(query), "open=%s", page_link_new(&setup.keys, bits, now));
	return query;
}

/* Without a cookie a page says how to sign in, under its policy; with one it is the page. */
static void test_who_is_signed_in(void **state)
{
	(void)state;
	get_page("GET", "", false);
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "baton open"));
	assert_non_null(strstr(answer.headers, "Cache-Control: no-store"));
	assert_non_null(strstr(answer.headers, "require-trusted-types-for"));

	get_page("GET", "", true);
	assert_string_equal(answer.body, "0123456789");
	assert_non_null(strstr(answer.headers, "Vary: Accept, Cookie, Accept-Encoding"));
	assert_non_null(strstr(answer.headers, "'wasm-unsafe-eval' 'sha256-abc='; "
					       "style-src 'self' 'sha256-def='; "));
}

/* A link works once, a HEAD does not spend it; the key is in the page and not in the cookie. */
static void test_link(void **state)
{
	char query[SECRET_HEX_BYTES + 16];

	(void)state;
	snprintf(query, sizeof(query), "%s", link_query());
	get_page("HEAD", query, false);
	assert_null(strstr(answer.headers, "Set-Cookie"));

	get_page("GET", query, false);
	assert_int_equal(answer.status, 200);
	assert_int_equal(setup.keys.count, 1);
	assert_non_null(strstr(answer.body, setup.keys.keys[0]));
	assert_non_null(strstr(answer.headers, "Set-Cookie: baton="));
	assert_null(strstr(answer.headers, setup.keys.keys[0]));

	get_page("GET", query, false);
	assert_int_equal(answer.status, 401);
	get_page("GET", query, true);
	assert_int_equal(answer.status, 303);
	assert_int_equal(setup.keys.count, 1);
}

/* A link is good for a minute. */
static void test_old_link(void **state)
{
	(void)state;
	const char *query = link_query();
	now.v += LINK_TIME_MS;
	get_page("GET", query, false);
	assert_int_equal(answer.status, 401);
}

/* Whole, packed, unchanged, missing. */
static void test_file(void **state)
{
	(void)state;
	get_file("/pages/mic/mic.js", NULL, NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body, "0123456789");
	assert_non_null(strstr(answer.headers, "ETag: \"script\""));
	assert_null(strstr(answer.headers, "require-trusted-types-for"));
	assert_null(strstr(answer.headers, "sha256"));

	get_file("/pages/mic/mic.js", NULL, "gzip", NULL);
	assert_string_equal(answer.body, "packed");
	assert_non_null(strstr(answer.headers, "ETag: \"script-gz\""));
	get_file("/pages/mic/mic.js", "\"script\"", NULL, NULL);
	assert_int_equal(answer.status, 304);
	get_file("/pages/mic/none.js", NULL, NULL, NULL);
	assert_int_equal(answer.status, 404);
}

/* A model lies in the operator's folder, is sent in parts, and is no page of this origin. */
static void test_model(void **state)
{
	char path[SETTINGS_PATH_BYTES + 32];

	(void)state;
	snprintf(path, sizeof(path), "%s/small.onnx", paths.state_dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, "abcdef", 6), 6);
	(void)close(fd);
	snprintf(settings.models_dir, sizeof(settings.models_dir), "%s", paths.state_dir);

	get_file("/models/small.onnx", NULL, NULL, "bytes=1-3");
	assert_int_equal(answer.status, 206);
	assert_string_equal(answer.body, "bcd");
	assert_int_equal(answer.file_answers, 1);
	assert_non_null(strstr(answer.headers, "Content-Range: bytes 1-3/6"));
	get_file("/models/small.onnx", NULL, NULL, "bytes=9-");
	assert_int_equal(answer.status, 416);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_is_signed_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_old_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_model, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
