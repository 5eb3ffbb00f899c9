/* journal_watch: what people and files learn of the journal's health. */
#pragma once
#include <stdbool.h>

struct access_setup;
struct broker;
struct log;
struct paths;
struct run_state;
struct store_boot;

/* The pointers are borrowed. */
struct journal_watch {
	const struct broker *broker;
	const struct access_setup *access; /* its tokens are kept in the state folder */
	const struct paths *paths;
	struct run_state *state;
	struct log *log;
	bool in_doubt; /* the journal says that nothing may be granted yet */
};

/* As the start found it; `why`: it was unreadable. */
void journal_watch_begin(struct journal_watch *watch, const struct store_boot *boot,
			 const char *why);
/* It works again, or works no more. */
void journal_watch_changed(const struct journal_watch *watch, bool ok);
/* Once a turn: from the end of the doubt on a restart need not wait again. */
void journal_watch_step(struct journal_watch *watch);
