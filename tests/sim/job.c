/* job: the table of jobs. It decides nothing about who may use what; check.c does. */
#include "job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "outside.h"
#include "world.h"

const char *job_stage_name(enum job_stage stage)
{
	static const char *const names[] = {"asked", "waiting", "offered", "held", "over"};
	return names[stage];
}

void job_activate(struct world *w, struct job *job)
{
	struct jobs *jobs = &w->jobs;
	if (job->active)
		return;
	if (jobs->active_count == jobs->active_capacity) {
		jobs->active_capacity = jobs->active_capacity ? jobs->active_capacity * 2 : 64;
		jobs->active = realloc(jobs->active, jobs->active_capacity * sizeof *jobs->active);
		assert(jobs->active);
	}
	job->active = true;
	jobs->active[jobs->active_count++] = job->uid;
}

struct job *job_new(struct world *w, int client)
{
	struct jobs *jobs = &w->jobs;
	if (jobs->count == jobs->capacity) {
		jobs->capacity = jobs->capacity ? jobs->capacity * 2 : 64;
		jobs->v = realloc(jobs->v, jobs->capacity * sizeof *jobs->v);
		assert(jobs->v);
	}
	struct job *job = &jobs->v[jobs->count++];
	*job = (struct job){.uid = jobs->count,
			    .client = client,
			    .life = w->clients[client].life,
			    .excused_t = INT64_MAX,
			    .lost_t = INT64_MAX,
			    .boots = w->boots};
	job_activate(w, job);
	return job;
}

struct job *job_of(struct world *w, uint64_t uid)
{
	return uid > 0 && uid <= w->jobs.count ? &w->jobs.v[uid - 1] : NULL;
}

struct job *job_of_lease(struct world *w, uint64_t lease)
{
	return lease < w->jobs.by_lease_size ? job_of(w, w->jobs.by_lease[lease]) : NULL;
}

void job_bind_lease(struct world *w, struct job *job, uint64_t lease)
{
	struct jobs *jobs = &w->jobs;
	if (lease >= jobs->by_lease_size) {
		size_t size = (size_t)(lease + 64) * 2;
		jobs->by_lease = realloc(jobs->by_lease, size * sizeof *jobs->by_lease);
		assert(jobs->by_lease);
		memset(jobs->by_lease + jobs->by_lease_size, 0,
		       (size - jobs->by_lease_size) * sizeof *jobs->by_lease);
		jobs->by_lease_size = size;
	}
	assert(jobs->by_lease[lease] == 0 || jobs->by_lease[lease] == job->uid);
	jobs->by_lease[lease] = job->uid;
}

void job_forget_uncommitted(struct world *w)
{
	struct jobs *jobs = &w->jobs;

	for (size_t i = 0; i < jobs->active_count; i++) {
		struct job *job = job_of(w, jobs->active[i]);
		if (job->lease != 0 && !journal_claim(&w->journal, job->lease))
			job->lease = 0;
	}

	/* A job may have had several. */
	for (size_t lease = 1; lease < jobs->by_lease_size; lease++)
		if (!journal_claim(&w->journal, lease))
			jobs->by_lease[lease] = 0;
}

void job_forget_leases(struct world *w)
{
	if (w->jobs.by_lease_size > 0)
		memset(w->jobs.by_lease, 0, w->jobs.by_lease_size * sizeof *w->jobs.by_lease);
}

void job_use(struct world *w, struct job *job, uint32_t gpus)
{
	if (job->uses)
		return;
	job->uses = true;
	job->uses_mask = gpus;
	job->uses_need = job->need;
	trace_line(&w->trace, "job %llu uses %#x", (unsigned long long)job->uid, gpus);
}

void job_stop(struct world *w, struct job *job)
{
	if (!job->uses)
		return;
	job->uses = false;
	leftover_begin(w, job);
	trace_line(&w->trace, "job %llu stops", (unsigned long long)job->uid);
}

void job_stop_unheard(struct world *w, const struct conn *conn)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		bool heard = job->stage == JOB_HELD || job->stage == JOB_OVER;
		bool here = job->conn == 0 || job->conn == conn->id;
		if (job->client != conn->client || job->life != conn->life || !here || heard)
			continue;
		job_stop(w, job);
		client_turn_unread(w, job);
	}
}

void job_over(struct world *w, struct job *job)
{
	if (job->stage == JOB_OVER)
		return;
	job->stage = JOB_OVER;
	struct client *client = &w->clients[job->client];
	if (client->life == job->life && client->claim_count > 0)
		client->claim_count--;
}

static bool job_is_live(const struct world *w, const struct job *job)
{
	const struct journal_claim *row = journal_claim(&w->journal, job->lease);
	return row && row->live && row->rec.ref == job->uid;
}

void jobs_sweep(struct world *w)
{
	struct jobs *jobs = &w->jobs;
	size_t kept = 0;
	for (size_t i = 0; i < jobs->active_count; i++) {
		struct job *job = job_of(w, jobs->active[i]);
		job->active =
			job->stage != JOB_OVER || job_in_room(job, w->t) || job_is_live(w, job);
		if (job->active)
			jobs->active[kept++] = jobs->active[i];
	}
	jobs->active_count = kept;
}

bool job_in_room(const struct job *job, int64_t t)
{
	return job->uses && t < job->excused_t;
}

void jobs_finish(struct world *w)
{
	free(w->jobs.v);
	free(w->jobs.active);
	free(w->jobs.by_lease);
	w->jobs = (struct jobs){0};
}
