/* named_processes: checks what a client names against what the kernel says. */
#include "server/session/named_processes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "core/record.h"
#include "net/net.h"
#include "process/cgroup.h"
#include "process/proc.h"
#include "process/proc_parse.h"
#include "process/run_mark.h"

static int check_cgroup(const struct net_peer *peer, const char *path, char *detail, size_t size)
{
	struct cgroup cgroup;
	const char *wrong = NULL;
	int rc = cgroup_open(path, &cgroup);

	if (rc != 0)
		wrong = rc == -EINVAL ? "not a folder of cgroup2" : strerror(-rc);
	else if (cgroup_holds(&cgroup, PROC_SELF) != 0)
		wrong = "the broker itself lives in it";
	else if (cgroup_owner(&cgroup) != peer->uid &&
		 (peer->pid <= 0 || cgroup_holds(&cgroup, peer->pid) != 1))
		wrong = "it belongs to another user";
	cgroup_close(&cgroup);

	if (!wrong)
		return 0;
	(void)snprintf(detail, size, "field `cgroup`: %s", wrong);
	return -ERR_BAD_FIELD;
}

static int check_pids(const struct net_peer *peer, struct named_processes *named, char *detail,
		      size_t size)
{
	uint32_t kept = 0;
	if (named->count > 0 && (peer->pid <= 0 || proc_status(peer->pid).is_nested)) {
		(void)snprintf(
			detail, size,
			"field `pids`: the numbers of another PID namespace mean nothing here");
		return -ERR_BAD_FIELD;
	}

	for (uint32_t i = 0; i < named->count; i++) {
		struct named_process process = {named->v[i].pid, proc_start(named->v[i].pid)};
		int64_t uid = proc_status(process.pid).uid;
		if ((uid >= 0 && uid != peer->uid && peer->uid != 0) || process.pid == getpid()) {
			(void)snprintf(detail, size,
				       "field `pids`: %lld is not a process of this user",
				       (long long)process.pid);
			return -ERR_BAD_FIELD;
		}
		if (uid >= 0 && process.pid_start)
			named->v[kept++] = process;
	}

	memset(&named->v[kept], 0, sizeof named->v - kept * sizeof *named->v);
	named->count = kept;
	return 0;
}

/* Only `baton run` has a keeper, and then the innermost mark is its own. It finds what the job has
 * started, should nobody be left who knows. */
static void read_mark(struct named_processes *named)
{
	for (uint32_t i = 0; i < named->count && named->keeper; i++)
		if (named->v[i].pid != named->keeper && run_mark_read(named->v[i].pid, named->mark))
			return;
}

int named_processes_check(const struct net_peer *peer, struct named_processes *named, char *detail,
			  size_t detail_size)
{
	int rc = check_pids(peer, named, detail, detail_size);
	if (rc == 0)
		read_mark(named);
	if (rc || !named->cgroup[0])
		return rc;
	return check_cgroup(peer, named->cgroup, detail, detail_size);
}
