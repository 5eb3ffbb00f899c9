"""A program on a terminal that is looked at as a person would: what stands where on the screen.

The terminal is emulated by pyte, which tools/dev/deps.sh test installs into build-venv/.
"""
import fcntl
import glob
import os
import pathlib
import pty
import select
import struct
import subprocess
import sys
import termios

from .daemon import BATON, die_with_parent, end_process
from .wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path += glob.glob(str(ROOT / "build-venv/lib/python3*/site-packages"))
try:
    import pyte
except ImportError:
    sys.exit(f"{__file__}: there is no pyte in {ROOT / 'build-venv'}; install it with: tools/dev/deps.sh test")


# An xterm without what pyte does not know: characters repeated, lines scrolled by a count.
NAME, ENTRY = "baton-test", "baton-test|xterm as far as pyte knows it,\n\trep@, indn@, rin@, use=xterm-256color,\n"


def terminfo(folder):
    """The environment of a program on that terminal, described in a folder of its own."""
    subprocess.run(["tic", "-x", "-o", str(folder), "-"], input=ENTRY, text=True, check=True, capture_output=True)
    return {"TERM": NAME, "TERMINFO_DIRS": f"{folder}:", "LC_ALL": "C.UTF-8"}


class Terminal:
    """`args` of baton on a pty of `rows` and `columns`."""

    def __init__(self, test, args, env, rows=24, columns=80, **options):
        self.controller, terminal = pty.openpty()
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.set_size(rows, columns)
        self.modes_before = termios.tcgetattr(self.controller)
        options.setdefault("process_group", 0)
        self.process = subprocess.Popen([BATON, *args], stdin=terminal, stdout=terminal, stderr=terminal,
                                        env=env, preexec_fn=die_with_parent, **options)
        os.close(terminal)
        test.addCleanup(self.close)
        test.addCleanup(end_process, self.process)

    def close(self):
        if self.controller is not None:
            os.close(self.controller)
        self.controller = None

    def set_size(self, rows, columns):
        fcntl.ioctl(self.controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns, signal_number):
        self.set_size(rows, columns)
        self.screen.resize(rows, columns)
        self.process.send_signal(signal_number)

    def read(self):
        """Takes in what was written; False when the other end is closed."""
        while select.select([self.controller], [], [], 0.02)[0]:
            try:
                piece = os.read(self.controller, 65536)
            except OSError:
                return False
            if not piece:
                return False
            self.raw += piece
            self.stream.feed(piece)
        return True

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, condition, what):
        """Until the condition of the screen's text is true; a text stands for being there."""
        def seen():
            self.read()
            return condition in self.text if isinstance(condition, str) else condition(self.text)
        try:
            wait_until(seen, what)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.text}\nstatus {self.process.poll()}") from error

    def line(self, word):
        """The first line with that word."""
        return next((line for line in self.text.split("\n") if word in line), None)

    def press(self, keys):
        os.write(self.controller, keys.encode())

    def wait_end(self):
        wait_until(lambda: (self.read(), self.process.poll() is not None)[1], "it ends")
        self.read()
        return self.process.returncode

    def is_restored(self):
        """Modes as before, the other screen left, the cursor shown."""
        shown = self.raw.rfind(b"\x1b[?1049l")
        return (termios.tcgetattr(self.controller) == self.modes_before and shown > self.raw.rfind(b"\x1b[?1049h")
                and self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l"))
