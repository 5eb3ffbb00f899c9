/* epoll: a server with an event loop of its own (epoll) that takes a lease when there is work,
 *which comes as lines on its standard input, and gives it back when there is none. The session is
 *one descriptor among the others.
 *
 *	cc epoll.c $(pkg-config --cflags --libs libbaton) -o epoll && seq 5 | ./epoll
 */
#include <baton/baton.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

struct server {
	struct baton *baton;
	struct baton_claim *claim; /* NULL: nothing is asked for */
	unsigned jobs;             /* read and not done */
	bool input_over;
	int code; /* why there will be no lease */
};

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	(void)claim, (void)ctx;
	printf("holding %s\n", baton_lease_gpu_name(lease, 0));
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct server *server = ctx;
	printf("over: %s\n", reason);
	server->claim = NULL;
	/* A lease that was taken is asked for again; what is refused is not. */
	if (code < 0 && code != BATON_E_REVOKED && code != BATON_E_LOST)
		server->code = code;
	baton_claim_free(claim);
}

static int ask(struct server *server)
{
	struct baton_claim_handlers handlers;
	struct baton_request request;
	baton_claim_handlers_init(&handlers);
	handlers.granted = on_granted;
	handlers.ended = on_ended;
	baton_request_init(&request);
	request.lease_class = "chat";
	request.handlers = &handlers;
	request.ctx = server;
	return baton_acquire(server->baton, &request, &server->claim);
}

/* Each byte but a newline is thrown away: a line is a job. */
static void read_jobs(struct server *server)
{
	char bytes[4096];
	ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
	server->input_over = got <= 0;
	for (ssize_t i = 0; i < got; i++)
		server->jobs += bytes[i] == '\n';
}

/* One job under the lease, or the lease back when there is nothing to do or somebody needs it. */
static void use_lease(struct server *server)
{
	if (!server->claim || !baton_claim_lease(server->claim))
		return;
	if (server->jobs == 0 || baton_yield_asked(server->claim)) {
		baton_release(server->claim, server->jobs > 0);
		return;
	}
	poll(NULL, 0, 20); /* where the GPU would work */
	server->jobs--;
	printf("job done, %u left\n", server->jobs);
}

static int serve(struct server *server, int epoll_fd)
{
	while (server->code == 0 && (!server->input_over || server->jobs > 0 || server->claim)) {
		struct epoll_event events[4];
		bool busy = server->claim && baton_claim_lease(server->claim);
		int count = epoll_wait(epoll_fd, events, 4, busy ? 0 : -1);
		for (int i = 0; i < count; i++)
			if (events[i].data.fd == STDIN_FILENO)
				read_jobs(server);
		if (server->input_over)
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);

		int code = baton_dispatch(server->baton, 0);
		if (code >= 0 && server->jobs > 0 && !server->claim)
			code = ask(server);
		if (code < 0)
			return code;
		use_lease(server);
	}
	return server->code;
}

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int main(void)
{
	struct server server = {0};
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	setvbuf(stdout, NULL, _IOLBF, 0);

	int code = baton_connect(NULL, &server.baton);
	if (code == 0 && (epoll_fd < 0 || watch(epoll_fd, STDIN_FILENO) < 0 ||
			  watch(epoll_fd, baton_fd(server.baton)) < 0))
		code = BATON_E_IO; /* such as a file as input: epoll takes pipes and terminals */
	if (code == 0)
		code = serve(&server, epoll_fd);
	baton_close(server.baton);
	if (code < 0)
		fprintf(stderr, "epoll: %s\n", baton_strerror(code));
	return code < 0 ? baton_exit_code(code) : 0;
}
