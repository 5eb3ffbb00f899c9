/* Goal: a GPU keeps its place and its name whatever devices come, go and move, and the
 * configuration gets what is known of them (REPORTS 33). Method: lists and readings as the probes
 * report them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/err.h"
#include "server/gpus/gpu_rows.h"

enum { MIB = 1 << 20 };

static struct gpu_rows rows;
static struct settings settings;
static struct mono_ms now = {1000};

static int set_up(void **state)
{
	(void)state;
	memset(&rows, 0, sizeof(rows));
	settings_defaults(&settings);
	gpu_rows_configure(&rows, &settings);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gpu_rows_finish(&rows);
	return 0;
}

static struct gpu_device device(const char *uuid, const char *pci, int index)
{
	struct gpu_device d = {.nvml_index = index, .maker_index = index, .measures = true};

	snprintf(d.uuid, sizeof(d.uuid), "%s", uuid);
	snprintf(d.pci, sizeof(d.pci), "%s", pci);
	return d;
}

static void list(const char *source, struct gpu_device *devices, size_t count)
{
	const struct gpu_report report = {.kind = GPU_REPORT_LIST,
					  .source = source,
					  .devices = devices,
					  .device_count = count};
	gpu_rows_take_list(&rows, &report);
	gpu_rows_bind(&rows);
}

static void read_total(const char *source, const struct gpu_device *d, uint64_t total_mb,
		       uint64_t reserved_mb)
{
	struct gpu_report report = {.measured = now};

	report.reading.known = GPU_MEMORY | GPU_TOTAL;
	report.reading.total_bytes = total_mb * MIB;
	report.reading.reserved_bytes = reserved_mb * MIB;
	gpu_rows_take_reading(&rows, gpu_rows_find(&rows, source, d), &report, now);
}

static void test_places_stay(void **state)
{
	struct gpu_device all[] = {device("GPU-a", "0000:01:00.0", 0),
				   device("GPU-b", "0000:02:00.0", 1),
				   device("GPU-c", "0000:03:00.0", 2)};

	(void)state;
	list("nvml", all, 3);
	assert_int_equal(rows.count, 3);
	struct gpu_device two[] = {all[0], device("GPU-c", "0000:03:00.0", 1)};
	list("nvml", two, 2);
	assert_int_equal(rows.count, 3);
	assert_int_equal(rows.v[1].reading.state, GPU_GONE);
	assert_string_equal(rows.v[2].device.uuid, "GPU-c");
	assert_int_equal(rows.v[2].device.nvml_index, 1);

	/* One more is the last, and the lost one comes back to its place. */
	struct gpu_device more[] = {device("GPU-d", "0000:00:00.0", 0), all[0], all[1], two[1]};
	list("nvml", more, 4);
	assert_int_equal(rows.count, 4);
	assert_string_equal(rows.v[3].device.uuid, "GPU-d");
	assert_string_equal(rows.v[3].name, "gpu3");
	assert_int_equal(gpu_rows_find(&rows, "nvml", &all[1]), 1);
	assert_int_equal(gpu_rows_find(&rows, "drm", &all[1]), LIMIT_GPUS);
}

static void test_filled(void **state)
{
	struct gpu_device card = device("GPU-a", "0000:01:00.0", 0);

	(void)state;
	list("nvml", &card, 1);
	gpu_rows_fill(&rows, &settings);
	assert_false(settings.core.gpus[0].vram_known); /* listed, not read yet */

	read_total("nvml", &card, 24576, 905);
	assert_true(rows.changed);
	gpu_rows_fill(&rows, &settings);
	assert_int_equal(settings.core.gpu_count, 1);
	assert_string_equal(settings.core.gpus[0].uuid, "GPU-a");
	assert_int_equal(settings.core.gpus[0].vram_bytes_total, UINT64_C(24576) * MIB);
	assert_int_equal(settings.core.gpus[0].vram_bytes_kept, (UINT64_C(512) + 905) * MIB);

	rows.changed = false;
	read_total("nvml", &card, 24576, 930); /* what is reserved varies a little */
	assert_false(rows.changed);
}

/* A sleeping card has no uuid yet; once awake it is the same one, under its name. */
static void test_wakes(void **state)
{
	struct gpu_device asleep = device("", "0000:01:00.0", -1);
	struct gpu_device awake = device("GPU-a", "0000:01:00.0", 0);

	(void)state;
	list("nvml", &asleep, 1);
	assert_string_equal(gpu_names_of(&rows.names, "0000:01:00.0"), "gpu0");
	list("nvml", &awake, 1);
	assert_int_equal(rows.count, 1);
	assert_string_equal(rows.v[0].device.uuid, "GPU-a");
	assert_string_equal(gpu_names_of(&rows.names, "GPU-a"), "gpu0");
	list("nvml", &asleep, 1); /* says less than is known */
	assert_string_equal(rows.v[0].device.uuid, "GPU-a");
	assert_int_equal(rows.found_count, 1);
}

static void test_integrated_only_alone(void **state)
{
	struct gpu_device own = device("", "0000:c4:00.0", -1),
			  card = device("GPU-a", "0000:01:00.0", 0);

	(void)state;
	own.integrated = true;
	list("drm", &own, 1);
	assert_int_equal(rows.count, 1);

	tear_down(state), set_up(state);
	list("nvml", &card, 1);
	list("drm", &own, 1);
	assert_int_equal(rows.count, 1);
	assert_string_equal(rows.v[0].source, "nvml");
}

static void configure(uint32_t i, const char *name, const char *uuid)
{
	struct gpu_config *gpu = &settings.core.gpus[i];

	settings.gpus_from = GPUS_FILE;
	*gpu = (struct gpu_config){.slots = 1};
	snprintf(gpu->name, sizeof(gpu->name), "%s", name);
	snprintf(gpu->uuid, sizeof(gpu->uuid), "%s", uuid);
	settings.core.gpu_count = i + 1;
}

/* By uuid and by address; who names none gets the next; nobody else is lent; sizes are limits. */
static void test_configured(void **state)
{
	struct gpu_device all[] = {
		device("GPU-a", "0000:01:00.0", 0), device("GPU-b", "0000:02:00.0", 1),
		device("GPU-c", "0000:03:00.0", 2), device("GPU-d", "0000:04:00.0", 3)};

	(void)state;
	configure(0, "third", "GPU-c");
	configure(1, "second", "0000:02:00.0");
	configure(2, "next", "");
	settings.core.gpus[1].vram_known = true;
	settings.core.gpus[1].vram_bytes_total = UINT64_C(4096) * MIB;
	gpu_rows_configure(&rows, &settings);
	list("nvml", all, 4);
	assert_int_equal(rows.count, 3);
	assert_string_equal(rows.v[0].device.uuid, "GPU-c");
	assert_string_equal(rows.v[1].device.uuid, "GPU-b");
	assert_string_equal(rows.v[2].device.uuid, "GPU-a");

	for (size_t i = 0; i < 3; i++)
		read_total("nvml", &all[i], 8192, 0);
	gpu_rows_fill(&rows, &settings);
	assert_int_equal(settings.core.gpus[0].vram_bytes_total, UINT64_C(8192) * MIB);
	assert_int_equal(settings.core.gpus[1].vram_bytes_total, UINT64_C(4096) * MIB);
	assert_string_equal(settings.core.gpus[2].uuid, "GPU-a");
	assert_string_equal(settings.core.gpus[2].name, "next");

	/* A reload that adds one keeps the others' devices. */
	configure(3, "fourth", "");
	gpu_rows_configure(&rows, &settings);
	gpu_rows_bind(&rows);
	assert_string_equal(rows.v[3].device.uuid, "GPU-d");
	assert_string_equal(rows.v[0].device.uuid, "GPU-c");
}

static void read_load(const struct gpu_device *d, int64_t at_ms, uint32_t percent)
{
	struct gpu_report report = {.measured = {at_ms}};

	report.reading.known = GPU_UTILISATION;
	report.reading.utilisation_percent = percent;
	gpu_rows_take_reading(&rows, gpu_rows_find(&rows, "nvml", d), &report,
			      (struct mono_ms){at_ms});
}

/* Idle is what was seen to be idle, without a gap. */
static void test_idle_since(void **state)
{
	struct gpu_device card = device("GPU-a", "0000:01:00.0", 0);

	(void)state;
	list("nvml", &card, 1);
	read_load(&card, 1000, 0); /* what was before is not known */
	assert_int_equal(rows.v[0].busy.v, 1000);
	read_load(&card, 2000, 2);
	read_load(&card, 3000, 0);
	assert_int_equal(rows.v[0].busy.v, 1000);
	read_load(&card, 4000, 3);
	assert_int_equal(rows.v[0].busy.v, 4000);
	read_load(&card, 5000, 0);
	read_load(&card, 15000, 0);
	assert_int_equal(rows.v[0].busy.v, 15000);
}

static void test_unified_keeps_more(void **state)
{
	struct gpu_device own = device("GPU-a", "0000:01:00.0", 0);

	(void)state;
	own.unified = true;
	list("nvml", &own, 1);
	read_total("nvml", &own, 124610, 0);
	gpu_rows_fill(&rows, &settings);
	assert_int_equal(settings.core.gpus[0].vram_bytes_kept, UINT64_C(4096) * MIB);
}

static void test_names_on_the_disk(void **state)
{
	char dir[] = "/tmp/bt-gpu-XXXXXX", path[64];
	struct gpu_names names = {0}, again;
	char detail[256];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_string_equal(gpu_names_of(&names, "GPU-a"), "gpu0");
	assert_string_equal(gpu_names_of(&names, "GPU-b"), "gpu1");
	gpu_names_save(&names, dir);
	assert_int_equal(gpu_names_load(&again, dir, detail, sizeof(detail)), 0);
	assert_string_equal(gpu_names_of(&again, "GPU-c"), "gpu2");
	assert_string_equal(gpu_names_of(&again, "GPU-b"), "gpu1");

	/* Devices come and go for years: the oldest names are given up. */
	for (int i = 0; i < 2 * GPU_NAMES_MAX; i++) {
		char key[32];
		snprintf(key, sizeof(key), "GPU-%d", i);
		gpu_names_of(&again, key);
	}
	assert_int_equal(again.count, GPU_NAMES_MAX);

	snprintf(path, sizeof(path), "%s/gpus", dir);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("gpu7 GPU-z\nnonsense\n\ncpu0 GPU-y\ngpu8", file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(gpu_names_load(&again, dir, detail, sizeof(detail)), -ERR_IO);
	assert_non_null(strstr(detail, "/gpus:2: damaged"));
	assert_int_equal(again.count, 1);
	assert_string_equal(gpu_names_of(&again, "GPU-z"), "gpu7");
	remove(path);
	remove(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_places_stay), TEST(test_filled),
		TEST(test_wakes),       TEST(test_integrated_only_alone),
		TEST(test_configured),  TEST(test_unified_keeps_more),
		TEST(test_idle_since),  TEST(test_names_on_the_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
