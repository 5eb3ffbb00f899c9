/* crowd: twenty loops that think, ask, wait, work and start again, as people run them, on a fixture
 * in virtual time: 3 of voice, 5 of chat, 6 of normal, 6 of background; turns of 0.3 to 8 s. Keeps
 * what each waiter was told when it asked, and how long it then waited. */
#pragma once
#include "fixture.h"

enum { CROWD_LOOPS = 20, CROWD_WAITS_MAX = 20000 };

struct crowd_loop {
	enum lease_class cls;
	bool works;
	uint64_t conn, lease;
	int64_t due_ms; /* thinks or works until; -1: waits */
	int64_t turn_ms;
	struct crowd_wait {
		enum lease_class cls;
		int64_t asked_ms, wait_ms, p50_ms, p90_ms;
	} wait;
};

struct crowd {
	struct fixture fixture;
	uint64_t random;
	int64_t think_ms; /* mean */
	struct crowd_loop loops[CROWD_LOOPS];
	struct crowd_wait waits[CROWD_WAITS_MAX]; /* of those who were told something */
	size_t wait_count;
};

struct crowd *crowd_begin(uint64_t seed, int64_t think_ms);
void crowd_run(struct crowd *crowd, int64_t ms);
void crowd_end(struct crowd *crowd);
