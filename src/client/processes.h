/* processes: the processes that use the GPU for a session. */
#pragma once
#include <stdbool.h>

struct baton;

/* Repeats what baton_processes and baton_keeper named, after a welcome. */
void client_send_processes(struct baton *baton);
/* The broker has recorded the oldest message without an answer, or refused it. */
void client_processes_answered(struct baton *baton, bool recorded);
