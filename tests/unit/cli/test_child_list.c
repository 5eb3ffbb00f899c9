/* Goal: a list of children that does not fit names none whose pid was cut: its first digits are the
 * pid of somebody else, who would be killed. Method: real children, and ever less room. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run/child.h"

enum { CHILDREN = 6, ROOM_BYTES = 128 };

static bool is_one_of(const pid_t *pids, long pid)
{
	for (int i = 0; i < CHILDREN; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static void test_whole_pids(void **state)
{
	pid_t pids[CHILDREN];
	char list[ROOM_BYTES], *end;
	size_t most = 0;
	(void)state;

	for (int i = 0; i < CHILDREN; i++)
		if ((pids[i] = fork()) == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	if (child_list(list, sizeof(list)) == 0)
		skip(); /* a kernel without that list */

	for (size_t size = 1; size <= sizeof(list); size++) {
		size_t count = 0;
		(void)child_list(list, size);
		for (char *at = list; *at; at = end + 1, count++) {
			assert_true(is_one_of(pids, strtol(at, &end, 10)));
			assert_int_equal(*end, ' ');
		}
		assert_true(count >= most);
		most = count;
	}
	assert_int_equal(most, CHILDREN);

	for (int i = 0; i < CHILDREN; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_pids)};
	return cmocka_run_group_tests_name("child_list", tests, NULL, NULL);
}
