/* What a round of the probes costs: 8 GPUs and 500 processes, all real processes, through the same
 * code as the daemon's. Prints the processor's time of a round, of the source alone and with what
 * the loop does with it. Usage: probe_round LIBRARY SCENARIO; writes the scenario. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"
#include "gpu/device.h"
#include "gpu/drm_clients.h"
#include "gpu/reading.h"
#include "gpu/source.h"
#include "server/gpus/gpu_owners.h"

enum { GPUS = 8, PROCESSES = 500, ROUNDS = 200 };

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void start_processes(pid_t *pids)
{
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	}
}

static void write_scenario(const char *path, const pid_t *pids)
{
	FILE *file = fopen(path, "w");

	if (!file)
		exit(1);
	for (int gpu = 0; gpu < GPUS; gpu++) {
		fprintf(file,
			"gpu GPU-%d 0:%x:0 total=81920 used=40000 util=50 temp=60 power=250000\n",
			gpu, gpu + 1);
		for (int i = gpu; i < PROCESSES; i += GPUS)
			fprintf(file, "process %d %d compute\n", pids[i], 100 + i);
	}
	fclose(file);
}

/* A look at every descriptor of every process, as the DRM source does it every five seconds, or
 * when a card's memory has moved. */
static void measure_look(void)
{
	struct drm_clients clients = {0};
	double begin = cpu_us();

	for (int i = 0; i < 20; i++)
		drm_clients_read(&clients, "/proc", true);
	printf("a look for DRM clients in all of /proc: %.0f us\n", (cpu_us() - begin) / 20);
	drm_clients_finish(&clients);
}

int main(int argc, char **argv)
{
	static pid_t pids[PROCESSES];
	static struct gpu_device devices[GPUS];
	char why[GPU_FAULT_BYTES + 1];
	void *source;

	if (argc != 3)
		return 64;
	start_processes(pids);
	write_scenario(argv[2], pids);
	setenv("BATON_NVML_SCENARIO", argv[2], 1);

	const struct gpu_paths paths = {.nvml = argv[1], .sysfs = "/nowhere", .procfs = "/proc"};
	if (gpu_nvml.open(&paths, &source, why) != 0 ||
	    gpu_nvml.list(source, devices, 0, GPUS) != GPUS)
		return 1;

	struct core *core = core_create();
	struct gpu_owners owners;
	struct mono_ms now = {1};
	double source_us = 0, loop_us = 0, first_us = 0;
	size_t seen = 0;

	gpu_owners_init(&owners);
	for (int round = 0; round < ROUNDS; round++) {
		double begin = cpu_us(), read_us = 0;
		gpu_owners_begin(&owners, core, now);
		for (int gpu = 0; gpu < GPUS; gpu++) {
			struct gpu_reading reading = {0};
			double at = cpu_us();
			gpu_nvml.read(source, &devices[gpu], &reading);
			gpu_nvml.processes(source, &devices[gpu], &reading);
			read_us += cpu_us() - at;
			for (size_t i = 0; i < reading.process_count; i++)
				seen += gpu_owners_of(&owners, reading.processes[i].pid, now) !=
					NULL;
			gpu_reading_finish(&reading);
		}
		double all_us = cpu_us() - begin;
		if (round < 10) { /* each looks at OWNERS_NEW_MAX processes that are new */
			first_us = all_us > first_us ? all_us : first_us;
			continue;
		}
		source_us += read_us;
		loop_us += all_us - read_us;
	}

	printf("%d GPUs, %d processes, %d rounds, %zu processes named\n", GPUS, PROCESSES, ROUNDS,
	       seen);
	printf("round: %.0f us (source with the stand-in %.0f, whose processes they are %.0f)\n",
	       (source_us + loop_us) / (ROUNDS - 10), source_us / (ROUNDS - 10),
	       loop_us / (ROUNDS - 10));
	printf("longest of the first rounds: %.0f us\n", first_us);

	measure_look();
	gpu_owners_finish(&owners);
	core_destroy(core);
	gpu_nvml.close(source);
	for (int i = 0; i < PROCESSES; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
