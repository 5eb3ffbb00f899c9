/* history: GET /v1/gpu/history, a piece of the journal's ended claims and operators' acts. Looks at
 * so many rows a request and says where the next one begins, so that no question stalls the loop.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "json/json_writer.h"
#include "net/http.h"
#include "server/broker.h"
#include "server/http/history.h"
#include "server/http/monitoring_routes.h"
#include "server/monitor/monitor.h"
#include "server/respond.h"
#include "store/store.h"
#include "wire/history_encode.h"
#include "wire/sight.h"

enum { ROWS_SHOWN = 100, ROWS_SHOWN_MAX = 1000, ROWS_READ_MAX = 2000 };

/* What is asked for, and what became of it so far. */
struct reading {
	struct text *out;
	struct sight sight;
	const char *name; /* only claims of this name, or NULL */
	int64_t since_ms; /* wall time */
	uint64_t limit, shown, read;
	uint64_t next; /* the row to begin below, 0: there are no more */
	bool over;
};

static bool is_wanted(const struct reading *reading, const struct record *record)
{
	if (record->type != RECORD_CLAIM_END && record->type != RECORD_AUDIT)
		return false;
	if (!reading->name)
		return true;
	return record->type == RECORD_CLAIM_END && strcmp(record->claim.name, reading->name) == 0;
}

static void read_row(void *ctx, uint64_t row, const struct record *record)
{
	struct reading *reading = ctx;

	reading->read++;
	if (reading->over)
		return;

	bool known = record->type == RECORD_CLAIM_END || record->type == RECORD_AUDIT;
	if (known && history_time(record).v < reading->since_ms) {
		reading->over = true;
		reading->next = 0;
		return;
	}

	reading->next = row;
	if (is_wanted(reading, record)) {
		text_json_item(reading->out);
		history_encode_row(reading->out, row, record, &reading->sight);
		reading->shown++;
	}

	reading->over = reading->shown == reading->limit;
}

/* {"history":[..], "next": row}: newest first; ask again with before=next. */
void route_history(struct monitoring_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	const char *query = context->request->query;
	char name[LIMIT_ID_BYTES + 1];
	uint64_t before = 0, since_s = 0;
	struct reading reading = {.out = &body, .limit = ROWS_SHOWN};
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	int named = route_query_text(query, "name", name, sizeof(name));

	access_principal(&context->verdict.who, principal);
	reading.sight = sight_of(principal);
	(void)route_query_u64(query, "limit", &reading.limit);
	(void)route_query_u64(query, "before", &before);
	(void)route_query_u64(query, "since", &since_s);
	if (named < 0) {
		respond_error(context, ERR_BAD_FIELD, "name");
		return;
	}

	if (reading.limit == 0 || reading.limit > ROWS_SHOWN_MAX)
		reading.limit = ROWS_SHOWN_MAX;
	reading.name = named ? name : NULL;
	reading.since_ms = since_s > INT64_MAX / 1000 ? INT64_MAX : (int64_t)since_s * 1000;
	text_str(&body, "{\"status\":\"ok\",\"history\":[");
	unsigned most = named ? ROWS_READ_MAX : (unsigned)reading.limit;
	int rc = store_history(routes->monitor->broker->store, before, most, read_row, &reading);

	if (rc < 0) {
		respond_error(context, ERR_JOURNAL, NULL);
		return;
	}

	text_char(&body, ']');
	if (reading.next > 1)
		text_json_u64(&body, "next", reading.next);
	text_char(&body, '}');
	respond_json(context, 200, &body);
}
