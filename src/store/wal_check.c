/* wal_check: SQLite replays its log up to the first frame with a bad checksum and silently drops
 * the rest. After a crash that is right: the rest is the transaction being written. After damage it
 * is not: acknowledged transactions vanish, and a lease could be granted twice. The file tells them
 * apart: a crash is followed by at most one frame that ends a transaction of this log (left by a
 * failed commit), damage by several.
 * Format: https://www.sqlite.org/fileformat2.html#walformat. Read-only. */
#include "store/wal_check.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/regular_file.h"

enum {
	HEADER_BYTES = 32,
	FRAME_HEADER_BYTES = 24,
	PAGE_BYTES_MIN = 512,
	PAGE_BYTES_MAX = 65536,
	MAGIC = 0x377f0682, /* its lowest bit: checksums are taken over big-endian words */
	COMMITS_LOST_MAX = 1,
};

struct wal {
	bool big_endian;
	uint32_t page_bytes, salt[2], sum[2];
};

static uint32_t word_be(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t word_of(const struct wal *wal, const uint8_t *b)
{
	if (wal->big_endian)
		return word_be(b);
	return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

/* `length` is a multiple of 8. */
static void add_to_sum(struct wal *wal, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += 8) {
		wal->sum[0] += word_of(wal, bytes + i) + wal->sum[1];
		wal->sum[1] += word_of(wal, bytes + i + 4) + wal->sum[0];
	}
}

static bool sum_is(const struct wal *wal, const uint8_t *bytes)
{
	return word_be(bytes) == wal->sum[0] && word_be(bytes + 4) == wal->sum[1];
}

static bool read_header(struct wal *wal, const uint8_t *h)
{
	memset(wal, 0, sizeof(*wal));
	if ((word_be(h) & ~1u) != MAGIC)
		return false;

	wal->big_endian = word_be(h) & 1;
	wal->page_bytes = word_be(h + 8);
	wal->salt[0] = word_be(h + 16);
	wal->salt[1] = word_be(h + 20);
	add_to_sum(wal, h, 24);
	return sum_is(wal, h + 24) && wal->page_bytes >= PAGE_BYTES_MIN &&
	       wal->page_bytes <= PAGE_BYTES_MAX && !(wal->page_bytes & (wal->page_bytes - 1));
}

/* How many transactions of this log end behind its first bad frame. */
static size_t count_lost_commits(int fd, struct wal *wal, uint8_t *frame)
{
	size_t frame_bytes = FRAME_HEADER_BYTES + wal->page_bytes, lost = 0;
	bool good = true;

	for (off_t at = HEADER_BYTES;; at += (off_t)frame_bytes) {
		if (pread(fd, frame, frame_bytes, at) != (ssize_t)frame_bytes)
			return lost;
		/* Frames of an earlier round of the log have other salts. */
		bool ours =
			word_be(frame + 8) == wal->salt[0] && word_be(frame + 12) == wal->salt[1];
		if (good) {
			add_to_sum(wal, frame, 8);
			add_to_sum(wal, frame + FRAME_HEADER_BYTES, wal->page_bytes);
			good = ours && sum_is(wal, frame + 16);
		}
		if (!good && ours && word_be(frame + 4) != 0)
			lost++;
	}
}

/* Where its first bad frame begins. */
static off_t find_end(int fd, struct wal *wal, uint8_t *frame)
{
	size_t frame_bytes = FRAME_HEADER_BYTES + wal->page_bytes;
	off_t at = HEADER_BYTES;

	for (; pread(fd, frame, frame_bytes, at) == (ssize_t)frame_bytes;
	     at += (off_t)frame_bytes) {
		add_to_sum(wal, frame, 8);
		add_to_sum(wal, frame + FRAME_HEADER_BYTES, wal->page_bytes);
		if (word_be(frame + 8) != wal->salt[0] || word_be(frame + 12) != wal->salt[1] ||
		    !sum_is(wal, frame + 16))
			break;
	}
	return at;
}

bool wal_cut(const char *path)
{
	uint8_t header[HEADER_BYTES], frame[FRAME_HEADER_BYTES + PAGE_BYTES_MAX];
	struct wal wal;
	int fd = regular_file_open(path, O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return false;

	bool done = true;
	if (pread(fd, header, sizeof(header), 0) == sizeof(header))
		done = ftruncate(fd, read_header(&wal, header) ? find_end(fd, &wal, frame) : 0) ==
		       0;
	close(fd);
	return done;
}

bool wal_is_whole(const char *path)
{
	int fd = regular_file_open(path, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return true; /* missing, or SQLite will report it itself */

	bool whole = true;
	uint8_t header[HEADER_BYTES];
	struct wal wal;
	if (pread(fd, header, sizeof(header), 0) == sizeof(header)) {
		uint8_t frame[FRAME_HEADER_BYTES + PAGE_BYTES_MAX];
		whole = read_header(&wal, header) &&
			count_lost_commits(fd, &wal, frame) <= COMMITS_LOST_MAX;
	}

	close(fd);
	return whole;
}
