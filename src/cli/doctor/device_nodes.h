/* device_nodes: the device files by which programs reach GPUs: NVIDIA's, render nodes of DRM, AMD's
 * kfd, WSL's dxg. */
#pragma once
#include <stdbool.h>

struct doctor;

/* `path` as the system names it, `full` below the doctor's root. */
typedef void device_nodes_fn(void *ctx, const char *path, const char *full);

void device_nodes_each(const struct doctor *doctor, device_nodes_fn *fn, void *ctx);
/* The same for those that open MIG instances, beside the card's own file and never without it. */
void device_nodes_each_instance(const struct doctor *doctor, device_nodes_fn *fn, void *ctx);
/* Whether a file of this name is one, or opens an instance. */
bool device_nodes_is(const char *path);
