/* turn_rule: which requests of a page's server take a turn on the GPU: "POST /prompt". The method
 * is one of HTTP's, WEBSOCKET for an upgrade to one, or *; in the path a star stands for any bytes.
 * Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { TURN_RULE_BYTES = 128 };

/* NULL: it is a rule. Else what is wrong, in words: "has a match .." */
const char *turn_rule_problem(const char *rule);
/* `rule` has no problem; `path` is without its query. */
bool turn_rule_matches(const char *rule, const char *method, const char *path);
