/* restore: from the state folder to a core that goes on where the last one stood. */
#pragma once
#include <stddef.h>

struct active_config;
struct broker;
struct journal_watch;
struct log;
struct loop;
struct process_tracker;
struct run_state;

/* All is borrowed. */
struct restore {
	struct broker *broker; /* zeroed before */
	const struct active_config *active;
	struct process_tracker *tracker; /* follows the sessions that come back */
	struct journal_watch *journal;
	struct run_state *state;
	struct log *log;
};

/* Opens the journal and makes broker and tracker: its rows into a new core, then START. What that
 * decides is let out by the first turn. 0 or a negative enum err with detail; once broker->core is
 * there, both are to be finished. */
int restore_run(const struct restore *restore, struct loop *loop, char *detail, size_t detail_size);
