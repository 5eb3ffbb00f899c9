/* metrics: the text of /metrics. */
#pragma once

struct monitor;
struct text;

/* Adds all of them. */
void metrics_write(const struct monitor *monitor, struct text *out);
