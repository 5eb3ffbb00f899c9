"""A command under `baton run` that leaves signs of life: job.py FOLDER KIND GRACE_S.

Every process of it writes the monotonic time into a file of its own for as long as it lives, as if that
were its work on the GPU. KIND says how it takes SIGTERM:

trap    hears it and goes on for good
half    needs half of its grace
deaf    ignores it
forked  ends at once; what it has started does not: double-forked, in a session of its own, under another
        name, one with its environment wiped, and both deaf
"""
import ctypes
import os
import select
import signal
import struct
import sys
import time


def live(folder, until=lambda: False):
    """Writes signs of life until told."""
    fd = os.open(os.path.join(folder, f"alive-{os.getpid()}"), os.O_CREAT | os.O_WRONLY, 0o600)
    while True:
        now = time.monotonic()
        if until():
            return
        os.pwrite(fd, struct.pack("d", now), 0)
        select.select([], [], [], 0.001)


def hide(folder, wiped):
    """A grandchild that nobody would take for ours."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(15, b"kworker/0:1", 0, 0, 0)
    if wiped:
        os.execve(sys.executable, [sys.executable, "-S", os.path.abspath(__file__), folder, "deaf", "0"], {})
    live(folder)


def main():
    folder, kind, grace_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    end = [None]

    def told(*_):
        open(os.path.join(folder, "term"), "w").close()
        if kind == "half":
            end[0] = end[0] or time.monotonic() + grace_s / 2
        elif kind == "forked":
            end[0] = 0

    signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == "deaf" else told)
    if kind == "forked":
        hide(folder, False)
        hide(folder, True)
    live(folder, lambda: end[0] is not None and time.monotonic() >= end[0])


main()
