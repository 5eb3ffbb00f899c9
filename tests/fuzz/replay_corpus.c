/* Feeds files to a fuzz target without libFuzzer, so that the corpora run in every test run.
 * Usage: TARGET FOLDER. Fails if the folder holds no file. Each input is copied into a block of
 * just its size, so that the sanitizer sees a read past its end. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	if (!file || fstat(fileno(file), &st) < 0) {
		perror(path);
		return -1;
	}
	size_t size = (size_t)st.st_size;
	uint8_t *data = malloc(size);
	int rc = !size || (data && fread(data, 1, size, file) == size) ? 0 : -1;
	fclose(file);
	if (rc == 0)
		LLVMFuzzerTestOneInput(data, size);
	else
		fprintf(stderr, "%s: cannot be read\n", path);
	free(data);
	return rc;
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	if (!folder) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	int count = 0, rc = 0;
	for (struct dirent *entry; !rc && (entry = readdir(folder));) {
		char path[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
		rc = run_file(path);
		count++;
	}
	closedir(folder);
	printf("%d inputs\n", count);
	return rc || !count ? 1 : 0;
}
