/* act: the shared half of release, reset and force-release. The broker writes who did it, from
 * SO_PEERCRED, into its audit; the words come from here. */
#include "cli/act.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/field.h"
#include "cli/status_view.h"

int act_post(const struct command *command, const char *path, const char *reason, const char *done,
	     bool json)
{
	json_t *body = reason ? json_pack("{s:s}", "reason", reason) : json_object();
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text)
		return cli_fail(command, EX_DATAERR, "the reason is not valid UTF-8");
	json_t *answer;
	int r = api_call(command, "POST", path, text, &answer);
	free(text);
	if (r > 0)
		return r;
	if (json) {
		json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else if (json_is_integer(json_object_get(answer, "count"))) {
		printf("%s (%" PRIu64 ")\n", done, field_u64(answer, "count"));
	} else {
		puts(done);
	}
	json_decref(answer);
	return 0;
}

uint64_t act_find_lease(const struct command *command, const char *word, int *ret_status)
{
	json_t *status;
	*ret_status = api_call(command, "GET", "/v1/gpu/status", NULL, &status);
	if (*ret_status > 0)
		return 0;
	const json_t *leases = json_object_get(status, "leases");
	const json_t *found = status_find(leases, word);
	uint64_t lease = found ? field_u64(found, "lease") : 0;
	size_t same = 0, i;
	json_t *row;
	json_array_foreach(leases, i, row) same += strcmp(field_text(row, "id", ""), word) == 0;
	if (!found)
		*ret_status = cli_fail(
			command, EX_NOINPUT, "'%.80s' holds no lease%s; see: baton status", word,
			status_find(json_object_get(status, "waiting"), word) ? ", it waits" : "");
	if (same > 1) {
		*ret_status = cli_fail(command, EX_DATAERR,
				       "%zu leases are called '%.80s'; give the number of one",
				       same, word);
		lease = 0;
	}
	json_decref(status);
	return lease;
}

bool act_confirm(const struct command *command, const char *question)
{
	char line[16];
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true; /* a script that says so means it */
	fprintf(stderr, "%s [y/N] ", question);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) && tolower((unsigned char)line[0]) == 'y')
		return true;
	cli_fail(command, 0, "nothing done");
	return false;
}
