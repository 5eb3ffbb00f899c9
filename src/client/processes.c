/* processes: names the processes that use the GPU for a session besides the connected one.
 * Remembered, and repeated after each reconnect; the broker decides what follows from it. */
#include "client/processes.h"

#include <string.h>

#include "client/client.h"
#include "client/session.h"
#include "wire/client_encode.h"
#include "wire/display_name.h"

void client_send_processes(struct baton *baton)
{
	pid_t pids[LIMIT_PROCESSES + 1];
	struct client_processes processes = {
		.pids = pids,
		.count = baton->pid_count,
		.keeper = baton->keeper,
		.cgroup = *baton->cgroup ? baton->cgroup : NULL,
	};

	memcpy(pids, baton->pids, sizeof(baton->pids));
	if (baton->keeper)
		pids[processes.count++] = baton->keeper;
	client_encode_processes(&baton->out, &processes);
	baton->processes_asked++;
	client_send(baton);
}

void client_processes_answered(struct baton *baton, bool recorded)
{
	if (baton->processes_asked == 0)
		return;
	baton->processes_asked--;
	baton->processes_recorded = recorded;
}

bool baton_processes_recorded(const struct baton *baton)
{
	struct baton *self = (struct baton *)baton;
	pthread_mutex_lock(&self->lock);
	bool recorded = self->state == SESSION_DEAD || !self->processes_named ||
			(self->processes_asked == 0 && self->processes_recorded);
	pthread_mutex_unlock(&self->lock);
	return recorded;
}

/* One slot is reserved for the keeper. */
static bool is_sayable(const pid_t *pids, size_t count, const char *cgroup)
{
	const size_t count_max = LIMIT_PROCESSES - 1;
	size_t length = cgroup ? strnlen(cgroup, LIMIT_CGROUP_BYTES + 1) : 0;

	for (size_t i = 0; i < count && count <= count_max; i++)
		if (pids[i] <= 0)
			return false;
	if (cgroup && (*cgroup != '/' || display_name_problem(cgroup, length, LIMIT_CGROUP_BYTES)))
		return false;
	return count <= count_max;
}

int baton_processes(struct baton *baton, const pid_t *pids, size_t count, const char *cgroup)
{
	if (!is_sayable(pids, count, cgroup))
		return BATON_E_INVALID;

	pthread_mutex_lock(&baton->lock);
	int rc = baton->state == SESSION_DEAD ? baton->fatal : 0;
	if (rc == 0) {
		if (count > 0)
			memcpy(baton->pids, pids, count * sizeof(*pids));
		baton->pid_count = count;
		memcpy(baton->cgroup, cgroup ? cgroup : "", cgroup ? strlen(cgroup) + 1 : 1);
		baton->processes_named = true;
		baton->processes_recorded = false;

		if (baton->state == SESSION_UP)
			client_send_processes(baton);
		client_settle(baton);
	}

	pthread_mutex_unlock(&baton->lock);
	return rc;
}

int baton_keeper(struct baton *baton, pid_t pid)
{
	if (pid < 0)
		return BATON_E_INVALID;

	pthread_mutex_lock(&baton->lock);
	int rc = baton->state == SESSION_DEAD ? baton->fatal : 0;
	if (rc == 0) {
		baton->keeper = pid;
		baton->processes_named = true;
		baton->processes_recorded = false;
		if (baton->state == SESSION_UP)
			client_send_processes(baton);
		client_settle(baton);
	}

	pthread_mutex_unlock(&baton->lock);
	return rc;
}
