/* keepalive: the only thread that the library may start. It does baton_dispatch's work on the
 * socket and leaves the handlers to the program. */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/client.h"
#include "client/session.h"

static void *keepalive_main(void *arg)
{
	struct baton *baton = arg;
	struct pollfd fds[] = {
		{.fd = baton->io_fd, .events = POLLIN},
		{.fd = baton->keepalive_stop_fd, .events = POLLIN},
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue; /* EINTR; nothing else can fail with good descriptors */
		if (fds[1].revents)
			return NULL;
		pthread_mutex_lock(&baton->lock);
		client_step(baton);
		pthread_mutex_unlock(&baton->lock);
	}
}

/* The program's signals stay with its own threads. */
static int start_thread(struct baton *baton)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&baton->keepalive, NULL, keepalive_main, baton);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error ? BATON_E_NO_MEMORY : 0;
}

int baton_keepalive_start(struct baton *baton)
{
	pthread_mutex_lock(&baton->lock);
	int rc = baton->keepalive_runs ? BATON_E_STATE : 0;

	if (rc == 0) {
		baton->keepalive_stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rc = baton->keepalive_stop_fd < 0 ? BATON_E_IO : start_thread(baton);
		if (rc < 0 && baton->keepalive_stop_fd >= 0)
			close(baton->keepalive_stop_fd);
	}

	if (rc == 0) {
		/* From now on the program's descriptor signals only queued callbacks. */
		epoll_ctl(baton->user_fd, EPOLL_CTL_DEL, baton->io_fd, NULL);
		baton->keepalive_runs = true;
	}

	pthread_mutex_unlock(&baton->lock);
	return rc;
}

void baton_keepalive_stop(struct baton *baton)
{
	pthread_mutex_lock(&baton->lock);
	bool runs = baton->keepalive_runs;
	baton->keepalive_runs = false;
	pthread_mutex_unlock(&baton->lock);

	if (!runs)
		return;

	uint64_t one = 1;
	while (write(baton->keepalive_stop_fd, &one, sizeof(one)) < 0)
		;
	pthread_join(baton->keepalive, NULL);
	close(baton->keepalive_stop_fd);

	struct epoll_event event = {.events = EPOLLIN};
	epoll_ctl(baton->user_fd, EPOLL_CTL_ADD, baton->io_fd, &event);
}
