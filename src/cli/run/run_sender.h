/* run_sender: who sent a signal that `baton run` received. */
#pragma once
#include <stdbool.h>
#include <sys/signalfd.h>

struct run_end;

/* The broker sends SIGTERM with a revoke; without a connection it is the only sign we get. */
bool run_sender_is_broker(const struct signalfd_siginfo *info);
/* If systemd, or the user's own, sent it to end what we run in: that unit, in `end`. */
void run_sender_note_unit(const struct signalfd_siginfo *info, struct run_end *end);
