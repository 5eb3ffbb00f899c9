/* pages_sign_in: the addresses of pages: each answers with its page, or, for visitors who are not
 * signed in, with a text that says how to sign in. Spends the one-time link. Knows no lease. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "config/paths.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/pages/pages.h"
#include "server/pages/static_files.h"
#include "server/random_pool.h"
#include "server/respond.h"

static const struct {
	const char *address, *name; /* of its folder below web/pages */
} table[] = {
	{"/", "dashboard"},      {"/console", "console"}, {"/mic", "mic"},
	{"/dreamer", "dreamer"}, {"/models", "models"},   {"/logs", "logs"},
};

enum { PAGE_COUNT = sizeof(table) / sizeof(*table), NAME_BYTES_MAX = 32 };

static const char head[] = "<!doctype html>\n<html lang=\"en\">\n<meta "
			   "charset=\"utf-8\">\n<title>Baton: sign in</title>\n"
			   "<meta name=\"viewport\" content=\"width=device-width\">\n"
			   "<link rel=\"icon\" href=\"data:,\">\n"
			   "<link rel=\"stylesheet\" href=\"/ui/frame.css\">\n"
			   "<main class=\"stack\">\n<h1>Baton</h1>\n"
			   "<p>One GPU, many programs: hold the baton and the GPU is yours; "
			   "everybody else has a place "
			   "in a queue that is fair, bounded and visible.</p>\n";

/* The value of `name` in a raw query; false: absent, or longer than fits. */
static bool query_text(const char *query, const char *name, char *ret_value, size_t size)
{
	size_t length = strlen(name);
	while (*query) {
		size_t part = strcspn(query, "&");
		if (part > length && strncmp(query, name, length) == 0 && query[length] == '=') {
			size_t value = part - length - 1;
			if (value >= size)
				return false;
			memcpy(ret_value, query + length + 1, value);
			ret_value[value] = '\0';
			return true;
		}
		query += part + (query[part] == '&');
	}
	return false;
}

/* Without scripts, and never an error: whoever sees it has done nothing wrong. The last line is for
 * visitors who follow a link of another site: the browser keeps the cookie to itself that one time.
 */
static void answer_sign_in(struct pages *pages, const struct request_context *context, int status,
			   const char *why)
{
	struct text out;

	text_init(&out);
	text_str(&out, head);
	text_format(&out, "<p>%s</p>\n", why);
	text_str(&out, "<p>To open this page, run this on the machine on which Baton runs:</p>\n"
		       "<pre>baton open");
	if (context->request->path[1]) /* "/" is what it opens by itself */
		text_format(&out, " --page %s", context->request->path + 1);
	text_str(&out,
		 "</pre>\n<p>It opens a link that works once, within a minute, and signs this "
		 "browser in. With <code class=\"whole\">--print</code> it prints the link "
		 "instead.</p>\n");
	text_format(&out,
		    "<p>Signed in already? <a href=\"%s\">Open this page again</a>.</p>\n</main>\n",
		    context->request->path);
	static_files_answer_html(pages, context, status, &out, NULL);
	text_finish(&out);
}

/* Of the link's page= the page's address, and nothing else that a link may say. */
static const char *wanted_page(const struct request_context *context)
{
	char wanted[NAME_BYTES_MAX];
	if (query_text(context->request->query, "page", wanted, sizeof(wanted)))
		for (int i = 0; i < PAGE_COUNT; i++)
			if (strcmp(wanted, table[i].name) == 0)
				return table[i].address;
	return "/";
}

static void answer_redirect(struct pages *pages, const struct request_context *context,
			    const char *address)
{
	const struct http_header headers[] = {{"Location", address}, {"Cache-Control", "no-store"}};

	http_reply(pages->net, context->request->conn, 303, headers, 2, "", 0);
}

static void keep_keys(struct pages *pages)
{
	char detail[512];
	if (page_keys_save(&pages->access->keys, pages->paths->state_dir, detail, sizeof(detail)))
		log_event(pages->log, LOG_WARN,
			  "cannot keep the pages' keys; after a restart they sign in again",
			  log_str("error", detail));
}

/* The key goes to the storage of this very origin, which no other port shares; the cookie only says
 * that it is there. Neither is in the address, which the browser remembers. */
static void answer_key(struct pages *pages, const struct request_context *context, const char *key)
{
	struct text out;
	char mark[ACCESS_MARK_BYTES + 1], cookie[ACCESS_MARK_BYTES + 128];

	access_mark(key, mark);
	snprintf(cookie, sizeof(cookie), "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict",
		 pages->access->policy.cookie_name, mark, COOKIE_MAX_AGE_S);
	text_init(&out);
	text_str(&out, head);
	text_format(&out,
		    "<p id=\"said\">Signing this browser in.</p>\n"
		    "<noscript>The pages need JavaScript.</noscript>\n"
		    "<script type=\"module\" src=\"/ui/sign_in.js\" data-key=\"%s\" "
		    "data-to=\"%s\"></script>\n</main>\n",
		    key, wanted_page(context));
	static_files_answer_html(pages, context, 200, &out, cookie);
	explicit_bzero(out.bytes, out.length);
	text_finish(&out);
}

static void log_in(struct pages *pages, const struct request_context *context, const char *hex)
{
	uint8_t random[32];

	random_fill(pages->random, random, sizeof(random));
	const char *key = page_link_spend(&pages->access->keys, hex, random, loop_now());
	explicit_bzero(random, sizeof(random));
	if (!key && context->verdict.signed_in) { /* spent, by this browser it seems */
		answer_redirect(pages, context, wanted_page(context));
		return;
	}

	if (!key) {
		answer_sign_in(pages, context, 401,
			       "This link was used, or is older than a minute.");
		return;
	}

	access_setup_refresh(pages->access);
	keep_keys(pages);
	answer_key(pages, context, key);
}

bool pages_lead(struct pages *pages, const struct request_context *context)
{
	const char *typed = context->request->path + 1;
	size_t length = strlen(typed);

	if (length > 0 && typed[length - 1] == '/')
		length--;

	for (int i = 0; i < PAGE_COUNT; i++)
		if (strlen(table[i].name) == length && strncmp(typed, table[i].name, length) == 0) {
			answer_redirect(pages, context, table[i].address);
			return true;
		}
	return false;
}

void pages_answer(struct pages *pages, const struct request_context *context)
{
	const struct http_request *request = context->request;
	char key[SECRET_HEX_BYTES], url[64];

	/* A preview of the link, which asks for the head alone, must not spend it. */
	if (strcmp(request->path, "/") == 0 && !respond_is_head(context) &&
	    query_text(request->query, "open", key, sizeof(key))) {
		log_in(pages, context, key);
		explicit_bzero(key, sizeof(key));
		return;
	}

	if (!context->verdict.signed_in && context->verdict.rights < ACCESS_TOKEN) {
		answer_sign_in(pages, context, 200, "This browser has not been signed in.");
		return;
	}

	for (int i = 0; i < PAGE_COUNT; i++)
		if (strcmp(request->path, table[i].address) == 0)
			snprintf(url, sizeof(url), "/pages/%s/index.html", table[i].name);
	static_files_answer(pages, context, url, "Accept, Cookie, ");
}
