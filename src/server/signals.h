/* signals: what signals and a closed terminal ask for: to stop, or to read the configuration again.
 */
#pragma once
#include "server/hangup.h"

struct log;
struct loop;
struct reload;
struct shutdown;
struct sockets;

/* The pointers are borrowed. */
struct signals {
	struct shutdown *shutdown;
	struct sockets *sockets;
	struct reload *reload;
	struct log *log;
	struct hangup hangup;
};

/* 0 or a negative enum err. */
int signals_begin(struct signals *signals, struct loop *loop);
void signals_end(struct signals *signals);
