/* fence_file: why it is not just a row of the journal. SQLite runs with synchronous=OFF, so a
 * checkpoint copies the log into the database and starts the log anew without waiting for the disk.
 * A power cut after that could lose even a row whose own commit was synced. Syncing every
 * checkpoint would cost the loop milliseconds each few hundred turns; this file costs one fdatasync
 * per block of fences. It also outlives a journal that is quarantined, and a wall clock that was
 * set back.
 * Two slots are written in turn, each with a checksum: a torn write spoils one, and the other holds
 * the marks before. Written in place, so a full disk does not stop it. Called by store.c. */
#include "store/fence_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "store/crc32.h"

static const char file_name[] = "fence";

enum { SLOT_BYTES = 32, SLOT_COUNT = 2, CRC_AT = 24 };

static void put(uint8_t *to, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, size_t width)
{
	uint64_t value = 0;
	for (size_t i = 0; i < width; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

/* Slot: turn number, fence, epoch, checksum, 4 zero bytes. The slot with the higher turn counts. */
static int newest_slot(int fd, uint64_t *ret_turn, struct fence_marks *ret_marks)
{
	int newest = -1;
	*ret_turn = 0;
	*ret_marks = (struct fence_marks){0};
	for (int i = 0; i < SLOT_COUNT; i++) {
		uint8_t slot[SLOT_BYTES];
		ssize_t got = pread(fd, slot, sizeof slot, i * SLOT_BYTES);
		if (got < 0)
			return -ERR_IO;
		if (got != sizeof slot || get(slot + CRC_AT, 4) != crc32_of(slot, CRC_AT))
			continue;
		uint64_t turn = get(slot, 8);
		if (turn < *ret_turn)
			continue;
		newest = i;
		*ret_turn = turn;
		*ret_marks = (struct fence_marks){get(slot + 8, 8), get(slot + 16, 8)};
	}
	return newest + 1;
}

int fence_file_read(int dir_fd, struct fence_marks *ret_marks, char *detail, size_t detail_size)
{
	*ret_marks = (struct fence_marks){0};
	int fd = openat(dir_fd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	uint64_t turn;
	int rc = fd < 0 ? -ERR_IO : newest_slot(fd, &turn, ret_marks);
	if (rc < 0)
		snprintf(detail, detail_size, "cannot read the file %s: %s", file_name,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : 1;
}

int fence_file_write(int dir_fd, const struct fence_marks *marks)
{
	int fd = openat(dir_fd, file_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -ERR_IO;
	uint64_t turn;
	struct fence_marks before;
	int newest = newest_slot(fd, &turn, &before);
	uint8_t slot[SLOT_BYTES] = {0};
	put(slot, turn + 1, 8);
	put(slot + 8, marks->fence_max, 8);
	put(slot + 16, marks->epoch, 8);
	put(slot + CRC_AT, crc32_of(slot, CRC_AT), 4);
	/* newest counts from 1 and the slots from 0, so this is always the other one. */
	off_t at = (newest % SLOT_COUNT) * SLOT_BYTES;
	int rc = newest < 0 || pwrite(fd, slot, sizeof slot, at) != sizeof slot || fdatasync(fd) < 0
			 ? -ERR_IO
			 : 0;
	/* The first write also makes the name: sync the folder, or a power cut forgets the file. */
	if (!rc && newest == 0 && fsync(dir_fd) < 0)
		rc = -ERR_IO;
	close(fd);
	return rc;
}
