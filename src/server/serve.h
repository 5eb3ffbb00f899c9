/* serve: `baton serve`. */
#pragma once

/* argv[0] is the subcommand. Returns the exit status. */
int serve_main(int argc, char **argv);
