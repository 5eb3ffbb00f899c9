/* turn_rule: see turn_rule.h. */
#include "wire/turn_rule.h"

#include <string.h>

static const char *const methods[] = {"GET",    "HEAD",    "POST",      "PUT", "PATCH",
				      "DELETE", "OPTIONS", "WEBSOCKET", "*"};

static bool is_method(const char *text, size_t length)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strlen(methods[i]) == length && !strncmp(methods[i], text, length))
			return true;
	return false;
}

const char *turn_rule_problem(const char *rule)
{
	size_t method = strcspn(rule, " ");

	if (strlen(rule) > TURN_RULE_BYTES)
		return "has a match of more than 128 bytes";
	if (!is_method(rule, method))
		return "has a match without a method (GET, HEAD, POST, PUT, PATCH, DELETE, "
		       "OPTIONS, WEBSOCKET or *)";
	if (rule[method] != ' ' || rule[method + 1] != '/')
		return "has a match that is not METHOD /path";
	for (const char *at = rule + method + 1; *at; at++)
		if (*at <= ' ' || *at >= 0x7f || *at == '?' || *at == '#')
			return "has a match with a query, a space or other than ASCII in its path";
	return NULL;
}

/* From the last star back, so that the work is at most the product of both lengths. */
static bool path_matches(const char *glob, const char *path)
{
	const char *star = NULL, *again = NULL;

	while (*path) {
		if (*glob == '*') {
			star = ++glob;
			again = path;
		} else if (*glob == *path) {
			glob++;
			path++;
		} else if (star) {
			glob = star;
			path = ++again;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

bool turn_rule_matches(const char *rule, const char *method, const char *path)
{
	size_t length = strcspn(rule, " ");

	if (rule[0] != '*' && (strlen(method) != length || strncmp(rule, method, length) != 0))
		return false;
	return path_matches(rule + length + 1, path);
}
