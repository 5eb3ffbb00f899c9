/* disk_reserve: space set aside, so that releases can still be written to a full disk. */
#pragma once
#include <stdbool.h>

enum { RESERVE_BYTES = 1024 * 1024 };

/* Creates the file `reserve` in the folder, or finds it complete; false: not enough free space. */
bool disk_reserve_take(int dir_fd);
/* Gives the space back to the file system. */
void disk_reserve_release(int dir_fd);
