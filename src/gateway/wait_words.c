/* wait_words: see wait_words.h. Decides nothing about waiting. */
#include "gateway/wait_words.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/text.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/relay.h"

uint64_t wait_words_claim(const struct relay *relay)
{
	if (relay->stage == RELAY_TURN)
		return relay->claim;
	return relay->stage == RELAY_MODEL ? model_waiting_claim(relay->model) : 0;
}

static int ask_why(const struct lease_port *port, uint64_t claim, const char *principal,
		   struct text *out)
{
	return claim && port->tell ? port->tell(port->ctx, claim, principal, out) : 0;
}

/* What is no wait in the queue. */
static const char *what_happens(const struct relay *relay)
{
	if (relay->stage == RELAY_WORKER)
		return "waiting for a tab";
	if (relay->stage != RELAY_MODEL)
		return "waiting for a turn";
	if (relay->model->awaits_place)
		return "waiting for another model to leave its server";
	return relay->model->residence == RESIDENCE_LOADING ? "loading the model"
							    : "waiting for the model";
}

void wait_words_sign(const struct lease_port *port, const struct relay *relay, struct mono_ms now,
		     struct text *out)
{
	int64_t waited_s = mono_since(now, relay->since) / 1000;

	if (relay->stage == RELAY_FORWARDED)
		text_str(out, "working");
	else if (ask_why(port, wait_words_claim(relay), relay->principal, out))
		text_format(out, " (%" PRId64 " s so far)", waited_s);
	else
		text_format(out, "%s for %" PRId64 " s", what_happens(relay), waited_s);
}

int wait_words_over(const struct lease_port *port, uint64_t claim, const char *principal,
		    struct text *out)
{
	int err;

	text_str(out, "It waited for the GPU as long as such a request may. ");
	err = ask_why(port, claim, principal, out);
	if (err)
		text_char(out, ' ');
	return err ? err : ERR_TIMEOUT;
}
