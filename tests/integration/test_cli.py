"""Goal: the command line does what its help says, with exit statuses that scripts can use.

Method: the real commands against the real daemon, as a user would type them.
"""
import fcntl
import json
import os
import pathlib
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import unittest
import xml.dom.minidom

from lib.daemon import BATON, DaemonTest, in_thread
from lib.pages import key_of
from lib.wait import holds_for, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCIDENT = ROOT / "traces" / "incident-2025-12-23.jsonl"


class Run(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def test_runs_with_a_lease(self):
        """run: the command runs while the lease is held, sees it in its environment, and it is released."""
        result = self.run_cli(self.d, "run", "--name", "job", "--", "sh", "-c",
                              "echo lease=$BATON_LEASE fence=$BATON_FENCE; " + f"'{BATON}' status --json")
        self.assertEqual(result.returncode, 0, result)
        first, _, rest = result.stdout.partition("\n")
        self.assertRegex(first, r"^lease=\d+ fence=\d+$")
        self.assertEqual(json.loads(rest)["owner"], "job")
        self.assertEqual(self.d.holders(), [])

    def test_exit_codes(self):
        """run: the command's status is ours; 128 + n for signals; 127 and 126 as a shell would."""
        for script, status in (("exit 0", 0), ("exit 3", 3), ("exit 75", 75), ("kill -9 $$", 137),
                               ("kill -TERM $$", 143)):
            result = self.run_cli(self.d, "run", "--", "sh", "-c", script)
            self.assertEqual(result.returncode, status, (script, result))
        self.assertEqual(self.run_cli(self.d, "run", "--", "/no/such/program").returncode, 127)
        self.assertEqual(self.run_cli(self.d, "run", "--", "/etc/passwd").returncode, 126)
        self.assertEqual(self.d.holders(), [])

    def test_no_wait(self):
        """run --no-wait: 75 when the GPU is taken, and the command never starts."""
        self.d.lock("holder")
        mark = self.d.dir / "mark"
        result = self.run_cli(self.d, "run", "--no-wait", "--", "touch", str(mark))
        self.assertEqual(result.returncode, 75, result)
        self.assertIn("taken", result.stderr)
        self.assertFalse(mark.exists())

    def test_wait_limit(self):
        """run --wait: gives up after its time with 75; the place is gone."""
        self.d.lock("holder")
        result = self.run_cli(self.d, "run", "--wait", "500ms", "--", "true")
        self.assertEqual(result.returncode, 75, result)
        self.assertEqual(self.d.waiting(), [])

    def test_no_broker(self):
        """C11, P3: without a broker the command does not start: 69 and what to do about it."""
        self.d.terminate()
        mark = self.d.dir / "mark"
        result = self.run_cli(self.d, "run", "--", "touch", str(mark))
        self.assertEqual(result.returncode, 69, result)
        self.assertIn("baton serve", result.stderr)
        self.assertFalse(mark.exists())

    def test_waits_and_shows_its_place(self):
        """run: tells on stderr where it stands while it waits, and runs when its turn comes."""
        token = self.d.lock("holder").json()["token"]
        process = self.start_cli(self.d, "run", "--name", "patient", "--", "echo", "done")
        wait_until(lambda: self.d.waiting() == ["patient"], "it waits")
        self.d.unlock(token)
        out, err = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (0, "done\n"))
        self.assertIn("holder", err)

    def test_signals_are_forwarded(self):
        """run: SIGTERM, SIGINT, SIGUSR1 reach the command, which decides what to do."""
        script = "trap 'echo got term; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
        process = self.start_cli(self.d, "run", "--", "bash", "-c", script)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (7, "got term\n"))
        wait_until(lambda: not self.d.holders(), "released")

    def test_e8_hangup_is_forwarded_not_fatal_by_itself(self):
        """E8: SIGHUP to the wrapper (ssh loss) does not drop the lease of a command that ignores it."""
        script = "trap '' HUP; echo ready; read line; echo $line"
        process = self.start_cli(self.d, "run", "--name", "tough", "--", "bash", "-c", script,
                                 stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGHUP)
        holds_for(lambda: self.d.holders() == ["tough"], "the lease stays", 0.3)
        out, _ = process.communicate("survived\n", timeout=20)
        self.assertEqual((process.returncode, out), (0, "survived\n"))

    def test_killed_wrapper_takes_its_command_along(self):
        """S1: kill -9 of `baton run`: the next one is not granted beside a command that still runs."""
        process = self.start_cli(self.d, "run", "--name", "victim", "--", "bash", "-c",
                                 "echo $$; exec sleep 600")
        pid = int(process.stdout.readline())
        waiter = self.d.session("next")
        ref = waiter.acquire()
        process.kill()
        process.wait()
        waiter.wait("granted", ref=ref)
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or is_zombie(pid), "the command died")

    def test_voice_overtakes_and_background_gives_way(self):
        """The issue's scene: background runs, voice asks, background is stopped and voice has the GPU."""
        self.d = self.daemon(timing={"grace_s": 10})  # it ends by itself, however late a busy machine lets it
        worker = self.start_cli(self.d, "run", "--class", "background", "--name", "train", "--",
                                "bash", "-c", "trap 'echo stopped; exit 0' TERM; echo ready;"
                                              "while :; do sleep 0.05; done")
        self.assertEqual(worker.stdout.readline(), "ready\n")
        voice = self.d.session("voice")
        granted = voice.wait("granted", ref=voice.acquire(**{"class": "voice"}))
        self.assertGreater(granted["fence"], 0)
        out, _ = worker.communicate(timeout=20)
        self.assertEqual(out, "stopped\n")

    def test_revoked_command_that_ignores_sigterm_is_killed(self):
        """run: SIGTERM, grace, SIGKILL when the lease is revoked."""
        process = self.start_cli(self.d, "run", "--name", "stubborn", "--", "bash", "-c",
                                 "trap '' TERM; echo $$; while :; do sleep 0.05; done")
        pid = int(process.stdout.readline())
        self.d.http("POST", "/v1/gpu/force-release-all", unix=True)
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or is_zombie(pid), "it is killed")
        process.communicate(timeout=20)
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(self.d.lock("next", timeout_s=10).status, 200)

    def test_survives_a_restart_of_the_daemon(self):
        """run: the daemon is killed and started again while the command runs; the lease is the same."""
        process = self.start_cli(self.d, "run", "--name", "steady", "--", "bash", "-c",
                                 "echo ready; read line; echo end", stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "ready\n")
        fence = self.d.status()["leases"][0]["fence"]
        self.d.kill()
        self.d.start()
        wait_until(lambda: self.d.status()["leases"] and self.d.status()["leases"][0]["attached"],
                   "it is attached again")
        self.assertEqual(self.d.status()["leases"][0]["fence"], fence)
        out, _ = process.communicate("\n", timeout=20)
        self.assertEqual((process.returncode, out), (0, "end\n"))

    def test_cuda_device_is_set_by_uuid(self):
        """E13: a pre-set CUDA_VISIBLE_DEVICES is overridden by the leased GPU's UUID."""
        daemon = self.daemon(config={"gpus": [{"name": "a", "uuid": "GPU-aaaa"}, {"name": "b", "uuid": "GPU-bbbb"}]})
        daemon.env["CUDA_VISIBLE_DEVICES"] = "7"
        result = self.run_cli(daemon, "run", "--gpu", "b", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
        self.assertEqual(result.stdout, "GPU-bbbb\n", result)


class Look(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def test_status(self):
        """status: holder and waiters for people, all of it as JSON for programs; 0 when empty, too."""
        self.assertEqual(self.run_cli(self.d, "status").returncode, 0)
        self.d.lock("the-holder")
        self.d.parked("the-waiter", **{"class": "background"})
        result = self.run_cli(self.d, "status")
        self.assertEqual(result.returncode, 0, result)
        for word in ("the-holder", "the-waiter", "background", "gpu0"):
            self.assertIn(word, result.stdout)
        body = json.loads(self.run_cli(self.d, "status", "--json").stdout)
        self.assertEqual([row["id"] for row in body["waiting"]], ["the-waiter"])
        self.assertEqual(body["owner"], "the-holder")

    def test_status_on_a_pipe_has_no_escapes(self):
        """status: no colours and no cursor movement where nobody can see them."""
        self.d.lock("x")
        self.assertNotIn("\x1b", self.run_cli(self.d, "status").stdout)

    def test_socket_without_a_path(self):
        """The option is known; what is missing is said."""
        result = self.run_cli(self.d, "--socket")
        self.assertEqual((result.returncode, result.stderr), (64, "baton: --socket wants a path; try: baton --help\n"))

    def test_refused_words_are_harmless(self):
        """A word that is refused is shown, and what would command the terminal in it is not."""
        word = "a\x1b[31m\u202e\x07é"
        for args in ([word], [f"--{word}"], ["status", word], ["status", f"--{word}"], ["release", word],
                     ["cancel", word], ["why", word], ["connect", word], ["completion", word], ["attach", word],
                     ["run", "-n", word, "true"], ["run", "--", f"./{word}"], ["status", "--socket", word]):
            with self.subTest(args=args):
                result = self.run_cli(self.d, *args)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn("a?[31m??é", result.stderr)
                self.assertFalse(set("\x1b\u202e\x07") & set(result.stderr + result.stdout), result)

    def test_watch_on_a_terminal(self):
        """status --watch: a full screen that follows what happens; q ends it and gives the screen back."""
        controller, terminal = os.openpty()
        self.addCleanup(os.close, controller)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.d.env["TERM"] = "xterm"
        process = self.start_cli(self.d, "status", "--watch", stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        seen = ""

        def shows(word):
            nonlocal seen
            if select.select([controller], [], [], 0.05)[0]:
                seen += os.read(controller, 65536).decode(errors="replace")
            return word in seen
        wait_until(lambda: shows("gpu0"), "the screen")
        self.d.lock("newcomer")
        wait_until(lambda: shows("newcomer"), "the change")
        os.write(controller, b"q")
        wait_until(lambda: shows("\x1b[?1049l") or process.poll() is not None, "it ends")
        self.assertEqual(process.wait(10), 0)

    def test_watch_on_a_pipe(self):
        """status --watch without a terminal: one status per change, until it is stopped."""
        process = self.start_cli(self.d, "status", "--watch")
        job = in_thread(lambda: next(line for line in process.stdout if "newcomer" in line))

        def seen():
            self.d.unlock(self.d.lock("newcomer").json()["token"])
            return not job.is_alive()
        wait_until(seen, "a change is told")
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(10), (0, 130, -signal.SIGINT))

    def test_why(self):
        """why: names the holder and the bound; 66 for what does not exist."""
        self.d.lock("the-holder")
        self.d.parked("the-waiter")
        lease = self.d.status()["waiting"][0]["lease"]
        for name in (str(lease), "the-waiter"):
            result = self.run_cli(self.d, "why", name)
            self.assertEqual(result.returncode, 0, result)
            self.assertIn("the-holder", result.stdout)
            self.assertRegex(result.stdout, r"\d+ ?(s|m|h)")
            self.assertRegex(result.stdout, r"\n  Next(, in about [^:]*)?: the-holder holds")
        self.assertTrue(json.loads(self.run_cli(self.d, "why", str(lease), "--json").stdout))
        self.assertEqual(self.run_cli(self.d, "why", "999999").returncode, 66)

    def test_one_sentence(self):
        """Who is behind is told who holds and until when; status, session and command say the same words."""
        self.d.websocket("the-holder").hold()
        self.d.parked("first")
        second = self.d.session("second")
        told = second.queue()
        pattern = r"2nd in the queue(, in about [^:]*)?: the-holder holds \w+ and must give way in [\d.]+ (s|min)"
        self.assertRegex(told["sentence"], pattern)
        self.assertRegex(self.d.status()["waiting"][1]["sentence"], pattern)
        self.assertRegex(self.run_cli(self.d, "why", "second").stdout, pattern)
        job = self.start_cli(self.d, "run", "--name", "third", "--", "true")
        line = job.stderr.readline()
        job.terminate()
        self.assertRegex(line, r"^baton: waiting\. 3rd in the queue(, in about [^:]*)?: the-holder holds")

    def test_release_reset_and_force_release(self):
        """release asks a holder, reset revokes holders, force-release ends all."""
        holder = self.d.websocket("holder")
        lease = holder.hold()["lease"]
        result = self.run_cli(self.d, "release", str(lease))
        self.assertEqual(result.returncode, 0, result)
        holder.wait("yield", lease=lease)
        holder.release(lease)
        second = holder.hold()["lease"]
        self.assertEqual(self.run_cli(self.d, "reset").returncode, 0)
        holder.wait("revoked", lease=second)
        wait_until(lambda: not self.d.holders(), "free")
        holder.hold()
        waiter = self.d.session("waiter")
        waiter.queue()
        self.assertEqual(self.run_cli(self.d, "force-release", "--yes").returncode, 0)
        waiter.wait("released")

    def test_events_and_logs(self):
        """events: one line per change as it happens; logs: the last lines; both as JSON on request."""
        process = self.start_cli(self.d, "events", "--follow", "--json")
        job = in_thread(lambda: next(line for line in process.stdout if "eventful" in line))

        def seen():
            self.d.unlock(self.d.lock("eventful").json()["token"])
            return not job.is_alive()
        wait_until(seen, "a line comes")
        self.assertTrue(json.loads(job.result()))
        result = self.run_cli(self.d, "logs")
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("eventful", result.stdout)

    def test_events_over_a_restart(self):
        """events --follow that has heard nothing yet shows what the next broker did before it was reached again."""
        process = self.start_cli(self.d, "events", "--follow", "--json")
        folder = f"/proc/{process.pid}/fd"

        def is_socket(fd):
            try:
                return os.readlink(f"{folder}/{fd}").startswith("socket:")
            except FileNotFoundError:  # it was a file that is read at the start, and closed meanwhile
                return False

        def connected():
            return any(map(is_socket, os.listdir(folder)))
        wait_until(connected, "it is connected")
        holds_for(lambda: process.poll() is None, "and heard", 0.3)
        self.d.kill()
        away = in_thread(process.stderr.readline)
        wait_until(lambda: not away.is_alive(), "it says so")
        self.assertIn("away", away.result())
        self.d.start()
        first = in_thread(process.stdout.readline)
        wait_until(lambda: not first.is_alive(), "an event comes")
        self.assertEqual(json.loads(first.result())["what"], "started")

    def test_no_broker_is_69(self):
        """Every command that needs a broker says so the same way."""
        self.d.terminate()
        for command in (["status"], ["why", "1"], ["release", "1"], ["reset"], ["force-release", "--yes"], ["events"],
                        ["logs"]):
            result = self.run_cli(self.d, *command)
            self.assertEqual(result.returncode, 69, (command, result))
            self.assertIn("baton serve", result.stderr, command)

    def test_help_and_usage(self):
        """help exits 0 on stdout; wrong usage exits 64 on stderr and names the way out."""
        overview = self.run_cli(self.d, "--help")
        self.assertEqual((overview.returncode, overview.stderr), (0, ""))
        for command in ("serve", "run", "status", "why", "release", "reset", "force-release", "events", "logs",
                        "replay", "open", "version"):
            self.assertIn(command, overview.stdout)
            result = self.run_cli(self.d, command, "--help")
            self.assertEqual(result.returncode, 0, (command, result))
            self.assertIn("usage: baton", result.stdout.lower(), command)
        for wrong in ([], ["no-such"], ["status", "--no-such"], ["run"], ["replay"],
                      ["run", "--wait", "x", "--", "true"]):
            result = self.run_cli(self.d, *wrong)
            self.assertEqual(result.returncode, 64, (wrong, result))
            self.assertTrue(result.stderr)
        version = self.run_cli(self.d, "version")
        self.assertRegex(version.stdout, r"^baton \d+\.\d+\.\d+")

    def test_open(self):
        """open: a link to the daemon's page that works once."""
        result = self.run_cli(self.d, "open", "--print") if "--print" in self.run_cli(
            self.d, "open", "--help").stdout else self.run_cli(self.d, "open")
        found = re.search(r"http://127\.0\.0\.1:\d+/\S*", result.stdout + result.stderr)
        self.assertTrue(found, result)
        path = found[0].split(self.d.host, 1)[1]
        first = self.d.http("GET", path, token=None)
        self.assertEqual(first.status, 200, first)
        cookie = first.headers.get("set-cookie", "")
        self.assertIn("HttpOnly", cookie)
        self.assertIn("SameSite=Strict", cookie)
        again = self.d.http("GET", path, token=None)
        self.assertNotIn("set-cookie", again.headers)
        self.assertEqual(self.d.http("GET", "/v1/gpu/status", token=key_of(first)).status, 200)

    def test_open_page(self):
        """open --page: the link leads to that page; a page that does not exist is refused at once."""
        link = self.run_cli(self.d, "open", "--page", "mic", "--print").stdout.strip()
        answer = self.d.http("GET", link.split(self.d.host, 1)[1], token=None)
        self.assertIn(b'data-to="/mic"', answer.body)
        self.assertEqual(self.run_cli(self.d, "open", "--page", "kitchen", "--print").returncode, 64)


class Replay(unittest.TestCase):
    def replay(self, *arguments):
        return subprocess.run([BATON, "replay", *arguments], capture_output=True, text=True, timeout=120, check=False)

    def test_incident(self):
        """P13, P20: the predecessor's rules give 2 grants and 152 timeouts; Baton's give no timeout."""
        old = json.loads(self.replay("--policy", "predecessor", "--json", str(INCIDENT)).stdout)
        self.assertEqual((old["granted"], old["timeouts"]), (2, 152))
        new = json.loads(self.replay("--json", str(INCIDENT)).stdout)
        self.assertEqual(new["timeouts"], 0)
        self.assertGreaterEqual(new["granted"], 154)
        self.assertTrue(new["classes"])

    def test_all_traces_and_svg(self):
        """Each trace in the repository replays, for people too, and draws a valid picture."""
        for trace in sorted((ROOT / "traces").glob("*.jsonl")):
            with tempfile.TemporaryDirectory() as folder:
                out = os.path.join(folder, "out.svg")
                result = self.replay("--svg", out, str(trace))
                self.assertEqual(result.returncode, 0, result)
                self.assertIn("voice", result.stdout)
                self.assertEqual(xml.dom.minidom.parse(out).documentElement.tagName, "svg")

    def test_bad_traces(self):
        """A trace that is none is refused with its line; a missing one is 66."""
        self.assertEqual(self.replay("/no/such/trace").returncode, 66)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write('{"about":"x"}\n{"at_s": "five"}\n')
            file.flush()
            result = self.replay(file.name)
            self.assertEqual(result.returncode, 65, result)
            self.assertIn(":2", result.stderr)


def is_zombie(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


if __name__ == "__main__":
    unittest.main()
