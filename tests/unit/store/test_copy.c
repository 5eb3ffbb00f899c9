/* Goal: a copy of a journal that is being written is a whole journal of some moment: each claim
 * that ended before it is in it once, and no later copy has fewer. The broker is not kept from its
 * work. Method: a child writes turns as fast as it can, some for each try of a copy, through many
 * checkpoints of the turns and of SQLite's log, while copies are taken and opened. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "journal_model.h"
#include "store/batches.h"

enum { COPIES = 20, FEW = 1500, TRIES = 50, TURNS = 10000 };
enum { ROUNDS = 30, ROUND_FRAMES = 600, MADE = 30 };

static struct store *open_journal(const char *dir, struct store_boot *ret_boot)
{
	const struct store_place place = {.dir = dir, .boot_id = "boot", .ttl_ms_max = 1};
	struct store *store = NULL;
	char detail[512] = "";

	int rc = store_open(&place, &store, ret_boot, detail, sizeof(detail));
	if (rc != 0 || ret_boot->quarantined)
		fprintf(stderr, "%s\n", detail);
	return rc == 0 ? store : NULL;
}

static void write_claim(struct store *store, uint64_t id)
{
	struct record record = {.type = RECORD_CLAIM_END};

	record.claim.id = id;
	record.claim.state = CLAIM_ENDED;
	record.claim.end = END_RELEASED;
	snprintf(record.claim.name, sizeof(record.claim.name), "client");
	snprintf(record.claim.label, sizeof(record.claim.label), "%060d", (int)id);
	if (store_append(store, &record) != 0 || store_commit(store) != 0)
		_exit(3);
}

/* It writes so many turns for each byte of the pipe: a journal that never rests is never copied. */
struct writer {
	pid_t pid;
	int asks_fd; /* -1: it is gone */
};

static void write_when_asked(struct store *store, int asks_fd)
{
	uint64_t id = 1;
	char ask;

	while (read(asks_fd, &ask, 1) == 1)
		for (int i = 0; i < TURNS; i++)
			write_claim(store, id++);
}

static struct writer begin_writing(const char *dir)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	struct writer writer = {.pid = fork(), .asks_fd = fds[1]};
	if (writer.pid != 0) {
		close(fds[0]);
		return writer;
	}

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
	struct store_boot boot;
	struct store *store = open_journal(dir, &boot);
	if (store)
		write_when_asked(store, fds[0]);
	_exit(2);
}

struct seen {
	uint64_t newest, next; /* rows come newest first: the id that must come now */
	bool gap;
};

static void see_row(void *ctx, uint64_t row, const struct record *record)
{
	struct seen *seen = ctx;

	(void)row;
	if (seen->newest == 0)
		seen->newest = seen->next = record->claim.id;
	seen->gap |= record->claim.id != seen->next;
	seen->next--;
}

/* What changes too fast is refused whole, and whoever asked is told to ask again. */
static char *take_copy(const char *dir, const struct writer *writer)
{
	char detail[512] = "";

	for (int tries = 0; tries < TRIES; tries++) {
		char *copy = model_folder_create();

		if (writer->asks_fd >= 0)
			assert_int_equal(write(writer->asks_fd, "+", 1), 1);
		if (store_copy(dir, copy, detail, sizeof(detail)) == 0)
			return copy;
		model_folder_destroy(copy);
		if (!strstr(detail, "try again"))
			break;
	}
	fail_msg("%s", detail);
	return NULL;
}

/* The newest claim in a copy, 0: none. */
static uint64_t read_copy(const char *dir, const struct writer *writer)
{
	char *copy = take_copy(dir, writer);
	struct seen seen = {0};
	struct store_boot boot;

	struct store *store = open_journal(copy, &boot);
	assert_non_null(store);
	assert_false(boot.quarantined);
	assert_int_equal(store_history(store, 0, UINT32_MAX, see_row, &seen), 0);
	assert_false(seen.gap);
	assert_true(seen.newest == 0 || seen.next == 0 || seen.newest > LIMIT_HISTORY);
	store_close(store);
	model_folder_destroy(copy);
	return seen.newest;
}

static void test_while_it_is_written(void **state)
{
	char *dir = model_folder_create();
	uint64_t newest = 0, before = 0, first = 0;
	struct writer writer = begin_writing(dir);

	(void)state;
	while (newest == 0) {
		char path[4200];
		snprintf(path, sizeof(path), "%s/journal.db", dir);
		if (access(path, F_OK) == 0)
			newest = read_copy(dir, &writer);
		assert_int_equal(waitpid(writer.pid, NULL, WNOHANG), 0);
	}
	first = newest;
	for (int i = 0; i < COPIES || newest - first < FEW; i++) {
		before = newest;
		newest = read_copy(dir, &writer);
		assert_true(newest >= before);
		assert_int_equal(waitpid(writer.pid, NULL, WNOHANG), 0);
	}
	kill(writer.pid, SIGKILL);
	waitpid(writer.pid, NULL, 0);
	close(writer.asks_fd);
	writer.asks_fd = -1;
	/* Of a broker that died, too. */
	assert_true(read_copy(dir, &writer) >= newest);
	model_folder_destroy(dir);
}

/* Writes one round of turns over the one before for each byte of the pipe. */
static void write_rounds(const char *dir, int asks_fd)
{
	static uint8_t frame[TURNS_HEADER_BYTES + 1000];
	struct batches turns;
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	char ask;

	if (batches_open(&turns, dir_fd, true) != 0)
		_exit(3);
	for (uint64_t round = 1; read(asks_fd, &ask, 1) == 1; round++) {
		batches_begin(&turns, round);
		for (int i = 0; i < ROUND_FRAMES; i++)
			if (batches_append(&turns, frame, sizeof(frame)) != 0)
				_exit(4);
	}
	_exit(0);
}

/* Frames of a later round lie in it, too. */
static bool is_of_two_rounds(const char *dir, uint8_t *bytes, size_t size)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/%s", dir, turns_name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(bytes, 1, size, file);
	fclose(file);

	uint64_t first = batches_read(bytes, length, 0, NULL, NULL).round_max;
	for (uint64_t later = first + 1; first && later < first + 4; later++)
		if (batches_read(bytes, length, later, NULL, NULL).lost)
			return true;
	return false;
}

/* A round that begins while the turns are copied is in the copy whole, or not at all. */
static void test_while_a_round_begins(void **state)
{
	enum { SIZE = ROUND_FRAMES * 1100 };
	char *dir = model_folder_create();
	uint8_t *bytes = malloc(SIZE);
	struct store_boot boot;
	int fds[2];

	(void)state;
	store_close(open_journal(dir, &boot));
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[1]);
		write_rounds(dir, fds[0]);
	}
	close(fds[0]);

	const struct writer writer = {.pid = pid, .asks_fd = fds[1]};
	for (int i = 0; i < ROUNDS; i++) {
		char *copy = take_copy(dir, &writer);
		assert_false(is_of_two_rounds(copy, bytes, SIZE));
		model_folder_destroy(copy);
	}

	close(fds[1]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	free(bytes);
	model_folder_destroy(dir);
}

/* A journal is copied while it is made. */
static void test_while_it_is_made(void **state)
{
	(void)state;
	for (int i = 0; i < MADE; i++) {
		char *dir = model_folder_create(), *copy = model_folder_create(), detail[512] = "";
		struct store_boot boot;
		pid_t pid = fork();
		if (pid == 0) {
			store_close(open_journal(dir, &boot));
			_exit(0);
		}

		while (store_copy(dir, copy, detail, sizeof(detail)) != 0)
			assert_true(strstr(detail, "No such file") || strstr(detail, "again"));
		struct store *store = open_journal(copy, &boot);
		assert_non_null(store);
		assert_false(boot.quarantined);
		store_close(store);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		model_folder_destroy(copy);
		model_folder_destroy(dir);
	}
}

static void test_nothing_there(void **state)
{
	char *dir = model_folder_create(), *to = model_folder_create(), detail[512];

	(void)state;
	assert_int_equal(store_copy(dir, to, detail, sizeof(detail)), -ERR_IO);
	assert_non_null(strstr(detail, "journal.db"));
	assert_int_equal(store_copy("/nowhere", to, detail, sizeof(detail)), -ERR_IO);
	model_folder_destroy(dir);
	model_folder_destroy(to);
}

/* Kept over restarts, the last of them. */
static void test_rules(void **state)
{
	char *dir = model_folder_create(), bytes[64];
	struct store_boot boot;
	struct store *store = open_journal(dir, &boot);

	(void)state;
	assert_int_equal(store_rules(store, bytes, sizeof(bytes)), 0);
	store_put_rules(store, "one", 3);
	store_put_rules(store, "two", 3);
	store_close(store);
	store = open_journal(dir, &boot);
	assert_int_equal(store_rules(store, bytes, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "two", 3);
	assert_int_equal(store_rules(store, bytes, 2), 0);
	assert_int_equal(store_keys(store, bytes, sizeof(bytes)), 0);
	store_put_keys(store, "keys", 4);
	store_close(store);
	store = open_journal(dir, &boot);
	assert_int_equal(store_keys(store, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "keys", 4);
	assert_int_equal(store_rules(store, bytes, sizeof(bytes)), 3);
	store_close(store);
	model_folder_destroy(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_while_it_is_written),
		cmocka_unit_test(test_while_a_round_begins),
		cmocka_unit_test(test_while_it_is_made),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
