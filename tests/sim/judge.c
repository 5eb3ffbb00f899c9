/* judge: the names of the judges, and how one reports. */
#include "judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

static const struct {
	const char *name;
	int on;
} rows[JUDGE_COUNT] = {
#define X(code, name, on) [code] = {name, on},
	JUDGE_TABLE(X)
#undef X
};

const char *judge_name(int judge)
{
	return judge >= 0 && judge < JUDGE_COUNT ? rows[judge].name : "?";
}

uint32_t judge_defaults(void)
{
	uint32_t mask = 0;
	for (int i = 0; i < JUDGE_COUNT; i++)
		mask |= rows[i].on ? UINT32_C(1) << i : 0;
	return mask;
}

static uint32_t mask_of(const char *name, size_t length)
{
	if (length == 3 && memcmp(name, "all", 3) == 0)
		return (UINT32_C(1) << JUDGE_COUNT) - 1;
	for (int i = 0; i < JUDGE_COUNT; i++)
		if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
			return UINT32_C(1) << i;
	return 0;
}

uint32_t judge_mask(const char *names)
{
	uint32_t mask = 0;
	for (;;) {
		size_t length = strcspn(names, ",");
		uint32_t one = mask_of(names, length);
		if (one == 0)
			return 0;
		mask |= one;
		names += length;
		if (*names == '\0')
			return mask;
		names++;
	}
}

bool judge_is_on(const struct world *w, enum judge judge)
{
	return w->judges >> judge & 1;
}

void judge_fail(struct world *w, enum judge judge, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	check_show(w);
	sim_fail(w, "%s: %s", judge_name((int)judge), text);
}
