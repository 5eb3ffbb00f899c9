/* Goal: what speaks against moving a process off its GPU is seen in what /proc says of it, and what
 * every program has is not taken for it. Method: lines and blocks as Linux writes them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/cuda_facts.h"

static struct cuda_facts of_maps(const char *path)
{
	struct cuda_facts facts = {0};
	char line[256];
	(void)snprintf(line, sizeof(line), "7f10c8000000-7f10c8021000 rw-s 00000000 00:05 17 %s\n",
		       path);
	cuda_facts_map(&facts, line);
	return facts;
}

static void test_maps(void **state)
{
	(void)state;
	assert_true(of_maps("                 /usr/lib/x86_64-linux-gnu/libcuda.so.570.86.10")
			    .has_library);
	assert_true(of_maps("/usr/lib/wsl/lib/libcuda.so.1").has_library);
	assert_false(of_maps("/usr/lib/libcudart.so.12").has_library);
	assert_false(of_maps("/srv/libcuda.so.d/notes").has_library);
	assert_false(of_maps("[heap]").has_library);

	assert_int_equal(of_maps("/dev/nvidia-uvm").uvm_bytes, 0x21000);
	assert_int_equal(of_maps("/dev/nvidia-uvm-tools").uvm_bytes, 0);
	assert_int_equal(of_maps("/dev/nvidiactl").uvm_bytes, 0);
	struct cuda_facts facts = {0};
	cuda_facts_map(&facts, "200000000-300000000 ---p 00000000 00:05 17 /dev/nvidia-uvm\n");
	assert_int_equal(facts.uvm_bytes, 0);
	cuda_facts_map(&facts, "200000000-210000000 rw-s 200000000 00:05 17 /dev/nvidia-uvm\n");
	cuda_facts_map(&facts, "310000000-320000000 rw-s 310000000 00:05 17 /dev/nvidia-uvm\n");
	assert_int_equal(facts.uvm_bytes, 0x20000000);
	assert_false(of_maps("").has_library);

	assert_true(of_maps("/opt/torch/lib/libnccl.so.2").has_nccl);
	assert_false(of_maps("/opt/torch/lib/libnccl.so.2").uses_nccl);
	assert_true(of_maps("/dev/shm/nccl-vzIpS6").uses_nccl);
	assert_true(of_maps("/dev/shm/nccl-vzIpS6 (deleted)").uses_nccl);
	assert_true(of_maps("/dev/shm/cuda.shm.3e8.4b2a.1").uses_ipc);
	assert_false(of_maps("/dev/shm/torch_4711_1").uses_ipc);
	assert_false(of_maps("/dev/nvidia-uvm").uses_ipc);
}

static struct cuda_facts of_environ(const char *block, size_t length)
{
	struct cuda_facts facts = {0};
	cuda_facts_environ(&facts, block, length);
	return facts;
}

#define ENVIRON(text) of_environ(text, sizeof(text) - 1)

static void test_environ(void **state)
{
	(void)state;
	assert_int_equal(ENVIRON("A=1\0B=2\0").gpus, 0);
	assert_int_equal(ENVIRON("CUDA_VISIBLE_DEVICES=\0").gpus, 0);
	assert_int_equal(ENVIRON("CUDA_VISIBLE_DEVICES=GPU-1\0A=,,\0").gpus, 1);
	assert_int_equal(ENVIRON("A=1\0CUDA_VISIBLE_DEVICES=0,1,2").gpus, 3);
	assert_true(ENVIRON("CUDA_VISIBLE_DEVICES=MIG-7f1a\0").has_mig);
	assert_false(ENVIRON("CUDA_VISIBLE_DEVICES=GPU-7f1a\0").has_mig);
	assert_int_equal(ENVIRON("").gpus, 0);
}

/* A folder that is named, and where MPS listens. */
static void test_mps(void **state)
{
	(void)state;
	char folder[] = "/tmp/bt-mps-XXXXXX", block[128], control[64], pid[96];
	assert_non_null(mkdtemp(folder));
	int length = snprintf(block, sizeof(block), "CUDA_MPS_PIPE_DIRECTORY=%s", folder);
	assert_false(of_environ(block, (size_t)length).is_mps_client);

	(void)snprintf(control, sizeof(control), "%s/control", folder);
	FILE *file = fopen(control, "wxe");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_true(of_environ(block, (size_t)length).is_mps_client);

	(void)snprintf(pid, sizeof(pid), "%s/nvidia-cuda-mps-control.pid", folder);
	file = fopen(pid, "wxe");
	assert_non_null(file);
	(void)fprintf(file, "%d\n", getpid());
	(void)fflush(file);
	assert_true(of_environ(block, (size_t)length).is_mps_client);
	rewind(file);
	(void)fprintf(file, "%d\n", 0x7ffffff0); /* was killed */
	assert_int_equal(fclose(file), 0);
	assert_false(of_environ(block, (size_t)length).is_mps_client);

	unlink(pid);
	unlink(control);
	rmdir(folder);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		struct cuda_facts facts;
		const char *word;
	} rows[] = {
		{{.is_nested = true}, "container"}, {{.is_mps_client = true}, "MPS"},
		{{.has_mig = true}, "MIG"},         {{.gpus = 2}, "several GPUs"},
		{{.uses_nccl = true}, "NCCL"},      {{.uses_ipc = true}, "IPC"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *why = cuda_facts_refusal(&rows[i].facts);
		assert_non_null(why);
		assert_non_null(strstr(why, rows[i].word));
		assert_non_null(strstr(why, "; ")); /* what to do */
	}
	/* PyTorch has NCCL's library in every process. */
	assert_null(cuda_facts_refusal(
		&(struct cuda_facts){.has_library = true, .has_nccl = true, .gpus = 1}));
}

static void test_ram(void **state)
{
	(void)state;
	static const char text[] = "MemTotal:       65536000 kB\nMemFree:         1000000 kB\n"
				   "MemAvailable:    4194304 kB\n";
	const uint64_t gib = 1024 * 1024 * 1024;
	uint64_t available;
	assert_true(cuda_facts_ram(text, UINT64_MAX, 3 * gib, &available));
	assert_int_equal(available, 4 * gib);
	assert_false(cuda_facts_ram(text, UINT64_MAX, 3 * gib + 1, &available));
	assert_false(cuda_facts_ram(text, UINT64_MAX, UINT64_MAX, &available));
	assert_false(cuda_facts_ram(text, 3 * gib, 3 * gib, &available));
	assert_int_equal(available, 3 * gib);
	assert_true(cuda_facts_ram(text, 3 * gib, 2 * gib, &available));

	assert_false(cuda_facts_ram("MemTotal: 65536000 kB\n", UINT64_MAX, 1, &available));
	assert_false(cuda_facts_ram("", UINT64_MAX, 0, &available));
	assert_false(cuda_facts_ram("MemAvailable:  1000 kB\n", UINT64_MAX, 0, &available));
}

static void test_of_a_process(void **state)
{
	(void)state;
	struct cuda_facts facts;
	assert_int_equal(cuda_facts_read(getpid(), &facts), 0);
	assert_false(facts.has_library);
	assert_false(cuda_facts_library(getpid()));
	assert_int_equal(cuda_facts_read(0x7ffffff0, &facts), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps), cmocka_unit_test(test_environ),
		cmocka_unit_test(test_mps),  cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_ram),  cmocka_unit_test(test_of_a_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
