/* fault_vfs: wraps each file of SQLite's default VFS and lets reads through. Version 1 of the file
 * methods is enough: with an exclusive lock SQLite keeps the index of its log on the heap. */
#include "fault_vfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

enum { TORN_BYTES_MIN = 512 };

struct fault_file {
	sqlite3_file base;
	sqlite3_file *real; /* follows in the same block */
};

static struct fault_plan *active;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;

/* The fault of this operation. */
static enum fault next_operation(void)
{
	if (!active)
		return FAULT_NONE;
	active->count++;
	bool hit = active->count == active->at ||
		   (active->for_ever && active->at && active->count > active->at);
	return hit ? active->fault : FAULT_NONE;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct fault_file *)file)->real;
}

static int fault_code(enum fault fault, int io_code)
{
	if (fault == FAULT_KILL || fault == FAULT_TEAR)
		raise(SIGKILL);
	return fault == FAULT_FULL ? SQLITE_FULL : fault == FAULT_IO ? io_code : SQLITE_OK;
}

static int file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 at)
{
	return real_of(file)->pMethods->xRead(real_of(file), to, amount, at);
}

static int file_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 at)
{
	sqlite3_file *real = real_of(file);
	enum fault fault = next_operation();
	if (fault == FAULT_TEAR && amount >= TORN_BYTES_MIN)
		real->pMethods->xWrite(real, from, amount / 2, at);
	int rc = fault_code(fault, SQLITE_IOERR_WRITE);
	return rc ? rc : real->pMethods->xWrite(real, from, amount, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = fault_code(next_operation(), SQLITE_IOERR_TRUNCATE);
	return rc ? rc : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	int rc = fault_code(next_operation(), SQLITE_IOERR_FSYNC);
	return rc ? rc : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		    int *ret_flags)
{
	(void)vfs;
	struct fault_file *f = (struct fault_file *)file;
	f->real = (sqlite3_file *)(f + 1);
	f->real->pMethods = NULL;
	int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, ret_flags);
	f->base.pMethods = f->real->pMethods ? &methods : NULL;
	return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	(void)vfs;
	int rc = fault_code(next_operation(), SQLITE_IOERR_DELETE);
	return rc ? rc : real_vfs->xDelete(real_vfs, name, sync_dir);
}

void fault_vfs_install(struct fault_plan *plan)
{
	active = plan;
	if (real_vfs)
		return;
	real_vfs = sqlite3_vfs_find(NULL);
	fault_vfs = *real_vfs;
	fault_vfs.zName = "fault";
	fault_vfs.pNext = NULL;
	fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
	fault_vfs.xOpen = vfs_open;
	fault_vfs.xDelete = vfs_delete;
	int rc = sqlite3_vfs_register(&fault_vfs, 1);
	assert(rc == SQLITE_OK);
}

/* The names that glibc gives these with 64-bit offsets, as the build asks for. */
ssize_t __real_pwrite64(int fd, const void *from, size_t amount, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t amount, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_posix_fallocate64(int fd, off_t at, off_t amount);
int __wrap_posix_fallocate64(int fd, off_t at, off_t amount);

/* errno of the fault, or 0. */
static int errno_of(enum fault fault)
{
	int rc = fault_code(fault, SQLITE_IOERR);
	return rc == SQLITE_FULL ? ENOSPC : rc ? EIO : 0;
}

ssize_t __wrap_pwrite64(int fd, const void *from, size_t amount, off_t at)
{
	enum fault fault = next_operation();
	if (fault == FAULT_TEAR || (fault == FAULT_FULL && amount >= TORN_BYTES_MIN))
		(void)!__real_pwrite64(fd, from, amount / 2, at);
	errno = errno_of(fault);
	return errno ? -1 : __real_pwrite64(fd, from, amount, at);
}

int __wrap_fdatasync(int fd)
{
	errno = errno_of(next_operation());
	return errno ? -1 : __real_fdatasync(fd);
}

int __wrap_posix_fallocate64(int fd, off_t at, off_t amount)
{
	int fault = errno_of(next_operation());
	return fault ? fault : __real_posix_fallocate64(fd, at, amount);
}
