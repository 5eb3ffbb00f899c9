/* Goal: numbers and lines of sysfs and procfs are read as they stand, and what is not a number is
 * none; a sleeping card is seen without a look at it. Method: a tree of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "gpu/device.h"
#include "gpu/files.h"
#include "gpu/pci.h"
#include "tree.h"

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t number;
	} rows[] = {{"42\n", true, 42},
		    {"0", true, 0},
		    {"18446744073709551615\n", true, UINT64_MAX},
		    {"18446744073709551616\n", false, 0},
		    {"", false, 0},
		    {"-1\n", false, 0},
		    {"12 34\n", false, 0},
		    {"0x10\n", false, 0}};
	uint64_t number;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		tree_put("n", rows[i].text);
		assert_int_equal(gpu_file_number(&number, "%s/n", tree_root), rows[i].good);
		if (rows[i].good)
			assert_int_equal(number, rows[i].number);
	}
	assert_false(gpu_file_number(&number, "%s/none", tree_root));
}

/* GB10's, as reported: free is what is available, and total = used + free (REPORTS 26). */
static void test_meminfo(void **state)
{
	uint64_t total, available;

	(void)state;
	assert_true(gpu_parse_meminfo("MemTotal:       127600748 kB\nMemFree:        7789944 kB\n"
				      "MemAvailable:   118566368 kB\n",
				      &total, &available));
	assert_int_equal(total, UINT64_C(127600748) << 10);
	assert_int_equal(available, UINT64_C(118566368) << 10);
	assert_false(gpu_parse_meminfo("MemTotal: 1 kB\nMemFree: 1 kB\n", &total, &available));
	assert_false(gpu_parse_meminfo("MemTotal: 1 kB\nMemAvailable: 2 kB\n", &total, &available));
	assert_false(
		gpu_parse_meminfo("XMemTotal: 1 kB\nMemAvailable: 1 kB\n", &total, &available));
	assert_false(gpu_parse_meminfo("MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n",
				       &total, &available));
}

static void test_lines(void **state)
{
	char value[8];

	(void)state;
	assert_true(gpu_line_value("A=1\nDRIVER=xe\nDRIVERS=x", "DRIVER", value, sizeof(value)));
	assert_string_equal(value, "xe");
	assert_true(gpu_line_value("B=\nLAST=z", "LAST", value, sizeof(value)));
	assert_false(gpu_line_value("LONG=123456789\n", "LONG", value, sizeof(value)));
	assert_false(gpu_line_value("", "A", value, sizeof(value)));
}

static void put_card(const char *address, const char *status)
{
	char path[128];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/vendor", address);
	tree_put(path, "0x10de\n");
	snprintf(path, sizeof(path), "bus/pci/devices/%s/class", address);
	tree_put(path, "0x030200\n");
	snprintf(path, sizeof(path), "bus/pci/devices/%s/device", address);
	tree_put(path, "0x28a0\n");
	snprintf(path, sizeof(path), "bus/pci/devices/%s/power/runtime_status", address);
	tree_put(path, status);
}

static void test_sleepers(void **state)
{
	struct gpu_device devices[4];

	(void)state;
	assert_int_equal(pci_list_asleep(tree_root, PCI_NVIDIA, devices, 4), 0);
	put_card("0000:01:00.0", "suspended\n");
	tree_put("bus/pci/devices/0000:01:00.1/vendor", "0x10de\n"); /* its sound */
	tree_put("bus/pci/devices/0000:01:00.1/class", "0x040300\n");
	assert_int_equal(pci_list_asleep(tree_root, PCI_NVIDIA, devices, 4), 1);
	assert_string_equal(devices[0].pci, "0000:01:00.0");
	assert_int_equal(pci_count_displays(tree_root, PCI_NVIDIA), 1);
	assert_int_equal(devices[0].maker_index, 0);

	/* While all sleep, their addresses give CUDA's numbers. */
	put_card("0000:00:02.0", "suspending\n"); /* on its way, and to be left to it */
	assert_int_equal(pci_list_asleep(tree_root, PCI_NVIDIA, devices, 4), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(devices[i].maker_index,
				 strcmp(devices[i].pci, "0000:01:00.0") == 0);

	put_card("0000:02:00.0", "active\n");
	assert_int_equal(pci_list_asleep(tree_root, PCI_NVIDIA, devices, 4), -EAGAIN);
	assert_int_equal(pci_count_displays(tree_root, PCI_NVIDIA), 3);
	assert_int_equal(pci_count_displays(tree_root, 0x1002), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers, tree_setup, tree_teardown),
		cmocka_unit_test(test_meminfo),
		cmocka_unit_test(test_lines),
		cmocka_unit_test_setup_teardown(test_sleepers, tree_setup, tree_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
