/* Goal: a driver is taken when it can move programs, and what is missing is said when it cannot.
 * Method: the stand-in for CUDA's library, one as it was before 570, and none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "process/cuda_api.h"

static void test_load(void **state)
{
	(void)state;
	struct cuda_api api;
	char why[CUDA_WHY_BYTES] = "";
	int version = 0, is = -1;

	assert_int_equal(cuda_load("/nonexistent/libcuda.so.1", &api, why), -ENOENT);
	assert_non_null(strstr(why, "no libcuda.so.1"));
	assert_int_equal(cuda_load(getenv("CUDA_STANDIN_OLD"), &api, why), -ENOSYS);
	assert_non_null(strstr(why, "570"));

	assert_int_equal(cuda_load(getenv("CUDA_STANDIN"), &api, why), 0);
	assert_int_equal(api.version(&version), CUDA_OK);
	assert_true(version >= 12080);
	assert_int_equal(api.state(1, &is), CUDA_INVALID_VALUE);
	/* As the driver has it: a lock without a limit, or with a field that is not zero. */
	assert_int_equal(api.lock(1, &(struct cuda_args){0}), CUDA_INVALID_VALUE);
}

static void test_words(void **state)
{
	(void)state;
	struct cuda_api api;
	char why[CUDA_WHY_BYTES], words[64];
	assert_int_equal(cuda_load(getenv("CUDA_STANDIN"), &api, why), 0);
	cuda_describe(&api, 2, words, sizeof(words));
	assert_string_equal(words, "out of memory (CUDA error 2)");
	cuda_describe(&api, 4711, words, sizeof(words));
	assert_string_equal(words, "CUDA error 4711");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_load),
					   cmocka_unit_test(test_words)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
