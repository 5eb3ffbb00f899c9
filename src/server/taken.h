/* taken: who has what this start wanted for itself, for the words of its refusal. */
#pragma once
#include <stddef.h>

/* "127.0.0.1:8470" is in use: by which process, and if that is the broker of `state_dir`, how to
 * reach it. Writes a whole sentence. */
void taken_address(const char *address, const char *state_dir, char *detail, size_t size);
/* The folder is locked, as `detail` says: adds where its broker listens. */
void taken_state(const char *state_dir, char *detail, size_t size);
/* Somebody listens on a Unix socket, as `detail` says: adds which process. */
void taken_socket(const char *path, char *detail, size_t size);
