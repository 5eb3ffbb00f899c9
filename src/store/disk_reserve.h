/* disk_reserve: disk space set aside, so that releases can still be written when the disk is full.
 */
#pragma once
#include <stdbool.h>

enum { RESERVE_BYTES = 1024 * 1024 };

/* Makes the file `reserve` in the folder, or finds it whole; false: there is no room for it. */
bool disk_reserve_take(int dir_fd);
/* Gives the space back to the file system. */
void disk_reserve_release(int dir_fd);
