/* replay_private: what replays a trace, by which rules, and what prints the result. For replay*.c.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct replay_result;
struct replay_trace;

/* Called now and then with the progress; NULL: none. */
typedef void replay_progress(void *ctx, int64_t now_ms);

/* The real core in virtual time. */
void replay_baton(const struct replay_trace *trace, struct replay_result *result,
		  replay_progress *progress, void *ctx);
/* The predecessor's rules. */
void replay_predecessor(const struct replay_trace *trace, struct replay_result *result);

struct replay_view {
	const char *policy; /* "baton" or "predecessor" */
	const char *name;   /* of the trace */
	bool colour;
};
void replay_print_table(FILE *out, const struct replay_trace *trace,
			const struct replay_result *result, const struct replay_view *view);
void replay_print_json(FILE *out, const struct replay_trace *trace,
		       const struct replay_result *result, const struct replay_view *view);
void replay_print_svg(FILE *out, const struct replay_trace *trace,
		      const struct replay_result *result, const struct replay_view *view);
