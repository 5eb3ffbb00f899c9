/* api: starting a session without waiting for the broker. */
#pragma once

struct baton;
struct baton_options;

/* baton_connect without waiting for the answer, for the simulator: 0 and a session that has sent
 * hello, or a public error code. */
int client_begin(const struct baton_options *options, struct baton **ret_baton);
