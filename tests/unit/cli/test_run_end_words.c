/* Goal: how a job ended is told in words that fit into what the broker keeps, what counts most
 * first, and nothing where there is nothing to say. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cli/run/run_end_words.h"
#include "process/unit_of.h"

enum { EXIT_3 = 3 << 8, CORE_DUMPED = 0x80 };

static void test_words(void **state)
{
	static const struct {
		struct run_end end;
		const char *words;
	} rows[] = {
		{{0}, ""},
		{{.unknown = true}, ""},
		{{.status = EXIT_3}, "exit status 3"},
		{{.status = SIGKILL}, "killed by SIGKILL"},
		{{.status = SIGSEGV | CORE_DUMPED}, "killed by SIGSEGV"},
		{{.status = 40}, "killed by signal 40"},
		{{.status = SIGTERM, .stopped = true}, ""},
		{{.status = SIGKILL, .held_out = true, .stopped = true},
		 "stopped at the end of --hold"},
		{{.oom_kills = 1},
		 "the kernel killed 1 process because memory ran out; exit status 0"},
		{{.status = SIGKILL, .oom_kills = 2},
		 "the kernel killed 2 processes because memory ran out; killed by SIGKILL"},
		{{.oom_kills = 1, .stopped = true},
		 "the kernel killed 1 process because memory ran out"},
		{{.status = SIGTERM, .ended_by = UNIT_SESSION, .unit = "session-3.scope"},
		 "systemd stopped session-3.scope, at a logout or shutdown; killed by SIGTERM"},
		{{.ended_by = UNIT_USER, .unit = "run-r5.scope"},
		 "systemd stopped run-r5.scope of the user, by command, at a logout or shutdown"},
		{{.ended_by = UNIT_SYSTEM, .unit = "train.service"},
		 "systemd stopped train.service"},
	};
	char words[LIMIT_REASON_BYTES + 1];
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		run_end_words(&rows[i].end, words, sizeof(words));
		assert_string_equal(words, rows[i].words);
	}
}

/* The longest is cut off, and begins with what counts. */
static void test_cut_off(void **state)
{
	struct run_end end = {.status = SIGSEGV, .oom_kills = INT64_MAX, .ended_by = UNIT_USER};
	char words[LIMIT_REASON_BYTES + 1];
	(void)state;

	memset(end.unit, 'u', sizeof(end.unit) - 1);
	run_end_words(&end, words, sizeof(words));
	assert_int_equal(strlen(words), LIMIT_REASON_BYTES);
	assert_memory_equal(words, "the kernel killed 9223372036854775807 processes", 47);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_cut_off),
	};
	return cmocka_run_group_tests_name("run_end_words", tests, NULL, NULL);
}
