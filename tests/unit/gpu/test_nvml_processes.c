/* Goal: a list of processes is taken whole or not at all, whatever size its rows have (REPORTS 27,
 * nvml's rows of 32 bytes). Method: bytes as drivers laid them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/nvml_processes.h"

enum { MIB = 1 << 20 };

static void put_row(unsigned char *at, uint32_t pid, uint64_t bytes, uint32_t instance)
{
	memcpy(at, &pid, 4);
	memcpy(at + 8, &bytes, 8);
	memcpy(at + 16, &instance, 4);
	memcpy(at + 20, &instance, 4);
}

static void test_rows_of_each_size(void **state)
{
	static const size_t sizes[] = {24, 32};

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		unsigned char rows[3 * 32] = {0};
		struct gpu_reading reading = {0};
		put_row(rows, 100, 500 * (uint64_t)MIB, UINT32_MAX);
		put_row(rows + sizes[s], 200, UINT64_MAX, UINT32_MAX);
		put_row(rows + 2 * sizes[s], UINT32_MAX, 7 * (uint64_t)MIB, 2);
		assert_true(
			nvml_take_processes(rows, 3, 24, GPU_COMPUTE, UINT64_C(8) << 30, &reading));
		assert_int_equal(reading.process_count, 3);
		assert_int_equal(reading.processes[0].pid, 100);
		assert_int_equal(reading.processes[0].vram_bytes, 500 * (uint64_t)MIB);
		assert_false(reading.processes[1].bytes_known);
		assert_int_equal(reading.processes[2].pid, 0);
		assert_true(reading.processes[2].bytes_known);
		gpu_reading_finish(&reading);
	}
}

static void test_nonsense(void **state)
{
	unsigned char rows[64] = {0};
	struct gpu_reading reading = {0};

	(void)state;
	put_row(rows, 5000000, 1, UINT32_MAX); /* no pid is so large */
	assert_false(nvml_take_processes(rows, 1, 24, GPU_COMPUTE, 0, &reading));
	put_row(rows, 100, UINT64_C(9) << 30, UINT32_MAX); /* more than there is */
	assert_false(nvml_take_processes(rows, 1, 24, GPU_COMPUTE, UINT64_C(8) << 30, &reading));
	assert_false(nvml_take_processes(rows, 1, 16, GPU_COMPUTE, UINT64_C(8) << 30, &reading));
	assert_int_equal(reading.process_count, 0);
	gpu_reading_finish(&reading);
}

/* One that computes and draws is in two lists. */
static void test_once(void **state)
{
	unsigned char rows[32] = {0};
	struct gpu_reading reading = {0};

	(void)state;
	put_row(rows, 100, UINT64_MAX, UINT32_MAX);
	assert_true(nvml_take_processes(rows, 1, 24, GPU_GRAPHICS, 0, &reading));
	put_row(rows, 100, 5 * (uint64_t)MIB, UINT32_MAX);
	assert_true(nvml_take_processes(rows, 1, 24, GPU_COMPUTE, 0, &reading));
	assert_true(nvml_take_processes(rows, 1, 24, GPU_MPS, 0, &reading));
	assert_int_equal(reading.process_count, 1);
	assert_int_equal(reading.processes[0].vram_bytes, 5 * (uint64_t)MIB);
	gpu_reading_finish(&reading);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_of_each_size),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
