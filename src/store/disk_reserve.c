/* disk_reserve: a 1 MiB file beside the journal, truncated when a write finds the disk full and
 * recreated once several times its size are free, so that grants do not flap on and off. */
#include "store/disk_reserve.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/regular_file.h"

static const char file_name[] = "reserve";

enum { ROOM_FACTOR = 4 };

bool disk_reserve_take(int dir_fd)
{
	int fd = regular_file_open_at(dir_fd, file_name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;

	struct stat st;
	struct statvfs fs;
	bool whole = !fstat(fd, &st) && st.st_blocks * 512 >= RESERVE_BYTES;
	bool room = !fstatvfs(fd, &fs) &&
		    (uint64_t)fs.f_bavail * fs.f_frsize >= (uint64_t)ROOM_FACTOR * RESERVE_BYTES;
	bool ok = whole || (room && !posix_fallocate(fd, 0, RESERVE_BYTES));
	if (!ok)
		(void)!ftruncate(fd, 0);
	close(fd);
	return ok;
}

void disk_reserve_release(int dir_fd)
{
	int fd = regular_file_open_at(dir_fd, file_name, O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return;
	(void)!ftruncate(fd, 0);
	close(fd);
}
