/* restore: see restore.h. Decides nothing: the core does, from the rows. Called by startup.c. */
#include "server/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "config/paths.h"
#include "core/core.h"
#include "net/loop.h"
#include "server/active_config.h"
#include "server/broker.h"
#include "server/journal_watch.h"
#include "server/process_tracker.h"
#include "server/reload.h"
#include "server/run_state.h"
#include "store/store.h"

static int read_boot_id(char *ret_id, size_t size, char *detail, size_t detail_size)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, ret_id, size - 1) : -1;
	if (got <= 0) {
		snprintf(detail, detail_size, "%s: %s", path, strerror(errno));
		return -ERR_IO;
	}
	ret_id[got] = 0;
	ret_id[strcspn(ret_id, "\n")] = 0;
	return 0;
}

/* What tells that a broker ran here before, beside the state folder: its socket, which a clean stop
 * removes, and the copy of its fence file, which nothing removes but the end of the boot. */
static void find_traces(const struct settings *settings, struct store_place *place, char *ret_copy,
			size_t size)
{
	struct stat st;
	place->traces = lstat(settings->socket_path, &st) == 0 && S_ISSOCK(st.st_mode);
	if ((size_t)snprintf(ret_copy, size, "%s.fence", settings->socket_path) < size)
		place->copy = ret_copy;
}

/* The longest that a lease may outlive this broker. */
static int64_t promised_ms(const struct core_config *config)
{
	return config->session_ttl_ms > config->restart_linger_ms ? config->session_ttl_ms
								  : config->restart_linger_ms;
}

static int open_store(const struct restore *restore, struct store **ret_store,
		      struct store_boot *ret_boot, char *detail, size_t size)
{
	const struct settings *settings = &restore->active->settings;
	char boot_id[64];
	char copy[SETTINGS_SOCKET_BYTES + 16];
	struct store_place place = {.dir = restore->active->paths.state_dir,
				    .boot_id = boot_id,
				    .now = loop_wall_now(),
				    .ttl_ms = promised_ms(&settings->core),
				    .ttl_ms_max = settings->core.http_ttl_ms_max};
	int rc = read_boot_id(boot_id, sizeof(boot_id), detail, size);
	if (rc)
		return rc;

	if (place.ttl_ms_max < place.ttl_ms)
		place.ttl_ms_max = place.ttl_ms;
	find_traces(settings, &place, copy, sizeof(copy));
	return store_open(&place, ret_store, ret_boot, detail, size);
}

/* The rows that were read so far. */
struct restoring {
	const struct restore *restore;
	uint64_t rows;
};

static void restore_row(void *ctx, const struct record *record)
{
	struct restoring *r = ctx;
	struct broker *broker = r->restore->broker;
	struct event event = {
		.type = EVENT_RESTORE, .now = broker->now, .wall = broker->wall, .record = record};
	core_step(broker->core, &event, &broker->effects);
	if (record->type == RECORD_SESSION_PUT)
		process_tracker_watch(r->restore->tracker, &record->session);
	r->rows++;
}

/* `why`: it was put aside. */
static int restore_core(const struct restore *restore, const struct store_boot *boot,
			const char *why)
{
	struct broker *broker = restore->broker;
	const struct core_config *config = &restore->active->settings.core;
	struct restoring r = {.restore = restore};
	struct event event = {.type = EVENT_CONFIG, .now = broker->now, .wall = broker->wall};

	event.config = config;
	random_fill(&broker->random, &event.random, sizeof(event.random));
	core_step(broker->core, &event, &broker->effects);
	if (boot->paused) {
		const struct record record = {.type = RECORD_PAUSED, .admin.paused = true};
		restore_row(&r, &record);
		memcpy(restore->state->paused_reason, boot->paused_reason,
		       sizeof(restore->state->paused_reason));
	}

	int rc = reload_name_gpus(broker->store, config, true);
	if (!rc)
		rc = store_replay(broker->store, restore_row, &r);
	if (rc)
		return rc;

	struct event start = {.type = EVENT_START, .now = broker->now, .wall = broker->wall};
	start.start.epoch = boot->epoch;
	start.start.fence_max = boot->fence_max;
	start.start.claim_id_max = boot->claim_id_max;
	start.start.session_id_max = boot->session_id_max;
	start.start.same_boot = boot->same_boot;
	start.start.in_doubt_ms = boot->in_doubt_ms;

	core_step(broker->core, &start, &broker->effects);
	broker_begin(broker);
	broker->tick_at = broker->effects.next_wake;
	log_event(restore->log, LOG_INFO, "journal read", log_int("epoch", (int64_t)boot->epoch),
		  log_int("rows", (int64_t)r.rows),
		  log_str("boot", boot->same_boot ? "same" : "new"));
	journal_watch_begin(restore->journal, boot, why);

	return 0;
}

int restore_run(const struct restore *restore, struct loop *loop, char *detail, size_t detail_size)
{
	struct broker *broker = restore->broker;
	struct store_boot boot;
	struct store *store;
	int rc = open_store(restore, &store, &boot, detail, detail_size);

	if (rc)
		return rc;

	restore->state->epoch = boot.epoch;
	restore->state->started = loop_now();
	broker_init(broker, core_create(), store, restore->state->started, loop_suspended_ms());
	broker->wall = loop_wall_now();
	process_tracker_init(restore->tracker, loop, &broker->queue, restore->log);

	rc = restore_core(restore, &boot, detail);
	if (rc)
		snprintf(detail, detail_size, "the journal cannot be replayed");
	return rc;
}
