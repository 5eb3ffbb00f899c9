/* held: see held.h. A file is lines "name value", an empty one, and the body. Nothing is synced:
 * what a power cut takes was not promised to anybody. */
#include "gateway/held.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/regular_file.h"

static const char first_line[] = "baton-held 1\n";

/* ---- the head ---- */

static int add_line(struct buf *out, const char *name, const char *value)
{
	return buf_printf(out, "%s %s\n", name, value);
}

static int write_head(struct buf *out, const struct held_head *head)
{
	const char *at = head->fields, *end = at + head->fields_size;
	int rc = buf_append_text(out, first_line);

	if (!rc)
		rc = add_line(out, "server", head->server);
	if (!rc)
		rc = add_line(out, "target", head->target);
	if (!rc)
		rc = add_line(out, "host", head->host);
	if (!rc)
		rc = add_line(out, "class", lease_class_name(head->cls));
	if (!rc && head->id[0])
		rc = add_line(out, "id", head->id);
	if (!rc && head->prompt[0])
		rc = add_line(out, "prompt", head->prompt);

	while (at < end && !rc) {
		const char *value = at + strlen(at) + 1;
		rc = buf_printf(out, "field %s %s\n", at, value);
		at = value + strlen(value) + 1;
	}
	return rc ? rc : buf_append_text(out, "\n");
}

static bool take_class(const char *name, enum lease_class *ret_class)
{
	int cls = lease_class_from_name(name);

	if (cls < 0)
		return false;
	*ret_class = (enum lease_class)cls;
	return true;
}

/* "name value" moved to *to as "name\0value\0". */
static bool take_field(char *line, char **to)
{
	char *space = strchr(line, ' ');
	size_t size;

	if (!space || space == line)
		return false;
	*space = '\0';
	size = strlen(line) + 1 + strlen(space + 1) + 1;
	memmove(*to, line, size);
	*to += size;
	return true;
}

static bool take_line(struct held_head *head, char *line, char **fields_to)
{
	char *value = strchr(line, ' ');

	if (!value)
		return false;
	*value++ = '\0';
	if (!strcmp(line, "field"))
		return take_field(value, fields_to);
	if (head->fields_size) /* they stand last */
		return false;
	if (!strcmp(line, "class"))
		return take_class(value, &head->cls);
	if (!strcmp(line, "server"))
		head->server = value;
	else if (!strcmp(line, "target"))
		head->target = value;
	else if (!strcmp(line, "host"))
		head->host = value;
	else if (!strcmp(line, "id"))
		head->id = value;
	else if (!strcmp(line, "prompt"))
		head->prompt = value;
	else
		return false;
	return true;
}

bool held_head_read(char *bytes, size_t length, struct held_head *ret_head, size_t *ret_size)
{
	struct held_head head = {.id = "", .prompt = "", .cls = LEASE_NORMAL, .fields = ""};
	size_t begin = sizeof(first_line) - 1;
	char *end = memmem(bytes, length, "\n\n", 2), *fields_to = NULL, *next;

	if (!end || length < begin || memcmp(bytes, first_line, begin) != 0 ||
	    memchr(bytes, '\0', (size_t)(end - bytes)))
		return false;

	end[1] = '\0';
	for (char *line = bytes + begin; *line; line = next) {
		next = strchr(line, '\n');
		*next++ = '\0';
		if (!fields_to && !strncmp(line, "field ", 6))
			head.fields = fields_to = line; /* moved together there */
		if (!take_line(&head, line, &fields_to))
			return false;
		head.fields_size = fields_to ? (size_t)(fields_to - head.fields) : 0;
	}

	*ret_size = (size_t)(end + 2 - bytes);
	*ret_head = head;
	return head.server && head.target && head.host;
}

/* ---- files ---- */

enum name { NAME_PART, NAME_PROMPT, NAME_SENDING, NAME_SENT };

static void file_name(const struct held *held, enum name name, char *out, size_t size)
{
	static const char *const endings[] = {"part", "prompt", "sending", "sent"};

	snprintf(out, size, "%s/%08" PRIu64 ".%s", held->store->dir, held->number, endings[name]);
}

void held_init(struct held_store *store, const char *dir, uint64_t each_max, uint64_t all_max)
{
	*store = (struct held_store){.bytes_each_max = each_max, .bytes_max = all_max, .next = 1};
	list_init(&store->files);
	if (!dir)
		return;
	store->dir = strdup(dir);
	if (!store->dir)
		abort();
}

static void free_held(struct held *held)
{
	held->store->count--;
	held->store->bytes -= held->bytes;
	list_remove(&held->in_store);
	if (held->fd >= 0)
		(void)close(held->fd);
	free(held);
}

static void forget_files(const struct held *held)
{
	char path[4096 + 64];

	for (enum name name = NAME_PART; name <= NAME_SENT; name++) {
		file_name(held, name, path, sizeof(path));
		(void)unlink(path);
	}
}

void held_finish(struct held_store *store)
{
	list_each (it, next, &store->files) {
		struct held *held = container_of(it, struct held, in_store);
		if (!held->complete)
			forget_files(held);
		free_held(held);
	}
	free(store->dir);
	store->dir = NULL;
}

static struct held *new_held(struct held_store *store, uint64_t number)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held)
		abort();
	held->store = store;
	held->number = number;
	held->fd = -1;
	list_init(&held->in_store);
	list_append(&store->files, &held->in_store);
	store->count++;
	return held;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -ERR_IO;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

/* The file by this name with this head and nothing else. */
static int create_file(struct held *held, enum name name, const struct held_head *head)
{
	char path[4096 + 64];
	struct buf text = {0};
	int rc = write_head(&text, head);

	file_name(held, name, path, sizeof(path));
	held->fd = rc ? -1 : regular_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	rc = held->fd < 0 ? -ERR_IO : write_all(held->fd, buf_data(&text), text.length);
	held->body_from = text.length;
	buf_finish(&text);
	return rc;
}

int held_begin(struct held_store *store, const struct held_head *head, struct held **ret_held)
{
	struct held *held;
	int rc;

	errno = ENOENT;
	if (!store->dir)
		return -ERR_IO;
	if (store->count >= HELD_COUNT_MAX)
		return -ERR_QUEUE_FULL;

	(void)mkdir(store->dir, 0700); /* what hinders is told by the file */
	held = new_held(store, store->next++);
	rc = create_file(held, NAME_PART, head);
	if (rc != 0) {
		int saved = errno;
		held_drop(held);
		errno = saved;
		return rc;
	}
	*ret_held = held;
	return 0;
}

int held_write(struct held *held, const char *bytes, size_t length)
{
	if (held->bytes + length > held->store->bytes_each_max)
		return -ERR_TOO_LARGE;
	if (held->store->bytes + length > held->store->bytes_max)
		return -ERR_QUEUE_FULL;
	if (write_all(held->fd, bytes, length) != 0)
		return -ERR_IO;
	held->bytes += length;
	held->store->bytes += length;
	return 0;
}

static int change_name(const struct held *held, enum name from, enum name to)
{
	char from_path[4096 + 64], to_path[4096 + 64];

	file_name(held, from, from_path, sizeof(from_path));
	file_name(held, to, to_path, sizeof(to_path));
	return rename(from_path, to_path) == 0 ? 0 : -ERR_IO;
}

int held_end(struct held *held)
{
	if (change_name(held, NAME_PART, NAME_PROMPT) != 0)
		return -ERR_IO;
	held->complete = true;
	return 0;
}

void held_sending(struct held *held, bool sending)
{
	enum name from = sending ? NAME_PROMPT : NAME_SENDING;

	if (held->sending != sending)
		(void)change_name(held, from, sending ? NAME_SENDING : NAME_PROMPT);
	held->sending = sending;
}

int held_read(struct held *held, char *bytes, size_t size)
{
	ssize_t n;

	do {
		n = pread(held->fd, bytes, size, (off_t)(held->body_from + held->at));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -ERR_IO;
	held->at += (uint64_t)n;
	return (int)n;
}

void held_sent(struct held *held, const struct held_head *head)
{
	static const enum name before[] = {NAME_PROMPT, NAME_SENDING};
	char path[4096 + 64];

	(void)close(held->fd);
	held->store->bytes -= held->bytes;
	held->bytes = 0;
	/* Beside it first: a broker that ends here leaves no half of it. */
	if (create_file(held, NAME_PART, head) != 0 ||
	    change_name(held, NAME_PART, NAME_SENT) != 0) {
		forget_files(held); /* then a restart does not know of it */
		return;
	}
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		file_name(held, before[i], path, sizeof(path));
		(void)unlink(path);
	}
}

void held_drop(struct held *held)
{
	if (!held)
		return;
	forget_files(held);
	free_held(held);
}

/* ---- those of an earlier broker ---- */

/* "00000012.prompt"; 0: it is none, or was not complete. */
static uint64_t number_of(const char *name)
{
	char *end;
	uint64_t number = strtoull(name, &end, 10);

	bool whole = !strcmp(end, ".prompt") || !strcmp(end, ".sending") || !strcmp(end, ".sent");

	return end == name + 8 && whole ? number : 0;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* False: it cannot be read, or is none. */
static bool open_old(struct held *held, const char *name, char *bytes, struct held_head *ret_head)
{
	char path[4096 + 64];
	struct stat status;
	size_t body_from = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%.64s", held->store->dir, name);
	held->fd = regular_file_open(path, O_RDWR, 0);
	if (held->fd < 0 || fstat(held->fd, &status) != 0)
		return false;
	n = pread(held->fd, bytes, HELD_HEAD_BYTES, 0);
	if (n <= 0 || !held_head_read(bytes, (size_t)n, ret_head, &body_from))
		return false;

	held->complete = true;
	held->sending = !strcmp(strrchr(name, '.'), ".sending");
	held->body_from = body_from;
	held->bytes = (uint64_t)status.st_size - body_from;
	held->store->bytes += held->bytes;
	return true;
}

/* Not complete; or sent, when the broker ended before this one was gone. */
static bool is_leftover(const struct held_store *store, const char *name, uint64_t number)
{
	const struct held held = {.store = (struct held_store *)store, .number = number};
	const char *ending = strrchr(name, '.');
	char path[4096 + 64];

	if (ending && !strcmp(ending, ".part"))
		return true;
	file_name(&held, NAME_SENT, path, sizeof(path));
	return number && strcmp(ending, ".sent") != 0 && access(path, F_OK) == 0;
}

static void load_one(struct held_store *store, const char *name, const struct held_finder *finder,
		     void *ctx)
{
	static char bytes[HELD_HEAD_BYTES]; /* valid for the call of `found` */
	uint64_t number = number_of(name);
	struct held_head head;
	struct held *held;
	char path[4096 + 64];

	snprintf(path, sizeof(path), "%s/%.64s", store->dir, name);
	if (is_leftover(store, name, number)) {
		(void)unlink(path);
		return;
	}
	if (number == 0 || store->count >= HELD_COUNT_MAX)
		return;
	if (number >= store->next)
		store->next = number + 1;
	held = new_held(store, number);
	if (open_old(held, name, bytes, &head)) {
		finder->found(ctx, &head, held);
		return;
	}
	free_held(held); /* the file stays: somebody was told that it is kept */
	finder->damaged(ctx, path);
}

void held_load(struct held_store *store, const struct held_finder *finder, void *ctx)
{
	struct dirent **names = NULL;
	int count = store->dir ? scandir(store->dir, &names, is_file, by_number) : 0;

	for (int i = 0; i < count; i++) {
		load_one(store, names[i]->d_name, finder, ctx);
		free(names[i]);
	}
	free(names);
}
