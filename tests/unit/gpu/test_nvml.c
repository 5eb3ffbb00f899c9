/* Goal: NVIDIA's library is read with each of its versions, and every way in which it fails is seen
 * as what it is (REPORTS 26, 28, 33). Method: the real code loads the library that the tests write
 * (tests/lib/nvml), whose cards are lines of a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "config/paths.h"
#include "gpu/reading.h"
#include "gpu/source.h"
#include "tree.h"

enum { MIB = 1 << 20 };

static void *source;
static size_t known;
static struct gpu_device devices[16];
static char sysfs[96], procfs[96], why[GPU_FAULT_BYTES + 1];

static void put_scenario(const char *text)
{
	char path[96], beside[96];

	/* By a rename, as the library is told by the inode that it is another file. */
	tree_put("beside.txt", text);
	snprintf(beside, sizeof(beside), "%s/beside.txt", tree_root);
	snprintf(path, sizeof(path), "%s/nvml.txt", tree_root);
	assert_int_equal(rename(beside, path), 0);
	assert_int_equal(setenv("BATON_NVML_SCENARIO", path, 1), 0);
}

static int open_library(const char *variable)
{
	snprintf(sysfs, sizeof(sysfs), "%s/sys", tree_root);
	snprintf(procfs, sizeof(procfs), "%s/proc", tree_root);
	const struct gpu_paths paths = {.nvml = getenv(variable), .sysfs = sysfs, .procfs = procfs};
	assert_non_null(paths.nvml);
	known = 0;
	return gpu_nvml.open(&paths, &source, why);
}

static int list_devices(void)
{
	int count = gpu_nvml.list(source, devices, known, 16);

	known = count > 0 ? (size_t)count : 0;
	return count;
}

static struct gpu_reading read_device(size_t i)
{
	struct gpu_reading reading = {0};

	gpu_nvml.read(source, &devices[i], &reading);
	if (reading.state == GPU_OK)
		gpu_nvml.processes(source, &devices[i], &reading);
	return reading;
}

/* The same free memory by both calls; only the newer one tells what is reserved (28). */
static void test_versions(void **state)
{
	static const struct {
		const char *library, *words;
		bool reserved;
	} rows[] = {{"NVML_STANDIN", "", true},
		    {"NVML_STANDIN", "error2", false},
		    {"NVML_STANDIN_OLD", "", false}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char text[256];
		snprintf(text, sizeof(text),
			 "gpu GPU-a 0:1:0 total=81920 reserved=905 used=8 util=0 %s\n"
			 "process 10 4 compute\nprocess 11 na graphics\n",
			 rows[i].words);
		put_scenario(text);
		assert_int_equal(open_library(rows[i].library), 0);
		assert_int_equal(list_devices(), 1);

		struct gpu_reading r = read_device(0);
		assert_int_equal(r.free_bytes, (81920 - 913) * (uint64_t)MIB);
		assert_int_equal(r.total_bytes, r.free_bytes + r.used_bytes + r.reserved_bytes);
		assert_int_equal((r.known & GPU_RESERVED) != 0, rows[i].reserved);
		assert_int_equal(r.used_bytes, (rows[i].reserved ? 8 : 913) * (uint64_t)MIB);
		assert_true(r.known & GPU_UTILISATION);
		assert_false(r.known & (GPU_TEMPERATURE | GPU_POWER));
		assert_true(r.known & GPU_PROCESSES);
		assert_int_equal(r.process_count, 2);
		gpu_reading_finish(&r);
		gpu_nvml.close(source);
	}
}

/* More processes than fit at first, and rows of another size. */
static void test_process_lists(void **state)
{
	static char text[64 * 1024];

	(void)state;
	for (int rows = 0; rows <= 32; rows += 32) {
		size_t length = (size_t)snprintf(text, sizeof(text),
						 "rows %d\ngpu GPU-a 0:1:0 total=81920\n", rows);
		for (unsigned i = 1; i <= 500; i++)
			length += (size_t)snprintf(text + length, sizeof(text) - length,
						   "process %u %u compute\n", 1000 + i, i % 7);
		put_scenario(text);
		assert_int_equal(open_library("NVML_STANDIN"), 0);
		assert_int_equal(list_devices(), 1);
		struct gpu_reading r = read_device(0);
		assert_int_equal(r.process_count, 500);
		assert_int_equal(r.processes[499].pid, 1500);
		gpu_reading_finish(&r);
		gpu_nvml.close(source);
	}
}

/* GB10: both memory calls are not supported; N1X: it answers as if the pool were its own (26). */
static void test_unified(void **state)
{
	static const char *const texts[] = {
		"gpu GPU-a 0:1:0 unsupported name=NVIDIA_GB10\nprocess 10 600 compute\n",
		"gpu GPU-a 0:1:0 unsupported name=Some_new_board\nprocess 10 600 compute\n",
		"gpu GPU-a 0:1:0 total=8128 used=100 name=NVIDIA_N1X\nprocess 10 600 compute\n",
		"gpu GPU-a 0:1:0 unsupported name=Orin_(nvgpu)\nprocess 10 600 compute\n"};

	(void)state;
	tree_put("proc/meminfo", "MemTotal: 127600748 kB\nMemFree: 7789944 kB\n"
				 "MemAvailable: 118566368 kB\n");
	for (size_t i = 0; i < 4; i++) {
		put_scenario(texts[i]);
		assert_int_equal(open_library("NVML_STANDIN"), 0);
		assert_int_equal(list_devices(), 1);
		assert_true(devices[0].unified);
		struct gpu_reading r = read_device(0);
		assert_int_equal(r.total_bytes, UINT64_C(127600748) << 10);
		assert_int_equal(r.free_bytes, UINT64_C(118566368) << 10);
		assert_int_equal(r.used_bytes, (UINT64_C(127600748) - 118566368) * 1024);
		assert_int_equal(r.processes[0].vram_bytes, 600 * (uint64_t)MIB);
		gpu_reading_finish(&r);
		gpu_nvml.close(source);
	}

	/* Without /proc/meminfo it is unknown, not zero. */
	put_scenario(texts[0]);
	tree_put("proc/meminfo", "");
	assert_int_equal(open_library("NVML_STANDIN"), 0);
	assert_int_equal(list_devices(), 1);
	struct gpu_reading r = read_device(0);
	assert_false(r.known & (GPU_MEMORY | GPU_TOTAL));
	gpu_reading_finish(&r);
	gpu_nvml.close(source);
}

/* One card falls off the bus, and later is not counted any more (33). */
static void test_lost(void **state)
{
	(void)state;
	put_scenario("gpu GPU-a 0:1:0 total=100\ngpu GPU-b 0:2:0 total=200\ngpu GPU-c 0:3:0 "
		     "total=300\n");
	assert_int_equal(open_library("NVML_STANDIN"), 0);
	assert_int_equal(list_devices(), 3);
	assert_int_equal(devices[2].nvml_index, 2);
	put_scenario("gpu GPU-a 0:1:0 total=100\ngpu GPU-b 0:2:0 total=200 lost\ngpu GPU-c 0:3:0 "
		     "total=300\n");
	for (size_t i = 0; i < 3; i++) {
		struct gpu_reading r = read_device(i);
		assert_int_equal(r.state, i == 1 ? GPU_LOST : GPU_OK);
		assert_int_equal(r.known & GPU_MEMORY, i == 1 ? 0 : GPU_MEMORY);
		gpu_reading_finish(&r);
	}

	assert_int_equal(list_devices(), 3); /* it cannot be asked who it is: the one that was */
	assert_string_equal(devices[1].uuid, "GPU-b");
	struct gpu_reading again = read_device(1);
	assert_int_equal(again.state, GPU_LOST);

	put_scenario("gpu GPU-a 0:1:0 total=100\ngpu GPU-b 0:2:0 total=200 reset\ngpu GPU-c 0:3:0 "
		     "total=300\n");
	assert_int_equal(list_devices(), 3);
	again = read_device(1);
	assert_int_equal(again.state, GPU_LOST); /* it is there, and needs a reset */

	put_scenario("gpu GPU-a 0:1:0 total=100\ngpu GPU-c 0:3:0 total=300\n");
	struct gpu_device lost = devices[1];
	assert_int_equal(list_devices(), 2);
	assert_string_equal(devices[1].uuid, "GPU-c");
	assert_int_equal(devices[1].nvml_index, 1);
	struct gpu_reading r = {0};
	gpu_nvml.read(source, &lost, &r);
	assert_int_equal(r.state, GPU_GONE);
	r = read_device(1);
	assert_int_equal(r.total_bytes, 300 * (uint64_t)MIB);
	gpu_reading_finish(&r);
	gpu_nvml.close(source);
}

/* Instances are GPUs of their own, and their card is none (33). */
static void test_mig(void **state)
{
	(void)state;
	put_scenario("gpu GPU-a 0:1:0 total=81920 mig\nmig MIG-1 total=20096 used=5\nprocess 10 5 "
		     "compute\n"
		     "mig MIG-2 total=20096\ngpu GPU-b 0:2:0 total=100\n");
	assert_int_equal(open_library("NVML_STANDIN"), 0);
	assert_int_equal(list_devices(), 3);
	assert_string_equal(devices[0].uuid, "MIG-1");
	assert_string_equal(devices[0].parent, "GPU-a");
	assert_int_equal(devices[0].nvml_index, -1);
	assert_int_equal(devices[0].maker_index, -1);
	assert_string_equal(devices[2].uuid, "GPU-b");
	struct gpu_reading r = read_device(0);
	assert_int_equal(r.total_bytes, 20096 * (uint64_t)MIB);
	assert_int_equal(r.process_count, 1);
	gpu_reading_finish(&r);

	put_scenario(
		"gpu GPU-a 0:1:0 total=81920 mig\nmig MIG-2 total=20096\nmig MIG-3 total=10000\n"
		"mig MIG-4 total=10000\n");
	assert_int_equal(list_devices(), 3);
	assert_string_equal(devices[0].uuid, "MIG-2");

	/* A card that is put into the mode later is gone, and its instances are there. */
	put_scenario("gpu GPU-a 0:1:0 total=81920\n");
	assert_int_equal(list_devices(), 1);
	assert_string_equal(devices[0].uuid, "GPU-a");
	put_scenario("gpu GPU-a 0:1:0 total=81920 mig\nmig MIG-5 total=20096\n");
	assert_int_equal(list_devices(), 1);
	struct gpu_reading card = read_device(0);
	assert_int_equal(card.state, GPU_GONE);
	assert_int_equal(list_devices(), 1);
	assert_string_equal(devices[0].uuid, "MIG-5");
	gpu_nvml.close(source);
}

/* What no card can draw is not shown as drawn. */
static void test_nonsense(void **state)
{
	(void)state;
	put_scenario("gpu GPU-a 0:1:0 total=100 power=2000000000\ngpu GPU-b 0:2:0 total=100 "
		     "power=300000\n");
	assert_int_equal(open_library("NVML_STANDIN"), 0);
	assert_int_equal(list_devices(), 2);
	struct gpu_reading wrong = read_device(0), right = read_device(1);
	assert_false(wrong.known & GPU_POWER);
	assert_int_equal(right.power_mw, 300000);
	gpu_reading_finish(&wrong);
	gpu_reading_finish(&right);
	gpu_nvml.close(source);
}

/* CUDA's order by address beside NVML's. */
static void test_order(void **state)
{
	(void)state;
	put_scenario("gpu GPU-a 0:41:0 total=100\ngpu GPU-b 0:02:0 total=100\n");
	assert_int_equal(open_library("NVML_STANDIN"), 0);
	assert_int_equal(list_devices(), 2);
	assert_string_equal(devices[0].pci, "0000:41:00.0");
	assert_int_equal(devices[0].nvml_index, 0);
	assert_int_equal(devices[0].maker_index, 1);
	assert_int_equal(devices[1].maker_index, 0);
	gpu_nvml.close(source);
}

static void test_not_opened(void **state)
{
	static const struct gpu_paths none = {.nvml = "/no/such/libnvidia-ml.so.1"};

	(void)state;
	assert_int_equal(gpu_nvml.open(&none, &source, why), -ENOENT);
	put_scenario("init 9\n"); /* the library is installed, the driver is not */
	assert_int_equal(open_library("NVML_STANDIN"), -ENOENT);
	put_scenario("init 18\n");
	assert_int_equal(open_library("NVML_STANDIN"), -EPROTO);
	assert_non_null(strstr(why, "reboot"));
	put_scenario("init 4\n");
	assert_int_equal(open_library("NVML_STANDIN"), -EIO);
	assert_non_null(strstr(why, "device nodes"));
}

/* The library sees only what was there when it was opened. */
static void test_plugged_in(void **state)
{
	(void)state;
	put_scenario("gpu GPU-a 0:1:0 total=100\n");
	assert_int_equal(open_library("NVML_STANDIN"), 0);
	assert_int_equal(list_devices(), 1);
	tree_put("sys/bus/pci/devices/0000:09:00.0/vendor", "0x10de\n");
	tree_put("sys/bus/pci/devices/0000:09:00.0/class", "0x030000\n");
	assert_true(list_devices() < 0);
	gpu_nvml.close(source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

/* A cgroup with a limit of its own; one that is told that of the cgroup around it, with what all in
 * there use; one without; one whose use is not available; a driver that knows of none. */
static void test_cgroups(void **state)
{
	char path[96], text[256];
	struct gpu_cgroup job = {.path = "/sys/fs/cgroup/user/job"},
			  other = {.path = "/sys/fs/cgroup/user/other"},
			  free = {.path = "/sys/fs/cgroup/free"},
			  unread = {.path = "/sys/fs/cgroup/unread"};

	(void)state;
	snprintf(path, sizeof(path), "%s/limits.txt", tree_root);
	snprintf(text, sizeof(text),
		 "GPU-a /sys/fs/cgroup/user 0 9000\nGPU-a %s 0 7000\nGPU-a %s 0 5000\n", job.path,
		 unread.path);
	tree_put("limits.txt", text);
	snprintf(text, sizeof(text),
		 "gpu GPU-a 0:1:0 total=100\ncgroup %s 3\ncgroup %s 5\ncgroup %s -\n", job.path,
		 other.path, unread.path);
	put_scenario(text);
	assert_int_equal(setenv("BATON_NVML_LIMITS", path, 1), 0);
	assert_int_equal(open_library("NVML_STANDIN"), 0);
	assert_int_equal(list_devices(), 1);

	assert_true(gpu_nvml.cgroup(source, &devices[0], &job));
	assert_int_equal(job.vram_bytes, 3 * MIB);
	assert_int_equal(job.vram_bytes_max, 7000);
	assert_false(gpu_nvml.cgroup(source, &devices[0], &other));
	assert_false(gpu_nvml.cgroup(source, &devices[0], &free));
	assert_false(gpu_nvml.cgroup(source, &devices[0], &unread));

	assert_int_equal(unsetenv("BATON_NVML_LIMITS"), 0);
	assert_false(gpu_nvml.cgroup(source, &devices[0], &job));
	gpu_nvml.close(source);
	assert_int_equal(open_library("NVML_STANDIN_OLD"), 0);
	assert_int_equal(list_devices(), 1);
	assert_false(gpu_nvml.cgroup(source, &devices[0], &job));
	gpu_nvml.close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions), TEST(test_process_lists), TEST(test_unified),
		TEST(test_lost),     TEST(test_cgroups),       TEST(test_mig),
		TEST(test_order),    TEST(test_not_opened),    TEST(test_plugged_in),
		TEST(test_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
