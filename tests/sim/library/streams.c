/* streams: the clock and the sockets that libbaton gets here (client/world.h): one process is the
 * current one whenever the library runs. Decides nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "client/world.h"
#include "town.h"

static struct mono_ms town_now(void *ctx)
{
	const struct town *town = ctx;
	return (struct mono_ms){town->t};
}

static int town_random(void *ctx, void *bytes, size_t size)
{
	struct town *town = ctx;
	for (size_t i = 0; i < size; i++)
		((unsigned char *)bytes)[i] = (unsigned char)rng_next(&town->rng);
	return 0;
}

int streams_new(struct town *town, unsigned process)
{
	if (town->conn_count == town->conn_capacity) {
		town->conn_capacity = town->conn_capacity ? 2 * town->conn_capacity : 64;
		town->conns = reallocarray(town->conns, (size_t)town->conn_capacity,
					   sizeof(*town->conns));
		if (!town->conns)
			abort();
	}
	town->conns[town->conn_count] = (struct conn){.process = process,
						      .life = town->processes[process].life,
						      .process_open = true,
						      .broker_open = true};
	return town->conn_count++;
}

static int town_connect(void *ctx, const char *path)
{
	struct town *town = ctx;
	struct process *process = town->current;
	(void)path;
	if (!town->up || town->refuses)
		return -ERR_UNREACHABLE;
	process->stream = streams_new(town, process->index);
	process->stream_ended = false;
	buf_clear(&process->in, 0);
	return process->stream;
}

static ssize_t town_send(void *ctx, int stream, const void *bytes, size_t length)
{
	struct town *town = ctx;
	struct conn *conn = &town->conns[stream];
	if (town->current->dying || town->current->stream_ended) {
		errno = EPIPE;
		return -1;
	}
	const char *at = bytes, *end = at + length, *line_end;
	for (; at < end && (line_end = memchr(at, '\n', (size_t)(end - at))); at = line_end + 1) {
		bool slow = !town->healed && rng_chance(&town->rng, 20);
		int64_t t = town->t + rng_between(&town->rng, 0, slow ? 3000 : 2);
		conn->up_t = t > conn->up_t ? t : conn->up_t;
		struct item *item = town_add(town, conn->up_t - town->t, ITEM_TO_BROKER);
		item->conn = stream;
		item->text = strndup(at, (size_t)(line_end - at));
	}
	return (ssize_t)length;
}

static ssize_t town_receive(void *ctx, int stream, void *bytes, size_t size)
{
	const struct town *town = ctx;
	struct process *process = town->current;
	size_t length = process->in.length < size ? process->in.length : size;
	(void)stream;
	if (length == 0 && process->stream_ended)
		return 0;
	if (length == 0) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(bytes, buf_data(&process->in), length);
	buf_consume(&process->in, length);
	return (ssize_t)length;
}

/* What was sent arrives first. */
static void town_close(void *ctx, int stream)
{
	struct town *town = ctx;
	struct conn *conn = &town->conns[stream];
	if (!conn->process_open)
		return;
	conn->process_open = false;
	int64_t t = town->t + rng_between(&town->rng, 0, 20);
	t = conn->up_t > t ? conn->up_t : t;
	town_add(town, t - town->t, ITEM_BROKER_SEES_END)->conn = stream;
}

static int town_watch(void *ctx, int epoll_fd, int stream, bool fresh, bool for_write)
{
	(void)ctx, (void)epoll_fd, (void)stream, (void)fresh, (void)for_write;
	return 0;
}

static void town_arm(void *ctx, int timer_fd, struct mono_ms next)
{
	const struct town *town = ctx;
	(void)timer_fd;
	town->current->armed_t = next.v;
}

static int town_wait(void *ctx, int fd, int timeout_ms)
{
	(void)fd, (void)timeout_ms;
	town_fail(ctx, "the library waits, where it was asked not to");
}

void streams_open(struct town *town)
{
	static struct client_world world;
	world = (struct client_world){
		.now = town_now,
		.random = town_random,
		.connect = town_connect,
		.send = town_send,
		.receive = town_receive,
		.close = town_close,
		.watch = town_watch,
		.arm = town_arm,
		.wait = town_wait,
		.ctx = town,
	};
	client_world_set(&world);
}

void streams_deliver(struct town *town, const struct item *item)
{
	const struct conn *conn = &town->conns[item->conn];
	struct process *process = &town->processes[conn->process];
	bool lost = item->text && !*item->text;
	if (!conn->process_open || process->stream != item->conn || lost)
		return;
	if (item->kind == ITEM_PROCESS_SEES_END) {
		process->stream_ended = true;
	} else {
		buf_append(&process->in, item->text, strlen(item->text));
		buf_append(&process->in, "\n", 1);
	}
	process_step(town, process);
}

/* A cable is pulled: each side hears of it, and what was on its way is lost. */
void streams_cut(struct town *town, int conn)
{
	struct conn *cut = &town->conns[conn];
	if (!cut->broker_open || !cut->process_open)
		return;
	for (struct item *item = town->items; item; item = item->next)
		if (item->conn == conn && item->text)
			item->text[0] = '\0';
	town->breaks++;
	town_add(town, rng_between(&town->rng, 0, 20), ITEM_BROKER_SEES_END)->conn = conn;
	town_add(town, rng_between(&town->rng, 0, 20), ITEM_PROCESS_SEES_END)->conn = conn;
}
