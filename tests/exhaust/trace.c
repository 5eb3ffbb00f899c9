/* trace: what happens on a path, in words. */
#include <stdarg.h>
#include <stdio.h>

#include "world.h"

bool trace_on;

const char *message_word(enum send_kind msg)
{
	static const char *const words[SEND_COUNT] = {
		[SEND_WELCOME] = "welcome",     [SEND_CLAIM] = "claim",
		[SEND_QUEUED] = "queued",       [SEND_OFFERED] = "offered",
		[SEND_GRANTED] = "granted",     [SEND_YIELD] = "yield",
		[SEND_KEEP] = "keep",           [SEND_REVOKED] = "revoked",
		[SEND_RELEASED] = "released",   [SEND_TIMEOUT] = "timeout",
		[SEND_DENIED] = "denied",       [SEND_RENEWED] = "renewed",
		[SEND_CHANGED] = "changed",     [SEND_LENT] = "lent",
		[SEND_HEARTBEAT] = "heartbeat", [SEND_OK] = "ok",
		[SEND_NOTICE] = "notice",
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
