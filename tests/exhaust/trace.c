/* trace: what happens on a path, in words. */
#include <stdarg.h>
#include <stdio.h>

#include "world.h"

bool trace_on;

const char *message_word(enum message msg)
{
	static const char *const words[MSG_COUNT] = {
		[MSG_WELCOME] = "welcome", [MSG_CLAIM] = "claim",     [MSG_QUEUED] = "queued",
		[MSG_OFFERED] = "offered", [MSG_GRANTED] = "granted", [MSG_YIELD] = "yield",
		[MSG_KEEP] = "keep",       [MSG_REVOKED] = "revoked", [MSG_RELEASED] = "released",
		[MSG_TIMEOUT] = "timeout", [MSG_DENIED] = "denied",   [MSG_RENEWED] = "renewed",
		[MSG_CHANGED] = "changed", [MSG_LENT] = "lent",       [MSG_HEARTBEAT] = "heartbeat",
		[MSG_OK] = "ok",
	};

	return words[msg] ? words[msg] : "?";
}

void trace_say(const struct world *w, const char *format, ...)
{
	va_list args;

	if (!trace_on)
		return;
	fprintf(stderr, "%6.1f s  ", (double)(w->now.v - 1000 * TICK_MS) / 1000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
