/* Goal: the ring of samples keeps the last hour, one each five seconds, and what was not measured
 * is unknown and never zero. Method: a core of this test, time moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/view.h"
#include "server/monitor/vram_history.h"
#include "wire/monitoring_encode.h"

static const struct gpu_config config = {.name = "gpu0"};
static uint32_t gpu_count;
static uint64_t granted_bytes, used_bytes;
static bool used_known;

bool core_gpu(const struct core *core, uint32_t gpu, struct gpu_view *ret_view)
{
	assert_non_null(core);
	if (gpu >= gpu_count)
		return false;
	*ret_view = (struct gpu_view){.config = &config,
				      .vram_bytes_granted = granted_bytes + gpu,
				      .vram_bytes_used = used_bytes,
				      .used_known = used_known,
				      .used_until = MONO_NEVER};
	return true;
}

static struct vram_history history;
static uint32_t granted[VRAM_HISTORY_COUNT], used[VRAM_HISTORY_COUNT];
static const struct core *const core = (const struct core *)&history; /* never looked into */

static struct mono_ms at(int64_t ms)
{
	return (struct mono_ms){ms};
}

static int reset(void **state)
{
	(void)state;
	history = (struct vram_history){0};
	gpu_count = 1;
	granted_bytes = used_bytes = 0;
	used_known = false;
	return 0;
}

/* One at once, then one each five seconds, and none between; it says when it wants to be asked. */
static void test_steps(void **state)
{
	(void)state;
	assert_int_equal(vram_history_step(&history, core, at(1000), 0).v, 6000);
	granted_bytes = UINT64_C(6144) << 20;
	assert_int_equal(vram_history_step(&history, core, at(5999), 0).v, 6000);
	assert_int_equal(vram_history_series(&history, 0, granted, used), 1);
	assert_int_equal(granted[0], 0);
	/* 7 ms late: the next is due as if it had been in time */
	assert_int_equal(vram_history_step(&history, core, at(6007), 0).v, 11000);
	assert_int_equal(vram_history_series(&history, 0, granted, used), 2);
	assert_int_equal(granted[1], 6144);
	assert_int_equal(vram_history_newest_ago_ms(&history, at(7500), 0), 1500);
}

/* What nobody measured is unknown; what was measured as nothing is zero. */
static void test_unknown_is_not_zero(void **state)
{
	(void)state;
	vram_history_step(&history, core, at(0), 0);
	used_known = true;
	vram_history_step(&history, core, at(5000), 0);
	used_bytes = (UINT64_C(7) << 20) + 1;
	vram_history_step(&history, core, at(10000), 0);
	used_known = false;
	vram_history_step(&history, core, at(15000), 0);
	assert_int_equal(vram_history_series(&history, 0, granted, used), 4);
	assert_int_equal(used[0], SAMPLE_UNKNOWN);
	assert_int_equal(used[1], 0);
	assert_int_equal(used[2], 7);
	assert_int_equal(used[3], SAMPLE_UNKNOWN);
}

/* A GPU that a reload added was unknown before; the others keep what they have. */
static void test_more_gpus(void **state)
{
	(void)state;
	granted_bytes = UINT64_C(5) << 20;
	vram_history_step(&history, core, at(0), 0);
	gpu_count = 2;
	vram_history_step(&history, core, at(5000), 0);
	assert_int_equal(vram_history_series(&history, 1, granted, used), 2);
	assert_int_equal(granted[0], SAMPLE_UNKNOWN);
	assert_int_equal(granted[1], 5);
	assert_int_equal(vram_history_series(&history, 0, granted, used), 2);
	assert_int_equal(granted[0], 5);
}

/* A broker that stood still and a machine that slept leave a gap, so that time stays true. */
static void test_gaps(void **state)
{
	(void)state;
	granted_bytes = UINT64_C(1) << 20;
	vram_history_step(&history, core, at(0), 0);
	assert_int_equal(vram_history_step(&history, core, at(17000), 0).v, 20000);
	assert_int_equal(vram_history_series(&history, 0, granted, used), 4);
	assert_int_equal(granted[0], 1);
	assert_int_equal(granted[1], SAMPLE_UNKNOWN);
	assert_int_equal(granted[2], SAMPLE_UNKNOWN);
	assert_int_equal(granted[3], 1);
	assert_int_equal(vram_history_step(&history, core, at(18000), 12000).v, 23000);
	assert_int_equal(vram_history_series(&history, 0, granted, used), 7);
	assert_int_equal(granted[5], SAMPLE_UNKNOWN);
	assert_int_equal(granted[6], 1);
	vram_history_step(&history, core, at(INT64_C(1) << 50), 0);
	assert_int_equal(vram_history_series(&history, 0, granted, used), VRAM_HISTORY_COUNT);
	assert_int_equal(granted[VRAM_HISTORY_COUNT - 2], SAMPLE_UNKNOWN);
	assert_int_equal(granted[VRAM_HISTORY_COUNT - 1], 1);
}

/* After an hour the oldest go, in order. */
static void test_ring(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < VRAM_HISTORY_COUNT + 10; i++) {
		granted_bytes = i << 20;
		vram_history_step(&history, core, at((int64_t)i * VRAM_HISTORY_STEP_MS), 0);
	}
	assert_int_equal(vram_history_series(&history, 0, granted, used), VRAM_HISTORY_COUNT);
	for (uint32_t i = 0; i < VRAM_HISTORY_COUNT; i++)
		assert_int_equal(granted[i], i + 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_steps, reset),
		cmocka_unit_test_setup(test_unknown_is_not_zero, reset),
		cmocka_unit_test_setup(test_more_gpus, reset),
		cmocka_unit_test_setup(test_gaps, reset),
		cmocka_unit_test_setup(test_ring, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
