/* terminal: who has the controlling terminal while `baton run` lives: the command's process group
 * in the foreground, the caller's before and after it. Without a terminal all are no-ops. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

struct terminal {
	int fd; /* /dev/tty; -1: none */
	/* The command stays in our group: others of a pipeline or script are in it, too, and the
	 * keys of the terminal are meant for all of them. */
	bool shared;
	pid_t given;                 /* the group that we put in the foreground; 0: none */
	struct termios ours, theirs; /* modes: before the command, and when it was stopped */
	bool theirs_known;
};

void terminal_init(struct terminal *terminal);
void terminal_finish(struct terminal *terminal);

/* Whether our own group is in the foreground. */
bool terminal_is_ours(const struct terminal *terminal);
/* Whether the terminal has hung up since. */
bool terminal_is_dead(const struct terminal *terminal);
/* Puts the command's group in the foreground, if that is ours to give, with its modes. */
void terminal_give(struct terminal *terminal, pid_t group);
/* The command was stopped: ours again, with the modes of before; its own are kept. */
void terminal_take(struct terminal *terminal);
/* The command is gone: nobody stays in the foreground that does not live. `broken`: it could not
 * put the modes back itself. */
void terminal_restore(struct terminal *terminal, bool broken);
/* Nobody could continue us if we stopped: our parent is no shell of this session. */
bool terminal_orphaned(void);
