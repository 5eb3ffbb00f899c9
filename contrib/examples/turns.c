/* turns: a program with an event loop that takes turns on the GPU. It works in short steps, gives
 * way when asked, comes back with its old place, and stops when it is told to.
 *
 *	cc turns.c $(pkg-config --cflags --libs libbaton) -o turns && ./turns 40
 */
#include <baton/baton.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
	struct baton_claim *claim;
	unsigned steps_left;
	bool yield_wanted;
	int end_code; /* 1: not ended */
};

static void on_queued(struct baton_claim *claim, const struct baton_place *place, void *ctx)
{
	(void)claim, (void)ctx;
	if (place->position >= 0)
		printf("number %lld in the queue: %s\n", (long long)place->position + 1,
		       place->why);
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	struct job *job = ctx;
	(void)claim;
	job->yield_wanted = false;
	printf("holding %s, fence %llu\n", baton_lease_gpu_name(lease, 0),
	       (unsigned long long)baton_lease_fence(lease));
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	struct job *job = ctx;
	(void)claim;
	/* Between two steps is soon enough; a step takes less than the grace. */
	job->yield_wanted = true;
	printf("asked to give way (%s)\n", yield->reason);
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	(void)claim, (void)ctx;
	/* Stop kernels and free buffers here, before returning. */
	printf("revoked: %s\n", reason);
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct job *job = ctx;
	(void)claim, (void)reason;
	job->end_code = code;
}

static void one_step(struct job *job)
{
	poll(NULL, 0, 50); /* where the GPU would work */
	job->steps_left--;
}

static int work(struct baton *baton, struct job *job)
{
	while (job->end_code == 1) {
		struct pollfd fds[] = {{.fd = baton_fd(baton), .events = POLLIN}};
		bool held = baton_claim_lease(job->claim) != NULL;
		/* With a lease there is work to do, so look only; without one, wait. */
		poll(fds, 1, held ? 0 : -1);
		int r = baton_dispatch(baton, 0);
		if (r < 0)
			return r;
		if (!baton_claim_lease(job->claim))
			continue; /* no lease: do not touch the GPU */
		if (job->steps_left == 0)
			baton_release(job->claim, false);
		else if (job->yield_wanted)
			baton_release(job->claim, true);
		else
			one_step(job);
	}
	return job->end_code;
}

int main(int argc, char **argv)
{
	struct baton *baton;
	struct baton_request request;
	struct baton_claim_handlers handlers;
	struct job job = {.steps_left = argc > 1 ? (unsigned)atoi(argv[1]) : 20, .end_code = 1};
	setvbuf(stdout, NULL, _IOLBF, 0);
	baton_claim_handlers_init(&handlers);
	handlers.queued = on_queued;
	handlers.granted = on_granted;
	handlers.yield = on_yield;
	handlers.revoked = on_revoked;
	handlers.ended = on_ended;
	baton_request_init(&request);
	request.lease_class = "background";
	request.handlers = &handlers;
	request.ctx = &job;

	int r = baton_connect(NULL, &baton);
	if (r == 0) {
		r = baton_acquire(baton, &request, &job.claim);
		if (r == 0)
			r = work(baton, &job);
		baton_close(baton);
	}
	if (r < 0)
		fprintf(stderr, "turns: %s\n", baton_strerror(r));
	return r < 0 ? baton_exit_code(r) : 0;
}
