/* run_state: one `baton run` from its question to its end, for the files of this folder: run.c
 * waits and looks, run_lease.c talks to the broker, run_stop.c stops the job, run_freeze.c freezes
 * it, run_checkpoint.c moves it off the GPU, run_signals.c passes signals on and does job control.
 */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/desktop_notice.h"
#include "cli/run/checkpoint_task.h"
#include "cli/run/job.h"
#include "cli/run/run_end_words.h"
#include "cli/run/run_progress.h"

struct baton;
struct baton_claim;
struct checkpoint_thread;
struct command;
struct run_options;

enum run_phase {
	RUN_WAITING,
	RUN_RUNNING,
	RUN_FREEZING, /* asked to give way, and to be frozen; SIGKILL at kill_at_ms */
	RUN_FROZEN,   /* under a lease without a turn */
	RUN_LEAVING,  /* asked to give way, and moved off the GPU; SIGKILL at kill_at_ms */
	RUN_AWAY,     /* off the GPU, frozen, and in the queue: under no lease */
	RUN_COMING,   /* under a lease again, and moved back */
	RUN_STOPPING, /* it was asked to end, SIGKILL at kill_at_ms */
	RUN_KILLING,
	RUN_DONE,
};

/* Of --on-yield checkpoint. */
struct away {
	struct checkpoint_thread *thread; /* what is done now; NULL: nothing */
	struct checkpoint_task last;      /* as the last one was left: what has moved, and where */
	int64_t until_ms;                 /* the thread is waited for no longer */
	int64_t left_took_ms;
	int rounds;     /* of leaving: programs may start meanwhile */
	bool freezing;  /* RUN_LEAVING: all has moved */
	bool kept;      /* RUN_LEAVING: nobody needs it any more */
	bool told;      /* RUN_LEAVING: a signal of the user's is to end it */
	bool gives_up;  /* RUN_LEAVING: it is put back only to be stopped */
	bool lost;      /* it could not be put back */
	bool told_room; /* RUN_COMING: that there was none */
	bool asked;     /* RUN_COMING: to give way again */
};

/* A program that was there before us. */
struct attached {
	int64_t pid; /* 0: none */
	uint64_t start;
	int pidfd;
	pid_t named[LIMIT_PROCESSES - 1]; /* to the broker, last */
	size_t named_count;
};

enum { RUN_PCI_BYTES = 40, RUN_UUID_BYTES = 64, RUN_CAUSE_BYTES = 320 };

/* Of --limit: the GPUs on which it holds. */
struct limited {
	struct limited_gpu {
		char pci[RUN_PCI_BYTES];   /* its address: the kernel holds it */
		char uuid[RUN_UUID_BYTES]; /* else NVML does */
		bool by_nvml;
	} v[LIMIT_GPUS];
	size_t count;
};

struct run {
	const struct command *command;
	const struct run_options *options;
	struct run_progress show;
	struct desktop_notice notice; /* of --notify */
	struct job job;
	struct attached attached;
	struct away away;
	struct limited limited;
	struct baton *baton;
	struct baton_claim *claim;
	struct baton_claim *turn; /* RUN_FROZEN: waits for the turn of `claim`; else NULL */
	enum run_phase phase;
	char **argv;
	sigset_t mask_before;
	int signal_fd, status; /* status: unless the command says */
	bool started, waited;  /* waited: it was told a place since it asked */
	bool taken;            /* asked to yield, or revoked, before the command ended by itself */
	char cause[RUN_CAUSE_BYTES]; /* .. and why, as it is said: " (..)", or "" */
	bool overdue;                /* stopped at the end of --hold */
	bool leaving;   /* attach: told to leave the program alone; the broker is to hear of it */
	bool revoked;   /* libbaton waits for baton_lease_stopped */
	bool parked;    /* it was frozen when it was stopped: there is no turn to come back to */
	bool ask_again; /* with a new claim: the old one has ended */
	bool end_noted, stays_noted;
	int64_t kill_at_ms, killed_at_ms, asked_ms;
	int64_t hold_until_ms; /* of --hold; INT64_MAX: none */
	int64_t hold_left_ms;  /* while frozen */
	uint64_t job_start;    /* as proc_start, of its first process; 0: not started */
	int64_t oom_before;    /* job_cgroup_oom_kills when it was started */
	struct run_end end;    /* what is known so far of how the job ends */
	uint64_t parent;       /* the lease that we were started under, from our environment */
	int told_signal;       /* SIGTERM, SIGINT or SIGQUIT sent to us while it ran; 0: none */
	bool interrupted;      /* by SIGINT */
	int die_of;            /* 0: exit with `status` */
};

enum {
	RUN_LOST = 74,
	RUN_HELD_OUT = 124,
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
	RUN_SIGNALLED = 128,
};

static inline bool run_is_running(const struct run *run)
{
	return run->phase != RUN_WAITING && run->phase != RUN_DONE;
}

static inline bool run_is_freezing(const struct run *run)
{
	return run->phase == RUN_FREEZING || run->phase == RUN_FROZEN;
}

static inline bool run_is_moving(const struct run *run)
{
	return run->phase == RUN_LEAVING || run->phase == RUN_AWAY || run->phase == RUN_COMING;
}
