/* replay_time: dates by strptime, distances by their last letter. */
#include "replay/replay_time.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool parse_distance(const char *text, int64_t now_ms, int64_t *ret_wall_ms)
{
	static const struct {
		char letter;
		int64_t ms;
	} units[] = {{'d', 86400000}, {'h', 3600000}, {'m', 60000}, {'s', 1000}};
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 6 || strlen(text) != digits + 1)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (text[digits] != units[i].letter)
			continue;
		*ret_wall_ms = now_ms - strtoll(text, NULL, 10) * units[i].ms;
		return true;
	}
	return false;
}

bool replay_time_parse(const char *text, int64_t now_ms, int64_t *ret_wall_ms)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
					      "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

	if (parse_distance(text, now_ms, ret_wall_ms))
		return true;

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, formats[i], &tm);
		bool utc = end && strcmp(end, "Z") == 0;
		if (!end || (*end && !utc))
			continue;

		time_t seconds = utc ? timegm(&tm) : mktime(&tm);
		if (seconds == (time_t)-1)
			return false;
		*ret_wall_ms = (int64_t)seconds * 1000;
		return true;
	}
	return false;
}
