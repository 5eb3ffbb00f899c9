/* tree: a folder of small files that a test writes, as sysfs and procfs have them. */
#pragma once
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree_root[64];

static int tree_setup(void **state)
{
	(void)state;
	snprintf(tree_root, sizeof(tree_root), "/tmp/bt-gpu-XXXXXX");
	return mkdtemp(tree_root) ? 0 : -1;
}

static int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static int tree_teardown(void **state)
{
	(void)state;
	return nftw(tree_root, tree_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes the folders, too. */
static void tree_put(const char *path, const char *text)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", tree_root, path);
	for (char *slash = whole + strlen(tree_root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(whole, 0700);
		*slash = '/';
	}
	FILE *file = fopen(whole, "w");
	assert(file);
	fputs(text, file);
	fclose(file);
}
