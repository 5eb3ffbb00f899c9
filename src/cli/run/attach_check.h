/* attach_check: whether `baton attach` may take a program: nobody else has it, and nothing of it is
 * Baton's own. */
#pragma once
#include <stdint.h>

struct command;

struct attach_target {
	int64_t pid;
	uint64_t start;
	int pidfd;
	int lock_fd; /* while it is open no other `baton attach` takes the program; -1: none */
	char name[32];
};

/* Looks at the program, at what started it and at what it has started. 0 and the lock, or the exit
 * status after it was said why not. */
int attach_check(const struct command *command, struct attach_target *target);
