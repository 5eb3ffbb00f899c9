/* admin: what release, cancel, reset, force-release, pause, resume and down share. The broker's
 * audit records who asked, from SO_PEERCRED; the reason comes from here. */
#include "cli/admin.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/status_view.h"

enum { NUMBERS_SHOWN = 5 };

static void print_done(const json_t *answer, const struct admin_words *words)
{
	const json_t *count = json_object_get(answer, "count");
	json_int_t touched = json_integer_value(count);
	if (json_is_integer(count) && touched == 0 && words->nothing)
		puts(words->nothing);
	else if (touched > 1)
		printf("%s (%" JSON_INTEGER_FORMAT ")\n", words->done, touched);
	else
		puts(words->done);
}

int admin_post(const struct command *command, const char *path, const char *reason,
	       const struct admin_words *words, bool json)
{
	json_t *body = reason ? json_pack("{s:s}", "reason", reason) : json_object();
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text)
		return cli_fail(command, EX_DATAERR, "the reason is not valid UTF-8");

	json_t *answer;
	int rc = http_client_call(command, "POST", path, text, &answer);
	free(text);
	if (rc > 0)
		return rc;

	if (json) {
		json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		print_done(answer, words);
	}

	json_decref(answer);
	return 0;
}

/* Writes "5, 7, 9": the first few rows with this name. Returns how many there are. */
static size_t numbers_of(const json_t *rows, const char *name, char *ret_numbers, size_t size)
{
	size_t same = 0, i;
	json_t *row;
	ret_numbers[0] = '\0';

	json_array_foreach (rows, i, row) {
		size_t length = strlen(ret_numbers);
		if (strcmp(field_text(row, "id", ""), name) != 0)
			continue;
		if (same < NUMBERS_SHOWN)
			snprintf(ret_numbers + length, size - length, "%s%" PRIu64,
				 same ? ", " : "", field_u64(row, "lease"));
		else if (same == NUMBERS_SHOWN)
			snprintf(ret_numbers + length, size - length, ", ..");
		same++;
	}

	return same;
}

int admin_find_among(const struct command *command, const json_t *rows, const char *word,
		     const char *what, uint64_t *ret_id)
{
	char numbers[NUMBERS_SHOWN * 24];
	const json_t *found = status_find(rows, word);
	if (!found)
		return 0;

	size_t same = numbers_of(rows, word, numbers, sizeof(numbers));
	if (same > 1)
		return cli_fail(command, EX_DATAERR,
				"%zu %s are called '%.80s': %s; give the number of one", same, what,
				word, numbers);

	*ret_id = field_u64(found, "lease");
	return 1;
}

int admin_find(const struct command *command, const char *word, struct admin_claim *ret_claim)
{
	json_t *status;
	int rc = http_client_call(command, "GET", "/v1/gpu/status", NULL, &status);
	if (rc > 0)
		return rc;

	ret_claim->waits = false;
	rc = admin_find_among(command, json_object_get(status, "leases"), word, "leases",
			      &ret_claim->id);
	if (rc == 0) {
		ret_claim->waits = true;
		rc = admin_find_among(command, json_object_get(status, "waiting"), word, "waiters",
				      &ret_claim->id);
	}

	json_decref(status);
	if (rc == 0)
		return cli_fail(command, EX_NOINPUT,
				"'%.80s' neither holds nor waits; see: baton status", word);
	return rc == 1 ? 0 : rc;
}

int admin_cancel(const struct command *command, uint64_t claim, const char *name,
		 const char *reason, bool json)
{
	char path[64], done[256];
	snprintf(path, sizeof(path), "/v1/gpu/claims/%" PRIu64 "/cancel", claim);
	snprintf(done, sizeof(done), "claim %" PRIu64 "%s%.140s%s is out of the queue", claim,
		 name ? " (" : "", name ? name : "", name ? ")" : "");
	return admin_post(command, path, reason, &(struct admin_words){.done = done}, json);
}

bool admin_can_ask(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool admin_confirm(const struct command *command, bool yes, const char *format, ...)
{
	char line[16];
	va_list args;
	if (yes || !admin_can_ask())
		return true;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(" [y/N] ", stderr);
	fflush(stderr);

	if (fgets(line, sizeof(line), stdin) && tolower((unsigned char)line[0]) == 'y')
		return true;
	cli_fail(command, 0, "nothing done");
	return false;
}
