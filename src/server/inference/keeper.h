/* keeper: a process beside each command that the broker starts. All that the command starts becomes
 * its child, however it hides; it ends with the command, and when the broker asks or is gone. */
#pragma once

#define KEEPER_NAME "baton-keeper" /* as argv[0] of this executable */

enum {
	KEEPER_GRACE_MS = 4500,          /* between SIGTERM and SIGKILL */
	KEEPER_LAST_GRACE_MS = 3 * 1000, /* the same, when the broker is gone */
};

/* The process: argv[1] and on are the command; standard input is a pipe of the broker's: a byte
 * asks it to end, its close says that the broker is gone. Returns the command's exit status once
 * all of it is gone; 128 and more for a signal, 126 and 127 as a shell does. */
int keeper_main(char *const *argv);
