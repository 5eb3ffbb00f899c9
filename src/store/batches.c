/* batches: see batches.h. One SQLite transaction per loop iteration would cost two log pages with
 * checksums, a run of SQLite's virtual machine and its locks: thirty times the bytes of the records
 * themselves. The guarantee is the same: what was written before the process died is there; nothing
 * waits for the disk (fence_file.c says why). On disk, little-endian: magic, sum of all that
 * follows, length of the records, number of the frame in its round (4 bytes each), round (8); then
 * the records, each with a checksum of its own. So a frame of which any part is missing is none,
 * whichever part a crash, a power cut or a reader beside the writer finds: what lay there in an
 * earlier round is whole, too, but has another sum. That is no CRC: each record ends with its
 * CRC, and over such bytes a CRC is the same whatever they are. */
#include "store/batches.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/regular_file.h"
#include "core/record.h"
#include "store/codec.h"
#include "store/crc32.h"

const char turns_name[] = "journal.db-turns";

enum {
	MAGIC = 0x32727442,       /* "Btr2" */
	MAGIC_FIRST = 0x6e727442, /* "Btrn": of an earlier broker that was killed */
	SUMMED_FROM = 8,
	KEPT_BYTES = 1024 * 1024, /* a longer file is cut when its round is over */
};

struct header {
	uint32_t magic, sum, length, index;
	uint64_t round;
};

/* Its sum, at the end, was of the header alone. */
struct header_first {
	uint32_t magic, length;
	uint64_t round;
	uint32_t index, crc;
};

static_assert(sizeof(struct header) == TURNS_HEADER_BYTES, "no gaps");
static_assert(sizeof(struct header_first) == TURNS_HEADER_BYTES, "no gaps");

/* Mixes a word into a sum. Whatever the word, different sums stay different. */
static uint64_t mix_word(uint64_t sum, uint64_t word)
{
	sum = (sum ^ le64toh(word)) * 0x9e3779b97f4a7c15u;
	return sum ^ sum >> 32;
}

/* Of the words of a frame; zeros fill up the last. */
static uint32_t sum_of(const uint8_t *frame, size_t length)
{
	size_t at = SUMMED_FROM;
	uint64_t sum = 0, word;

	for (; at + sizeof(word) <= length; at += sizeof(word)) {
		memcpy(&word, frame + at, sizeof(word));
		sum = mix_word(sum, word);
	}

	word = 0;
	memcpy(&word, frame + at, length - at);
	return (uint32_t)hash_u64(mix_word(sum, word));
}

void batches_frame(uint8_t *frame, size_t length, uint64_t round, uint32_t index)
{
	struct header header = {.magic = htole32(MAGIC),
				.length = htole32((uint32_t)(length - TURNS_HEADER_BYTES)),
				.index = htole32(index),
				.round = htole64(round)};

	memcpy(frame, &header, sizeof(header));
	header.sum = htole32(sum_of(frame, length));
	memcpy(frame, &header, sizeof(header));
}

static bool read_first(const uint8_t *bytes, struct header *ret_header)
{
	struct header_first h;

	memcpy(&h, bytes, sizeof(h));
	*ret_header = (struct header){
		.length = le32toh(h.length), .index = le32toh(h.index), .round = le64toh(h.round)};
	return le32toh(h.crc) == crc32_of(bytes, offsetof(struct header_first, crc));
}

/* False: no whole frame begins here. */
static bool read_header(const uint8_t *bytes, size_t left, struct header *ret_header)
{
	struct header h;

	if (left < sizeof(h))
		return false;

	memcpy(&h, bytes, sizeof(h));
	if (le32toh(h.magic) == MAGIC_FIRST)
		return read_first(bytes, ret_header) && ret_header->length <= left - sizeof(h);
	if (le32toh(h.magic) != MAGIC || le32toh(h.length) > left - sizeof(h))
		return false;

	*ret_header = (struct header){
		.length = le32toh(h.length), .index = le32toh(h.index), .round = le64toh(h.round)};
	return le32toh(h.sum) == sum_of(bytes, sizeof(h) + ret_header->length);
}

bool batches_each_record(const uint8_t *bytes, size_t length,
			 bool (*each)(void *ctx, const struct record *record), void *ctx)
{
	while (length > 0) {
		struct record record;
		size_t one = codec_length(bytes, length);
		if (one == 0 || codec_decode(bytes, one, &record) < 0 ||
		    (each && !each(ctx, &record)))
			return false;
		bytes += one;
		length -= one;
	}

	return true;
}

/* A crash leaves at most a torn last frame. A frame of this round after an unreadable one had been
 * acknowledged, and would be lost. */
static bool is_behind(const uint8_t *bytes, size_t length, uint64_t at, uint64_t round,
		      uint32_t count)
{
	struct header h;
	for (uint64_t i = at + 1; i + sizeof(h) <= length; i++)
		if (bytes[i] == (MAGIC & 0xff) && read_header(bytes + i, length - i, &h) &&
		    h.round == round && h.index > count)
			return true;
	return false;
}

struct batches_found batches_read(const uint8_t *bytes, size_t length, uint64_t round,
				  bool (*each)(void *ctx, const struct record *record), void *ctx)
{
	struct batches_found found = {0};
	struct header h;

	if (read_header(bytes, length, &h))
		found.round_max = h.round;
	while (read_header(bytes + found.length, length - found.length, &h) && h.round == round &&
	       h.index == found.count) {
		const uint8_t *records = bytes + found.length + sizeof(h);
		if (h.length == 0 || !batches_each_record(records, h.length, NULL, NULL))
			break;
		found.wrong = !batches_each_record(records, h.length, each, ctx);
		if (found.wrong)
			return found;
		found.length += sizeof(h) + h.length;
		found.count++;
	}

	found.lost = is_behind(bytes, length, found.length, round, found.count);
	return found;
}

int batches_open(struct batches *turns, int dir_fd, bool write)
{
	struct stat st;

	*turns = (struct batches){.fd = -1};
	int flags = (write ? O_RDWR | O_CREAT : O_RDONLY) | O_NOFOLLOW;
	int fd = regular_file_open_at(dir_fd, turns_name, flags, 0600);
	if (fd < 0)
		return errno == ENOENT && !write ? 1 : -ERR_IO;

	if (fstat(fd, &st) < 0 || (write && (st.st_mode & 0077) && fchmod(fd, 0600) < 0)) {
		close(fd);
		return -ERR_IO;
	}

	*turns = (struct batches){.fd = fd, .device = st.st_dev, .inode = st.st_ino};
	return 0;
}

void batches_close(struct batches *turns)
{
	if (turns->fd >= 0)
		close(turns->fd);
	*turns = (struct batches){.fd = -1};
}

int batches_load(struct batches *turns, uint64_t round,
		 bool (*each)(void *ctx, const struct record *record), void *ctx,
		 struct batches_found *ret_found)
{
	struct stat st;

	if (fstat(turns->fd, &st) < 0)
		return -ERR_IO;

	size_t size = (size_t)st.st_size, got = 0;
	uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return -ERR_NO_MEMORY;

	while (got < size) {
		ssize_t n = pread(turns->fd, bytes + got, size - got, (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(bytes);
			return -ERR_IO;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}

	*ret_found = batches_read(bytes, got, round, each, ctx);
	free(bytes);
	turns->round = round;
	turns->length = ret_found->length;
	turns->count = ret_found->count;
	return 0;
}

static int write_at(int fd, const uint8_t *bytes, size_t length, uint64_t at)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = pwrite(fd, bytes + done, length - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -ERR_IO;
		done += (size_t)n;
	}
	return 0;
}

int batches_append(struct batches *turns, uint8_t *frame, size_t length)
{
	int rc;

	batches_frame(frame, length, turns->round, turns->count);
	rc = write_at(turns->fd, frame, length, turns->length);
	if (rc != 0)
		return rc;

	turns->length += length;
	turns->count++;
	return 0;
}

void batches_begin(struct batches *turns, uint64_t round)
{
	if (turns->length > KEPT_BYTES)
		(void)!ftruncate(turns->fd, 0); /* best effort: a long file is valid */
	turns->round = round;
	turns->length = 0;
	turns->count = 0;
}

void batches_end(struct batches *turns)
{
	turns->length = 0;
	turns->count = 0;
	(void)!ftruncate(turns->fd, 0);
}

int batches_cut(int dir_fd)
{
	struct batches turns;
	struct batches_found found;
	int rc = batches_open(&turns, dir_fd, true);

	if (rc == 0)
		rc = batches_load(&turns, 0, NULL, NULL, &found);
	if (rc == 0)
		rc = batches_load(&turns, found.round_max, NULL, NULL, &found);
	if (rc == 0 && ftruncate(turns.fd, (off_t)found.length) < 0)
		rc = -ERR_IO;
	batches_close(&turns);
	return rc;
}

int batches_look(const struct batches *turns, const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	return st.st_ino == turns->inode && st.st_dev == turns->device;
}
