/* import: a core from the bytes of export.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct core;
/* `hash_seed`: fresh random bits. NULL: these bytes cannot be resumed from; *ret_why says why. */
struct core *core_import(const void *bytes, size_t size, uint64_t hash_seed, const char **ret_why);
