/* units: pure conversions between numbers and what people type and read. */
#include "cli/units.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "baton/baton.h"

bool units_parse_size(const char *text, uint64_t *ret_bytes)
{
	return number_parse_size(text, ret_bytes);
}

bool units_parse_duration(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5}};
	double total = 0, number;
	bool bare = text[strspn(text, "0123456789.")] == '\0';

	do {
		if (!number_parse(&text, &number))
			return false;
		size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz");
		double factor = bare ? 1e3 : 0;
		for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
			if (strlen(units[i].unit) == length &&
			    strncmp(text, units[i].unit, length) == 0)
				factor = units[i].ms;
		if (factor == 0)
			return false;

		total += number * factor;
		text += length;
	} while (*text);

	if (total > 1e15)
		return false;
	*ret_ms = (int64_t)llround(total);
	return true;
}

bool units_parse_count(const char *text, uint32_t *ret_count)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 9 || text[digits])
		return false;
	*ret_count = (uint32_t)strtoul(text, NULL, 10);
	return true;
}

bool units_parse_slots(const char *text, uint32_t *ret_slots)
{
	if (strcmp(text, "all") != 0)
		return units_parse_count(text, ret_slots);
	*ret_slots = BATON_SLOTS_ALL;
	return true;
}

bool units_parse_signal(const char *text, int *ret_signo)
{
	uint32_t number;
	if (units_parse_count(text, &number)) {
		if (number == 0 || number >= (uint32_t)NSIG)
			return false;
		*ret_signo = (int)number;
		return true;
	}

	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;

	for (int signo = 1; signo < NSIG; signo++) {
		const char *name = sigabbrev_np(signo);
		if (name && strcasecmp(name, text) == 0) {
			*ret_signo = signo;
			return true;
		}
	}
	return false;
}

const char *units_duration(char out[UNITS_BYTES], double seconds)
{
	if (seconds < 0) {
		snprintf(out, UNITS_BYTES, "-");
	} else if (seconds < 9.95) {
		snprintf(out, UNITS_BYTES, "%.1fs", seconds);
	} else if (seconds < 59.5) {
		snprintf(out, UNITS_BYTES, "%.0fs", seconds);
	} else if (seconds < 3599.5) {
		long whole = lround(seconds);
		snprintf(out, UNITS_BYTES, "%ldm %02lds", whole / 60, whole % 60);
	} else if (seconds < 86400) {
		long minutes = lround(seconds) / 60;
		snprintf(out, UNITS_BYTES, "%ldh %02ldm", minutes / 60, minutes % 60);
	} else {
		long hours = seconds < 1e12 ? (long)(seconds / 3600) : 0;
		snprintf(out, UNITS_BYTES, "%ldd %ldh", hours / 24, hours % 24);
	}

	return out;
}

const char *units_mb(char out[UNITS_BYTES], double mb)
{
	if (mb < 0)
		snprintf(out, UNITS_BYTES, "?");
	else if (mb < 1024)
		snprintf(out, UNITS_BYTES, "%.0fM", mb);
	else if (mb < 1024 * 1024)
		snprintf(out, UNITS_BYTES, "%.1fG", mb / 1024);
	else
		snprintf(out, UNITS_BYTES, "%.1fT", mb / (1024 * 1024));
	return out;
}
