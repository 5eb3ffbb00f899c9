/* Goal: what /proc writes is read as meant, and what is cut off, bent or too large says nothing.
 * Method: texts as proc_pid_stat(5), proc_pid_status(5) and cgroups(7) give them, then broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "process/proc_parse.h"

/* Fields 5 to 19 and 21: any numbers. */
#define BETWEEN " 5 6 34816 -1 4194560 10 11 12 13 14 15 16 17 20 0 "
#define STAT(name, state, parent, threads, start)                                                  \
	"4711 (" name ") " state " " parent BETWEEN threads " 0 " start " 23 24"

static void expect_stat(const char *text, char state, int64_t parent, int64_t threads,
			uint64_t start)
{
	struct proc_stat stat;
	assert_true(proc_parse_stat(text, &stat));
	assert_int_equal(stat.state, state);
	assert_int_equal(stat.parent, parent);
	assert_int_equal(stat.threads, threads);
	assert_int_equal(stat.start, start);
}

static void refuse_stat(const char *text)
{
	struct proc_stat stat = {.start = 1};
	assert_false(proc_parse_stat(text, &stat));
	assert_int_equal(stat.start, 1);
}

static void test_stat(void **state)
{
	(void)state;
	expect_stat(STAT("sh", "S", "1", "1", "987654"), 'S', 1, 1, 987654);
	expect_stat(STAT("sh", "Z", "0", "12", "18446744073709551615"), 'Z', 0, 12, UINT64_MAX);
}

/* A program chooses its name: it may look like the fields behind it. */
static void test_stat_names(void **state)
{
	(void)state;
	expect_stat(STAT("", "S", "2", "3", "4"), 'S', 2, 3, 4);
	expect_stat(STAT("a b c", "S", "2", "3", "4"), 'S', 2, 3, 4);
	expect_stat(STAT("a) R 1", "S", "2", "3", "4"), 'S', 2, 3, 4);
	expect_stat(STAT(") (", "S", "2", "3", "4"), 'S', 2, 3, 4);
	expect_stat(STAT("a\nb\n", "S", "2", "3", "4"), 'S', 2, 3, 4);
	expect_stat(STAT("\xff\x01", "S", "2", "3", "4"), 'S', 2, 3, 4);
}

/* Any text that ends within the start time or before it: a part of a number is another number. */
static void test_stat_cut(void **state)
{
	(void)state;
	static const char whole[] = STAT("a) R 1 2", "S", "1", "1", "987654");
	size_t needed = strlen(whole) - strlen("23 24");
	char text[sizeof(whole)];
	struct proc_stat stat;

	for (size_t length = 0; length < needed; length++) {
		memcpy(text, whole, length);
		text[length] = '\0';
		refuse_stat(text);
	}

	memcpy(text, whole, needed);
	text[needed] = '\0';
	assert_true(proc_parse_stat(text, &stat));
}

static void test_stat_bad_numbers(void **state)
{
	(void)state;
	refuse_stat(STAT("sh", "S", "1", "1", "18446744073709551616"));
	refuse_stat(STAT("sh", "S", "1", "1", "99999999999999999999999999"));
	refuse_stat(STAT("sh", "S", "1", "1", "-5"));
	refuse_stat(STAT("sh", "S", "1", "1", "0x12"));
	refuse_stat(STAT("sh", "S", "1", "1", ""));
	refuse_stat(STAT("sh", "S", "2147483648", "1", "5"));
	refuse_stat(STAT("sh", "S", "-1", "1", "5"));
	refuse_stat(STAT("sh", "S", "1", "2147483648", "5"));
	refuse_stat(STAT("sh", "", "1", "1", "5"));
	refuse_stat("");
	refuse_stat(")");
	refuse_stat(") ");
	refuse_stat(") S");
}

static struct proc_status status_of(const char *line)
{
	struct proc_status status = PROC_STATUS_NONE;
	proc_parse_status(line, &status);
	return status;
}

static void test_status_uid(void **state)
{
	(void)state;
	assert_int_equal(status_of("Uid:\t0\t1\t2\t3\n").uid, 0);
	assert_int_equal(status_of("Uid:\t4294967294\t1\t2\t3\n").uid, 4294967294);
	assert_int_equal(status_of("Uid:\t4294967295\t1\t2\t3\n").uid, -1);
	assert_int_equal(status_of("Uid:\t99999999999999999999\t1\t2\t3\n").uid, -1);
	assert_int_equal(status_of("Uid:\t12").uid, -1); /* cut off */
	assert_int_equal(status_of("Uid:\t-1\t1\t2\t3\n").uid, -1);
	assert_int_equal(status_of("Uid:\n").uid, -1);
	assert_int_equal(status_of("Gid:\t7\t7\t7\t7\n").uid, -1);
	assert_int_equal(status_of("Name:\tUid:\t7\t7\n").uid, -1);
}

static void test_status_nested(void **state)
{
	(void)state;
	assert_true(status_of("NSpid:\t4711\t1\n").is_nested);
	assert_true(status_of("NSpid:\t4711\t12\t1\n").is_nested);
	assert_false(status_of("NSpid:\t4711\n").is_nested);
	assert_false(status_of("NSpid:\t4711").is_nested);
	assert_false(status_of("NSpgid:\t4711\t1\n").is_nested);
	assert_false(status_of("").is_nested);
	assert_int_equal(status_of("NSpid:\t4711\t12\t7\n").inner_pid, 7);
	assert_int_equal(status_of("NSpid:\t4711\n").inner_pid, 0);
}

static void test_status_state(void **state)
{
	(void)state;
	assert_int_equal(status_of("State:\tD (disk sleep)\n").state, 'D');
	assert_int_equal(status_of("State:\n").state, '\0');
	assert_int_equal(status_of("Stat:\tD\n").state, '\0');
	assert_int_equal(status_of("voluntary_ctxt_switches:\t150\n").waits, 150);
	assert_int_equal(status_of("nonvoluntary_ctxt_switches:\t150\n").waits, -1);
	assert_int_equal(status_of("voluntary_ctxt_switches:\tx\n").waits, -1);
}

/* A line adds to what earlier ones said. */
static void test_status_lines(void **state)
{
	struct proc_status status = PROC_STATUS_NONE;
	(void)state;
	proc_parse_status("Uid:\t1000\t1000\t1000\t1000\n", &status);
	proc_parse_status("Groups:\t4 24 27 \n", &status);
	proc_parse_status("NSpid:\t4711\t1\n", &status);
	assert_int_equal(status.uid, 1000);
	assert_true(status.is_nested);
}

static void test_cgroup(void **state)
{
	char path[16] = "before";
	(void)state;
	assert_false(proc_parse_cgroup("4:memory:/docker\n", path, sizeof(path)));
	assert_false(proc_parse_cgroup("1:name=systemd:0::/\n", path, sizeof(path)));
	assert_false(proc_parse_cgroup("0::", path, sizeof(path)));
	assert_false(proc_parse_cgroup("0::relative\n", path, sizeof(path)));
	assert_false(proc_parse_cgroup("0::/sixteen.letters\n", path, sizeof(path)));
	assert_string_equal(path, "before");
	assert_true(proc_parse_cgroup("0::/\n", path, sizeof(path)));
	assert_string_equal(path, "/");
	assert_true(proc_parse_cgroup("0::/a b/c\n", path, sizeof(path)));
	assert_string_equal(path, "/a b/c");
	assert_true(proc_parse_cgroup("0::/fifteen.letter\n", path, sizeof(path)));
	assert_string_equal(path, "/fifteen.letter");
	assert_true(proc_parse_cgroup("0::/../x", path, sizeof(path))); /* out of our namespace */
	assert_string_equal(path, "/../x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat),         cmocka_unit_test(test_stat_names),
		cmocka_unit_test(test_stat_cut),     cmocka_unit_test(test_stat_bad_numbers),
		cmocka_unit_test(test_status_uid),   cmocka_unit_test(test_status_nested),
		cmocka_unit_test(test_status_lines), cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_status_state),
	};
	return cmocka_run_group_tests_name("proc_parse", tests, NULL, NULL);
}
