/* Goal: a frame of the turns file is there whole or not at all, whatever lay there before. Method:
 * a limit of the file's size ends a write in the middle, where a crash or a reader may see it. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/record.h"
#include "journal_model.h"
#include "store/batches.h"
#include "store/codec.h"

enum { FRAMES = 3, FRAME_BYTES_MAX = TURNS_HEADER_BYTES + CODEC_BYTES_MAX };

/* One claim that ended; ids of as many digits give frames of one length. */
static size_t make_frame(uint8_t *ret_frame, uint64_t id)
{
	struct record record = {.type = RECORD_CLAIM_END};

	record.claim.id = id;
	record.claim.state = CLAIM_ENDED;
	record.claim.end = END_RELEASED;
	return TURNS_HEADER_BYTES + codec_encode(&record, ret_frame + TURNS_HEADER_BYTES);
}

static int append_claim(struct batches *turns, uint64_t id)
{
	uint8_t frame[FRAME_BYTES_MAX];
	size_t length = make_frame(frame, id);

	return batches_append(turns, frame, length);
}

static bool sum_ids(void *ctx, const struct record *record)
{
	*(uint64_t *)ctx += record->claim.id;
	return true;
}

static void limit_file(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Wherever the second frame breaks off, the records of an earlier round are not its own. */
static void test_torn_frame(void **state)
{
	char *dir = model_folder_create();
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	uint8_t frame[FRAME_BYTES_MAX];
	size_t length = make_frame(frame, 11);
	(void)state;

	signal(SIGXFSZ, SIG_IGN);
	for (size_t cut = 0; cut < length; cut++) {
		struct batches turns;
		struct batches_found found;
		uint64_t sum = 0;

		assert_int_equal(batches_open(&turns, dir_fd, true), 0);
		batches_begin(&turns, 2 * cut + 1);
		for (uint64_t id = 11; id < 11 + FRAMES; id++)
			assert_int_equal(append_claim(&turns, id), 0);

		batches_begin(&turns, 2 * cut + 2);
		assert_int_equal(append_claim(&turns, 21), 0);
		limit_file(turns.length + cut);
		assert_int_equal(append_claim(&turns, 22), -ERR_IO);
		limit_file(RLIM_INFINITY);

		assert_int_equal(batches_load(&turns, 2 * cut + 2, sum_ids, &sum, &found), 0);
		assert_int_equal(found.count, 1);
		assert_int_equal(sum, 21);
		assert_false(found.lost);
		batches_end(&turns);
		batches_close(&turns);
	}
	close(dir_fd);
	model_folder_destroy(dir);
}

/* Read in two pieces, of two moments: what came between them is missing, and so is what follows. */
static void test_cut(void **state)
{
	char *dir = model_folder_create();
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct batches turns;
	struct batches_found found;
	(void)state;

	assert_int_equal(batches_open(&turns, dir_fd, true), 0);
	batches_begin(&turns, 7);
	for (uint64_t id = 11; id < 11 + FRAMES; id++)
		assert_int_equal(append_claim(&turns, id), 0);
	uint64_t one = turns.length / FRAMES;
	assert_int_equal(pwrite(turns.fd, "", 1, (off_t)one), 1);
	assert_int_equal(batches_load(&turns, 7, NULL, NULL, &found), 0);
	assert_true(found.lost);

	assert_int_equal(batches_cut(dir_fd), 0);
	assert_int_equal(batches_load(&turns, 7, NULL, NULL, &found), 0);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.length, one);
	assert_false(found.lost);
	batches_close(&turns);
	close(dir_fd);
	model_folder_destroy(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn_frame),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
