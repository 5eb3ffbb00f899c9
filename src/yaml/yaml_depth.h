/* yaml_depth: how deep a text nests. libyaml takes a second for 20 KiB of open brackets, and
 * minutes for a configuration's 256, so this is asked before libyaml builds a tree. */
#pragma once
#include <stddef.h>

enum { YAML_DEPTH_MAX = 32 };

/* The line where it goes deeper than that, which is then refused; 0: nowhere before the end, or
 * before what is no YAML. */
size_t yaml_depth_line(const char *text, size_t length);
