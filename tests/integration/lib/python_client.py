"""A program that uses the Python client, in a process of its own. Debian's python3 runs it, where there is one."""
import os
import pathlib
import subprocess
import sys
import threading

from .daemon import die_with_parent, end_process
from .wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
PRELUDE = r"""
import asyncio, json, os, signal, subprocess, sys, threading, time
import baton
def say(*words): sys.stdout.write(" ".join(map(str, words)) + "\n"); sys.stdout.flush()
def hear(): return sys.stdin.readline().strip()
"""


class Program:
    """`code` with the client imported as `baton`; say() writes a line to us, hear() waits for one of ours."""

    def __init__(self, test, daemon, code, python=PYTHON, path=ROOT / "clients" / "python", **env):
        env = {**os.environ, "BATON_SOCKET": daemon.socket, "PYTHONDONTWRITEBYTECODE": "1", **env}
        if path:
            env["PYTHONPATH"] = str(path)
        self.process = subprocess.Popen([python, "-c", PRELUDE + code], env=env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.lines, self.errors, self.over = [], [], []
        self.readers = [threading.Thread(target=self.read, args=pair, daemon=True) for pair in (
            (self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()
        test.addCleanup(self.end)

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait(self, beginning):
        """The first line that begins so, which is then over with those before it."""
        def found():
            # Asked before the look: what it says last, and ends, would else come between the two.
            over = self.process.poll() is not None and not self.readers[0].is_alive()
            for at, line in enumerate(self.lines):
                if line.startswith(beginning):
                    return at + 1
            assert not over, (self.lines, self.errors)
            return 0

        at = wait_until(found, lambda: f"it says {beginning!r}; it said {self.over + self.lines} {self.errors}")
        self.over += self.lines[:at]
        del self.lines[:at]
        return self.over[-1]

    def said(self, line):
        return line in self.over + self.lines

    def tell(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def result(self, deadline_s=15):
        """Its exit status, when all that it said was read."""
        status = self.process.wait(deadline_s)
        for reader in self.readers:
            reader.join(deadline_s)
        return status

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        for reader in self.readers:
            reader.join(5)
        self.process.stdin.close()
        end_process(self.process)
