/* check_holders: who holds GPU memory without a lease, as the broker sees it; swap that may be
 * VRAM.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor/check.h"
#include "cli/http_client.h"
#include "cli/process_words.h"
#include "cli/units.h"

struct strangers {
	unsigned count;
	double mb;
};

static void judge_process(const json_t *process, struct strangers *strangers,
			  struct finding *finding)
{
	char words[PROCESS_WORDS_BYTES];
	double mb = field_number(process, "vram_mb", 0);

	if (field_text(process, "condition", NULL)) {
		process_words_name(process, words);
		check_say(finding, CHECK_WARN, "%.200s: %.250s; fix: see baton gpus", words,
			  field_text(process, "condition_text", ""));
	}
	if (!field_text(process, "client", NULL)) {
		strangers->count++;
		strangers->mb += mb > 0 ? mb : 0;
	}
}

static void judge_gpus(const json_t *gpus, struct finding *finding)
{
	struct strangers strangers = {0};
	char size[UNITS_BYTES];
	size_t i, j;
	json_t *gpu, *process;

	json_array_foreach (gpus, i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");
		json_array_foreach (json_object_get(measured, "processes"), j, process)
			judge_process(process, &strangers, finding);
		if (field_true(measured, "pids_foreign"))
			check_say(finding, CHECK_NOTE,
				  "the broker is in a container, so the pids that the driver "
				  "names mean nothing to it; fix: run it on the machine, or with "
				  "--pid=host");
	}
	if (strangers.count > 0)
		check_say(finding, CHECK_NOTE,
			  "%u process%s hold%s %s without a lease; fix: see baton gpus, and start "
			  "%s by baton run",
			  strangers.count, strangers.count == 1 ? "" : "es",
			  strangers.count == 1 ? "s" : "", units_mb(size, strangers.mb),
			  strangers.count == 1 ? "it" : "them");
}

/* "/dev/nbd0  partition  8388604 0 100", a line for each. */
static void judge_swap(const struct doctor *doctor, struct finding *finding)
{
	static const char *const devices[] = {"/dev/nbd", "/dev/ublkb", "/dev/cudaram"};
	char text[4096];

	if (!check_read(doctor, "/proc/swaps", text, sizeof(text)))
		return;
	for (const char *line = strchr(text, '\n'); line; line = strchr(line, '\n')) {
		line++;
		for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++)
			if (strncmp(line, devices[i], strlen(devices[i])) == 0)
				check_say(finding, CHECK_NOTE,
					  "%.*s is swap that a program serves, perhaps from VRAM; "
					  "fix: if so, swapoff it before a GPU is lent",
					  (int)strcspn(line, " \t\n"), line);
	}
}

void check_holders(const struct doctor *doctor, struct finding *finding)
{
	json_t *status = http_client_status();

	judge_swap(doctor, finding);
	if (!status) {
		check_say(finding, CHECK_OK, "no broker answers, so nobody tells");
		return;
	}
	judge_gpus(json_object_get(status, "gpus"), finding);
	json_decref(status);
	check_say(finding, CHECK_OK, "nobody holds GPU memory without a lease");
}
