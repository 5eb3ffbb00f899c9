/* traces: what the core reports of its decisions, for people: the ring of changes, the sessions
 * that subscribed to them, the log, the histograms. */
#pragma once

struct event_ring;
struct log;
struct monitor;
struct run_state;
struct tally;
struct trace_effect;

/* All is borrowed. */
struct traces {
	const struct monitor *monitor;
	struct event_ring *event_ring;
	struct tally *tally;
	struct run_state *state; /* learns why it is paused */
	struct log *log;
};

void traces_note(const struct traces *traces, const struct trace_effect *trace);
