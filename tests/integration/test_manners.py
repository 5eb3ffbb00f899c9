"""Goal: the commands behave where they are used: in scripts, pipes and narrow terminals.

Method: the real commands, with standard output on a full device, closed, a broken pipe, a small terminal.
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import unicodedata
import unittest

from lib.daemon import BATON, DaemonTest, end_process
from lib.wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOOD = str(ROOT / "traces" / "flood.jsonl")


def commands():
    """The names of the command table, as the help lists them."""
    text = subprocess.run([BATON, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(?m)^  ([a-z-]+) +[A-Z]", text.split("commands:")[1])


def width(text):
    """Columns on a terminal."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


# What prints something, given a broker: each of the table is here or below.
PRINTING = {
    "status": (["status"], ["status", "--json"], ["status", "--watch"], ["status", "--watch", "--json"]),
    "why": (["why"], ["why", "--json"], ["why", "holder"]),
    "events": (["events"], ["events", "--json"], ["events", "--follow", "--json"]),
    "logs": (["logs"], ["logs", "--json"], ["logs", "--follow"]),
    "open": (["open", "--print"],),
    "version": (["version"], ["version", "--json"]),
    "completion": (["completion", "bash"], ["completion", "zsh"], ["completion", "fish"]),
    "help": (["help"], ["help", "run"]),
    "replay": (["replay", FLOOD], ["replay", "--json", FLOOD], ["replay", "--svg", "-", FLOOD]),
    "history": (["history"], ["history", "--json"]),
    "gpus": (["gpus"], ["gpus", "--json"]),
}


class Output(DaemonTest):
    """What was printed has arrived, or the exit status is 74 and one line says so."""

    def lost(self, *args):
        """The command on a full device and on a closed standard output."""
        for name, redirect in (("full", ">/dev/full"), ("closed", ">&-")):
            result = subprocess.run(["bash", "-c", f'exec "$0" "$@" {redirect}', BATON, *args], text=True, check=False,
                                    env={**self.d.environment(), "BATON_SOCKET": self.d.socket}, timeout=30,
                                    stderr=subprocess.PIPE)
            self.assertEqual(result.returncode, 74, (args, name, result))
            self.assertEqual(result.stderr.count("\n"), 1, (args, name, result))
            self.assertIn("standard output", result.stderr, (args, name))

    def setUp(self):
        self.d = self.daemon()

    def test_help_of_every_command(self):
        """uutils/coreutils#9782: --help of each command of the table into a full or closed output is 74."""
        self.lost("--help")
        self.lost("--version")
        self.assertIn("status", commands())
        for command in commands():
            self.lost(command, "--help")

    def test_every_printing_command(self):
        """uutils/coreutils#9782: so is what the commands print; those that follow end instead of going on unheard."""
        self.d.unlock(self.d.lock("past").json()["token"])
        self.d.lock("holder")
        self.d.parked("waiter")
        for command in commands():
            for args in PRINTING.get(command, ()):
                # Something must change for it to be printed.
                if args[:2] == ["events", "--follow"]:
                    continue
                self.lost(*args)

    def test_follower_ends(self):
        """events --follow whose output is full ends with the first change that it cannot print."""
        with open("/dev/full", "w", encoding="ascii") as full:
            process = self.start_cli(self.d, "events", "--follow", "--json", stdout=full)

            def ended():
                self.d.unlock(self.d.lock("eventful").json()["token"])
                return process.poll() is not None
            wait_until(ended, "it ends")
        self.assertEqual(process.returncode, 74)

    def test_a_daemon_that_nobody_reads_serves(self):
        """What it says at its start is not waited for, as little as its log."""
        daemon = self.daemon(start=False)
        (daemon.dir / "run").mkdir(mode=0o700)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.set_blocking(writer, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
        daemon.process = subprocess.Popen(daemon.command(), stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
                                          env=daemon.environment(), preexec_fn=daemon.before_exec)
        wait_until(lambda: os.path.exists(daemon.socket), "it listens")
        self.assertEqual(self.run_cli(daemon, "status").returncode, 0)

    def test_broken_pipe_is_quiet(self):
        """`baton events | head`: the end of the reader ends the command without a word."""
        for ignored, status in ((False, -signal.SIGPIPE), (True, 74)):
            read, write = os.pipe()
            os.close(read)
            handler = signal.SIG_IGN if ignored else signal.SIG_DFL
            process = subprocess.Popen([BATON, "completion", "bash"], stdout=write, stderr=subprocess.PIPE,
                                       text=True, restore_signals=False,
                                       preexec_fn=lambda h=handler: signal.signal(signal.SIGPIPE, h))
            os.close(write)
            self.addCleanup(end_process, process)
            _, err = process.communicate(timeout=20)
            self.assertEqual((process.returncode, err), (status, ""))

    def test_run_is_not_judged_by_a_closed_output(self):
        """run prints nothing itself: with a closed output its status is that of the command."""
        result = subprocess.run(["bash", "-c", 'exec "$0" run -- sh -c "exit 3" >&-', BATON], check=False, timeout=30,
                                env={**self.d.environment(), "BATON_SOCKET": self.d.socket})
        self.assertEqual(result.returncode, 3)


class Narrow(DaemonTest):
    """What one opens the command for stays on the screen, whatever others call themselves."""

    NAME, LABEL = "a-training-with-a-name-of-37-bytes-xy", "llama-3-8b-instruct"
    LONG = "n" * 128
    WIDE = "訓練" * 20  # 120 bytes, 80 columns
    COLUMNS = (80, 60, 40)

    def setUp(self):
        self.d = self.daemon()
        holder = self.d.websocket("持" * 42)
        holder.hold(label=self.LABEL)
        for name in (self.NAME, self.LONG, self.WIDE):
            self.d.session(name).queue(label=self.LABEL, **{"class": "background"})
        wait_until(lambda: len(self.d.waiting()) == 3, "they wait")

    def screen(self, columns, *args, until=None, keys=b"", **env):
        """What the command writes to a terminal of 24 lines, without escapes; with `until` it is left running."""
        controller, terminal = pty.openpty()
        self.addCleanup(os.close, controller)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        settings = {**self.d.environment(), "BATON_SOCKET": self.d.socket, "TERM": "xterm", "LC_ALL": "C.UTF-8", **env}
        process = subprocess.Popen([BATON, *args], stdin=terminal, stdout=terminal, stderr=terminal, env=settings)
        self.addCleanup(end_process, process)
        os.close(terminal)
        seen = b""

        def over():
            nonlocal seen
            if select.select([controller], [], [], 0.05)[0]:
                try:
                    seen += os.read(controller, 65536)
                except OSError:
                    return True
            return until is not None and re.search(until, seen.decode(errors="replace"), re.S)
        wait_until(over, f"{args} at {columns}")
        os.write(controller, keys) if keys else None
        return seen.decode()

    @staticmethod
    def plain(text):
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\([A-Z]", "", text).replace("\r", "")

    def test_status(self):
        """CLASS, WAITED, ETA, 9 OF 10 and WHY are there at 80, 60 and 40 columns; no line is wider."""
        for columns in self.COLUMNS:
            lines = self.plain(self.screen(columns, "status")).split("\n")
            for line in lines:
                self.assertLessEqual(width(line), columns, (columns, line))
            text = "\n".join(lines)
            for word in ("CLASS", "WAITED", "ETA", "9 OF 10", "WHY", "STATE"):
                self.assertIn(word, text, columns)
            self.assertEqual(len(re.findall(r"background", text)), 3, columns)
            # The sentence is whole, over however many lines.
            self.assertIn("holdsgpu0andmustgivewayin", re.sub(r"\s", "", text), columns)
            for name in (self.NAME, self.LONG, self.WIDE):
                self.assertIn(name[:5], text, columns)
                self.assertIn("…", text, columns)

    def test_wide_characters_keep_the_columns(self):
        """A name of wide characters takes two columns for each: what follows stands where it stands in other rows."""
        lines = [line for line in self.plain(self.screen(80, "status")).split("\n") if "background" in line]
        self.assertEqual(len({width(line[:line.index("background")]) for line in lines}), 1, lines)

    def test_run_waits_in_one_line(self):
        """run: the line that is written over never becomes two, with names of wide characters, too."""
        for columns in self.COLUMNS:
            text = self.plain(self.screen(columns, "run", "--class", "voice", "--", "true", until="waiting.*…"))
            line = text[text.rindex("baton: waiting"):]
            self.assertTrue(line.endswith("…"), line)
            self.assertLessEqual(width(line), columns - 1)

    def test_enough_room_shortens_nothing(self):
        """In a wide terminal each name is whole, in one row."""
        text = self.plain(self.screen(400, "status"))
        for name in (self.NAME, self.LONG, self.WIDE):
            self.assertRegex(text, rf"{name} \({self.LABEL}\) +background ")

    def test_pipes_are_not_shortened(self):
        """A program that reads the text gets whole names, whatever COLUMNS says."""
        self.d.env["COLUMNS"] = "40"
        for command in ("status", "events"):
            text = self.run_cli(self.d, command).stdout
            for name in (self.NAME, self.LONG, self.WIDE):
                self.assertIn(name, text, command)

    def test_watch(self):
        """--watch: the same on a full screen."""
        for columns in self.COLUMNS:
            text = self.plain(self.screen(columns, "status", "--watch", until="9 OF 10.*WHY", keys=b"q"))
            for word in ("CLASS", "WAITED", "ETA", "9 OF 10", "WHY"):
                self.assertIn(word, text, columns)

    def test_events(self):
        """events: no trailing blank; on a terminal the name is shortened and what happened stays on the line."""
        for line in self.run_cli(self.d, "events").stdout.split("\n"):
            self.assertEqual(line, line.rstrip())
        for columns in self.COLUMNS:
            text = self.plain(self.screen(columns, "events"))
            for line in text.split("\n"):
                self.assertLessEqual(width(line), columns, (columns, line))
                self.assertEqual(line, line.rstrip())
            self.assertNotIn(self.LONG, text)
        self.assertRegex(self.plain(self.screen(80, "events")), r"held .* on gpu0")

    def test_no_color(self):
        """NO_COLOR: a terminal gets the text alone."""
        for command in ("status", "events", "why", "logs"):
            self.assertIn("\x1b[", self.screen(80, command), command)
            self.assertNotIn("\x1b", self.screen(80, command, NO_COLOR="1"), command)

    def test_other_locales(self):
        """In a locale of single bytes nothing is cut in the middle, and the mark of it is plain."""
        text = self.plain(self.screen(60, "status", LC_ALL="C"))
        self.assertNotIn("…", text)
        self.assertIn("~", text)

    def test_events_of_a_fresh_broker(self):
        """events --json: begins with the first event and no `reset`; after one that is forgotten there is a reset."""
        first = json.loads(self.run_cli(self.d, "events", "--json").stdout.splitlines()[0])
        self.assertEqual((first["type"], first["what"]), ("event", "started"))
        with self.d.connect() as connection:
            connection.send(self.d.request("GET", "/v1/gpu/events?since=1"))
            connection.read_head()
            self.assertIn(b"event: reset", next(connection.chunks()))


class Head(DaemonTest):
    """Probes ask with HEAD."""

    PATHS = {"/pages/{path}": "/pages/mic/mic.js", "/ui/{path}": "/ui/frame.css",
             "/inference/{path}": "/inference/model_host.js", "/storage/{path}": "/storage/storage.js",
             "/sdk/{path}": "/sdk/index.js",
             "/modules/{path}": "/modules/sovereign.js", "/vendor/{path}": "/vendor/none.js",
             "/models/{path}": "/models/none.bin", "/v1/models/{path}": "/v1/models/none",
             "/v1/responses/{path}": "/v1/responses/none"}
    # These differ between two exchanges, whatever the method.
    UNSTEADY = ("date", "content-length")

    def setUp(self):
        self.d = self.daemon()

    def exchange(self, method, path, **headers):
        with self.d.connect() as connection:
            connection.send(self.d.request(method, path, headers=headers))
            answer = connection.read_answer(head_only=method == "HEAD")
            # What follows on the connection is the next answer and no body.
            if method == "HEAD":
                self.assertEqual(answer.body, b"")
                if not connection.is_closed(answer.headers):
                    connection.send(self.d.request("GET", "/health"))
                    self.assertEqual(connection.read_answer().json()["status"], "ok", path)
            return answer

    def test_every_get_route(self):
        """HEAD on every GET route of the table: the status and headers of GET, no body, and the connection goes on."""
        table = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
        paths = re.findall(r"(?m)^\| `GET` \| `(\S+)` \|", table)
        self.assertGreater(len(paths), 10)
        for path in paths:
            if path == "/v1/gpu/events":
                continue  # GET does not end
            path = self.PATHS.get(path, path)
            get, head = self.exchange("GET", path), self.exchange("HEAD", path)
            self.assertEqual(head.status, get.status, path)
            self.assertEqual(*({name: value for name, value in answer.headers.items() if name not in self.UNSTEADY}
                               for answer in (head, get)), path)
            self.assertEqual("content-length" in head.headers, "content-length" in get.headers, path)

    def test_events_end(self):
        """HEAD of the events: the head of the stream, which ends there."""
        answer = self.exchange("HEAD", "/v1/gpu/events")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/event-stream"))

    def test_access_is_that_of_get(self):
        """HEAD shows nobody more than GET would: 401 without a token, 403 for a foreign origin."""
        self.assertEqual(self.exchange("HEAD", "/v1/gpu/status", Authorization="Bearer " + "0" * 64).status, 401)
        self.assertEqual(self.exchange("HEAD", "/v1/gpu/status", Origin="http://evil.example").status, 403)

    def test_link_is_not_spent(self):
        """A preview of the sign-in link asks for its head: the link still works once."""
        url = self.run_cli(self.d, "open", "--print").stdout.strip()
        path = url.split(self.d.host, 1)[1]
        self.assertNotIn("set-cookie", self.exchange("HEAD", path).headers)
        self.assertIn("set-cookie", self.exchange("GET", path).headers)

    def test_others_are_refused(self):
        """405 names the methods that the route takes."""
        for method, path, allow in (("POST", "/health", "GET, HEAD"), ("DELETE", "/v1/gpu/status", "GET, HEAD"),
                                    ("HEAD", "/v1/gpu/lock", "POST"), ("PUT", "/sdk/index.js", "GET, HEAD")):
            answer = self.exchange(method, path)
            self.assertEqual((answer.status, answer.headers.get("allow")), (405, allow), (method, path))


class InStep(unittest.TestCase):
    """Help, manual and completion know the same commands and options."""

    PAGES = {"serve": "baton-serve.1.scd", "run": "baton-run.1.scd", "attach": "baton-run.1.scd",
             "shell": "baton-run.1.scd", "replay": "baton-replay.1.scd"}

    @staticmethod
    def output(*args):
        return subprocess.run([BATON, *args], capture_output=True, text=True, check=True).stdout

    def test_commands(self):
        """Each command of the table stands in baton(1), has a help of its own and is completed."""
        page = (ROOT / "man" / "baton.1.scd").read_text(encoding="utf-8")
        section = page.partition("# COMMANDS")[2].partition("\n# ")[0]
        completed = [line.split("\t")[0] for line in self.output("completion", "words", "").splitlines()[1:]]
        self.assertEqual(sorted(completed), sorted(set(commands())))
        for command in commands():
            self.assertRegex(section, rf"(?m)^\*{command}\*", command)
            self.assertRegex(self.output(command, "--help"), rf"^usage: baton {command}\b", command)

    def test_options(self):
        """Each option of a command's help stands in its manual and is completed, and the manual has no other."""
        page = (ROOT / "man" / "baton.1.scd").read_text(encoding="utf-8")
        for command in commands():
            entry = re.search(rf"(?ms)^\*{command}\*.*?(?=^\*|^# )", page)[0]
            if command in self.PAGES:
                entry += (ROOT / "man" / self.PAGES[command]).read_text(encoding="utf-8")
            known = set(re.findall(r"(?m)^  (?:-\w, |    )?--([a-z-]+)", self.output(command, "--help")))
            completed = {line.split("\t")[0].removeprefix("--")
                         for line in self.output("completion", "words", command, "--").splitlines()[1:]}
            self.assertLessEqual(known, completed | {"version"}, command)
            for option in known - {"help", "version", "socket"}:
                self.assertRegex(entry, rf"\*--{option}\b", command)
            for option in re.findall(r"\*--([a-z-]+)\*", entry.partition("\n")[0]):
                self.assertIn(option, known, command)


if __name__ == "__main__":
    unittest.main()
