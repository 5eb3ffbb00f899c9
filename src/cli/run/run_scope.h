/* run_scope: --scope: this command again, in a scope of its own of the user's systemd, which a
 * logout does not end and whose cgroup may be divided. */
#pragma once
#include <stdbool.h>

/* Once the options are known and before anything else is done. Returns only where there is nothing
 * to do: it is in its scope already, or there can be none, and why was said. */
void run_scope_enter(bool quiet);
