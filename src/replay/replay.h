/* replay: `baton replay`: a recorded trace through the real core, in virtual time. */
#pragma once

/* argv[0] is the subcommand. Returns the exit status. */
int replay_main(int argc, char **argv);
