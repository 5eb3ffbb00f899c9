/* replay_svg: draws a replay: a band per client, with the number of waiting requests above and what
 * holds the GPU below. State is shown by colour, pattern and words, so it is readable in grey and
 * for colour-blind readers; light or dark follows the reader's setting. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "replay/replay_bands.h"
#include "replay/replay_private.h"
#include "replay/replay_result.h"

enum {
	WIDTH = 1200,
	PLOT_LEFT = 232,
	PLOT_RIGHT = WIDTH - 40,
	PLOT_WIDTH = PLOT_RIGHT - PLOT_LEFT,
	PLOT_TOP = 128,
	BAND_HEIGHT = 48,
	WAIT_TOP = 5, /* within a band */
	WAIT_HEIGHT = 18,
	HOLD_TOP = 26,
	HOLD_HEIGHT = 16,
	AXIS_HEIGHT = 46,
	TICKS_MAX = 12,
	COLUMN_WIDTH = 1,
	NAME_BYTES_PLAIN = 24, /* longer names are written smaller */
	LABEL_WIDTH_MIN = 86,  /* a span as wide as this can carry its name */
	ENDED_WIDTH_MIN = 5,   /* a shorter hold would be hidden by the mark of its end */
};
static const double span_width_min = 1.5;

static const char style[] =
	"<style>\n"
	"text{font:12px system-ui,'Segoe UI',sans-serif;fill:#1b1f24}\n"
	".title{font-size:19px;font-weight:600}\n"
	".name{font-weight:600}.long{font-size:10.5px}\n"
	".small{font-size:11px;fill:#57606a}\n"
	".bad{fill:#b3261e;font-weight:600}\n"
	".page{fill:#ffffff}.stripe{fill:#f4f6f8}\n"
	".grid{stroke:#d5dade;stroke-width:1}\n"
	".wait{fill:url(#waiting);stroke:#b87a1c;stroke-width:.7}\n"
	".hold{fill:#0b63b5}\n"
	".yield{fill:url(#yielding);stroke:#7b3fa3;stroke-width:1}\n"
	".lost{fill:url(#lost);stroke:#b3261e;stroke-width:1}\n"
	".waiting-ground{fill:#fdf1da}.waiting-line{stroke:#c98a2b}\n"
	".yielding-ground{fill:#f1e6f8}.yielding-dot{fill:#7b3fa3}\n"
	".lost-ground{fill:#fbe6e3}.lost-line{stroke:#d3604f}\n"
	".end{stroke:#1b1f24;stroke-width:1}\n"
	".cross{stroke:#b3261e;stroke-width:1.6;fill:none}\n"
	".dead{fill:#b3261e}\n"
	".on-hold{fill:#ffffff;font-size:11px}\n"
	".plate{fill:#ffffff;opacity:.86}\n"
	"@media (prefers-color-scheme:dark){\n"
	"text{fill:#e6e9ec}.small{fill:#a3acb5}.bad{fill:#ff8a7c}\n"
	".page{fill:#14181c}.stripe{fill:#1b2026}.grid{stroke:#343b43}\n"
	".wait{stroke:#e0a23f}.hold{fill:#4da3f0}.yield{stroke:#c793e8}.lost{stroke:#ff8a7c}\n"
	".waiting-ground{fill:#3a2d14}.waiting-line{stroke:#c98a2b}\n"
	".yielding-ground{fill:#33233f}.yielding-dot{fill:#c793e8}\n"
	".lost-ground{fill:#421d18}.lost-line{stroke:#d3604f}\n"
	".end{stroke:#e6e9ec}.cross{stroke:#ff8a7c}.dead{fill:#ff8a7c}\n"
	".on-hold{fill:#08131d}.plate{fill:#14181c}\n"
	"}\n"
	"</style>\n";

static const char patterns[] =
	"<defs>\n"
	"<pattern id=\"waiting\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
	"<rect class=\"waiting-ground\" width=\"6\" height=\"6\"/>"
	"<path class=\"waiting-line\" d=\"M-1 7L7 -1M-1 1L1 -1M5 7L7 5\"/></pattern>\n"
	"<pattern id=\"yielding\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">"
	"<rect class=\"yielding-ground\" width=\"5\" height=\"5\"/>"
	"<circle class=\"yielding-dot\" cx=\"2.5\" cy=\"2.5\" r=\"1.3\"/></pattern>\n"
	"<pattern id=\"lost\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">"
	"<rect class=\"lost-ground\" width=\"8\" height=\"8\"/>"
	"<path class=\"lost-line\" d=\"M0 0L8 8M8 0L0 8\"/></pattern>\n"
	"</defs>\n";

struct drawing {
	FILE *out;
	const struct replay_trace *trace;
	const struct replay_result *result;
	struct bands bands;
	int64_t length_ms; /* never 0 */
};

/* A name may hold any printable character. */
static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		const char *entity = *text == '&'    ? "&amp;"
				     : *text == '<'  ? "&lt;"
				     : *text == '>'  ? "&gt;"
				     : *text == '"'  ? "&quot;"
				     : *text == '\'' ? "&#39;"
						     : NULL;
		if (entity)
			fputs(entity, out);
		else
			fputc(*text, out);
	}
}

/* At most so many characters of UTF-8; what is longer ends in an ellipsis. */
static void put_short_text(FILE *out, const char *text, size_t most)
{
	char cut[LIMIT_ID_BYTES + 8];
	size_t count = 0, end = 0, at = 0;

	for (; text[at]; at++) {
		if (((unsigned char)text[at] & 0xc0) == 0x80)
			continue;
		if (count++ == most - 1)
			end = at;
	}

	if (count <= most) {
		put_text(out, text);
		return;
	}

	snprintf(cut, sizeof(cut), "%.*s\xe2\x80\xa6", (int)end, text);
	put_text(out, cut);
}

static double x_of(const struct drawing *d, int64_t ms)
{
	return PLOT_LEFT + (double)ms * PLOT_WIDTH / (double)d->length_ms;
}

static double y_of(size_t band)
{
	return PLOT_TOP + (double)band * BAND_HEIGHT;
}

/* "0:29", "1:02:03" */
static const char *clock_text(int64_t ms, char buf[32])
{
	int64_t s = ms / 1000;
	if (s < 3600)
		snprintf(buf, 32, "%d:%02d", (int)(s / 60), (int)(s % 60));
	else
		snprintf(buf, 32, "%d:%02d:%02d", (int)(s / 3600), (int)(s % 3600 / 60),
			 (int)(s % 60));
	return buf;
}

static const char *phase_name(enum replay_phase phase)
{
	static const char *const names[PHASE_COUNT] = {"", "waiting", "holding", "yielding",
						       "held by a dead client"};
	return names[phase];
}

static const char *phase_style(enum replay_phase phase)
{
	static const char *const names[PHASE_COUNT] = {"", "wait", "hold", "yield", "lost"};
	return names[phase];
}

static const char *title_of(const struct drawing *d, const struct replay_view *view)
{
	return d->trace->title[0] ? d->trace->title : view->name;
}

static void draw_head(const struct drawing *d, const struct replay_view *view)
{
	size_t granted = 0, timeouts = 0;

	for (size_t i = 0; i < d->trace->count; i++) {
		granted += d->result->verdicts[i].granted;
		timeouts += d->result->verdicts[i].end == ENDING_TIMEOUT;
	}

	bool old = strcmp(view->policy, "predecessor") == 0;
	fputs("<text class=\"title\" x=\"24\" y=\"36\">", d->out);
	put_short_text(d->out, title_of(d, view), 90);
	fprintf(d->out,
		"</text>\n<text x=\"24\" y=\"60\">%s: %zu requests, %zu granted, "
		"<tspan class=\"%s\">%zu timeouts</tspan></text>\n",
		old ? "Under the predecessor\xe2\x80\x99s rules" : "Under Baton", d->trace->count,
		granted, timeouts ? "bad" : "name", timeouts);
}

static void draw_legend(FILE *out)
{
	static const struct {
		const char *style, *text;
		int x;
	} keys[] = {
		{"wait", "waiting (height: how many)", 24},
		{"hold", "holding the GPU", 226},
		{"yield", "yielding", 364},
		{"lost", "held by a dead client", 454},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		fprintf(out,
			"<rect class=\"%s\" x=\"%d\" y=\"82\" width=\"22\" height=\"12\"/>"
			"<text class=\"small\" x=\"%d\" y=\"92\">%s</text>\n",
			keys[i].style, keys[i].x, keys[i].x + 28, keys[i].text);

	fputs("<path class=\"end\" d=\"M618 80v16\"/>"
	      "<text class=\"small\" x=\"626\" y=\"92\">ended: released</text>\n"
	      "<path class=\"cross\" d=\"M726 84l7 8m0 -8l-7 8\"/>"
	      "<text class=\"small\" x=\"740\" y=\"92\">ended: timeout</text>\n"
	      "<path class=\"dead\" d=\"M840 82l5 6l-5 6l-5 -6z\"/>"
	      "<text class=\"small\" x=\"850\" y=\"92\">the client died</text>\n"
	      "<path class=\"dead\" d=\"M950 83l6 10h-12z\"/>"
	      "<text class=\"small\" x=\"962\" y=\"92\">ended: revoked or refused</text>\n",
	      out);
}

/* The smallest round step that needs no more than TICKS_MAX ticks. */
static int64_t tick_ms(int64_t length_ms)
{
	static const int steps_s[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
				      600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
	size_t i = 0;

	while (i + 1 < sizeof(steps_s) / sizeof(*steps_s) &&
	       length_ms / (steps_s[i] * INT64_C(1000)) > TICKS_MAX)
		i++;
	int64_t step_ms = steps_s[i] * INT64_C(1000);
	while (length_ms / step_ms > TICKS_MAX)
		step_ms *= 2;
	return step_ms;
}

static void draw_axis(const struct drawing *d)
{
	double bottom = y_of(d->bands.count);

	int64_t step_ms = tick_ms(d->length_ms);
	for (int64_t t = 0; t <= d->length_ms; t += step_ms) {
		char text[32];
		double x = x_of(d, t);
		fprintf(d->out,
			"<path class=\"grid\" d=\"M%.1f %dV%.0f\"/>"
			"<text class=\"small\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.0f\">%s"
			"</text>\n",
			x, PLOT_TOP - 6, bottom + 4, x, bottom + 18, clock_text(t, text));
	}

	fprintf(d->out,
		"<text class=\"small\" text-anchor=\"middle\" x=\"%d\" y=\"%.0f\">time since the "
		"trace began (%s)</text>\n",
		PLOT_LEFT + PLOT_WIDTH / 2, bottom + 36,
		d->length_ms >= 3600 * 1000 ? "h:mm:ss" : "m:ss");
}

static void draw_band_label(const struct drawing *d, size_t i)
{
	const struct band *band = &d->bands.v[i];
	double y = y_of(i);

	if (i % 2 == 0)
		fprintf(d->out,
			"<rect class=\"stripe\" x=\"0\" y=\"%.0f\" width=\"%d\" height=\"%d\"/>\n",
			y, WIDTH, BAND_HEIGHT);

	bool is_long = band->id && strlen(band->id) > NAME_BYTES_PLAIN;
	fprintf(d->out, "<text class=\"name%s\" x=\"24\" y=\"%.0f\">", is_long ? " long" : "",
		y + 20);
	if (band->id)
		put_short_text(d->out, band->id, is_long ? 29 : 24);
	else
		fprintf(d->out, "%zu other clients", band->client_count);

	fprintf(d->out,
		"</text><text class=\"small\" x=\"24\" y=\"%.0f\">%s, %zu of %zu granted</text>\n",
		y + 36, lease_class_name((int)band->cls), band->granted_count, band->request_count);
}

/* One more or one less waits from a moment on. */
struct change {
	size_t band;
	int64_t at_ms;
	int step;
};

static int by_band_and_time(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	if (x->band != y->band)
		return x->band < y->band ? -1 : 1;
	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	return x->step - y->step;
}

/* The stepped outline itself. What rises and falls within a column as narrow as can just be seen is
 * drawn as one column of its greatest height, so that a long trace stays a small file. */
static void draw_outline(const struct drawing *d, const struct change *changes, size_t count,
			 double bottom, double unit)
{
	int waiting = 0;
	double drawn_to = 0;

	for (size_t i = 0; i < count;) {
		int before = waiting, high = waiting;
		double x = x_of(d, changes[i].at_ms);
		x = x > drawn_to ? x : drawn_to;
		while (i < count && x_of(d, changes[i].at_ms) <= x + COLUMN_WIDTH) {
			waiting += changes[i++].step;
			high = waiting > high ? waiting : high;
		}
		drawn_to = x + COLUMN_WIDTH;
		if (before == 0)
			fprintf(d->out, "M%.1f %.1f", x, bottom);
		else
			fprintf(d->out, "H%.1f", x);
		if (high > before && high > waiting)
			fprintf(d->out, "V%.1fH%.1f", bottom - unit * high, drawn_to);
		fprintf(d->out, "V%.1f%s", bottom - unit * waiting, waiting ? "" : "Z");
	}
}

/* The waiting of one band, scaled to its own most. */
static void draw_waiting_of(const struct drawing *d, const struct change *changes, size_t count)
{
	int waiting = 0, most = 0;

	for (size_t i = 0; i < count; i++) {
		waiting += changes[i].step;
		most = waiting > most ? waiting : most;
	}

	double bottom = y_of(changes[0].band) + WAIT_TOP + WAIT_HEIGHT;
	fprintf(d->out, "<path class=\"wait\" d=\"");
	draw_outline(d, changes, count, bottom, (double)WAIT_HEIGHT / most);
	fprintf(d->out, "\"><title>at most %d at once</title></path>\n", most);
	if (most > 1)
		fprintf(d->out,
			"<text class=\"small\" text-anchor=\"end\" x=\"%d\" y=\"%.0f\">%d</text>\n",
			PLOT_LEFT - 6, bottom - WAIT_HEIGHT + 9, most);
}

static void draw_waiting(const struct drawing *d)
{
	const struct replay_result *result = d->result;
	struct change *changes = check_memory(calloc(2 * result->span_count + 1, sizeof(*changes)));
	size_t count = 0;

	for (size_t i = 0; i < result->span_count; i++) {
		const struct replay_span *span = &result->spans[i];
		size_t band = d->bands.of_request[span->request];
		if (span->phase != PHASE_WAITING)
			continue;
		changes[count++] = (struct change){band, span->from_ms, 1};
		changes[count++] = (struct change){band, span->to_ms, -1};
	}

	qsort(changes, count, sizeof(*changes), by_band_and_time);
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from; to < count && changes[to].band == changes[from].band;)
			to++;
		draw_waiting_of(d, changes + from, to - from);
	}
	free(changes);
}

/* A span of the lower part; wide ones carry their name and length. */
static void draw_span(const struct drawing *d, const struct replay_span *span)
{
	char from[32], to[32], length[32];
	double x = x_of(d, span->from_ms), width = x_of(d, span->to_ms) - x;
	double y = y_of(d->bands.of_request[span->request]) + HOLD_TOP;

	if (width < span_width_min)
		width = span_width_min;
	clock_text(span->to_ms - span->from_ms, length);
	fprintf(d->out,
		"<rect class=\"%s\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%d\"><title>%s "
		"from %s to %s</title></rect>\n",
		phase_style(span->phase), x, y, width, HOLD_HEIGHT, phase_name(span->phase),
		clock_text(span->from_ms, from), clock_text(span->to_ms, to));
	if (width < LABEL_WIDTH_MIN || (span->phase == PHASE_LOST && width < 2 * LABEL_WIDTH_MIN))
		return;

	bool plain = span->phase == PHASE_HOLDING;
	int letters = (int)strlen(phase_name(span->phase)) + (int)strlen(length) + 1;
	if (!plain)
		fprintf(d->out,
			"<rect class=\"plate\" x=\"%.1f\" y=\"%.0f\" width=\"%d\" height=\"12\"/>",
			x + 4, y + 2, letters * 6);

	fprintf(d->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.0f\">%s %s</text>\n",
		plain ? "on-hold" : "small", x + 6, y + 12, phase_name(span->phase), length);
}

/* Skips spans wholly covered by an earlier one of the same kind. */
static void draw_spans(const struct drawing *d)
{
	double drawn_to[BANDS_MAX][PHASE_COUNT] = {0};

	for (size_t i = 0; i < d->result->span_count; i++) {
		const struct replay_span *span = &d->result->spans[i];
		double *edge = &drawn_to[d->bands.of_request[span->request]][span->phase];
		double from = x_of(d, span->from_ms), to = x_of(d, span->to_ms);
		if (span->phase == PHASE_WAITING || to <= *edge)
			continue;
		draw_span(d, span);
		*edge = from + span_width_min > to ? from + span_width_min : to;
	}
}

/* How each request ended. */
static void draw_endings(const struct drawing *d)
{
	for (size_t i = 0; i < d->trace->count; i++) {
		const struct replay_verdict *v = &d->result->verdicts[i];
		double x = x_of(d, v->ended_ms), y = y_of(d->bands.of_request[i]);
		bool wide = x - x_of(d, v->granted_ms) >= ENDED_WIDTH_MIN;
		if (v->end == ENDING_RELEASED && wide)
			fprintf(d->out, "<path class=\"end\" d=\"M%.1f %.0fv%d\"/>\n", x,
				y + HOLD_TOP - 2, HOLD_HEIGHT + 4);
		else if (v->end == ENDING_TIMEOUT)
			fprintf(d->out, "<path class=\"cross\" d=\"M%.1f %.0fl7 8m0 -8l-7 8\"/>\n",
				x - 3.5, y + WAIT_TOP + 5);
		else if (v->end == ENDING_REVOKED || v->end == ENDING_DENIED)
			fprintf(d->out, "<path class=\"dead\" d=\"M%.1f %.0fl6 10h-12z\"/>\n", x,
				y + HOLD_TOP + 3);
	}
}

/* Where a holder died. */
static void draw_deaths(const struct drawing *d)
{
	for (size_t i = 0; i < d->result->span_count; i++) {
		const struct replay_span *span = &d->result->spans[i];
		if (span->phase == PHASE_LOST)
			fprintf(d->out, "<path class=\"dead\" d=\"M%.1f %.0fl5 6l-5 6l-5 -6z\"/>\n",
				x_of(d, span->from_ms),
				y_of(d->bands.of_request[span->request]) + HOLD_TOP + 2);
	}
}

void replay_print_svg(FILE *out, const struct replay_trace *trace,
		      const struct replay_result *result, const struct replay_view *view)
{
	struct drawing d = {.out = out,
			    .trace = trace,
			    .result = result,
			    .length_ms = result->end_ms > 0 ? result->end_ms : 1};

	bands_init(&d.bands, trace, result);
	int height = PLOT_TOP + (int)d.bands.count * BAND_HEIGHT + AXIS_HEIGHT;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\">\n",
		WIDTH, height, WIDTH, height);
	fputs("<title>", out);
	put_text(out, title_of(&d, view));
	fputs("</title>\n<desc>A band per client: how many of its requests wait, and when it holds "
	      "the "
	      "GPU.</desc>\n",
	      out);
	fputs(style, out);
	fputs(patterns, out);
	fprintf(out, "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n", WIDTH, height);
	draw_head(&d, view);
	draw_legend(out);
	for (size_t i = 0; i < d.bands.count; i++)
		draw_band_label(&d, i);
	draw_axis(&d);
	draw_waiting(&d);
	draw_spans(&d);
	draw_endings(&d);
	draw_deaths(&d);
	fputs("</svg>\n", out);
	bands_finish(&d.bands);
}
