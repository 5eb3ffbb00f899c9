/* metrics: the text of /metrics. */
#pragma once
#include "base/text.h"

struct monitor;

/* Adds all of them. */
void metrics_write(const struct monitor *monitor, struct text *out);
