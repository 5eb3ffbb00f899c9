"""canary: a process that does a little work at regular times and says how late it was done.

Where it is late so is whoever is measured beside it, and what was measured meanwhile says nothing about him.
"""
import contextlib
import os
import signal
import struct
import time

PAUSE_S, WORK_S, TOLD_S = 0.03, 0.001, 0.02
ENTRY = struct.Struct("dd")  # when it should have begun, when it was done


class Canary:
    def __init__(self):
        """Before there are threads: it is forked."""
        self.late = []
        self.reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        born = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                self.sing(writer, born)
            os._exit(0)
        os.close(writer)

    @staticmethod
    def sing(writer, done):
        parent = os.getppid()
        while os.getppid() == parent:
            due = done + PAUSE_S  # no moment lies between two looks
            time.sleep(PAUSE_S)
            used = time.thread_time()
            while time.thread_time() - used < WORK_S:
                pass
            done = time.monotonic()
            if done - due > TOLD_S:
                os.write(writer, ENTRY.pack(due, done))

    def hear(self):
        with contextlib.suppress(BlockingIOError):
            while entry := os.read(self.reader, ENTRY.size):
                self.late.append(ENTRY.unpack(entry))

    def late_ms(self, begun, ended):
        """The most that it was late between these times, by time.monotonic()."""
        self.hear()
        return max((int((done - due) * 1000) for due, done in list(self.late) if done > begun and due < ended),
                   default=0)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.reader)
