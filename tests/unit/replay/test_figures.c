/* The figures of what was recorded, over holds made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "replay/replay_figures.h"
#include "replay/replay_trace.h"

#define MIB (UINT64_C(1) << 20)

/* Two clients beside each other for a second of two, each with so much of a GPU of 10000 MiB. */
static struct replay_figures beside(uint64_t each_mib, uint64_t kept_mib)
{
	struct replay_request requests[2] = {{.id = "a"}, {.id = "b"}};
	struct replay_hold holds[2] = {
		{.request = 0, .to_ms = 2000, .gpus = 1, .vram_bytes = each_mib * MIB},
		{.request = 1, .from_ms = 1000, .to_ms = 2000, .gpus = 1},
	};
	struct replay_trace trace = {
		.requests = requests, .count = 2, .holds = holds, .hold_count = 2, .end_ms = 2000};
	struct replay_figures figures;

	holds[1].vram_bytes = each_mib * MIB;
	trace.past.gpu_count = 1;
	trace.past.vram_headroom_bytes = 512 * MIB;
	trace.past.gpus[0] = (struct gpu_config){.slots = 2,
						 .vram_known = true,
						 .vram_bytes_total = 10000 * MIB,
						 .vram_bytes_kept = kept_mib * MIB};
	replay_figures_past(&trace, &figures);
	return figures;
}

static void test_room(void **state)
{
	(void)state;
	assert_int_equal(beside(4744, 0).collisions, 0);
	assert_int_equal(beside(4745, 0).collisions, 1);
	assert_int_equal(beside(4745, 0).overlap_ms, 1000);
}

/* What this GPU's driver reserves is nobody's, as when leases were granted. */
static void test_room_that_is_kept(void **state)
{
	(void)state;
	assert_int_equal(beside(4000, 2000).collisions, 0);
	assert_int_equal(beside(4001, 2000).collisions, 1);
	assert_int_equal(beside(4001, 2000).overlap_ms, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_room_that_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
