"""Goal: the commands behave where they are used: in scripts, pipes and narrow terminals.

Method: the real commands, with standard output on a full device, closed, a broken pipe, a small terminal.
"""
import os
import pathlib
import re
import signal
import subprocess
import unittest

from lib.daemon import BATON, DaemonTest, end_process
from lib.wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOOD = str(ROOT / "traces" / "flood.jsonl")


def commands():
    """The names of the command table, as the help lists them."""
    text = subprocess.run([BATON, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(?m)^  ([a-z-]+) +[A-Z]", text.split("commands:")[1])


# What prints something, given a broker: each of the table is here or below.
PRINTING = {
    "status": (["status"], ["status", "--json"], ["status", "--watch"], ["status", "--watch", "--json"]),
    "why": (["why"], ["why", "--json"], ["why", "holder"]),
    "events": (["events"], ["events", "--json"], ["events", "--follow", "--json"]),
    "logs": (["logs"], ["logs", "--json"], ["logs", "--follow"]),
    "open": (["open", "--print"],),
    "version": (["version"], ["version", "--json"]),
    "completion": (["completion", "bash"], ["completion", "zsh"]),
    "help": (["help"], ["help", "run"]),
    "replay": (["replay", FLOOD], ["replay", "--json", FLOOD], ["replay", "--svg", "-", FLOOD]),
    "history": (["history"], ["history", "--json"]),
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


class Head(DaemonTest):
    """Probes ask with HEAD."""

    PATHS = {"/pages/{path}": "/pages/shared/shell.css", "/sdk/{path}": "/sdk/index.js",
             "/modules/{path}": "/modules/sovereign.js", "/vendor/{path}": "/vendor/none.js",
             "/models/{path}": "/models/none.bin"}
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


if __name__ == "__main__":
    unittest.main()
