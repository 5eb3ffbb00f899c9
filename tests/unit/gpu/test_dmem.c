/* Goal: what a cgroup uses of a card is the sum of its regions of VRAM, and of that card alone;
 * what is bent or cut off says nothing. Method: texts as cgroup-v2.rst gives them, and a tree of
 * files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gpu/dmem.h"

#define PCI "0000:03:00.0"

static void expect(const char *text, uint64_t bytes)
{
	uint64_t found = 7;
	assert_true(dmem_parse(text, PCI, &found));
	assert_int_equal(found, bytes);
}

static void refuse(const char *text)
{
	uint64_t found = 7;
	assert_false(dmem_parse(text, PCI, &found));
	assert_int_equal(found, 7);
}

static void test_regions(void **state)
{
	(void)state;
	expect("drm/0000:03:00.0/vram0 12550144\ndrm/0000:03:00.0/stolen 8650752\n", 12550144);
	expect("drm/0000:03:00.0/vram 5", 5);
	expect("drm/0000:03:00.0/vram0 5\ndrm/0000:04:00.0/vram0 9\ndrm/0000:03:00.0/vram1 6\n",
	       11);
	expect("drm/0000:03:00.0/vram0 0\n", 0);
	expect("nvidia/0000:03:00.0/vidmem 7\nnvidia/0000:04:00.0/vidmem 9\n", 7);
	expect("drm/0000:03:00.0/vram0 max\n", DMEM_NO_LIMIT);
	expect("drm/0000:03:00.0/vram0 max\ndrm/0000:03:00.0/vram1 6\n", DMEM_NO_LIMIT);
	expect("drm/0000:03:00.0/vram0 18446744073709551615\ndrm/0000:03:00.0/vram1 6\n",
	       DMEM_NO_LIMIT);
}

static void test_nonsense(void **state)
{
	uint64_t found = 7;

	(void)state;
	refuse("");
	refuse("\n\n");
	refuse("drm/0000:04:00.0/vram0 9\n");
	refuse("drm/0000:03:00.0/stolen 9\n");
	refuse("drm/0000:03:00.0/vram0\n");
	refuse("drm/0000:03:00.0/vram0 \n");
	refuse("drm/0000:03:00.0/vram0 12a\n");
	refuse("drm/0000:03:00.0/vram0 -1\n");
	refuse("drm/0000:03:00.0/vram0 18446744073709551616\n");
	refuse("drm/0000:03:00.0/vram");
	assert_false(dmem_parse("drm//vram0 9\n", "", &found));
}

static void test_files(void **state)
{
	char folder[] = "/tmp/bt-dmem-XXXXXX", path[64];
	uint64_t found = 7;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_false(dmem_read(folder, "dmem.current", PCI, &found));
	snprintf(path, sizeof(path), "%s/dmem.current", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "drm/%s/vram0 4096\n", PCI);
	assert_int_equal(fclose(file), 0);
	assert_true(dmem_read(folder, "dmem.current", PCI, &found));
	assert_int_equal(found, 4096);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
