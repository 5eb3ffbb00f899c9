/* signals: see signals.h. Called from the loop, never from a handler. */
#include "server/signals.h"

#include <signal.h>

#include "base/log.h"
#include "net/loop.h"
#include "server/notify.h"
#include "server/reload.h"
#include "server/run_state.h"
#include "server/shutdown.h"
#include "server/sockets.h"

static void on_stop(void *ctx, int signo)
{
	struct shutdown *shutdown = ctx;
	(void)signo;
	if (shutdown->state->draining)
		shutdown->over = true; /* asked twice: at once */
	shutdown_begin(shutdown, loop_now());
}

static void on_hangup(void *ctx, bool ends)
{
	struct signals *signals = ctx;
	struct settings_change change;
	char detail[512];
	if (ends && signals->shutdown->state->draining)
		return;
	if (ends) {
		log_write(signals->log, LOG_INFO, "the terminal was closed", NULL, 0);
		shutdown_begin(signals->shutdown, loop_now());
		return;
	}
	notify_send(NOTIFY_RELOADING, NULL);
	sockets_look(signals->sockets);
	(void)reload_settings(signals->reload, &change, detail, sizeof(detail));
	notify_send(NOTIFY_READY, NULL);
}

int signals_begin(struct signals *signals, struct loop *loop)
{
	int rc = loop_on_signal(loop, SIGTERM, on_stop, signals->shutdown);
	if (!rc)
		rc = loop_on_signal(loop, SIGINT, on_stop, signals->shutdown);
	if (rc)
		return rc;

	return hangup_begin(&signals->hangup, loop, on_hangup, signals);
}

void signals_end(struct signals *signals)
{
	hangup_end(&signals->hangup);
}
