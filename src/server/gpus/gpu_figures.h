/* gpu_figures: what a source said of a GPU, as the figures that people see. */
#pragma once
#include <stdint.h>

#include "base/mono.h"

struct gpu_sampler;
/* The figures of a GPU from its row. */
void gpu_figures_set(struct gpu_sampler *sampler, uint32_t gpu, struct mono_ms now);
