/* monitor: what people may see of the broker. Changes nothing of what it borrows but endpoints,
 * which it shuts once they have their answer. */
#pragma once

struct broker;
struct core_config;
struct endpoints;
struct event_ring;
struct gpu_board;
struct run_state;
struct tally;
struct vram_history;

/* All is borrowed. */
struct monitor {
	struct endpoints *endpoints;
	const struct broker *broker;
	const struct core_config *config;
	const struct run_state *state;
	const struct event_ring *event_ring;
	const struct vram_history *vram_history;
	const struct tally *tally;
	struct gpu_board *gpus; /* says who asks; NULL: nothing is measured */
};
