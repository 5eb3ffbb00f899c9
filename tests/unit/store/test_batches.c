/* Goal: a frame of the turns file is there whole or not at all, whatever lay there before, and
 * frames of the first layout are read. Method: a limit of the file's size ends a write in the
 * middle, where a crash or a reader may see it; a part of a frame is put back to what it was, as a
 * power cut may leave it. */
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
#include "store/crc32.h"

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

/* Whatever part of a frame did not reach the disk, the frame is none: one that lay there before, of
 * the same length and with whole records, does not make up for it. */
static void test_any_part_missing(void **state)
{
	uint8_t before[2 * FRAME_BYTES_MAX], after[2 * FRAME_BYTES_MAX];
	struct batches_found found;
	size_t length = make_frame(before, 11);
	(void)state;

	batches_frame(before, length, 7, 0);
	make_frame(before + length, 12);
	batches_frame(before + length, length, 7, 1);
	make_frame(after, 21);
	batches_frame(after, length, 8, 0);

	for (size_t from = 0; from < length; from++)
		for (size_t to = from + 1; to <= length; to++) {
			uint8_t bytes[2 * FRAME_BYTES_MAX];
			uint64_t sum = 0;
			bool same = memcmp(before + from, after + from, to - from) == 0;

			memcpy(bytes, after, length);
			memcpy(bytes + length, before + length, length);
			memcpy(bytes + from, before + from, to - from);
			found = batches_read(bytes, 2 * length, 8, sum_ids, &sum);
			assert_int_equal(found.count, same ? 1 : 0);
			assert_int_equal(sum, same ? 21 : 0);
			assert_false(found.lost);
		}
}

static void put_number(uint8_t *bytes, uint64_t number, int size)
{
	for (int i = 0; i < size; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
}

/* Magic, length, round, number, and the sum of these. */
static void frame_first_layout(uint8_t *frame, size_t length, uint64_t round, uint32_t index)
{
	memcpy(frame, "Btrn", 4);
	put_number(frame + 4, length - TURNS_HEADER_BYTES, 4);
	put_number(frame + 8, round, 8);
	put_number(frame + 16, index, 4);
	put_number(frame + 20, crc32_of(frame, 20), 4);
}

/* A broker that was killed left frames of the first layout; the next one reads them and goes on. */
static void test_first_layout(void **state)
{
	uint8_t bytes[3 * FRAME_BYTES_MAX];
	struct batches_found found;
	uint64_t sum = 0;
	size_t length = make_frame(bytes, 11);
	(void)state;

	frame_first_layout(bytes, length, 7, 0);
	make_frame(bytes + length, 12);
	frame_first_layout(bytes + length, length, 7, 1);
	make_frame(bytes + 2 * length, 13);
	batches_frame(bytes + 2 * length, length, 7, 2);

	found = batches_read(bytes, 3 * length, 7, sum_ids, &sum);
	assert_int_equal(found.count, 3);
	assert_int_equal(sum, 11 + 12 + 13);
	assert_int_equal(found.round_max, 7);

	/* Cut in its middle, the last one is none. */
	frame_first_layout(bytes + length, length, 7, 1);
	found = batches_read(bytes, 2 * length - 1, 7, NULL, NULL);
	assert_int_equal(found.count, 1);
	assert_false(found.lost);
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
		cmocka_unit_test(test_any_part_missing),
		cmocka_unit_test(test_first_layout),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
