/* unit_of: see unit_of.h. Looks at the path alone: it asks neither systemd nor the kernel. */
#include "process/unit_of.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool begins_with(const char *at, size_t length, const char *word)
{
	return length >= strlen(word) && strncmp(at, word, strlen(word)) == 0;
}

static bool ends_with(const char *at, size_t length, const char *word)
{
	return length > strlen(word) &&
	       strncmp(at + length - strlen(word), word, strlen(word)) == 0;
}

/* Whoever may make a folder there may call it anything; systemd escapes all but these. */
static bool is_unit_name(const char *at, size_t length)
{
	return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			  ":-_.\\@") >= length;
}

enum unit_kind unit_of_cgroup(const char *path, char *ret_unit, size_t size)
{
	enum unit_kind kind = UNIT_NONE;
	bool of_user = false;

	ret_unit[0] = '\0';
	for (const char *at = path; *at; at += strspn(at, "/")) {
		size_t length = strcspn(at, "/");
		bool service = ends_with(at, length, ".service"),
		     scope = ends_with(at, length, ".scope");

		if ((service || scope) && is_unit_name(at, length)) {
			(void)snprintf(ret_unit, size, "%.*s", (int)length, at);
			kind = of_user                                        ? UNIT_USER
			       : scope && begins_with(at, length, "session-") ? UNIT_SESSION
									      : UNIT_SYSTEM;
		}
		of_user |= service && begins_with(at, length, "user@");
		at += length;
	}
	return kind;
}
