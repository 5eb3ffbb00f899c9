/* page: GET /. One page without scripts or foreign files: what Baton is, what to try, and, for who
 * came by `baton open`, who holds and who waits. Spends the one-time link. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "net/loop.h"
#include "server/routes.h"
#include "server/shell.h"

enum { PAGE_ROWS = 50 };

static const char head[] = "<!doctype html><html lang=en><meta charset=utf-8><title>Baton</title>"
			   "<meta name=viewport content=\"width=device-width\">";
static const char style[] =
	"<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;"
	"padding:0 1rem}pre{background:#8882;padding:.7rem;overflow:auto}"
	":root{color-scheme:light dark}</style>"
	"<h1>Baton</h1><p>One GPU, many programs: hold the baton and the GPU is yours; "
	"everybody else has a place in a queue that is fair, bounded and visible.</p>";

static void add_escaped(struct text *out, const char *string)
{
	for (; *string; string++) {
		if (*string == '<')
			text_str(out, "&lt;");
		else if (*string == '&')
			text_str(out, "&amp;");
		else
			text_char(out, *string);
	}
}

static void add_row(struct text *out, const struct claim_view *view, int64_t ms, const char *word)
{
	text_format(out, "%-9s %-10s %8.1f s %s  ", claim_state_name(view->rec->state),
		    lease_class_name(view->rec->cls), (double)ms / 1000, word);
	add_escaped(out, view->rec->name);
	text_char(out, '\n');
}

static void add_status(const struct shell *shell, struct text *out)
{
	const struct core *core = shell->broker.core;
	struct mono_ms now = shell->broker.now;
	struct claim_view view;
	struct core_stats stats;
	core_stats(core, &stats);
	text_format(out, "<h2>Now</h2><pre>%u held, %u waiting%s%s\n", stats.held, stats.waiting,
		    stats.paused ? ", paused" : "", stats.journal_ok ? "" : ", journal fails");
	uint64_t after = 0;
	for (int n = 0; n < PAGE_ROWS && core_holder_after(core, after, now, &view); n++) {
		after = view.rec->id;
		add_row(out, &view, mono_since(now, view.rec->held_since), "held  ");
	}
	for (uint32_t at = 0; at < PAGE_ROWS && core_waiter_at(core, at, now, &view); at++)
		add_row(out, &view, mono_since(now, view.rec->arrival), "waited");
	text_str(out, "</pre><p><a href=/v1/gpu/status>All of it as JSON</a></p>");
}

static void add_hints(const struct shell *shell, struct text *out)
{
	text_str(out,
		 "<h2>Try</h2><pre>baton status --watch\n"
		 "baton run --class background -- sleep 60\n\n"
		 "# a lease that lives as long as the command\ncurl -N -H \"Authorization: Bearer "
		 "$(cat ");
	add_escaped(out, shell->live.paths.state_dir);
	text_str(out, "/token)\" \\\n  -H 'Content-Type: application/json' "
		      "-H 'Accept: text/event-stream' \\\n  -d '{\"id\":\"me\"}' ");
	text_str(out, shell->home);
	text_str(out, "/v1/gpu/lock</pre>");
}

/* The key leaves the address bar at once: it is spent, and its cookie is not readable by pages. */
static void log_in(struct shell *shell, const struct asked *asked, const char *hex)
{
	uint8_t random[32];
	char cookie[SECRET_HEX_BYTES + 64];
	random_fill(&shell->broker.random, random, sizeof random);
	const char *value = page_link_spend(&shell->policy.keys, hex, random, loop_now());
	explicit_bzero(random, sizeof random);
	if (!value) {
		respond_error(shell->doors.net, asked, &shell->body, ERR_UNAUTHORIZED,
			      "this link was used or is older than a minute; run: baton open");
		return;
	}
	policy_refresh(&shell->policy);
	snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict",
		 shell->policy.access.cookie_name, value);
	const struct http_header headers[] = {
		{"Location", "/"}, {"Set-Cookie", cookie}, {"Cache-Control", "no-store"}};
	http_reply(shell->doors.net, asked->request->conn, 303, headers,
		   sizeof headers / sizeof *headers, "", 0);
	explicit_bzero(cookie, sizeof cookie);
}

void route_page(struct shell *shell, const struct asked *asked)
{
	static const char open[] = "open=";
	const struct answer answer = {.status = 200, .content_type = "text/html; charset=utf-8"};
	struct text *out = &shell->body;
	if (strncmp(asked->request->query, open, sizeof open - 1) == 0) {
		log_in(shell, asked, asked->request->query + sizeof open - 1);
		return;
	}
	bool known = asked->verdict.rights >= ACCESS_TOKEN;
	text_clear(out);
	text_str(out, head);
	if (known)
		text_str(out, "<meta http-equiv=refresh content=2>");
	text_str(out, style);
	if (known)
		add_status(shell, out);
	else
		text_str(out, "<p>To see the queue here, run <code>baton open</code>.</p>");
	add_hints(shell, out);
	respond_with(shell->doors.net, asked->request->conn, asked->verdict.allow_origin, &answer,
		     out, "Content-Security-Policy",
		     "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
}
