"""A pseudo-terminal with a program on it, as a terminal emulator would have it: keys in, screen out."""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time

from .wait import DEADLINE_S

SHELL = ["bash", "--norc", "--noprofile", "-i"]
PROMPT = "shell> "


class Terminal:
    """`argv` leads a session of its own on it; by default a shell with job control."""

    def __init__(self, argv=None, env=None, cwd=None):
        self.fd, slave = os.openpty()
        os.set_inheritable(slave, True)
        env = {**(env or os.environ), "PS1": PROMPT, "TERM": "dumb"}

        def take_terminal():
            for signo in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP):
                signal.signal(signo, signal.SIG_DFL)
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(argv or SHELL, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=cwd,
                                        preexec_fn=take_terminal)
        os.close(slave)
        self.text = ""

    def read_some(self, timeout_s):
        if self.fd < 0 or not select.select([self.fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait(self, pattern, deadline_s=DEADLINE_S):
        """Reads until the pattern is there; what came before it is dropped. The match."""
        end = time.monotonic() + deadline_s
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < end, f"no {pattern!r} in {self.text!r}"
            self.read_some(0.05)
        self.text = self.text[found.end():]
        return found

    def type(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        """A command line, typed at the prompt."""
        self.wait(PROMPT)
        self.type(text + "\n")

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self):
        return termios.tcgetattr(self.fd)[:4]

    def foreground(self):
        return os.tcgetpgrp(self.fd)

    def hang_up(self):
        """The terminal is gone, as when its window is closed."""
        os.close(self.fd)
        self.fd = -1

    def end(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.process.kill()
        self.process.wait()
