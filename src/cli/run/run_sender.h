/* run_sender: whose SIGTERM it is that `baton run` hears. */
#pragma once
#include <stdbool.h>
#include <sys/signalfd.h>

/* The broker sends it with a revoke; when our connection is gone, it is all that we hear. */
bool run_sender_is_broker(const struct signalfd_siginfo *info);
