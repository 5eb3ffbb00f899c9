/* claim_words: see claim_words.h. */
#include "server/inference/claim_words.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/text.h"
#include "core/view.h"
#include "net/loop.h"
#include "server/gpus/gpu_board.h"
#include "server/message_context.h"
#include "wire/sight.h"
#include "wire/told.h"
#include "wire/wait_reason.h"

/* That works for no lease; the largest come first. NULL: none is known. */
static const struct gpu_process_row *largest_stranger(const struct gpu_figures *figures)
{
	for (size_t i = 0; i < figures->process_count; i++) {
		const struct gpu_process_row *row = &figures->processes[i];
		if (row->session == 0 && row->bytes_known && row->vram_bytes > 0)
			return row;
	}
	return NULL;
}

static void add_stranger(struct text *out, const struct gpu_process_row *row)
{
	text_format(out, " %s (pid %" PRId64 ") uses %" PRIu64 " MiB.",
		    row->command[0] ? row->command : "A program", row->pid, row->vram_bytes >> 20);
}

/* Who has left something there that is not seen to be free; "": nobody, or that is not why. */
static const char *left_by(const struct core *core, const struct why *why)
{
	struct gpu_view view;

	return why->code == WHY_VRAM && core_gpu(core, why->gpu, &view) ? view.left_by : "";
}

/* No time helps against memory that nobody can be asked to give back. */
static int err_of(const struct why *why, const char *left)
{
	if (why->code == WHY_DRAINING || left[0])
		return ERR_STUCK_VRAM;
	return why->code == WHY_VRAM || why->code == WHY_PINNED || why->code == WHY_UNKNOWN
		       ? ERR_NO_HEADROOM
		       : ERR_TIMEOUT;
}

static void add_memory(struct text *out, const struct gpu_board *board, const struct why *why,
		       const char *left, const char *principal)
{
	const struct sight sight = sight_of(principal);
	const struct gpu_process_row *stranger =
		board && !sight.narrow ? largest_stranger(&board->v[why->gpu]) : NULL;

	if (left[0])
		text_format(out, " What %s had used there was not seen to be free.", left);
	if (stranger)
		add_stranger(out, stranger);
}

int claim_words_tell(const struct core *core, const struct core_config *config,
		     const struct gpu_board *board, uint64_t claim, const char *principal,
		     struct text *out)
{
	struct mono_ms now = loop_now();
	char names[MESSAGE_NAMES_BYTES];
	const char *left;
	struct why why;
	struct told told;
	int err;

	if (core_position(core, claim) < 0)
		return 0;

	core_why(core, claim, now, &why);
	message_context_told(core, claim, now, loop_wall_now(), &told);
	encode_sentence_text(out, &told.estimate, &why,
			     message_context_in_the_way(core, &why, now, names), config);
	if (told.bound_ms >= 0) {
		text_str(out, " At most ");
		told_duration(out, told.bound_ms, true);
		text_char(out, '.');
	}

	left = left_by(core, &why);
	err = err_of(&why, left);
	if (err != ERR_TIMEOUT)
		add_memory(out, board, &why, left, principal);
	return err;
}
