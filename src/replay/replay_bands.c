/* replay_bands: groups requests by id and orders the groups. */
#include "replay/replay_bands.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "replay/replay_result.h"

/* A request with what it is sorted by; later, a client with its place. */
struct entry {
	const struct replay_request *request;
	size_t index;
};

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->request->id, y->request->id);
	return order ? order : (x->index > y->index) - (x->index < y->index);
}

struct client {
	struct band band;
	size_t number; /* as numbered while grouping */
};

static int by_class_and_time(const void *a, const void *b)
{
	const struct band *x = &((const struct client *)a)->band;
	const struct band *y = &((const struct client *)b)->band;
	if (x->cls != y->cls)
		return x->cls < y->cls ? -1 : 1;
	if (x->first_ms != y->first_ms)
		return x->first_ms < y->first_ms ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void add_request(struct band *band, const struct replay_request *request,
			const struct replay_verdict *verdict)
{
	if (!band->request_count || request->cls < band->cls)
		band->cls = request->cls;
	if (!band->request_count || request->at_ms < band->first_ms)
		band->first_ms = request->at_ms;
	band->request_count++;
	band->granted_count += verdict->granted;
	band->timeout_count += verdict->end == ENDING_TIMEOUT;
}

static void merge_band(struct band *into, const struct band *from)
{
	if (!into->client_count || from->cls < into->cls)
		into->cls = from->cls;
	into->id = NULL;
	into->client_count += from->client_count;
	into->request_count += from->request_count;
	into->granted_count += from->granted_count;
	into->timeout_count += from->timeout_count;
}

/* Numbers the clients in order of id; of_request then holds those numbers. */
static size_t group_requests(struct client *clients, size_t *of_request,
			     const struct replay_trace *trace, const struct replay_result *result)
{
	struct entry *entries = check_memory(calloc(trace->count, sizeof(*entries)));
	size_t count = 0;

	for (size_t i = 0; i < trace->count; i++)
		entries[i] = (struct entry){&trace->requests[i], i};
	qsort(entries, trace->count, sizeof(*entries), by_id);
	for (size_t i = 0; i < trace->count; i++) {
		const char *id = entries[i].request->id;
		if (!count || strcmp(clients[count - 1].band.id, id) != 0) {
			clients[count] = (struct client){.band.id = id, .number = count};
			clients[count++].band.client_count = 1;
		}
		add_request(&clients[count - 1].band, entries[i].request,
			    &result->verdicts[entries[i].index]);
		of_request[entries[i].index] = count - 1;
	}

	free(entries);
	return count;
}

void bands_init(struct bands *bands, const struct replay_trace *trace,
		const struct replay_result *result)
{
	struct client *clients = check_memory(calloc(trace->count, sizeof(*clients)));
	size_t *band_of = check_memory(calloc(trace->count, sizeof(*band_of)));

	bands->of_request = check_memory(calloc(trace->count, sizeof(*bands->of_request)));
	size_t count = group_requests(clients, bands->of_request, trace, result);
	qsort(clients, count, sizeof(*clients), by_class_and_time);
	bands->count = count < BANDS_MAX ? count : BANDS_MAX;
	bands->v = check_memory(calloc(bands->count, sizeof(*bands->v)));
	for (size_t i = 0; i < count; i++) {
		size_t place = i < bands->count ? i : bands->count - 1;
		band_of[clients[i].number] = place;
		if (count > BANDS_MAX && place == bands->count - 1)
			merge_band(&bands->v[place], &clients[i].band);
		else
			bands->v[place] = clients[i].band;
	}

	for (size_t i = 0; i < trace->count; i++)
		bands->of_request[i] = band_of[bands->of_request[i]];
	free(band_of);
	free(clients);
}

void bands_finish(struct bands *bands)
{
	free(bands->v);
	free(bands->of_request);
	*bands = (struct bands){0};
}
