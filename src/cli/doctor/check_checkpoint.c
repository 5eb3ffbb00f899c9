/* check_checkpoint: whether CUDA's driver could move a program off its GPU, as far as that is to be
 * known without doing it: nothing is locked, and nothing is moved. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/doctor/check.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/units.h"
#include "process/cgroup_memory.h"
#include "process/cuda_api.h"
#include "process/cuda_facts.h"
#include "process/proc.h"
#include "process/process_tree.h"

enum { MEMINFO_BYTES = 4096, BYTES_PER_MIB = 1024 * 1024 };
enum { UVM_BYTES_TOLD = 64 * BYTES_PER_MIB }; /* what CUDA maps for itself is less */

/* "what is wrong; what to do", as the modules beside say it. */
static void say_refusal(struct finding *finding, const char *whose, const char *why)
{
	const char *cure = strstr(why, "; ");
	int length = cure ? (int)(cure - why) : (int)strlen(why);
	check_say(finding, CHECK_FAIL, "%s%.*s%s%s", whose, length, why, cure ? "; fix: " : "",
		  cure ? cure + 2 : "");
}

void check_checkpoint_driver(const struct doctor *doctor, struct finding *finding)
{
	struct cuda_api api;
	char why[CUDA_WHY_BYTES];
	int version = 0;
	(void)doctor;

	if (cuda_load(getenv("BATON_LIBCUDA"), &api, why) < 0) {
		say_refusal(finding, "", why);
		return;
	}
	(void)api.version(&version);
	check_say(finding, CHECK_OK, "CUDA %d.%d can move programs to RAM and back", version / 1000,
		  version % 1000 / 10);
}

/* The program and all that it has started, but for this command, whose checks come and go. */
static struct process_tree read_tree(int64_t pid)
{
	struct process root = {.pid = (pid_t)pid, .start = proc_start(pid)};
	struct process_tree tree;
	pid_t command = getppid();
	size_t kept = 0;

	process_tree_read_known(&tree, &(struct process_tree){.v = &root, .count = 1});
	for (size_t i = 0; i < tree.count; i++) {
		bool is_own = tree.v[i].parent == command || tree.v[i].pid == command;
		if (!is_own || tree.v[i].pid == root.pid) /* a shell may have become this command */
			tree.v[kept++] = tree.v[i];
	}
	tree.count = kept;
	return tree;
}

struct seen {
	unsigned cuda, nccl;
};

static void judge_process(const struct cuda_api *api, pid_t pid, struct seen *seen,
			  struct finding *finding)
{
	static const char *const words[] = {"running", "locked", "off the GPU already",
					    "given up by the driver"};
	struct cuda_facts facts;
	int state = -1, rc = cuda_facts_read(pid, &facts);
	if (rc == -ESRCH)
		return; /* it has ended meanwhile */
	if (rc < 0) {
		check_say(finding, CHECK_UNKNOWN,
			  "process %ld cannot be read; fix: ask as its user, or as root",
			  (long)pid);
		return;
	}
	if (!facts.has_library)
		return;
	if (api->state && api->state(pid, &state) != CUDA_OK)
		return; /* forked off a program with CUDA, and without its own */

	const char *refusal = cuda_facts_refusal(&facts);
	seen->cuda++;
	seen->nccl += facts.has_nccl;
	if (refusal) {
		char whose[32];
		snprintf(whose, sizeof(whose), "process %ld: ", (long)pid);
		say_refusal(finding, whose, refusal);
	}
	if (facts.uvm_bytes >= UVM_BYTES_TOLD)
		check_say(finding, CHECK_NOTE,
			  "process %ld maps %llu MiB of /dev/nvidia-uvm, as managed memory is: a "
			  "driver that cannot move that says so when it is tried, and all is "
			  "undone; fix: try it where nothing is lost",
			  (long)pid, (unsigned long long)(facts.uvm_bytes / BYTES_PER_MIB));
	if (state > CUDA_RUNNING && state <= CUDA_FAILED)
		check_say(finding, CHECK_FAIL,
			  "process %ld is %s; fix: see which other tool moves it", (long)pid,
			  words[state]);
	if (seen->nccl > 1)
		check_say(finding, CHECK_FAIL,
			  "several of its processes use NCCL, whose memory the driver cannot move; "
			  "fix: use one process on one GPU");
}

void check_checkpoint_processes(const struct doctor *doctor, struct finding *finding)
{
	struct process_tree tree = read_tree(doctor->pid);
	struct cuda_api api = {0};
	struct seen seen = {0};
	char why[CUDA_WHY_BYTES];
	size_t count = tree.count;

	(void)cuda_load(getenv("BATON_LIBCUDA"), &api, why);
	for (size_t i = 0; i < count; i++)
		judge_process(&api, tree.v[i].pid, &seen, finding);
	process_tree_finish(&tree);

	if (count == 0)
		check_say(finding, CHECK_FAIL, "there is no process %lld", (long long)doctor->pid);
	else if (seen.cuda == 0)
		check_say(finding, CHECK_NOTE, "none of its %zu processes uses CUDA now", count);
	check_say(finding, CHECK_OK,
		  "%u of its %zu processes use CUDA, and nothing is seen that speaks against it "
		  "(managed memory is for the driver to tell, when it is tried)",
		  seen.cuda, count);
}

static bool is_of_tree(const struct process_tree *tree, uint64_t pid)
{
	for (size_t i = 0; i < tree->count; i++)
		if ((uint64_t)tree->v[i].pid == pid)
			return true;
	return false;
}

/* What the broker measures of it: MiB, and on how many GPUs. */
static uint64_t measured_mib(const struct process_tree *tree, unsigned *ret_gpus)
{
	json_t *status = http_client_status(), *gpu, *process;
	size_t i, j;
	uint64_t sum = 0;
	*ret_gpus = 0;
	if (!status)
		return 0;

	json_array_foreach (json_object_get(status, "gpus"), i, gpu) {
		const json_t *rows = json_object_get(json_object_get(gpu, "measured"), "processes");
		uint64_t here = 0;
		json_array_foreach (rows, j, process) {
			if (is_of_tree(tree, field_u64(process, "pid")))
				here += field_u64(process, "vram_mb");
		}
		*ret_gpus += here > 0;
		sum += here;
	}
	json_decref(status);
	return sum;
}

void check_checkpoint_memory(const struct doctor *doctor, struct finding *finding)
{
	struct process_tree tree = read_tree(doctor->pid);
	char meminfo[MEMINFO_BYTES] = "", needed[UNITS_BYTES], there[UNITS_BYTES];
	uint64_t available;
	unsigned gpus;

	uint64_t mib = measured_mib(&tree, &gpus);
	process_tree_finish(&tree);
	(void)check_read(doctor, "/proc/meminfo", meminfo, sizeof(meminfo));
	bool fits = cuda_facts_ram(meminfo, cgroup_memory_room_of(doctor->pid), mib * BYTES_PER_MIB,
				   &available);
	units_mb(needed, (double)mib);
	units_mb(there, (double)available / BYTES_PER_MIB);

	if (gpus > 1)
		check_say(finding, CHECK_FAIL,
			  "it has memory on %u GPUs; fix: give it one, by --gpu", gpus);
	if (!fits)
		check_say(finding, CHECK_FAIL,
			  "its %s do not fit into the RAM, where %s are free and 1 GiB is left to "
			  "others; fix: end what takes so much",
			  needed, there);
	if (mib == 0)
		check_say(finding, CHECK_NOTE,
			  "the broker measures no memory of it; %s of RAM are free", there);
	check_say(finding, CHECK_OK, "its %s fit into the RAM, where %s are free", needed, there);
}
