/* Goal: kill -9 at any write loses nothing that was committed, keeps turns whole and never takes a
 * fence back (CASES.md T7); a write that fails, once or for ever, loses nothing that was appended
 * (T8, S20). Method: a script of turns over a VFS that dies or fails at its n-th operation, for
 * every n until the script runs through. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/err.h"
#include "fault_vfs.h"
#include "journal_model.h"
#include "store/store_private.h"

enum { TURNS_BEFORE_CLOSE = 13, POINTS_MIN = 80 };

static const struct wall_ms wall = {1700000000000};
static struct fault_plan plan;

struct journal {
	char *dir;
	struct store *store;
	struct store_boot boot;
	char detail[512];
};

static int setup(void **state)
{
	static struct journal journal;
	journal = (struct journal){.dir = model_folder_create()};
	*state = &journal;
	plan = (struct fault_plan){0};
	fault_vfs_install(&plan);
	return 0;
}

static int teardown(void **state)
{
	struct journal *j = *state;
	plan = (struct fault_plan){0};
	store_close(j->store);
	model_folder_destroy(j->dir);
	return 0;
}

/* A folder of its own for each round. */
static void next_folder(struct journal *j)
{
	plan = (struct fault_plan){0};
	store_close(j->store);
	model_folder_destroy(j->dir);
	*j = (struct journal){.dir = model_folder_create()};
}

static int try_open(struct journal *j)
{
	const struct store_place place = {.dir = j->dir,
					  .boot_id = "boot-1",
					  .now = wall,
					  .ttl_ms = 20000,
					  .ttl_ms_max = 3600000};
	return store_open(&place, &j->store, &j->boot, j->detail, sizeof j->detail);
}

static void close_store(struct journal *j)
{
	store_close(j->store);
	j->store = NULL;
}

/* The whole life: start, turns, clean stop (which folds the log), start again, more turns. Each
 * committed turn is told to the parent by a byte. */
static void run_script(struct journal *j, int told_fd)
{
	for (int turn = 0; turn < MODEL_TURNS; turn++) {
		if (turn == TURNS_BEFORE_CLOSE)
			close_store(j);
		if (!j->store && try_open(j) != 0)
			_exit(2);
		if (model_run_turn(j->store, turn) != 0)
			_exit(3);
		if (write(told_fd, "", 1) != 1)
			_exit(4);
	}
	close_store(j);
	_exit(0);
}

/* Runs the script in a child under the plan. Its wait status; how many turns it has told. */
static int run_child(struct journal *j, int *ret_turns)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0)
		run_script(j, fds[1]);
	close(fds[1]);
	char byte;
	*ret_turns = 0;
	while (read(fds[0], &byte, 1) == 1)
		++*ret_turns;
	close(fds[0]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void check_integrity(const struct journal *j)
{
	char path[4096];
	sqlite3 *db;
	sqlite3_stmt *statement;
	snprintf(path, sizeof path, "%s/journal.db", j->dir);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
	sqlite3_finalize(statement);
	sqlite3_close(db);
}

/* The journal holds `turns` turns, or one more: the one that was being committed. */
static int check_state(struct journal *j, int turns, unsigned at)
{
	if (try_open(j) != 0)
		fail_msg("operation %u: %s", at, j->detail);
	if (j->boot.quarantined)
		fail_msg("operation %u: quarantined: %s", at, j->detail);
	int found = turns;
	const char *difference = model_compare(j->store, &j->boot, found);
	if (difference && turns < MODEL_TURNS)
		difference = model_compare(j->store, &j->boot, ++found);
	if (difference)
		fail_msg("operation %u, after %d turns: %s", at, turns, difference);
	return found;
}

static void kill_everywhere(struct journal *j, enum fault fault)
{
	for (unsigned at = 1;; at++) {
		next_folder(j);
		plan = (struct fault_plan){.fault = fault, .at = at};
		int turns, status = run_child(j, &turns);
		plan = (struct fault_plan){0};
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			assert_in_range(at, POINTS_MIN, 100000);
			return;
		}
		assert_int_equal(WTERMSIG(status), SIGKILL);
		int found = check_state(j, turns, at);
		uint64_t epoch = j->boot.epoch, fence_max = j->boot.fence_max;
		/* It goes on from there, and the next start is later still. */
		if (found < MODEL_TURNS)
			assert_int_equal(model_run_turn(j->store, found++), 0);
		close_store(j);
		check_integrity(j);
		check_state(j, found, at);
		assert_true(j->boot.epoch > epoch && j->boot.fence_max >= fence_max);
	}
}

/* Death instead of each write, sync, truncate and delete. */
static void test_kill_before_write(void **state)
{
	kill_everywhere(*state, FAULT_KILL);
}

/* Death in the middle of each page. */
static void test_kill_in_write(void **state)
{
	kill_everywhere(*state, FAULT_TEAR);
}

/* Death at each write of the move into quarantine and of the fresh journal after it: the old file
 * is there, whole, and the fences are above it. */
static void test_kill_in_quarantine(void **state)
{
	struct journal *j = *state;
	char path[4096];
	for (unsigned at = 1;; at++) {
		next_folder(j);
		assert_int_equal(try_open(j), 0);
		assert_int_equal(model_run_turn(j->store, 0), 0);
		close_store(j);
		snprintf(path, sizeof path, "%s/journal.db", j->dir);
		FILE *file = fopen(path, "r+b");
		assert_true(fputs("not a database", file) >= 0);
		fclose(file);
		plan = (struct fault_plan){.fault = FAULT_KILL, .at = at};
		pid_t child = fork();
		if (child == 0)
			_exit(try_open(j) == 0 && j->boot.quarantined ? 0 : 1);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		plan = (struct fault_plan){0};
		snprintf(path, sizeof path, "%s/journal.db.quarantine-1700000000000", j->dir);
		assert_int_equal(try_open(j), 0);
		assert_int_equal(access(path, R_OK), 0);
		assert_in_range(j->boot.fence_max, 1000, INT64_MAX);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			assert_true(at > 3);
			return;
		}
	}
}

/* The script with retries: what a turn could not write is in the next that can. */
static void run_with_faults(struct journal *j)
{
	for (int tries = 0; tries < 5 && !j->store; tries++)
		(void)try_open(j);
	assert_non_null(j->store);
	/* Nothing lives yet, so a journal begun anew has all. */
	for (int tries = 0; tries < 5 && store_trouble(j->store)[0]; tries++)
		if (store_wants_all(j->store))
			(void)store_commit(j->store);
	assert_string_equal(store_trouble(j->store), "");
	assert_false(j->boot.quarantined);
	for (int turn = 0; turn < MODEL_TURNS; turn++)
		(void)model_run_turn(j->store, turn);
}

/* One failing operation is survived without a trace, wherever it strikes. */
static void test_one_failure(void **state)
{
	struct journal *j = *state;
	static const enum fault faults[] = {FAULT_FULL, FAULT_IO};
	for (int i = 0; i < 2; i++) {
		for (unsigned at = 1;; at++) {
			next_folder(j);
			plan = (struct fault_plan){.fault = faults[i], .at = at};
			run_with_faults(j);
			bool hit = plan.count >= at;
			plan = (struct fault_plan){0};
			assert_int_equal(store_commit(j->store), 0);
			assert_false(store_is_degraded(j->store));
			close_store(j);
			check_integrity(j);
			check_state(j, MODEL_TURNS, at);
			if (!hit)
				break;
		}
	}
}

/* From the n-th operation on nothing can be written: the store says so and keeps all, and writes it
 * when there is room again. Killed before that, it is at the last turn that it had committed. */
static void test_lasting_failure(void **state)
{
	struct journal *j = *state;
	static const enum fault faults[] = {FAULT_FULL, FAULT_IO};
	unsigned start = 0;
	assert_int_equal(try_open(j), 0);
	start = plan.count;
	for (unsigned at = start + 1; at < start + 120; at++) {
		next_folder(j);
		assert_int_equal(try_open(j), 0);
		plan.fault = faults[at % 2];
		plan.at = at;
		plan.for_ever = true;
		int committed = 0;
		for (int turn = 0; turn < MODEL_TURNS; turn++) {
			int rc = model_run_turn(j->store, turn);
			assert_int_equal(store_is_degraded(j->store), rc != 0);
			assert_true(rc == 0 || rc == -ERR_IO);
			committed += rc == 0;
		}
		/* Checkpoints may fail unseen, so the last turns may all have been written. */
		bool failed = store_is_degraded(j->store);
		assert_int_equal(failed, committed < MODEL_TURNS);
		plan = (struct fault_plan){0};
		assert_int_equal(store_commit(j->store), 0);
		assert_false(store_is_degraded(j->store));
		close_store(j);
		check_state(j, MODEL_TURNS, at);
	}
}

/* Closing on a full disk loses only what could not be written, and says nothing else. */
static void test_close_while_full(void **state)
{
	struct journal *j = *state;
	assert_int_equal(try_open(j), 0);
	for (int turn = 0; turn < 10; turn++)
		assert_int_equal(model_run_turn(j->store, turn), 0);
	plan = (struct fault_plan){.fault = FAULT_FULL, .at = 1, .for_ever = true};
	assert_int_equal(model_run_turn(j->store, 10), -ERR_IO);
	close_store(j);
	plan = (struct fault_plan){0};
	assert_int_equal(check_state(j, 10, 0), 10);
}

/* An opening that fails for want of space or by an I/O error is an error, not a quarantine. */
static void test_open_failure(void **state)
{
	struct journal *j = *state;
	static const enum fault faults[] = {FAULT_FULL, FAULT_IO};
	for (unsigned at = 1; at < 40; at++) {
		next_folder(j);
		assert_int_equal(try_open(j), 0);
		assert_int_equal(model_run_turn(j->store, 0), 0);
		close_store(j);
		plan = (struct fault_plan){.fault = faults[at % 2], .at = at, .for_ever = true};
		int rc = try_open(j);
		if (rc != 0)
			assert_true(rc == -ERR_IO && j->detail[0]);
		else
			assert_false(j->boot.quarantined);
		close_store(j);
		plan = (struct fault_plan){0};
		assert_int_equal(check_state(j, 1, at), 1);
	}
}

/* Fills the file system to the last byte; the path of what it wrote. */
static void fill_up(const char *dir)
{
	char path[4096], block[4096] = {0};
	snprintf(path, sizeof path, "%s/filler", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	size_t size = sizeof block;
	while (size)
		if (write(fd, block, size) <= 0)
			size /= 2;
	close(fd);
}

enum { UNAVAILABLE = 77 };

static void note_live(void *ctx, const struct record *record)
{
	(void)record;
	*(bool *)ctx = true;
}

/* In a mount namespace of its own: a file system of 12 MiB, filled. Returns the failed line. */
static int run_on_full_disk(struct journal *j)
{
	unsigned uid = geteuid();
	if (unshare(uid ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", j->dir, "tmpfs", 0, "size=12m,mode=0700") < 0)
		return UNAVAILABLE;
	if (try_open(j) != 0)
		return __LINE__ % 256;
	struct record record;
	uint64_t id = 0;
	while (id < 2000) { /* claims that live while the disk fills */
		record = model_claim(++id, 0);
		store_append(j->store, &record);
	}
	if (store_commit(j->store) != 0)
		return __LINE__ % 256;
	fill_up(j->dir);
	/* Each of 2000 releases in a turn of its own fits into the reserve. */
	for (uint64_t end = 1; end <= id; end++) {
		record = model_claim_end(end, 1);
		store_append(j->store, &record);
		if (store_commit(j->store) != 0)
			return __LINE__ % 256;
	}
	if (!store_is_degraded(j->store))
		return __LINE__ % 256;
	char path[4096];
	snprintf(path, sizeof path, "%s/filler", j->dir);
	unlink(path);
	if (store_commit(j->store) != 0 || store_is_degraded(j->store))
		return __LINE__ % 256;
	struct stat st;
	snprintf(path, sizeof path, "%s/reserve", j->dir);
	if (stat(path, &st) != 0 || st.st_size != 1 << 20)
		return __LINE__ % 256;
	close_store(j);
	if (try_open(j) != 0 || j->boot.quarantined)
		return __LINE__ % 256;
	bool live = false;
	if (store_replay(j->store, note_live, &live) != 0 || live)
		return __LINE__ % 256;
	return 0;
}

/* On a disk that is really full, releases are written from the reserve; with room again it is taken
 * back and the store is whole. */
static void test_full_disk(void **state)
{
	struct journal *j = *state;
	pid_t child = fork();
	if (child == 0)
		_exit(run_on_full_disk(j));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == UNAVAILABLE)
		skip(); /* no mount namespaces here */
	if (WEXITSTATUS(status))
		fail_msg("line %d modulo 256", WEXITSTATUS(status));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kill_before_write),  TEST(test_kill_in_write),
		TEST(test_kill_in_quarantine), TEST(test_one_failure),
		TEST(test_lasting_failure),    TEST(test_close_while_full),
		TEST(test_open_failure),       TEST(test_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
