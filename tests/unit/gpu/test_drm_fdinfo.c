/* Goal: a client's memory is counted as the kernel's documentation of drm-usage-stats says, and
 * what is malformed is unknown (REPORTS 29). Method: texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/drm_fdinfo.h"

enum { KIB = 1024 };

static bool parse(const char *text, struct drm_fdinfo *ret_info)
{
	return drm_parse_fdinfo(text, strlen(text), ret_info);
}

#define HEAD "drm-driver:\tamdgpu\ndrm-client-id:\t76\ndrm-pdev:\t0000:03:00.0\n"

/* Resident before memory before total; a value without a unit is bytes; shared is not counted; a
 * key that is repeated counts once; the last line has no end. */
static void test_amdgpu(void **state)
{
	struct drm_fdinfo info;

	(void)state;
	assert_true(parse("pos:\t0\nflags:\t02100002\n" HEAD "drm-resident-vram:\t65072580 KiB\n"
			  "drm-total-vram:\t70000000 KiB\ndrm-memory-vram:\t5348 KiB\n"
			  "drm-shared-vram:\t1024 KiB\ndrm-resident-vram:\t1 KiB\n"
			  "drm-memory-gtt:\t25258000 KiB\ndrm-purgeable-vram:\t4 KiB",
			  &info));
	assert_string_equal(info.pdev, "0000:03:00.0");
	assert_int_equal(info.client, 76);
	assert_true(info.card.known && info.shared.known);
	assert_int_equal(info.card.bytes, (UINT64_C(65072580) - 1024) * KIB);
	assert_int_equal(info.shared.bytes, UINT64_C(25258000) * KIB);
}

static void test_names_of_drivers(void **state)
{
	struct drm_fdinfo info;

	(void)state;
	/* xe: two tiles; what it has of the machine's memory is another sum */
	assert_true(parse(HEAD "drm-total-vram0:\t100 MiB\ndrm-resident-vram0:\t64 MiB\n"
			       "drm-resident-vram1:\t16 MiB\ndrm-total-system:\t7 MiB\n",
			  &info));
	assert_int_equal(info.card.bytes, UINT64_C(80) << 20);
	assert_int_equal(info.shared.bytes, UINT64_C(7) << 20);
	/* i915 */
	assert_true(parse(HEAD "drm-total-local0:\t8 KiB\ndrm-total-system0:\t4 KiB\n"
			       "drm-total-stolen-system0:\t2 KiB\n",
			  &info));
	assert_int_equal(info.card.bytes, 8 * KIB);
	assert_int_equal(info.shared.bytes, 4 * KIB);
	/* bytes */
	assert_true(parse(HEAD "drm-total-memory: 3899392\n", &info));
	assert_int_equal(info.shared.bytes, 3899392);
	assert_false(info.card.known);
}

static void test_unknown(void **state)
{
	static const char *const values[] = {"18446744073709551616",
					     "18014398509481984 KiB",
					     "1 GiB",
					     "",
					     "x",
					     "-1 KiB",
					     "1 KiBs"};
	struct drm_fdinfo info;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char text[256];
		snprintf(text, sizeof(text), HEAD "drm-resident-vram:\t%s\n", values[i]);
		assert_true(parse(text, &info));
		assert_false(info.card.known);
		/* .. but what else is there counts */
		snprintf(text, sizeof(text),
			 HEAD "drm-resident-vram:\t%s\ndrm-memory-vram:\t2 KiB\n", values[i]);
		assert_true(parse(text, &info));
		assert_int_equal(info.card.bytes, 2 * KIB);
	}
	assert_true(parse(HEAD "drm-memory-vram:\t18446744073709551615\n"
			       "drm-memory-vram0:\t18446744073709551615\n",
			  &info));
	assert_int_equal(info.card.bytes, UINT64_MAX); /* saturated */
}

static void test_no_client(void **state)
{
	struct drm_fdinfo info;

	(void)state;
	assert_false(parse("", &info));
	assert_false(parse("pos:\t0\nflags:\t02\nmnt_id:\t30\n", &info));
	assert_false(parse("drm-client-id:\t76\n", &info));
	assert_false(parse("drm-client-id:\tnone\ndrm-pdev:\t0000:03:00.0\n", &info));
	assert_false(parse("drm-client-id:\t1\ndrm-pdev:\t0123456789012345678901234567890123456\n",
			   &info));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_amdgpu),
		cmocka_unit_test(test_names_of_drivers),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_no_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
