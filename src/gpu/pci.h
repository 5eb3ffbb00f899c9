/* pci: display devices on the PCI bus, by sysfs alone: nothing here wakes a card. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct gpu_device;

enum { PCI_NVIDIA = 0x10de, PCI_AMD = 0x1002, PCI_INTEL = 0x8086 };

unsigned pci_count_displays(const char *sysfs, unsigned vendor);
/* Those that are powered down. Returns how many, or -EAGAIN: one of them is awake. */
int pci_list_asleep(const char *sysfs, unsigned vendor, struct gpu_device *ret_devices, size_t max);
/* `device_dir` is the device's folder in sysfs. */
bool pci_is_asleep(const char *device_dir);
