/* Goal: what waits on the disk comes back as it was, in its order, after the broker ended; nobody
 * else can read it, it has its bounds, and what was sent or not complete is not sent. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "gateway/held.h"

struct scene {
	char dir[64], seen[1024];
	struct held_store store;
};

static const char fields[] = "Content-Type\0application/json\0Comfy-User\0me and you\0Empty\0";
static const struct held_head head = {
	.server = "comfy",
	.target = "/api/prompt?a=b c",
	.host = "127.0.0.1:8189",
	.cls = LEASE_VOICE,
	.fields = fields,
	.fields_size = sizeof(fields),
	.id = "1-2",
	.prompt = "",
};

static int open_scene(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene)
		return -1;
	snprintf(scene->dir, sizeof(scene->dir), "/tmp/held-XXXXXX");
	if (!mkdtemp(scene->dir))
		return -1;
	held_init(&scene->store, scene->dir, 100, 250);
	*state = scene;
	return 0;
}

static unsigned files_in(const char *dir, bool remove_them)
{
	DIR *folder = opendir(dir);
	unsigned count = 0;

	assert_non_null(folder);
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (remove_them)
			assert_int_equal(unlinkat(dirfd(folder), entry->d_name, 0), 0);
	}
	closedir(folder);
	return count;
}

static int close_scene(void **state)
{
	struct scene *scene = *state;

	held_finish(&scene->store);
	(void)files_in(scene->dir, true);
	(void)rmdir(scene->dir);
	free(scene);
	return 0;
}

static struct held *begin(struct scene *scene, const char *body)
{
	struct held *held = NULL;

	assert_int_equal(held_begin(&scene->store, &head, &held), 0);
	assert_int_equal(held_write(held, body, strlen(body)), 0);
	return held;
}

static void note(void *ctx, const struct held_head *found, struct held *held)
{
	struct scene *scene = ctx;
	char body[256] = "";
	size_t at = strlen(scene->seen);

	assert_string_equal(found->server, head.server);
	assert_string_equal(found->target, head.target);
	assert_string_equal(found->host, head.host);
	assert_int_equal(found->cls, head.cls);
	assert_int_equal(found->fields_size, head.fields_size);
	assert_memory_equal(found->fields, head.fields, head.fields_size);
	assert_true(held_read(held, body, sizeof(body) - 1) >= 0);
	assert_int_equal(strlen(body), held->bytes);
	snprintf(scene->seen + at, sizeof(scene->seen) - at, "%s%s%s;", found->prompt, body,
		 held->sending ? "?" : "");
}

static void note_damaged(void *ctx, const char *path)
{
	struct scene *scene = ctx;
	size_t at = strlen(scene->seen);

	snprintf(scene->seen + at, sizeof(scene->seen) - at, "!%s;", strrchr(path, '/') + 1);
}

static const struct held_finder finder = {note, note_damaged};

/* Another broker finds what this one left. */
static const char *seen_again(struct scene *scene)
{
	held_finish(&scene->store);
	held_init(&scene->store, scene->dir, 100, 250);
	scene->seen[0] = '\0';
	held_load(&scene->store, &finder, scene);
	return scene->seen;
}

static void test_comes_back(void **state)
{
	struct scene *scene = *state;
	struct held *one = begin(scene, "one\n\n"), *two = begin(scene, "two"),
		    *three = begin(scene, "three");
	struct held_head sent = head;
	char body[8] = "";

	assert_int_equal(held_end(one), 0);
	assert_int_equal(held_end(three), 0);
	assert_false(two->complete);
	assert_int_equal(held_read(one, body, 3), 3);
	assert_string_equal(body, "one");
	assert_int_equal(held_read(one, body, sizeof(body)), 2);
	assert_int_equal(held_read(one, body, sizeof(body)), 0);

	assert_string_equal(seen_again(scene), "one\n\n;three;");
	assert_int_equal(files_in(scene->dir, false), 2);
	assert_int_equal(scene->store.bytes, 10);

	/* The first was sent, and the second is over. */
	list_each (it, next, &scene->store.files) {
		struct held *held = container_of(it, struct held, in_store);
		sent.prompt = "0123-abc";
		if (held->number == 1)
			held_sent(held, &sent);
		else
			held_drop(held);
	}
	assert_int_equal(scene->store.bytes, 0);
	assert_string_equal(seen_again(scene), "0123-abc;");
	assert_int_equal(files_in(scene->dir, false), 1);
	/* Numbers go on, so that no name means two. */
	assert_int_equal(begin(scene, "four")->number, 2);
}

/* That it may have been sent is known, until it is known that it was, or was not. */
static void test_sending(void **state)
{
	struct scene *scene = *state;
	struct held *one = begin(scene, "one"), *two = begin(scene, "two");
	struct held_head sent = head;

	sent.prompt = "id";
	assert_int_equal(held_end(one), 0);
	assert_int_equal(held_end(two), 0);
	held_sending(one, true);
	held_sending(one, true);
	held_sending(two, true);
	held_sending(two, false);
	assert_string_equal(seen_again(scene), "one?;two;");
	one = container_of(scene->store.files.next, struct held, in_store);
	held_sent(one, &sent);
	assert_string_equal(seen_again(scene), "id;two;");
	assert_int_equal(files_in(scene->dir, false), 2);
}

static void write_file(const struct scene *scene, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", scene->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* The broker ended between the two steps of held_sent; and what is none of ours. */
static void test_leftovers(void **state)
{
	static const char good[] = "baton-held 1\nserver comfy\ntarget /api/prompt?a=b c\n"
				   "host 127.0.0.1:8189\nclass voice\n%s"
				   "field Content-Type application/json\n"
				   "field Comfy-User me and you\nfield Empty \n\n%s";
	struct scene *scene = *state;
	char text[512];

	snprintf(text, sizeof(text), good, "", "body");
	write_file(scene, "00000007.prompt", text);
	snprintf(text, sizeof(text), good, "prompt id\n", "");
	write_file(scene, "00000007.sent", text);
	write_file(scene, "00000008.part", "baton-held 1\n");
	write_file(scene, "00000007.sending", text);
	write_file(scene, "00000009.prompt", "baton-held 1\nserver x\n\n");
	write_file(scene, "notes.txt", "mine");
	write_file(scene, "x.prompt", "mine");

	assert_string_equal(seen_again(scene), "id;!00000009.prompt;");
	assert_int_equal(scene->store.count, 1);
	assert_int_equal(files_in(scene->dir, false), 4);
	assert_int_equal(scene->store.next, 10);
}

static void test_bounds(void **state)
{
	struct scene *scene = *state;
	char bytes[101];
	struct held *held, *more = NULL;
	struct stat status;

	memset(bytes, 'x', sizeof(bytes));
	held = begin(scene, "");
	assert_int_equal(held_write(held, bytes, 100), 0);
	assert_int_equal(held_write(held, bytes, 1), -ERR_TOO_LARGE);
	assert_int_equal(fstat(held->fd, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(held_write(begin(scene, ""), bytes, 100), 0);
	assert_int_equal(held_write(begin(scene, ""), bytes, 51), -ERR_QUEUE_FULL);
	held_drop(held);
	assert_int_equal(held_write(begin(scene, ""), bytes, 100), 0);

	while (scene->store.count < HELD_COUNT_MAX)
		(void)begin(scene, "");
	assert_int_equal(held_begin(&scene->store, &head, &more), -ERR_QUEUE_FULL);
	assert_null(more);
}

static void test_no_folder(void **state)
{
	struct held_store store;
	struct held *held = NULL;
	(void)state;

	held_init(&store, NULL, 1, 1);
	assert_int_equal(held_begin(&store, &head, &held), -ERR_IO);
	held_finish(&store);
	held_init(&store, "/proc/none/held", 1, 1);
	assert_int_equal(held_begin(&store, &head, &held), -ERR_IO);
	assert_int_equal(store.count, 0);
	held_load(&store, &finder, NULL);
	held_finish(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_back, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_sending, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_leftovers, open_scene, close_scene),
		cmocka_unit_test_setup_teardown(test_bounds, open_scene, close_scene),
		cmocka_unit_test(test_no_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
