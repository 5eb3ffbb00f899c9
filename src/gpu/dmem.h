/* dmem: what a cgroup uses of a GPU's memory and may use at most, as the kernel's dmem controller
 * counts it (Linux 6.14, drivers of DRM, NVIDIA's r615). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { DMEM_TEXT_BYTES = 4096 };

#define DMEM_NO_LIMIT UINT64_MAX

/* Of the text of dmem.current or dmem.max: the sum over the GPU's VRAM; "max" is DMEM_NO_LIMIT.
 * False: the text says nothing of this GPU. Pure. */
bool dmem_parse(const char *text, const char *pci, uint64_t *ret_bytes);
/* False: the cgroup, or the controller there, does not tell. */
bool dmem_read(const char *folder, const char *file, const char *pci, uint64_t *ret_bytes);
