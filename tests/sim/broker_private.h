/* broker_private: what broker.c and broker_life.c share. */
#pragma once
#include "broker.h"

void broker_step(struct world *w, struct event *event);
void broker_flush(struct world *w);
void broker_schedule_turn(struct world *w, int64_t t);
