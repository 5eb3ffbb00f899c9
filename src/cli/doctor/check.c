/* check: what all checks share: their words, and files below the root. */
#include "cli/doctor/check.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void set_words(struct finding *finding, enum check_state state, const char *words)
{
	static const char mark[] = "; fix: ";
	const char *fix = words[0] ? strstr(words + 1, mark) : NULL; /* no text is only a cure */
	size_t length = fix ? (size_t)(fix - words) : strlen(words);
	if (finding->text[0] && state <= finding->state)
		return;

	finding->state = state;
	snprintf(finding->text, sizeof(finding->text), "%.*s", (int)length, words);
	snprintf(finding->fix, sizeof(finding->fix), "%s", fix ? fix + strlen(mark) : "");
}

void check_say(struct finding *finding, enum check_state state, const char *format, ...)
{
	char words[CHECK_TEXT_BYTES + CHECK_FIX_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	set_words(finding, state, words);
}

void check_path(const struct doctor *doctor, const char *path, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s%s", doctor->root, path);
}

bool check_exists(const struct doctor *doctor, const char *path)
{
	char full[CHECK_PATH_BYTES];
	struct stat st;
	check_path(doctor, path, full, sizeof(full));
	return stat(full, &st) == 0;
}

bool check_may_write(const struct doctor *doctor, const char *folder)
{
	char full[CHECK_PATH_BYTES];
	check_path(doctor, folder, full, sizeof(full));
	return access(full, W_OK | X_OK) == 0;
}

bool check_read(const struct doctor *doctor, const char *path, char *ret_text, size_t size)
{
	char full[CHECK_PATH_BYTES];
	size_t length = 0;
	ssize_t n = 1;
	check_path(doctor, path, full, sizeof(full));
	int fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;

	while (n > 0 && length + 1 < size) {
		n = read(fd, ret_text + length, size - 1 - length);
		length += n > 0 ? (size_t)n : 0;
	}
	close(fd);

	while (length > 0 && ret_text[length - 1] == '\n')
		length--;
	ret_text[length] = '\0';
	return n >= 0;
}
