/* fence_file: why it is not just a row of the journal. SQLite runs with synchronous=OFF, so a
 * checkpoint copies the log into the database and restarts the log without waiting for the disk.
 * A power cut after that could lose even a row whose own commit was synced. Syncing every
 * checkpoint would cost the loop milliseconds each few hundred turns; this file costs one fdatasync
 * per block of fences. It also survives a quarantined journal and a wall clock set back.
 * Two slots are written in turn, each with a checksum: a torn write spoils one, and the other holds
 * the marks before. Written in place, so a full disk does not stop it. The two shorter slots of the
 * first version are still read. */
#include "store/fence_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/regular_file.h"
#include "store/crc32.h"

enum {
	SLOT_BYTES = 64,
	SLOT_COUNT = 2,
	CRC_AT = 60,
	OLD_SLOT_BYTES = 32,
	OLD_CRC_AT = 24,
};

static void put_number(uint8_t *to, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_number(const uint8_t *from, size_t width)
{
	uint64_t value = 0;
	for (size_t i = 0; i < width; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

uint32_t fence_boot(const char *boot_id)
{
	uint32_t boot = crc32_of((const uint8_t *)boot_id, strlen(boot_id));
	return boot ? boot : 1;
}

static bool is_whole(const uint8_t *slot, size_t crc_at)
{
	return get_number(slot + crc_at, 4) == crc32_of(slot, crc_at);
}

/* Slot: turn number, fence, epoch, TTL, boot, idle, zeros, checksum. */
static struct fence_marks read_slot(const uint8_t *slot)
{
	return (struct fence_marks){.fence_max = get_number(slot + 8, 8),
				    .epoch = get_number(slot + 16, 8),
				    .ttl_ms = get_number(slot + 24, 8),
				    .boot = (uint32_t)get_number(slot + 32, 4),
				    .idle = slot[36] != 0};
}

/* The slot with the highest turn counts: 1 or 2, SLOT_COUNT for those of the first version, so that
 * none of these is overwritten first; 0: none is whole. */
static int newest_slot(int fd, uint64_t *ret_turn, struct fence_marks *ret_marks)
{
	uint8_t bytes[SLOT_COUNT * SLOT_BYTES] = {0};
	int newest = 0;

	*ret_turn = 0;
	*ret_marks = (struct fence_marks){0};
	if (pread(fd, bytes, sizeof(bytes), 0) < 0)
		return -ERR_IO;
	for (int i = 0; i < SLOT_COUNT; i++) {
		const uint8_t *old = bytes + i * OLD_SLOT_BYTES;
		if (!is_whole(old, OLD_CRC_AT) || get_number(old, 8) < *ret_turn ||
		    get_number(old, 8) == 0)
			continue;
		*ret_turn = get_number(old, 8);
		*ret_marks = (struct fence_marks){.fence_max = get_number(old + 8, 8),
						  .epoch = get_number(old + 16, 8)};
		newest = 1; /* the next is written behind them */
	}

	for (int i = 0; i < SLOT_COUNT; i++) {
		const uint8_t *slot = bytes + i * SLOT_BYTES;
		if (!is_whole(slot, CRC_AT) || get_number(slot, 8) < *ret_turn ||
		    get_number(slot, 8) == 0)
			continue;
		newest = i + 1;
		*ret_turn = get_number(slot, 8);
		*ret_marks = read_slot(slot);
	}

	return newest;
}

int fence_file_read(int dir_fd, const char *name, struct fence_marks *ret_marks, char *detail,
		    size_t detail_size)
{
	*ret_marks = (struct fence_marks){0};
	int fd = regular_file_open_at(dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;

	uint64_t turn;
	int rc = fd < 0 ? -ERR_IO : newest_slot(fd, &turn, ret_marks);
	if (rc < 0)
		snprintf(detail, detail_size, "cannot read the file %s: %s", name,
			 regular_file_error(errno));
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : 1;
}

int fence_file_write(int dir_fd, const char *name, const struct fence_marks *marks, bool sync)
{
	int fd = regular_file_open_at(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -ERR_IO;

	uint64_t turn;
	struct fence_marks before;
	int newest = newest_slot(fd, &turn, &before);
	uint8_t slot[SLOT_BYTES] = {0};
	put_number(slot, turn + 1, 8);
	put_number(slot + 8, marks->fence_max, 8);
	put_number(slot + 16, marks->epoch, 8);
	put_number(slot + 24, marks->ttl_ms, 8);
	put_number(slot + 32, marks->boot, 4);
	slot[36] = marks->idle;
	put_number(slot + CRC_AT, crc32_of(slot, CRC_AT), 4);

	/* newest counts from 1 and the slots from 0, so this is always the other one. */
	off_t at = (newest % SLOT_COUNT) * SLOT_BYTES;
	int rc = newest < 0 || pwrite(fd, slot, sizeof(slot), at) != sizeof(slot) ||
				 (sync && fdatasync(fd) < 0)
			 ? -ERR_IO
			 : 0;

	/* The first write also makes the name: sync the folder, or a power cut forgets the file. */
	if (!rc && sync && newest == 0 && fsync(dir_fd) < 0)
		rc = -ERR_IO;
	close(fd);
	return rc;
}
