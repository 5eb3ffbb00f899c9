/* Goal: a source that hangs, fails or comes back stops nobody, and nothing is asked while nobody
 * needs it. Method: the real threads around a source whose calls wait for the test; time of the
 * watchdog is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gpu/probe.h"
#include "gpu/source.h"

enum { DEADLINE_MS = 10000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int opens, closes, open_code, hang_device; /* hang_device: 1 and up; 0: none */
static bool asleep, hang_open;

static void set_int(int *to, int value)
{
	pthread_mutex_lock(&mutex);
	*to = value;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static int get_int(const int *from)
{
	pthread_mutex_lock(&mutex);
	int value = *from;
	pthread_mutex_unlock(&mutex);
	return value;
}

static int fake_open(const struct gpu_paths *paths, void **ret_source, char *ret_why)
{
	(void)paths;
	pthread_mutex_lock(&mutex);
	opens++;
	while (hang_open)
		pthread_cond_wait(&changed, &mutex);
	int code = open_code;
	pthread_mutex_unlock(&mutex);
	snprintf(ret_why, GPU_FAULT_BYTES + 1, "out of order");
	*ret_source = &opens;
	return code;
}

static int fake_list(void *source, struct gpu_device *ret_devices, size_t known, size_t max)
{
	assert(source == &opens && max >= 3 && (known == 0 || known == 3));
	for (int i = 0; i < 3; i++) {
		ret_devices[i] = (struct gpu_device){.measures = true};
		snprintf(ret_devices[i].uuid, sizeof(ret_devices[i].uuid), "GPU-%d", i + 1);
	}
	return 3;
}

static void fake_read(void *source, const struct gpu_device *device, struct gpu_reading *ret)
{
	(void)source;
	pthread_mutex_lock(&mutex);
	while (hang_device == device->uuid[4] - '0')
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	ret->known = GPU_UTILISATION;
}

static void fake_processes(void *source, const struct gpu_device *device, struct gpu_reading *ret)
{
	(void)source, (void)device;
	gpu_reading_add(ret)->pid = 1;
}

static void fake_close(void *source)
{
	(void)source;
	pthread_mutex_lock(&mutex);
	closes++;
	pthread_mutex_unlock(&mutex);
}

static int fake_peek(const struct gpu_paths *paths, struct gpu_device *ret_devices, size_t max)
{
	(void)paths, (void)max;
	if (!asleep)
		return -EAGAIN;
	ret_devices[0] = (struct gpu_device){.pci = "0000:01:00.0"};
	return 1;
}

static const struct gpu_source_ops fake = {.name = "fake",
					   .open = fake_open,
					   .list = fake_list,
					   .read = fake_read,
					   .processes = fake_processes,
					   .close = fake_close,
					   .peek = fake_peek};

static struct gpu_probe *probe;
static int fd;

static int set_up(void **state)
{
	(void)state;
	opens = closes = open_code = hang_device = 0;
	asleep = hang_open = false;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd < 0;
}

static void start(void)
{
	static const struct gpu_paths paths;

	probe = gpu_probe_start(&fake, &paths, fd);
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(gpu_probe_stop(probe));
	assert_int_equal(opens - (open_code ? 1 : 0) >= closes, true);
	close(fd);
	return 0;
}

/* The next report of that kind; others are dropped. */
static struct gpu_report *next_report(enum gpu_report_kind kind)
{
	for (;;) {
		struct pollfd reports = {.fd = fd, .events = POLLIN};
		struct gpu_report *report = gpu_probe_take(probe);
		uint64_t count;
		if (!report) {
			assert_int_equal(poll(&reports, 1, DEADLINE_MS), 1);
			(void)!read(fd, &count, sizeof(count));
			continue;
		}
		if (report->kind == kind)
			return report;
		gpu_report_free(report);
	}
}

static void skip_to(enum gpu_report_kind kind)
{
	gpu_report_free(next_report(kind));
}

/* Waits for the thread to have called it so often. */
static void wait_for(const int *count, int wanted)
{
	for (int i = 0; get_int(count) < wanted; i++) {
		assert_true(i < DEADLINE_MS);
		(void)poll(NULL, 0, 1);
	}
}

static void test_looks_once(void **state)
{
	(void)state;
	start();
	struct gpu_report *list = next_report(GPU_REPORT_LIST);
	assert_int_equal(list->device_count, 3);
	gpu_report_free(list);
	struct gpu_report *reading = next_report(GPU_REPORT_READING);
	assert_string_equal(reading->devices[0].uuid, "GPU-1");
	assert_int_equal(reading->reading.process_count, 1);
	gpu_report_free(reading);
	skip_to(GPU_REPORT_ROUND);
	wait_for(&closes, 1); /* and rests, with nothing open */

	gpu_probe_pace(probe, 1);
	skip_to(GPU_REPORT_ROUND);
	skip_to(GPU_REPORT_ROUND);
	assert_int_equal(get_int(&opens), 2);
	gpu_probe_pace(probe, 0);
	wait_for(&closes, 2);
}

static void test_leaves_sleepers(void **state)
{
	(void)state;
	asleep = true;
	start();
	struct gpu_report *reading = next_report(GPU_REPORT_READING);
	assert_int_equal(reading->reading.state, GPU_ASLEEP);
	gpu_report_free(reading);
	skip_to(GPU_REPORT_ROUND);
	assert_int_equal(get_int(&opens), 0);
	gpu_probe_pace(probe, 1); /* somebody needs it */
	skip_to(GPU_REPORT_ROUND);
	assert_int_equal(get_int(&opens), 1);
}

static void test_fails(void **state)
{
	(void)state;
	open_code = -EPROTO;
	start();
	struct gpu_report *fault = next_report(GPU_REPORT_FAULT);
	assert_int_equal(fault->err, -EPROTO);
	assert_string_equal(fault->why, "out of order");
	gpu_report_free(fault);
	skip_to(GPU_REPORT_ROUND); /* who waits for an answer has one */

	gpu_probe_look(probe); /* also before it is tried again */
	skip_to(GPU_REPORT_ROUND);
	assert_int_equal(get_int(&opens), 1);
}

static struct mono_ms late(void)
{
	return (struct mono_ms){INT64_MAX - 1};
}

/* The call about card 2 never returns: 1 and 3 go on; it comes back when the call does. */
static void test_one_card_hangs(void **state)
{
	(void)state;
	set_int(&hang_device, 2);
	start();
	gpu_probe_pace(probe, 1);
	struct gpu_report *report = next_report(GPU_REPORT_READING);
	assert_string_equal(report->devices[0].uuid, "GPU-1");
	gpu_report_free(report);

	report = NULL;
	for (int i = 0; !report && i < DEADLINE_MS; i++) {
		(void)gpu_probe_watch(probe, late());
		report = gpu_probe_take(probe);
		if (report &&
		    (report->kind != GPU_REPORT_READING || report->reading.state != GPU_HUNG)) {
			gpu_report_free(report);
			report = NULL;
		}
		(void)poll(NULL, 0, 1);
	}
	assert_non_null(report);
	assert_string_equal(report->devices[0].uuid, "GPU-2");
	gpu_report_free(report);

	bool third = false;
	while (!third) {
		report = next_report(GPU_REPORT_READING);
		third = strcmp(report->devices[0].uuid, "GPU-3") == 0;
		assert_true(report->reading.state == GPU_HUNG ||
			    strcmp(report->devices[0].uuid, "GPU-2") != 0);
		gpu_report_free(report);
	}

	set_int(&hang_device, 0);
	bool second = false;
	while (!second) {
		report = next_report(GPU_REPORT_READING);
		second = strcmp(report->devices[0].uuid, "GPU-2") == 0 &&
			 report->reading.state == GPU_OK;
		gpu_report_free(report);
	}
}

/* The library itself hangs: it is said, and tried again when the call has returned. */
static void test_all_hangs(void **state)
{
	struct gpu_report *report = NULL;

	(void)state;
	hang_open = true;
	start();
	wait_for(&opens, 1);
	for (int i = 0; !report && i < DEADLINE_MS; i++) {
		(void)gpu_probe_watch(probe, late());
		report = gpu_probe_take(probe);
		(void)poll(NULL, 0, 1);
	}
	assert_int_equal(report->kind, GPU_REPORT_FAULT);
	assert_int_equal(report->err, -ETIMEDOUT);
	gpu_report_free(report);
	skip_to(GPU_REPORT_ROUND);
	assert_false(mono_due(gpu_probe_watch(probe, (struct mono_ms){0}), (struct mono_ms){0}));

	pthread_mutex_lock(&mutex);
	hang_open = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	gpu_probe_pace(probe, 1);
	for (int i = 0; get_int(&opens) < 2 && i < DEADLINE_MS; i++) {
		(void)gpu_probe_watch(probe, (struct mono_ms){0});
		(void)poll(NULL, 0, 1);
	}
	skip_to(GPU_REPORT_LIST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_looks_once),     TEST(test_leaves_sleepers), TEST(test_fails),
		TEST(test_one_card_hangs), TEST(test_all_hangs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
