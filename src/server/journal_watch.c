/* journal_watch: see journal_watch.h. What may be granted is the core's decision; it wakes us when
 * a doubt ends. */
#include "server/journal_watch.h"

#include <stdio.h>

#include "base/log.h"
#include "config/paths.h"
#include "core/view.h"
#include "server/access/access_setup.h"
#include "server/broker.h"
#include "server/run_state.h"
#include "store/store.h"

void journal_watch_begin(struct journal_watch *watch, const struct store_boot *boot,
			 const char *why)
{
	struct log *log = watch->log;
	struct run_state *state = watch->state;
	const char *trouble = store_trouble(watch->broker->store);

	if (boot->quarantined)
		log_event(log, LOG_ERROR,
			  "the journal was unreadable; it was put aside and a new one begun",
			  log_str("kept", boot->quarantine_path), log_str("why", why));

	if (boot->in_doubt_ms > 0)
		log_event(log, LOG_ERROR,
			  "it is not known who held a GPU before; nothing is granted until they "
			  "must have stopped",
			  log_str("why", boot->doubt), log_int("in_ms", boot->in_doubt_ms));

	if (trouble[0])
		log_event(log, LOG_ERROR,
			  "the journal cannot be written: nothing is granted; trying again",
			  log_str("why", trouble));

	snprintf(state->doubt, sizeof(state->doubt), "%s", boot->doubt);
	watch->in_doubt = boot->in_doubt_ms > 0;
}

void journal_watch_changed(const struct journal_watch *watch, bool ok)
{
	const char *trouble = store_trouble(watch->broker->store);

	if (ok) {
		log_write(watch->log, LOG_INFO, "journal works again; granting", NULL, 0);
		access_setup_keep_tokens(watch->access, watch->paths->state_dir);
	} else if (trouble[0]) {
		log_event(watch->log, LOG_ERROR,
			  "the journal is lost: nothing new is granted until it can be begun anew; "
			  "trying",
			  log_str("why", trouble), log_int("in_ms", BROKER_RETRY_MS));
	} else {
		log_event(watch->log, LOG_ERROR,
			  "journal cannot be written: nothing new is granted, releases are "
			  "taken; free disk space; retrying",
			  log_int("in_ms", BROKER_RETRY_MS));
	}
}

void journal_watch_step(struct journal_watch *watch)
{
	const struct broker *broker = watch->broker;
	if (!watch->in_doubt || core_in_doubt(broker->core, broker->now) || !broker->journal_ok)
		return;
	store_end_doubt(broker->store);
	watch->in_doubt = false;
	log_write(watch->log, LOG_INFO, "who held before must have stopped by now; granting", NULL,
		  0);
}
