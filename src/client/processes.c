/* processes: names what uses the GPU for a session besides the process that is connected. Kept, and
 * said again after each reconnect; what it means for the room is the broker's to decide. */
#include <string.h>

#include "client/client.h"
#include "wire/ask.h"

void client_send_processes(struct baton *baton)
{
	ask_processes(&baton->out, baton->pids, baton->pid_count,
		      *baton->cgroup ? baton->cgroup : NULL);
	client_send(baton);
}

static bool is_sayable(const pid_t *pids, size_t count, const char *cgroup)
{
	size_t length = cgroup ? strnlen(cgroup, LIMIT_CGROUP_BYTES + 1) : 0;
	for (size_t i = 0; i < count && count <= LIMIT_PROCESSES; i++)
		if (pids[i] <= 0)
			return false;
	if (cgroup && (*cgroup != '/' || name_problem(cgroup, length, LIMIT_CGROUP_BYTES)))
		return false;
	return count <= LIMIT_PROCESSES;
}

int baton_processes(struct baton *baton, const pid_t *pids, size_t count, const char *cgroup)
{
	if (!is_sayable(pids, count, cgroup))
		return BATON_E_INVALID;
	pthread_mutex_lock(&baton->lock);
	int r = baton->state == SESSION_DEAD ? baton->fatal : 0;
	if (r == 0) {
		if (count > 0)
			memcpy(baton->pids, pids, count * sizeof(*pids));
		baton->pid_count = count;
		memcpy(baton->cgroup, cgroup ? cgroup : "", cgroup ? strlen(cgroup) + 1 : 1);
		baton->processes_named = true;
		if (baton->state == SESSION_UP)
			client_send_processes(baton);
		client_settle(baton);
	}
	pthread_mutex_unlock(&baton->lock);
	return r;
}
