/* unit_of: what systemd calls the cgroup of a process, and on whose behalf it manages it. */
#pragma once
#include <stddef.h>

enum unit_kind {
	UNIT_NONE,    /* not systemd's, as far as the path says */
	UNIT_SESSION, /* what somebody who is logged in has started: ends with the login */
	UNIT_USER,    /* of the user's own manager: without linger it ends with the last login */
	UNIT_SYSTEM,
};

/* Of a path of the cgroup2 hierarchy, by the names that systemd gives: the deepest service or scope
 * of it, cut off where it does not fit. "" with UNIT_NONE. */
enum unit_kind unit_of_cgroup(const char *path, char *ret_unit, size_t size);
