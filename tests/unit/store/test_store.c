/* Goal: what was committed is there after a restart, and nothing else; one broker per folder; files
 * are private. Method: a real journal in a folder of its own, opened again and again. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "journal_model.h"

static const struct wall_ms wall = {1700000000000};

struct journal {
	char *dir;
	struct store *store;
	struct store_boot boot;
	char detail[512];
};

static int try_open(struct journal *j, const char *boot_id)
{
	const struct store_place place = {.dir = j->dir,
					  .boot_id = boot_id,
					  .now = wall,
					  .ttl_ms = 20000,
					  .ttl_ms_max = 3600000};
	return store_open(&place, &j->store, &j->boot, j->detail, sizeof j->detail);
}

static void reopen(struct journal *j, const char *boot_id)
{
	store_close(j->store);
	j->store = NULL;
	assert_int_equal(try_open(j, boot_id), 0);
}

static int setup(void **state)
{
	static struct journal journal;
	journal = (struct journal){.dir = model_folder_create()};
	*state = &journal;
	return try_open(&journal, "boot-1");
}

static int teardown(void **state)
{
	struct journal *j = *state;
	store_close(j->store);
	model_folder_destroy(j->dir);
	return 0;
}

static void append(struct journal *j, struct record record)
{
	assert_int_equal(store_append(j->store, &record), 0);
}

static void commit(struct journal *j)
{
	assert_int_equal(store_commit(j->store), 0);
	assert_false(store_is_degraded(j->store));
}

static void check_model(struct journal *j, int turns)
{
	const char *difference = model_compare(j->store, &j->boot, turns);
	if (difference)
		fail_msg("after %d turns: %s", turns, difference);
}

/* The first start: epoch 1, no fence, nothing live, nothing quarantined. */
static void test_fresh(void **state)
{
	struct journal *j = *state;
	assert_int_equal(j->boot.epoch, 1);
	assert_int_equal(j->boot.fence_max, 0);
	assert_int_equal(j->boot.claim_id_max, 0);
	assert_int_equal(j->boot.session_id_max, 0);
	assert_false(j->boot.same_boot);
	assert_false(j->boot.quarantined);
	assert_false(j->boot.paused);
	check_model(j, 0);
}

/* After each turn a restart finds just the state of that turn, in order, with the history. */
static void test_replay(void **state)
{
	struct journal *j = *state;
	for (int turn = 0; turn < MODEL_TURNS; turn++) {
		assert_int_equal(model_run_turn(j->store, turn), 0);
		reopen(j, "boot-1");
		assert_int_equal(j->boot.epoch, (uint64_t)turn + 2);
		assert_true(j->boot.same_boot);
		check_model(j, turn + 1);
	}
}

static void add_word(void *ctx, const struct record *record)
{
	char *text = ctx;
	size_t length = strlen(text);
	bool claim = record->type == RECORD_CLAIM_PUT;
	snprintf(text + length, 256 - length, "%c%d ", claim ? 'c' : 's',
		 (int)(claim ? record->claim.id : record->session.id));
}

static void assert_live(struct journal *j, const char *want)
{
	char text[256] = "";
	assert_int_equal(store_replay(j->store, add_word, text), 0);
	assert_string_equal(text, want);
}

/* Sessions come before claims, each by rising id, whatever the order of writing. */
static void test_replay_order(void **state)
{
	struct journal *j = *state;
	append(j, model_claim(3, 0));
	append(j, model_claim(1, 0));
	append(j, model_session(2));
	append(j, model_claim(2, 0));
	commit(j);
	append(j, model_session(1));
	append(j, model_claim_end(2, 0));
	append(j, model_claim(4, 0));
	commit(j);
	assert_live(j, "s1 s2 c1 c3 c4 ");
	reopen(j, "boot-1");
	assert_live(j, "s1 s2 c1 c3 c4 ");
	assert_int_equal(j->boot.claim_id_max, 4);
	assert_int_equal(j->boot.session_id_max, 2);
}

/* What was appended and not committed is committed by a clean close. */
static void test_close_commits(void **state)
{
	struct journal *j = *state;
	append(j, model_claim(1, 7));
	assert_live(j, "");
	reopen(j, "boot-1");
	assert_live(j, "c1 ");
}

/* Another boot id is seen, also one that is a prefix of the old. */
static void test_boot_id(void **state)
{
	struct journal *j = *state;
	reopen(j, "boot-1");
	assert_true(j->boot.same_boot);
	reopen(j, "boot");
	assert_false(j->boot.same_boot);
	reopen(j, "boot-12");
	assert_false(j->boot.same_boot);
	reopen(j, "boot-12");
	assert_true(j->boot.same_boot);
}

/* The reserved fence and ids outlive the process; a clean close leaves no gap in the ids. */
static void test_counters(void **state)
{
	struct journal *j = *state;
	append(j, model_fence(1000));
	append(j, model_session(4));
	append(j, model_session_end(4));
	append(j, model_claim(9, 0));
	append(j, model_claim_end(9, 0));
	commit(j);
	reopen(j, "boot-1");
	assert_int_equal(j->boot.fence_max, 1000);
	assert_int_equal(j->boot.claim_id_max, 9);
	append(j, model_session(5));
	commit(j);
	append(j, model_session_end(5));
	commit(j);
	reopen(j, "boot-1");
	assert_int_equal(j->boot.session_id_max, 5);
	assert_int_equal(j->boot.fence_max, 1000);
}

/* A pause is remembered until it ends. */
static void test_paused(void **state)
{
	struct journal *j = *state;
	struct record r = model_audit("pause");
	r.type = RECORD_PAUSED;
	r.admin.paused = true;
	snprintf(r.admin.reason, sizeof r.admin.reason, "maintenance");
	append(j, r);
	commit(j);
	reopen(j, "boot-1");
	assert_true(j->boot.paused);
	assert_string_equal(j->boot.paused_reason, "maintenance");
	r.admin.paused = false;
	append(j, r);
	commit(j);
	reopen(j, "boot-1");
	assert_false(j->boot.paused);
}

struct rows {
	uint64_t row[8], id[8];
	enum record_type type[8];
	size_t count;
};

static void note_row(void *ctx, uint64_t row, const struct record *record)
{
	struct rows *rows = ctx;
	assert_true(rows->count < 8);
	rows->row[rows->count] = row;
	rows->type[rows->count] = record->type;
	rows->id[rows->count++] = record->claim.id;
}

/* History comes newest first, in pages, and audits stand among the claims. */
static void test_history(void **state)
{
	struct journal *j = *state;
	for (uint64_t id = 1; id <= 4; id++) {
		append(j, model_claim(id, 0));
		append(j, model_claim_end(id, 0));
		commit(j);
	}
	append(j, model_audit("reset"));
	commit(j);
	struct rows rows = {0};
	assert_int_equal(store_history(j->store, 0, 2, note_row, &rows), 0);
	assert_int_equal(rows.count, 2);
	assert_int_equal(rows.type[0], RECORD_AUDIT);
	assert_int_equal(rows.id[1], 4);
	assert_int_equal(store_history(j->store, rows.row[1], 6, note_row, &rows), 0);
	assert_int_equal(rows.count, 5);
	assert_int_equal(rows.id[2], 3);
	assert_int_equal(rows.id[4], 1);
	assert_int_equal(store_history(j->store, rows.row[4], 6, note_row, &rows), 0);
	assert_int_equal(rows.count, 5);
}

/* Each history row of a turn is followed by few deletes, and the newest LIMIT_HISTORY stay. */
static void test_history_is_pruned(void **state)
{
	struct journal *j = *state;
	enum { MORE = 3000, BATCH = 2000 };
	uint64_t id = 0;
	while (id < LIMIT_HISTORY) {
		for (int i = 0; i < BATCH; i++)
			append(j, model_claim_end(++id, 0));
		commit(j);
	}
	while (id < LIMIT_HISTORY + MORE) {
		append(j, model_claim_end(++id, 0));
		commit(j);
	}
	struct rows rows = {0};
	assert_int_equal(store_history(j->store, 0, 1, note_row, &rows), 0);
	assert_int_equal(rows.id[0], LIMIT_HISTORY + MORE);
	/* The oldest that must be there; a row of 64 and a step more may be. */
	assert_int_equal(store_history(j->store, MORE + 2, 1, note_row, &rows), 0);
	assert_int_equal(rows.count, 2);
	assert_int_equal(rows.id[1], MORE + 1);
	assert_int_equal(store_history(j->store, MORE - 79, 1, note_row, &rows), 0);
	assert_int_equal(rows.count, 2);
	reopen(j, "boot-1");
	append(j, model_claim(++id, 0));
	append(j, model_claim_end(id, 0));
	commit(j);
	rows.count = 0;
	assert_int_equal(store_history(j->store, 0, 2, note_row, &rows), 0);
	assert_int_equal(rows.row[0], rows.row[1] + 1);
}

/* A second broker is refused with who holds the folder, in this process and in another; after the
 * first has closed it may come. */
static void test_second_broker(void **state)
{
	struct journal *j = *state;
	struct journal second = {.dir = j->dir};
	assert_int_equal(try_open(&second, "boot-1"), -ERR_ALREADY_RUNNING);
	char pid[32];
	snprintf(pid, sizeof pid, "process %ld", (long)getpid());
	assert_non_null(strstr(second.detail, pid));
	pid_t child = fork();
	if (child == 0)
		_exit(try_open(&second, "boot-1") == -ERR_ALREADY_RUNNING ? 0 : 1);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	append(j, model_claim(1, 0));
	commit(j);
	reopen(j, "boot-1");
}

static unsigned mode_of(const struct journal *j, const char *name)
{
	char path[4096];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", j->dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* The folder is 0700 and every file 0600, whatever the umask; a file opened to others is closed. */
static void test_modes(void **state)
{
	struct journal *j = *state;
	static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-turns",
					    "lock",       "fence",          "reserve"};
	append(j, model_claim(1, 0));
	commit(j);
	char path[4096];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(mode_of(j, names[i]), 0600);
	store_close(j->store);
	j->store = NULL;
	snprintf(path, sizeof path, "%s/journal.db", j->dir);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(j->dir, 0775), 0);
	reopen(j, "boot-1");
	assert_int_equal(mode_of(j, "journal.db"), 0600);
	assert_int_equal(mode_of(j, ""), 0700);
}

/* Missing folders are made, private. */
static void test_makes_folders(void **state)
{
	struct journal *j = *state;
	char path[4096];
	snprintf(path, sizeof path, "%s/a/b/", j->dir);
	struct journal inner = {.dir = path};
	assert_int_equal(try_open(&inner, "boot-1"), 0);
	assert_int_equal(mode_of(j, "a/b"), 0700);
	assert_int_equal(mode_of(j, "a"), 0700);
	store_close(inner.store);
}

/* A folder that all may write to is refused, with the cure in the message. */
static void test_shared_folder(void **state)
{
	struct journal *j = *state;
	char path[4096];
	snprintf(path, sizeof path, "%s/shared", j->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 01777), 0);
	struct journal shared = {.dir = path};
	assert_int_equal(try_open(&shared, "boot-1"), -ERR_IO);
	assert_non_null(strstr(shared.detail, "chmod"));
}

/* What stands in the way is named: a file for a folder, a folder for a file, a symbolic link. */
static void test_wrong_kinds(void **state)
{
	struct journal *j = *state;
	char path[4096], db[8192];
	snprintf(path, sizeof path, "%s/lock/state", j->dir);
	struct journal other = {.dir = path};
	assert_int_equal(try_open(&other, "boot-1"), -ERR_IO);
	assert_non_null(strstr(other.detail, path));
	snprintf(path, sizeof path, "%s/other", j->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(db, sizeof db, "%s/journal.db", path);
	assert_int_equal(mkdir(db, 0700), 0);
	assert_int_equal(try_open(&other, "boot-1"), -ERR_IO);
	assert_non_null(strstr(other.detail, "journal.db"));
	assert_int_equal(rmdir(db), 0);
	assert_int_equal(symlink("/etc/hostname", db), 0);
	assert_int_equal(try_open(&other, "boot-1"), -ERR_IO);
}

/* A FIFO in place of any of its files is refused by name, and never waited for. */
static void test_fifos(void **state)
{
	static const char *const names[] = {
		"lock",
		"fence",
		"reserve",
		"journal.db",
		"journal.db-wal",
		"journal.db-shm",
		"journal.db-journal",
		"journal.db-turns",
	};
	struct journal *j = *state;
	char dir[4096], to[4096], path[8192];

	alarm(20);
	snprintf(dir, sizeof dir, "%s/other", j->dir);
	snprintf(to, sizeof to, "%s/copy", j->dir);
	assert_int_equal(mkdir(to, 0700), 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct journal other = {.dir = dir};
		assert_int_equal(try_open(&other, "boot-1"), 0); /* all the others are there */
		store_close(other.store);
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		assert_true(unlink(path) == 0 || errno == ENOENT);
		assert_int_equal(mkfifo(path, 0600), 0);
		assert_int_equal(try_open(&other, "boot-1"), -ERR_IO);
		assert_non_null(strstr(other.detail, path));
		assert_non_null(strstr(other.detail, "not a regular file"));

		int rc = store_copy(dir, to, other.detail, sizeof other.detail);
		assert_true(rc == 0 || (rc == -ERR_IO && strstr(other.detail, path)));
		assert_int_equal(unlink(path), 0);
	}
	alarm(0);
}

static void count_row(void *ctx, const struct record *record)
{
	(void)record;
	++*(unsigned *)ctx;
}

/* Runs in a child without root's rights; the exit code says which step failed. */
static int open_without_rights(struct journal *j)
{
	struct journal other = {.dir = j->dir};
	if (geteuid() == 0 && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
		return 2;
	if (try_open(&other, "boot-1") != 0)
		return 3;
	if (!store_is_degraded(other.store) || !strstr(store_trouble(other.store), j->dir))
		return 4;
	unsigned rows = 0;
	if (other.boot.in_doubt_ms || other.boot.epoch != j->boot.epoch + 1)
		return 5;
	if (store_replay(other.store, count_row, &rows) || rows != 1)
		return 6;
	if (store_commit(other.store) != -ERR_IO || store_wants_all(other.store))
		return 7;
	store_close(other.store);
	return 0;
}

/* A folder or a journal that cannot be written is read: who holds is known, nothing is moved, and
 * nothing can be committed. */
static void test_read_only(void **state)
{
	struct journal *j = *state;
	append(j, model_session(1));
	store_close(j->store);
	j->store = NULL;
	static const char *const names[] = {"", "journal.db"};
	static const char *const all[] = {"",        "lock",       "fence",
					  "reserve", "journal.db", "journal.db-turns"};
	char path[4096];
	for (size_t k = 0; geteuid() == 0 && k < sizeof all / sizeof *all; k++) {
		snprintf(path, sizeof path, "%s/%s", j->dir, all[k]);
		assert_int_equal(chown(path, 65534, 65534), 0);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", j->dir, names[i]);
		assert_int_equal(chmod(path, i ? 0400 : 0500), 0);
		pid_t child = fork();
		if (child == 0)
			_exit(open_without_rights(j));
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(chmod(path, i ? 0600 : 0700), 0);
		if (status)
			fail_msg("%s: step %d", names[i], WEXITSTATUS(status));
	}
	reopen(j, "boot-1");
	assert_false(j->boot.quarantined);
}

static int count_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Opening and closing leaves no descriptor behind, nor does being refused. */
static void test_descriptors(void **state)
{
	struct journal *j = *state;
	reopen(j, "boot-1");
	int before = count_descriptors();
	for (int i = 0; i < 3; i++) {
		struct journal second = {.dir = j->dir};
		assert_int_equal(try_open(&second, "boot-1"), -ERR_ALREADY_RUNNING);
		reopen(j, "boot-1");
	}
	assert_int_equal(count_descriptors(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	umask(0);
	const struct CMUnitTest tests[] = {
		TEST(test_fresh),         TEST(test_replay),      TEST(test_replay_order),
		TEST(test_close_commits), TEST(test_boot_id),     TEST(test_counters),
		TEST(test_paused),        TEST(test_history),     TEST(test_history_is_pruned),
		TEST(test_second_broker), TEST(test_modes),       TEST(test_makes_folders),
		TEST(test_shared_folder), TEST(test_wrong_kinds), TEST(test_fifos),
		TEST(test_read_only),     TEST(test_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
