/* checkpoint_thread: a checkpoint_task in a thread of its own, which may be left behind: nothing
 * waits for a driver that hangs. */
#pragma once
#include <stdbool.h>

struct checkpoint_task;
struct checkpoint_thread;

/* Copies the task, and takes its tree. NULL: no thread. */
struct checkpoint_thread *checkpoint_thread_start(struct checkpoint_task *task);
/* Readable once the work is done. */
int checkpoint_thread_fd(const struct checkpoint_thread *thread);
/* True: it is done, the thread is gone, and *ret_task is as the work left it, without a tree. */
bool checkpoint_thread_take(struct checkpoint_thread *thread, struct checkpoint_task *ret_task);
void checkpoint_thread_turn_back(struct checkpoint_thread *thread);
/* Whatever it does now: it calls nothing afterwards, and frees itself. Takes NULL. */
void checkpoint_thread_abandon(struct checkpoint_thread *thread);
/* Whether one that was abandoned has not returned: then this process must not end by exit(), which
 * would take the library away under it. */
bool checkpoint_thread_hangs(void);
