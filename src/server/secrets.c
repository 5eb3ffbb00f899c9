/* secrets: token files and page keys. Never logs a value. Called by serve.c at start, by the page's
 * route and by the `open` message. */
#include "server/secrets.h"

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
#include "base/token.h"
#include "server/settings.h"

static void to_hex(const uint8_t bytes[32], char ret_hex[SECRET_HEX_BYTES])
{
	for (int i = 0; i < 32; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", bytes[i]);
}

/* 1: read; 0: there is no such file; else -ERR_IO. */
static int read_file(const char *path, char ret_hex[SECRET_HEX_BYTES], char *detail, size_t size)
{
	char bytes[256];
	struct stat st;
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	ssize_t got = fd >= 0 && fstat(fd, &st) == 0 ? read(fd, bytes, sizeof bytes - 1) : -1;
	if (got < 0) {
		snprintf(detail, size, "%s: %s", path, strerror(errno));
		return -ERR_IO;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 077)) {
		snprintf(detail, size, "%s: others may read it; remove it, a new one is made",
			 path);
		return -ERR_IO;
	}
	while (got > 0 && isspace((unsigned char)bytes[got - 1]))
		got--;
	bytes[got] = 0;
	if (got != SECRET_HEX_BYTES - 1 || strspn(bytes, "0123456789abcdef") != (size_t)got) {
		snprintf(detail, size, "%s: not 64 hex digits; remove it, a new one is made", path);
		return -ERR_IO;
	}
	memcpy(ret_hex, bytes, SECRET_HEX_BYTES);
	explicit_bzero(bytes, sizeof bytes);
	return 1;
}

/* Written beside and renamed, so that a crash leaves no half token. */
static int make_file(const char *path, char ret_hex[SECRET_HEX_BYTES], char *detail, size_t size)
{
	char beside[SETTINGS_PATH_BYTES + 64], line[SECRET_HEX_BYTES + 1];
	uint8_t bytes[32];
	snprintf(beside, sizeof beside, "%s.new", path);
	(void)unlink(beside);
	cleanup_close int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && getrandom(bytes, sizeof bytes, 0) == sizeof bytes) {
		to_hex(bytes, ret_hex);
		snprintf(line, sizeof line, "%s\n", ret_hex);
		if (write(fd, line, SECRET_HEX_BYTES) == SECRET_HEX_BYTES &&
		    rename(beside, path) == 0)
			return 0;
	}
	snprintf(detail, size, "%s: %s", path, strerror(errno));
	(void)unlink(beside);
	return -ERR_IO;
}

int secret_file(const char *dir, const char *name, char ret_hex[SECRET_HEX_BYTES], char *detail,
		size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int rc = read_file(path, ret_hex, detail, detail_size);
	if (rc == 0)
		return make_file(path, ret_hex, detail, detail_size);
	return rc < 0 ? rc : 0;
}

const char *page_link_new(struct page_keys *keys, const uint8_t random[32], struct mono_ms now)
{
	int oldest = 0;
	for (int i = 1; i < LINKS_MAX; i++)
		if (mono_before(keys->links[i].until, keys->links[oldest].until))
			oldest = i;
	to_hex(random, keys->links[oldest].hex);
	keys->links[oldest].until = mono_after(now, LINK_TIME_MS);
	return keys->links[oldest].hex;
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
		unsigned at = keys->cookie_next++ % COOKIES_MAX;
		to_hex(random, keys->cookies[at]);
		keys->views[at] = keys->cookies[at];
		if (keys->cookie_count < COOKIES_MAX)
			keys->cookie_count++;
		return keys->cookies[at];
	}
	return NULL;
}
