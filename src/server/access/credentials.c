/* credentials: token files, page keys, and those kept on disk. Never logs a value. Called at
 * start, by the page's route and by the `open` message. */
#include "server/access/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/regular_file.h"
#include "base/token.h"
#include "config/settings.h"

enum { KEYS_TEXT_BYTES = PAGE_KEYS_MAX * SECRET_HEX_BYTES };

void secret_to_hex(const uint8_t bytes[32], char ret_hex[SECRET_HEX_BYTES])
{
	for (int i = 0; i < 32; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", bytes[i]);
}

int private_read(const char *path, char *ret_text, size_t size, const char *remedy, char *detail,
		 size_t detail_size)
{
	struct stat st;
	cleanup_close int fd = regular_file_open(path, O_RDONLY | O_NOFOLLOW, 0);

	if (fd < 0 && errno == ENOENT)
		return 0;
	ssize_t got = fd >= 0 && fstat(fd, &st) == 0 ? read(fd, ret_text, size - 1) : -1;
	if (got < 0) {
		snprintf(detail, detail_size, "%s: %s", path, regular_file_error(errno));
		return -ERR_IO;
	}

	if (st.st_uid != geteuid() || (st.st_mode & 077)) {
		snprintf(detail, detail_size, "%s: others may read it; %s", path, remedy);
		return -ERR_IO;
	}

	ret_text[got] = 0;
	return 1;
}

int credential_read(const char *path, char ret_secret[SECRET_TEXT_BYTES], char *detail,
		    size_t detail_size)
{
	enum { SHORTEST = 16 };
	char text[SECRET_TEXT_BYTES + 2];
	int rc = private_read(path, text, sizeof(text), "chmod 600 it", detail, detail_size);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		snprintf(detail, detail_size,
			 "%s: there is no such file; make it: (umask 077; openssl rand -hex 32 > "
			 "%s)",
			 path, path);
		return -ERR_IO;
	}

	size_t length = strcspn(text, "\r\n");
	bool more = text[length + strspn(text + length, "\r\n")] != '\0';
	text[length] = '\0';
	for (size_t i = 0; i < length; i++)
		more |= text[i] < 0x21 || text[i] == 0x7f;
	if (length < SHORTEST || length >= SECRET_TEXT_BYTES || more) {
		snprintf(detail, detail_size, "%s: not one line of %d to %d printable bytes", path,
			 SHORTEST, SECRET_TEXT_BYTES - 1);
		explicit_bzero(text, sizeof(text));
		return -ERR_IO;
	}

	memcpy(ret_secret, text, length + 1);
	explicit_bzero(text, sizeof(text));
	return 0;
}

/* 0, or -1 with errno. */
static int write_whole(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);
		if (n < 0)
			return -1;
		text += n;
		length -= (size_t)n;
	}
	return fsync(fd);
}

/* Until its folder is written, too, a power cut brings the old file back: a key that was revoked.
 */
static int sync_folder_of(const char *path)
{
	char folder[SETTINGS_PATH_BYTES + 64];
	const char *slash = strrchr(path, '/');

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1,
		 slash ? path : ".");
	cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fsync(fd) : -1;
}

int private_write(const char *path, const char *text, size_t length, char *detail,
		  size_t detail_size)
{
	char beside[SETTINGS_PATH_BYTES + 64];
	snprintf(beside, sizeof(beside), "%s.new", path);
	(void)unlink(beside);
	cleanup_close int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && write_whole(fd, text, length) == 0 && rename(beside, path) == 0) {
		(void)sync_folder_of(path); /* it is written; what reads it here is as said */
		return 0;
	}
	snprintf(detail, detail_size, "%s: %s", path, strerror(errno));
	(void)unlink(beside);
	return -ERR_IO;
}

static bool is_secret(const char *text, size_t length)
{
	return length == SECRET_HEX_BYTES - 1 && strspn(text, "0123456789abcdef") >= length;
}

/* 1: read; 0: there is no such file; else -ERR_IO. */
static int read_file(const char *path, char ret_hex[SECRET_HEX_BYTES], char *detail, size_t size)
{
	char bytes[256];
	int rc = private_read(path, bytes, sizeof(bytes), "remove it, a new one is made", detail,
			      size);

	if (rc <= 0)
		return rc;
	size_t got = strlen(bytes);
	while (got > 0 && isspace((unsigned char)bytes[got - 1]))
		got--;
	if (!is_secret(bytes, got)) {
		snprintf(detail, size, "%s: not 64 hex digits; remove it, a new one is made", path);
		return -ERR_IO;
	}

	memcpy(ret_hex, bytes, got);
	ret_hex[got] = 0;
	explicit_bzero(bytes, sizeof(bytes));
	return 1;
}

static int write_file(const char *path, const char *hex, char *detail, size_t size)
{
	char line[SECRET_HEX_BYTES + 1];
	snprintf(line, sizeof(line), "%s\n", hex);
	return private_write(path, line, SECRET_HEX_BYTES, detail, size);
}

static int make_secret(const char *path, char ret_hex[SECRET_HEX_BYTES], char *detail, size_t size)
{
	uint8_t bytes[32];
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		snprintf(detail, size, "%s: %s", path, strerror(errno));
		return -ERR_IO;
	}
	secret_to_hex(bytes, ret_hex);
	return 0;
}

int credential_file(const char *dir, const char *name, bool writable,
		    char ret_hex[SECRET_HEX_BYTES], char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int rc = read_file(path, ret_hex, detail, detail_size);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = make_secret(path, ret_hex, detail, detail_size);
	if (rc == 0 && write_file(path, ret_hex, detail, detail_size) && writable)
		return -ERR_IO;
	return rc;
}

void credential_keep(const char *dir, const char *name, const char *hex)
{
	char path[SETTINGS_PATH_BYTES + 32], detail[SETTINGS_PATH_BYTES + 128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (hex[0] && access(path, F_OK) != 0)
		(void)write_file(path, hex, detail, sizeof(detail));
}

const char *page_link_new(struct page_keys *keys, const uint8_t random[32], struct mono_ms now)
{
	int oldest = 0;
	for (int i = 1; i < LINKS_MAX; i++)
		if (mono_before(keys->links[i].until, keys->links[oldest].until))
			oldest = i;
	secret_to_hex(random, keys->links[oldest].hex);
	keys->links[oldest].until = mono_after(now, LINK_TIME_MS);
	return keys->links[oldest].hex;
}

static const char *add_key(struct page_keys *keys, const char *value)
{
	if (keys->count == PAGE_KEYS_MAX)
		memmove(keys->keys[0], keys->keys[1], --keys->count * sizeof(keys->keys[0]));
	unsigned at = keys->count++;
	memcpy(keys->keys[at], value, SECRET_HEX_BYTES);
	keys->views[at] = keys->keys[at];
	return keys->keys[at];
}

const char *page_link_spend(struct page_keys *keys, const char *hex, const uint8_t random[32],
			    struct mono_ms now)
{
	for (int i = 0; i < LINKS_MAX; i++) {
		size_t length = strlen(keys->links[i].hex);
		if (!length || strlen(hex) != length ||
		    !token_bytes_equal(keys->links[i].hex, hex, length))
			continue;
		bool old = mono_due(keys->links[i].until, now);
		keys->links[i].hex[0] = 0;
		keys->links[i].until = (struct mono_ms){0};
		if (old)
			return NULL;
		char value[SECRET_HEX_BYTES];
		secret_to_hex(random, value);
		return add_key(keys, value);
	}

	return NULL;
}

static void keys_path(const char *dir, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/page-keys", dir);
}

/* A line each. Returns the first that is none of ours; 0: all are. */
static unsigned take_keys(struct page_keys *keys, char *text)
{
	unsigned number = 1, damaged = 0;

	for (char *line = text, *after; *line; line = after, number++) {
		size_t length = strcspn(line, "\n");
		after = line + length + (line[length] == '\n');
		if (is_secret(line, length)) {
			line[length] = '\0';
			(void)add_key(keys, line);
		} else if (!damaged) {
			damaged = number;
		}
	}
	return damaged;
}

int page_keys_load(struct page_keys *keys, const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32], all[KEYS_TEXT_BYTES + 1];

	/* What an earlier broker kept was shown to every server of the host. */
	snprintf(path, sizeof(path), "%s/cookies", dir);
	(void)unlink(path);
	keys_path(dir, path, sizeof(path));
	int rc =
		private_read(path, all, sizeof(all), "browsers sign in again", detail, detail_size);
	if (rc <= 0)
		return rc;

	unsigned line = take_keys(keys, all);
	explicit_bzero(all, sizeof(all));
	if (!line)
		return 0;
	snprintf(detail, detail_size,
		 "%s:%u: damaged; the browser whose key it was signs in again (baton open)", path,
		 line);
	return -ERR_IO;
}

int page_keys_save(const struct page_keys *keys, const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32], all[KEYS_TEXT_BYTES + 1];
	size_t length = 0;
	keys_path(dir, path, sizeof(path));
	for (unsigned i = 0; i < keys->count; i++)
		length +=
			(size_t)snprintf(all + length, sizeof(all) - length, "%s\n", keys->keys[i]);
	int rc = private_write(path, all, length, detail, detail_size);
	explicit_bzero(all, sizeof(all));
	return rc;
}
