/* checkpoint_thread: thread and owner share the struct; whoever of the two is last frees it. */
#include "cli/run/checkpoint_thread.h"
#include "cli/run/checkpoint_task.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct checkpoint_thread {
	struct checkpoint_task task; /* the thread's until it is done */
	atomic_int order;            /* enum checkpoint_order */
	atomic_int users;
	int fd;
	pthread_t id;
};

static atomic_int hanging;

static void drop_user(struct checkpoint_thread *thread)
{
	if (atomic_fetch_sub(&thread->users, 1) > 1)
		return;
	process_tree_finish(&thread->task.tree);
	(void)close(thread->fd);
	free(thread);
}

static void *do_task(void *ctx)
{
	struct checkpoint_thread *thread = ctx;
	const uint64_t one = 1;

	checkpoint_task_do(&thread->task, &thread->order);
	ssize_t written = write(thread->fd, &one, sizeof(one));
	(void)written;
	if (atomic_load(&thread->order) == ORDER_ABANDON)
		atomic_fetch_sub(&hanging, 1);
	drop_user(thread);
	return NULL;
}

struct checkpoint_thread *checkpoint_thread_start(struct checkpoint_task *task)
{
	struct checkpoint_thread *thread = calloc(1, sizeof(*thread));
	sigset_t all, before;
	if (!thread)
		abort();

	thread->task = *task;
	task->tree = (struct process_tree){0};
	thread->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_init(&thread->order, ORDER_GO);
	atomic_init(&thread->users, 2);

	/* Signals are the main thread's, also in threads that the driver starts. */
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = thread->fd < 0 ? -1 : pthread_create(&thread->id, NULL, do_task, thread);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return thread;

	process_tree_finish(&thread->task.tree);
	if (thread->fd >= 0)
		(void)close(thread->fd);
	free(thread);
	return NULL;
}

int checkpoint_thread_fd(const struct checkpoint_thread *thread)
{
	return thread->fd;
}

bool checkpoint_thread_take(struct checkpoint_thread *thread, struct checkpoint_task *ret_task)
{
	struct pollfd done = {.fd = thread->fd, .events = POLLIN};
	if (poll(&done, 1, 0) <= 0)
		return false;

	(void)pthread_join(thread->id, NULL);
	*ret_task = thread->task;
	ret_task->tree = (struct process_tree){0};
	drop_user(thread);
	return true;
}

void checkpoint_thread_turn_back(struct checkpoint_thread *thread)
{
	atomic_store(&thread->order, ORDER_TURN_BACK);
}

void checkpoint_thread_abandon(struct checkpoint_thread *thread)
{
	struct checkpoint_task task;
	if (!thread || checkpoint_thread_take(thread, &task))
		return;

	(void)pthread_detach(thread->id);
	atomic_fetch_add(&hanging, 1);
	atomic_store(&thread->order, ORDER_ABANDON);
	drop_user(thread);
}

bool checkpoint_thread_hangs(void)
{
	return atomic_load(&hanging) > 0;
}
