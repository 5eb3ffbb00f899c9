/* gpu_figures: what a source said of a GPU, as the figures that people see. */
#pragma once
#include <stdint.h>

#include "base/mono.h"

struct gpu_owners;
struct gpu_probe;
struct gpu_sampler;
/* The figures of a GPU from its row. */
void gpu_figures_set(struct gpu_sampler *sampler, uint32_t gpu, struct mono_ms now);
/* Which cgroups the probe is to read: those that sessions name. */
void gpu_figures_ask(const struct gpu_owners *owners, struct gpu_probe *probe);
