/* binding: the table itself. Decides nothing: each caller says what follows from a row. Read
 * wherever two ways of being connected differ, and for their names. */
#include "core/binding.h"

#include <string.h>

#include "core/config.h"

#define TIME(field) offsetof(struct core_config, field)

const struct binding_traits binding_table[BINDING_COUNT] = {
	[BIND_NATIVE] = {.name = "native",
			 .proof = PROOF_EXIT,
			 .silence = SILENCE_WANTED,
			 .place_linger = TIME(native_linger_ms),
			 .lease_linger = TIME(session_ttl_ms),
			 .delay = TIME(grace_ms),
			 .party = PARTY_SESSION,
			 .ack = true,
			 .ears = true,
			 .requeue = true},
	[BIND_TAB] = {.name = "tab",
		      .proof = PROOF_WORD,
		      .silence = SILENCE_ENDS,
		      .place_linger = TIME(tab_linger_ms),
		      .lease_linger = TIME(tab_linger_ms),
		      .delay = TIME(lock_delay_ms),
		      .party = PARTY_SESSION,
		      .ack = true,
		      .ears = true,
		      .requeue = true,
		      .remembered = true},
	[BIND_STREAM] = {.name = "stream",
			 .proof = PROOF_CUT,
			 .delay = TIME(lock_delay_ms),
			 .party = PARTY_EXCHANGE,
			 .ears = true,
			 .requeue = true},
	[BIND_HTTP] = {.name = "http",
		       .proof = PROOF_TIME,
		       .delay = TIME(lock_delay_ms),
		       .party = PARTY_EXCHANGE,
		       .remembered = true},
	[BIND_PROXIED] = {.name = "proxied",
			  .proof = PROOF_CUT,
			  .delay = TIME(lock_delay_ms),
			  .memory_delay = TIME(unload_ms_max),
			  .party = PARTY_GATEWAY,
			  .ears = true,
			  .requeue = true,
			  .carries_age = true},
	[BIND_REMOTE] = {.name = "remote",
			 .proof = PROOF_WORD,
			 .silence = SILENCE_ENDS,
			 .place_linger = TIME(restart_linger_ms),
			 .lease_linger = TIME(session_ttl_ms),
			 .delay = TIME(session_ttl_ms),
			 .party = PARTY_SESSION,
			 .ack = true,
			 .ears = true,
			 .requeue = true,
			 .carries_age = true,
			 .outside = true},
};

const char *binding_name(int binding)
{
	return binding >= 0 && binding < BINDING_COUNT ? binding_table[binding].name : "unknown";
}

int64_t binding_ms(const struct core_config *config, size_t offset)
{
	int64_t ms;

	if (offset == 0)
		return 0;
	memcpy(&ms, (const char *)config + offset, sizeof(ms));
	return ms;
}

int64_t core_linger_ms(const struct core_config *config, enum binding binding)
{
	return binding_ms(config, binding_of(binding)->lease_linger);
}
