/* blocking: the shortest program with a lease. It waits for the GPU, works, looks between two steps
 * whether somebody else needs it, and gives it back with its place kept. A thread of the library
 *answers the broker while a step computes.
 *
 *	cc blocking.c $(pkg-config --cflags --libs libbaton) -o blocking && ./blocking 40
 */
#include <baton/baton.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void one_step(void)
{
	poll(NULL, 0, 50); /* where the GPU would work; shorter than the grace */
}

/* Waits until the turn comes again. */
static int give_way(struct baton *baton, struct baton_claim *claim)
{
	int code = baton_release(claim, true);
	while (code == 0 && !baton_claim_lease(claim)) {
		code = baton_claim_ended(claim);
		if (code == 0)
			baton_dispatch(baton, -1);
	}
	return code;
}

static int work(struct baton *baton, struct baton_claim *claim, int steps_left)
{
	while (steps_left > 0) {
		baton_dispatch(baton, 0);
		if (!baton_claim_lease(claim))
			return baton_claim_ended(claim); /* lost: nothing since counts */
		if (baton_yield_asked(claim)) {
			printf("giving way, %d steps left\n", steps_left);
			int code = give_way(baton, claim);
			if (code != 0)
				return code;
			printf("going on, fence %llu\n",
			       (unsigned long long)baton_claim_fence(claim));
			continue;
		}
		one_step();
		steps_left--;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct baton *baton;
	struct baton_claim *claim;
	struct baton_request request;
	setvbuf(stdout, NULL, _IOLBF, 0);
	baton_request_init(&request);
	request.lease_class = "background";
	request.vram_bytes = 1ull << 30;
	request.timeout_ms = BATON_TIMEOUT_NEVER;

	int code = baton_connect(NULL, &baton);
	if (code == 0)
		code = baton_acquire_wait(baton, &request, &claim);
	if (code == 0) {
		printf("holding %s, fence %llu\n",
		       baton_lease_gpu_name(baton_claim_lease(claim), 0),
		       (unsigned long long)baton_claim_fence(claim));
		baton_keepalive_start(baton);
		code = work(baton, claim, argc > 1 ? atoi(argv[1]) : 20);
		baton_keepalive_stop(baton);
		if (code == 0)
			puts("done");
	}
	baton_close(baton);
	if (code < 0)
		fprintf(stderr, "blocking: %s\n", baton_strerror(code));
	return code < 0 ? baton_exit_code(code) : 0;
}
