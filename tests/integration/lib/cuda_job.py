"""Plays a CUDA program for tests/lib/cuda/standin.c: cuda_job.py FOLDER LIBRARY KIND.

Every process of it that uses CUDA has `state-PID` in FOLDER, and writes a sign of life (`alive-PID`) only while
that says "running", as a program whose calls of CUDA wait. KIND:

one      a process
three    two with CUDA, and one that was forked off a program with CUDA and does not use it
late     starts another one with CUDA whenever FOLDER/more is there
stubborn hears SIGINT (FOLDER/interrupted), and goes on until FOLDER/end is there

SIGTERM ends it; `term-PID` then says in which state it was.
"""
import ctypes
import os
import pathlib
import select
import signal
import struct
import sys
import time


def main():
    folder, library, kind = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    ctypes.CDLL(library)
    state = None

    def begin():
        nonlocal state
        state = folder / f"state-{os.getpid()}"
        beside = folder / f"new-{os.getpid()}"
        beside.write_text("running\n", encoding="ascii")
        beside.rename(state)

    def told(*_):
        (folder / f"term-{os.getpid()}").write_text(state.read_text(encoding="ascii") if state else "none\n",
                                                    encoding="ascii")
        os._exit(0)

    def live(uses_cuda=True):
        signal.signal(signal.SIGTERM, told)
        if kind == "stubborn":
            signal.signal(signal.SIGINT, lambda *_: (folder / "interrupted").touch())
        if uses_cuda:
            begin()
        fd = os.open(folder / f"alive-{os.getpid()}", os.O_CREAT | os.O_WRONLY, 0o600)
        while True:
            if not uses_cuda or state.read_text(encoding="ascii") == "running\n":
                os.pwrite(fd, struct.pack("d", time.monotonic()), 0)
            if kind == "stubborn" and (folder / "end").exists():
                return
            if kind == "late" and (folder / "more").exists():
                (folder / "more").unlink()
                if os.fork() == 0:
                    os.execv(sys.executable, [sys.executable, "-S", __file__, str(folder), library, "one"])
            select.select([], [], [], 0.001)

    if kind == "three":
        for uses_cuda in (True, False):
            if os.fork() == 0:
                live(uses_cuda)
    live()


main()
