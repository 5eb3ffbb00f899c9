/* announce: what the start tells a person on standard error. */
#pragma once

struct access_setup;
struct active_config;

/* Where it listens and what to try next. */
void announce_ready(const struct active_config *active, const struct access_setup *access,
		    const char *home);
/* --check: options and file are good; nothing else was done. */
void announce_checked(const struct active_config *active);
