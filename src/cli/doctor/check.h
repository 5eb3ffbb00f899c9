/* check: what each check of `baton doctor` is given and says. A check only reads; it may hang, for
 * it runs in a process of its own that is given up after CHECK_LIMIT_MS. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHECK_LIMIT_MS = 2000,
	CHECK_TEXT_BYTES = 1024,
	CHECK_FIX_BYTES = 512,
	CHECK_PATH_BYTES = 512
};

enum check_state {
	CHECK_OK,
	CHECK_NOTE, /* nothing is wrong, but it is good to know */
	CHECK_WARN, /* something will not work as one may expect */
	CHECK_FAIL, /* something is broken */
	CHECK_UNKNOWN
};

struct finding {
	enum check_state state;
	char text[CHECK_TEXT_BYTES], fix[CHECK_FIX_BYTES]; /* fix "": none is needed, or known */
};

struct doctor {
	const char *root;   /* before each path of the system: "", or a tree that a test made */
	const char *config; /* NULL: the default one */
	char state_dir[CHECK_PATH_BYTES];
	int64_t pid; /* of --checkpoint: the program that is asked about; else 0 */
};

struct check {
	const char *name;
	void (*run)(const struct doctor *doctor, struct finding *finding);
};

/* Sets state and text; what stands behind "; fix: " is what to do. A later call replaces an earlier
 * one only when it is worse. */
__attribute__((format(printf, 3, 4))) void
check_say(struct finding *finding, enum check_state state, const char *format, ...);

/* A file of the system, its last newlines cut off; false: unreadable. */
bool check_read(const struct doctor *doctor, const char *path, char *ret_text, size_t size);
void check_path(const struct doctor *doctor, const char *path, char *ret_path, size_t size);
bool check_exists(const struct doctor *doctor, const char *path);
bool check_may_write(const struct doctor *doctor, const char *folder);
/* Where the unified hierarchy is, alone or beside cgroup v1, and its controllers; NULL: nowhere. */
const char *check_cgroup_root(const struct doctor *doctor, char *ret_controllers, size_t size);
/* This process's cgroup v2, "/a/b"; false: there is none. */
bool check_own_cgroup(const struct doctor *doctor, char *ret_path, size_t size);

/* The checks, by what they look at. */
void check_gpus(const struct doctor *doctor, struct finding *finding);
void check_driver(const struct doctor *doctor, struct finding *finding);
void check_devices(const struct doctor *doctor, struct finding *finding);
void check_runtime_folder(const struct doctor *doctor, struct finding *finding);
void check_broker(const struct doctor *doctor, struct finding *finding);
void check_token(const struct doctor *doctor, struct finding *finding);
void check_state_folder(const struct doctor *doctor, struct finding *finding);
void check_configuration(const struct doctor *doctor, struct finding *finding);
void check_browsers(const struct doctor *doctor, struct finding *finding);
void check_kernel(const struct doctor *doctor, struct finding *finding);
void check_clock(const struct doctor *doctor, struct finding *finding);
void check_cgroup(const struct doctor *doctor, struct finding *finding);
void check_limit(const struct doctor *doctor, struct finding *finding);
void check_logout(const struct doctor *doctor, struct finding *finding);
void check_descriptors(const struct doctor *doctor, struct finding *finding);
void check_inotify(const struct doctor *doctor, struct finding *finding);
void check_holders(const struct doctor *doctor, struct finding *finding);
void check_others(const struct doctor *doctor, struct finding *finding);

/* Of --checkpoint, instead of all others: could CUDA's driver move this program off the GPU? */
void check_checkpoint_driver(const struct doctor *doctor, struct finding *finding);
void check_checkpoint_processes(const struct doctor *doctor, struct finding *finding);
void check_checkpoint_memory(const struct doctor *doctor, struct finding *finding);

/* Of --deny, instead of all others: what it would take to keep GPUs from what is under no lease. */
void check_deny_nodes(const struct doctor *doctor, struct finding *finding);
void check_deny_programs(const struct doctor *doctor, struct finding *finding);
void check_deny_group(const struct doctor *doctor, struct finding *finding);
void check_deny_nvidia(const struct doctor *doctor, struct finding *finding);
void check_deny_drm(const struct doctor *doctor, struct finding *finding);
void check_deny_grant(const struct doctor *doctor, struct finding *finding);
void check_deny_undo(const struct doctor *doctor, struct finding *finding);
