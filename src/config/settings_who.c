/* settings_who: the parts of the configuration file that say who may do what: principals and keys.
 * Reads no key file (credentials.c does). Called by settings_load.c. */
#include <stdio.h>
#include <string.h>

#include "config/settings.h"
#include "config/settings_impl.h"

enum { ALL_CLASSES = (1u << LEASE_CLASS_COUNT) - 1, COUNT_MAX = 1000000 };

static bool count_ok(const uint32_t *count)
{
	return !count || (*count >= 1 && *count <= COUNT_MAX);
}

static const char *take_principal(const struct file_principal *from, struct settings_principal *to)
{
	struct settings_principal taken = {.classes = from->classes ? 0 : ALL_CLASSES};
	for (const char *at = from->match; *at; at++)
		if ((unsigned char)*at < 0x21 || *at == 0x7f)
			return "has a space or control byte in its match";
	if (!count_ok(from->queue) || !count_ok(from->held))
		return "has a count that is not between 1 and 1000000";
	for (unsigned i = 0; i < from->classes_count; i++)
		taken.classes |= 1u << from->classes[i];
	snprintf(taken.match, sizeof(taken.match), "%s", from->match);
	taken.queue_max = from->queue ? *from->queue : 0;
	taken.held_max = from->held ? *from->held : 0;
	*to = taken;
	return NULL;
}

static const char *take_key(const struct file_key *from, struct settings *to)
{
	struct settings_key *key = &to->keys[to->key_count];
	if (from->name[strspn(from->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789._@-")])
		return "has a name with other than letters, digits, and ._@-";
	if (from->file[0] != '/')
		return "has a file that is not a whole path, from / on";
	for (uint32_t i = 0; i < to->key_count; i++)
		if (strcmp(to->keys[i].name, from->name) == 0)
			return "has the name of another one";
	snprintf(key->name, sizeof(key->name), "%s", from->name);
	snprintf(key->file, sizeof(key->file), "%s", from->file);
	to->key_count++;
	return NULL;
}

const char *settings_take_who(const struct settings_file *from, struct settings *to, char *key,
			      size_t key_size)
{
	const char *problem = NULL;
	for (unsigned i = 0; i < from->principals_count && !problem; i++) {
		snprintf(key, key_size, "principals/%u", i);
		problem = take_principal(&from->principals[i], &to->principals[i]);
	}
	if (from->principals)
		to->principal_count = from->principals_count;
	if (from->keys)
		to->key_count = 0;
	for (unsigned i = 0; i < from->keys_count && !problem; i++) {
		snprintf(key, key_size, "keys/%u", i);
		problem = take_key(&from->keys[i], to);
	}
	return problem;
}
