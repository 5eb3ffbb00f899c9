/* told: the words and fields of an estimate and of a promise. Two digits are all that an estimate
 * is worth. Reckons nothing (core/estimate.c, core/wait_bound.c do). */
#include "wire/told.h"

#include <inttypes.h>
#include <time.h>

#include "json/json_writer.h"

static void add_digits(struct text *out, int number, int width, char behind)
{
	char digits[8];
	digits[width] = behind;
	for (int i = width; i-- > 0; number /= 10)
		digits[i] = (char)('0' + number % 10);
	text_add(out, digits, (size_t)width + 1);
}

void encode_time(struct text *out, struct wall_ms wall)
{
	time_t seconds = (time_t)(wall.v / 1000);
	int ms = (int)(wall.v % 1000);
	if (ms < 0) {
		ms += 1000;
		seconds--;
	}

	struct tm tm;
	if (!gmtime_r(&seconds, &tm) || tm.tm_year < 1000 - 1900 || tm.tm_year > 9999 - 1900) {
		text_str(out, "unknown");
		return;
	}

	add_digits(out, tm.tm_year + 1900, 4, '-');
	add_digits(out, tm.tm_mon + 1, 2, '-');
	add_digits(out, tm.tm_mday, 2, 'T');
	add_digits(out, tm.tm_hour, 2, ':');
	add_digits(out, tm.tm_min, 2, ':');
	add_digits(out, tm.tm_sec, 2, '.');
	add_digits(out, ms, 3, 'Z');
}

static int64_t in_steps(int64_t ms, int64_t step_ms, bool up)
{
	return (ms + (up ? step_ms - 1 : step_ms / 2)) / step_ms;
}

/* Without a digit that says nothing: "30 s", not "30.0 s". */
static void add_tenths(struct text *out, int64_t tenths, const char *unit)
{
	text_i64(out, tenths / 10);
	if (tenths % 10 != 0) {
		text_char(out, '.');
		text_i64(out, tenths % 10);
	}
	text_char(out, ' ');
	text_str(out, unit);
}

void told_duration(struct text *out, int64_t ms, bool up)
{
	static const struct {
		int64_t unit_ms;
		const char *name;
	} units[] = {{1000, "s"}, {60 * 1000, "min"}, {60 * 60 * 1000, "h"}};
	size_t at = 0;
	int64_t unit_ms;

	if (ms < 995 && in_steps(ms, 10, up) % 10 != 0) {
		text_format(out, "0.%02" PRId64 " s", in_steps(ms, 10, up));
		return;
	}
	while (at + 1 < sizeof(units) / sizeof(*units) && ms >= 100 * units[at].unit_ms)
		at++;
	unit_ms = units[at].unit_ms;
	add_tenths(out,
		   ms < 10 * unit_ms ? in_steps(ms, unit_ms / 10, up)
				     : in_steps(ms, unit_ms, up) * 10,
		   units[at].name);
}

void told_estimate(struct text *out, const struct estimate *estimate)
{
	if (estimate->p50_ms < 0)
		return;
	text_str(out, "about ");
	told_duration(out, estimate->p50_ms, false);
	if (estimate->p90_ms < 0)
		return;
	text_str(out, "; 9 of 10 such waits under ");
	told_duration(out, estimate->p90_ms, true);
}

static int64_t seconds_up(int64_t ms)
{
	return ms / 1000 + (ms % 1000 > 0);
}

void encode_told(struct text *out, const struct told *told)
{
	text_json_seconds_or_null(out, "eta_s", told->estimate.p50_ms);
	text_json_seconds_or_null(out, "eta_p90_s", told->estimate.p90_ms);
	if (told->estimate.p50_ms >= 0) {
		text_json_key(out, "estimate");
		text_char(out, '"');
		told_estimate(out, &told->estimate);
		text_char(out, '"');
	}

	if (told->bound_ms < 0) {
		text_json_seconds_or_null(out, "bound_s", -1);
		if (told->bound_why)
			text_json_str(out, "bound_why", told->bound_why);
		if (told->bound_text)
			text_json_str(out, "bound_text", told->bound_text);
		return;
	}

	text_json_i64(out, "bound_s", seconds_up(told->bound_ms));
	text_json_key(out, "guaranteed_by");
	text_char(out, '"');
	encode_time(out, (struct wall_ms){seconds_up(told->wall.v + told->bound_ms) * 1000});
	text_char(out, '"');
}
