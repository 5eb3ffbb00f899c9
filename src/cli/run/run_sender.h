/* run_sender: who sent the SIGTERM that `baton run` received. */
#pragma once
#include <stdbool.h>
#include <sys/signalfd.h>

/* The broker sends it with a revoke; without a connection it is the only sign we get. */
bool run_sender_is_broker(const struct signalfd_siginfo *info);
