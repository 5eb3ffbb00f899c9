"""job: what `baton run` runs in the conformance suite. It uses "the GPU" from its first line on, and
needs the program's stop_ms to end after it was asked to; a connection that the kernel closes is how
the runner knows."""
import json
import os
import signal
import socket
import time

program = json.loads(os.environ["CONFORMANCE_PROGRAM"])
gpu = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
gpu.connect(os.environ["CONFORMANCE_GPU"])
hold_ms = program.get("hold_ms")
asked = signal.sigtimedwait({signal.SIGTERM}, hold_ms / 1000 if hold_ms else 3600)
if asked and program.get("stop_ms"):
    # The work of stopping, which nothing cuts short but SIGKILL.
    end = time.monotonic() + program["stop_ms"] / 1000
    while (left := end - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGTERM}, left)
