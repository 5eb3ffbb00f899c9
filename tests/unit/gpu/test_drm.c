/* Goal: AMD's, Intel's and nouveau's GPUs are found and read from sysfs and fdinfo alone, each
 * client counted once, and a sleeping card is left asleep (REPORTS 29, 32). Method: trees written
 * after the kernel's documentation, not recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "gpu/pci.h"
#include "gpu/reading.h"
#include "gpu/source.h"
#include "tree.h"

enum { MIB = 1 << 20 };

static void *source;
static struct gpu_device devices[8];

#define CARD(n) "sys/class/drm/card" n "/device/"

static void put_dgpu(void)
{
	tree_put(CARD("0") "uevent", "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID=1002:744C\n"
				     "PCI_SLOT_NAME=0000:03:00.0\n");
	tree_put(CARD("0") "mem_busy_percent", "3\n");
	tree_put(CARD("0") "product_name", "Radeon RX 7900 XTX\n");
	tree_put(CARD("0") "unique_id", "abc123\n");
	tree_put(CARD("0") "mem_info_vram_total", "25753026560\n");
	tree_put(CARD("0") "mem_info_vram_used", "1073741824\n");
	tree_put(CARD("0") "mem_info_gtt_total", "16000000000\n");
	tree_put(CARD("0") "mem_info_gtt_used", "5000000\n");
	tree_put(CARD("0") "gpu_busy_percent", "12\n");
	tree_put(CARD("0") "power/runtime_status", "active\n");
	tree_put(CARD("0") "hwmon/hwmon4/temp1_input", "45000\n");
	tree_put(CARD("0") "hwmon/hwmon4/power1_average", "31000000\n");
	tree_put("sys/class/drm/card0-HDMI-A-1/status", "connected\n");
}

static int open_source(void)
{
	static char sysfs[96], procfs[96];
	const struct gpu_paths paths = {.sysfs = sysfs, .procfs = procfs};
	char why[GPU_FAULT_BYTES + 1] = "";

	snprintf(sysfs, sizeof(sysfs), "%s/sys", tree_root);
	snprintf(procfs, sizeof(procfs), "%s/proc", tree_root);
	return gpu_drm.open(&paths, &source, why);
}

static struct gpu_reading read_device(size_t i)
{
	struct gpu_reading reading = {0};

	gpu_drm.read(source, &devices[i], &reading);
	if (reading.state == GPU_OK)
		gpu_drm.processes(source, &devices[i], &reading);
	return reading;
}

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(open_source(), -ENOENT);
	tree_put(CARD("0") "uevent", "DRIVER=nvidia\nPCI_SLOT_NAME=0000:01:00.0\n");
	tree_put(CARD("1") "uevent", "DRIVER=ast\nPCI_SLOT_NAME=0000:02:00.0\n");
	assert_int_equal(open_source(), -ENOENT);
}

static void test_card(void **state)
{
	(void)state;
	put_dgpu();
	/* One client on two descriptors of one process and one of a child; another card's client */
	const char *client = "drm-pdev:\t0000:03:00.0\ndrm-client-id:\t76\n"
			     "drm-resident-vram:\t512 MiB\ndrm-resident-gtt:\t100 MiB\n";
	tree_put("proc/200/fdinfo/7", client);
	tree_put("proc/200/fdinfo/8", client);
	tree_put("proc/150/fdinfo/7", client);
	tree_put("proc/150/fdinfo/3", "pos:\t0\nflags:\t02\n");
	tree_put("proc/300/fdinfo/7", "drm-pdev:\t0000:09:00.0\ndrm-client-id:\t76\n"
				      "drm-resident-vram:\t1 MiB\n");
	tree_put("proc/400/fdinfo/7", "drm-pdev:\t0000:03:00.0\ndrm-client-id:\t77\n");

	assert_int_equal(open_source(), 0);
	assert_int_equal(gpu_drm.list(source, devices, 0, 8), 1);
	assert_string_equal(devices[0].model, "Radeon RX 7900 XTX");
	assert_string_equal(devices[0].uuid, "GPU-abc123");
	assert_string_equal(devices[0].pci, "0000:03:00.0");
	assert_false(devices[0].integrated || devices[0].unified);

	gpu_drm.begin(source);
	struct gpu_reading r = read_device(0);
	assert_int_equal(r.state, GPU_OK);
	assert_int_equal(r.known, GPU_MEMORY | GPU_TOTAL | GPU_UTILISATION | GPU_TEMPERATURE |
					  GPU_POWER | GPU_PROCESSES);
	assert_int_equal(r.used_bytes, 1073741824);
	assert_int_equal(r.total_bytes, r.used_bytes + r.free_bytes);
	assert_int_equal(r.utilisation_percent, 12);
	assert_int_equal(r.temperature_c, 45);
	assert_int_equal(r.power_mw, 31000);
	assert_int_equal(r.process_count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct gpu_process *process = &r.processes[i];
		assert_true(process->pid == 150 || process->pid == 400);
		assert_int_equal(process->bytes_known, process->pid == 150);
		if (process->pid == 150)
			assert_int_equal(process->vram_bytes, 512 * (uint64_t)MIB);
	}
	gpu_reading_finish(&r);

	/* The lowest leaves: who still has it owns it, also between two looks at all. */
	tree_put("proc/150/fdinfo/7", "pos:\t0\n");
	gpu_drm.begin(source);
	r = read_device(0);
	bool seen = false;
	for (size_t i = 0; i < r.process_count; i++)
		seen |= r.processes[i].pid == 200;
	assert_true(seen);
	gpu_reading_finish(&r);
	gpu_drm.close(source);
}

/* An APU's models are in gtt. */
static void test_apu(void **state)
{
	(void)state;
	tree_put(CARD("1") "uevent",
		 "DRIVER=amdgpu\nPCI_ID=1002:1586\nPCI_SLOT_NAME=0000:c4:00.0\n");
	tree_put(CARD("1") "mem_info_vram_total", "536870912\n");
	tree_put(CARD("1") "mem_info_vram_used", "5476352\n");
	tree_put(CARD("1") "mem_info_gtt_total", "100000000000\n");
	tree_put(CARD("1") "mem_info_gtt_used", "25864192000\n");
	tree_put("proc/200/fdinfo/7", "drm-pdev: 0000:c4:00.0\ndrm-client-id: 5\n"
				      "drm-memory-gtt: 25258000 KiB\ndrm-memory-vram: 5348 KiB");
	assert_int_equal(open_source(), 0);
	assert_int_equal(gpu_drm.list(source, devices, 0, 8), 1);
	assert_true(devices[0].integrated);
	assert_int_equal(devices[0].vendor, PCI_AMD);
	assert_int_equal(devices[0].maker_index, 0);
	gpu_drm.begin(source);
	struct gpu_reading r = read_device(0);
	assert_int_equal(r.total_bytes, UINT64_C(100536870912));
	assert_int_equal(r.used_bytes, UINT64_C(25869668352));
	assert_int_equal(r.processes[0].vram_bytes, (UINT64_C(25258000) + 5348) << 10);
	gpu_reading_finish(&r);
	gpu_drm.close(source);
}

/* Numbers are by address among those of one maker, whatever the kernel calls the cards. */
static void test_numbers_of_makers(void **state)
{
	static const char *const cards[][3] = {{"0", "i915", "0000:00:02.0"},
					       {"1", "amdgpu", "0000:41:00.0"},
					       {"2", "amdgpu", "0000:03:00.0"},
					       {"3", "nouveau", "0000:01:00.0"}};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char path[64], text[96];
		snprintf(path, sizeof(path), CARD("%s") "uevent", cards[i][0]);
		snprintf(text, sizeof(text), "DRIVER=%s\nPCI_SLOT_NAME=%s\n", cards[i][1],
			 cards[i][2]);
		tree_put(path, text);
	}

	assert_int_equal(open_source(), 0);
	assert_int_equal(gpu_drm.list(source, devices, 0, 8), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(devices[i].maker_index, devices[i].pci[5] == '4'   ? 1
							 : devices[i].pci[6] == '1' ? -1
										    : 0);
	gpu_drm.close(source);
}

static const char *place_of(const char *path)
{
	static char whole[256];
	snprintf(whole, sizeof(whole), "%s/%s", tree_root, path);
	return whole;
}

/* Processes whose descriptors may not be looked at: the others are known, and that some are not is
 * said. Root may look at all, so it is not root meanwhile. */
static void test_others(void **state)
{
	static const char *const passed[] = {"", "proc", "proc/200", "proc/200/fdinfo", "proc/400"};
	const uid_t nobody = 65534, own = geteuid();
	(void)state;
	put_dgpu();
	tree_put("proc/200/fdinfo/7", "drm-pdev:\t0000:03:00.0\ndrm-client-id:\t76\n"
				      "drm-memory-vram:\t512 MiB\n");
	tree_put("proc/400/fdinfo/7", "drm-pdev:\t0000:03:00.0\ndrm-client-id:\t77\n");
	assert_int_equal(open_source(), 0);
	assert_int_equal(gpu_drm.list(source, devices, 0, 8), 1);
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		assert_int_equal(chmod(place_of(passed[i]), 0755), 0);
	assert_int_equal(chmod(place_of("proc/400/fdinfo"), 0), 0);

	assert_int_equal(own == 0 ? seteuid(nobody) : 0, 0);
	gpu_drm.begin(source);
	assert_int_equal(seteuid(own), 0);
	struct gpu_reading r = read_device(0);
	assert_true(r.processes_partial);
	assert_int_equal(r.process_count, 1);
	assert_int_equal(r.processes[0].pid, 200);
	assert_true(r.known & GPU_PROCESSES);

	gpu_reading_finish(&r);
	gpu_drm.close(source);
	assert_int_equal(chmod(place_of("proc/400/fdinfo"), 0700), 0);
}

static void test_asleep(void **state)
{
	(void)state;
	put_dgpu();
	tree_put(CARD("0") "power/runtime_status", "suspended\n");
	assert_int_equal(open_source(), 0);
	assert_int_equal(gpu_drm.list(source, devices, 0, 8), 1);
	gpu_drm.begin(source);
	struct gpu_reading r = read_device(0);
	assert_int_equal(r.state, GPU_ASLEEP);
	assert_int_equal(r.known, 0);
	gpu_drm.close(source);
}

/* What the kernel does not tell is unknown: an Intel card's use, all of nouveau's. */
static void test_intel_and_nouveau(void **state)
{
	(void)state;
	tree_put(CARD("0") "uevent", "DRIVER=xe\nPCI_ID=8086:E20B\nPCI_SLOT_NAME=0000:03:00.0\n");
	tree_put(CARD("0") "tile0/physical_vram_size_bytes", "12800000000\n");
	tree_put(CARD("1") "uevent", "DRIVER=i915\nPCI_ID=8086:46A6\nPCI_SLOT_NAME=0000:00:02.0\n");
	tree_put(CARD("2") "uevent",
		 "DRIVER=nouveau\nPCI_ID=10DE:1B80\nPCI_SLOT_NAME=0000:05:00.0\n");
	tree_put("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 4000000 kB\n");
	assert_int_equal(open_source(), 0);
	assert_int_equal(gpu_drm.list(source, devices, 0, 8), 3);
	gpu_drm.begin(source);
	for (size_t i = 0; i < 3; i++) {
		struct gpu_reading r = read_device(i);
		bool integrated = strcmp(devices[i].pci, "0000:00:02.0") == 0;
		assert_int_equal(devices[i].unified, integrated);
		assert_int_equal(devices[i].measures, integrated);
		assert_int_equal((r.known & GPU_MEMORY) != 0, integrated);
		if (integrated)
			assert_int_equal(r.free_bytes, UINT64_C(4000000) << 10);
		assert_int_equal((r.known & GPU_TOTAL) != 0,
				 strcmp(devices[i].pci, "0000:05:00.0") != 0);
		gpu_reading_finish(&r);
	}

	/* A card that is pulled out */
	char path[160];
	snprintf(path, sizeof(path), "%s/" CARD("2") "uevent", tree_root);
	assert_int_equal(unlink(path), 0);
	for (size_t i = 0; i < 3; i++) {
		struct gpu_reading r = read_device(i);
		bool pulled = strcmp(devices[i].pci, "0000:05:00.0") == 0;
		assert_int_equal(r.state, pulled ? GPU_GONE : GPU_OK);
		gpu_reading_finish(&r);
	}
	assert_int_equal(gpu_drm.list(source, devices, 0, 8), 2);
	gpu_drm.close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(test_card, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(test_numbers_of_makers, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(test_apu, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(test_others, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(test_asleep, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(test_intel_and_nouveau, tree_setup, tree_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
