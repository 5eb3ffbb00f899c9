"""Goal: each thing that an operator may want has a command that says what it did, and one that takes something
from somebody asks first where there is somebody to ask.

Method: the real commands against the real daemon; on a pseudo terminal where they ask.
"""
import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
import unittest

from lib.daemon import BATON, DaemonTest, in_thread
from lib.wait import wait_until

DESTRUCTIVE = ("reset", "force-release", "down")


def has_ended(pid):
    """Gone, or a zombie that nobody has reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class Commands(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def cli(self, *args, status=0):
        result = self.run_cli(self.d, *args)
        self.assertEqual(result.returncode, status, (args, result))
        return result

    def on_terminal(self, *args, answer):
        """Runs a command on a terminal and answers its question; exit status and all that it showed."""
        controller, terminal = os.openpty()
        self.addCleanup(os.close, controller)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = self.start_cli(self.d, *args, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = ""

        def read():
            nonlocal shown
            while select.select([controller], [], [], 0.02)[0]:
                try:
                    piece = os.read(controller, 4096)
                except OSError:  # the other end is closed
                    return
                if not piece:
                    return
                shown += piece.decode(errors="replace")

        def asked():
            read()
            return "[y/N]" in shown or process.poll() is not None
        wait_until(asked, f"{args} asks or ends")
        if process.poll() is None and answer:
            os.write(controller, answer.encode() + b"\n")
        wait_until(lambda: process.poll() is not None, f"{args} ends")
        read()
        return process.returncode, shown


class Queue(Commands):
    def test_cancel_takes_a_waiter_out(self):
        """cancel: by name and by number, with the reason; the holder and the other waiters stay."""
        self.d.lock("holder")
        first = self.d.session("one")
        first.queue()
        second = self.d.session("two")
        lease = second.queue()["lease"]
        self.assertIn("out of the queue", self.cli("cancel", "one", "--reason", "wrong model").stdout)
        self.assertEqual(first.wait("released")["detail"], "wrong model")
        self.cli("cancel", str(lease))
        second.wait("released")
        third = self.start_cli(self.d, "run", "--name", "three", "--", "true")
        wait_until(lambda: self.d.waiting() == ["three"], "it waits")
        self.cli("cancel", "three", "--reason", "wrong model")
        self.assertIn("wrong model", third.communicate(timeout=30)[1])
        self.assertEqual(third.returncode, 75)
        self.assertEqual((self.d.waiting(), self.d.holders()), ([], ["holder"]))

    def test_cancel_of_several(self):
        """cancel: several of one name are told apart by number, or go together by --all."""
        self.d.lock("holder")
        self.d.parked("twin")
        self.d.park("twin")
        wait_until(lambda: self.d.waiting() == ["twin", "twin"], "both wait")
        self.d.parked("other")
        numbers = [row["lease"] for row in self.d.status()["waiting"] if row["id"] == "twin"]
        refused = self.cli("cancel", "twin", status=65).stderr
        for number in numbers:
            self.assertIn(str(number), refused)
        self.assertEqual(len(self.d.waiting()), 3)
        self.cli("cancel", "twin", "--all")
        self.assertEqual(self.d.waiting(), ["other"])

    def test_cancel_spares_holders(self):
        """cancel of a holder: nothing happens, and release is named; 66 for nobody."""
        self.d.lock("holder")
        lease = self.d.status()["leases"][0]["lease"]
        self.assertIn("baton release holder", self.cli("cancel", "holder", status=65).stderr)
        self.assertIn("baton release", self.cli("cancel", str(lease), status=65).stderr)
        self.assertError(self.d.http("POST", f"/v1/gpu/claims/{lease}/cancel", unix=True), 409, "wrong_state")
        self.cli("cancel", "nobody", status=66)
        self.assertEqual(self.d.holders(), ["holder"])

    def test_release_of_a_waiter(self):
        """task-spooler#20: one verb for who holds and who waits: release takes a waiter out, too."""
        self.d.lock("holder")
        for args in (["release"], ["release", "--now"], ["force-release", "--lease"]):
            self.d.parked("waiter")
            self.cli(*args, "waiter")
            self.assertEqual((self.d.waiting(), self.d.holders()), ([], ["holder"]), args)

    def test_pause_and_resume(self):
        """pause: nothing new is granted and the reason is shown, until resume."""
        self.assertIn("baton resume", self.cli("pause", "new", "driver").stdout)
        status = self.d.status()
        self.assertEqual((status["paused"], status["paused_reason"]), (True, "new driver"))
        self.assertIn("new driver", self.cli("status").stdout)
        self.d.parked("early")
        self.cli("resume")
        wait_until(lambda: self.d.holders() == ["early"], "granted")

    def test_reload(self):
        """reload: says what changed, and names the line of a mistake with 78."""
        self.assertIn("nothing changed", self.cli("reload").stdout)
        for headroom_mb in range(77, 97):
            self.d.write_config({**self.d.config, "vram_headroom_mb": headroom_mb})
            said = self.cli("reload").stdout
            if "since" not in said:  # else the broker, which watches its file, was first
                break
        self.assertEqual(said, "changed: vram_headroom_mb\n")
        self.d.config_path.write_text("queue: {max: lots}\n", encoding="utf-8")
        self.assertRegex(self.cli("reload", status=78).stderr, r"config\.yaml:1")

    def test_status_of_one(self):
        """status NAME: all that is known of one client, holder or waiter; 66 and the way on for nobody."""
        self.d.lock("holder", label="llama")
        self.d.parked("waiter", **{"class": "chat"})
        number = self.d.status()["waiting"][0]["lease"]
        holder = self.cli("status", "holder").stdout
        for word in ("holder", "llama", "gpu0", "held", "fence"):
            self.assertIn(word, holder)
        waiter = self.cli("status", str(number)).stdout
        for word in ("waiter", "chat", "holder holds gpu0", "place"):
            self.assertIn(word, waiter)
        self.assertEqual(json.loads(self.cli("status", "waiter", "--json").stdout)[0]["lease"], number)
        why = self.cli("why", "waiter").stdout
        self.assertRegex(why, r"holder holds gpu0 and must give way in \d+ s, now that others wait\.")
        self.assertIn("nothing is known yet of such waits", why)
        self.assertRegex(why, r"guaranteed by \d\d:\d\d:\d\d.*, as long as the broker runs and nobody pauses it")
        row = json.loads(self.cli("why", "waiter", "--json").stdout)
        self.assertGreater(row["why"]["gives_way_in_s"], 0)
        self.assertIsNone(row["eta_s"])
        self.assertEqual(row["bound_s"], int(row["bound_s"]))
        self.assertRegex(row["guaranteed_by"], r"^\d{4}-\d\d-\d\dT")
        self.cli("pause")
        self.assertIn("guarantee: none. Nothing is granted now.", self.cli("why", "waiter").stdout)
        self.cli("resume")
        self.assertIn("baton history nobody", self.cli("status", "nobody", status=66).stderr)
        self.cli("status", "waiter", "--watch", status=64)


class History(Commands):
    def hold(self, name, seconds=0, **fields):
        token = self.d.lock(name, **fields).json()["token"]
        if seconds:
            wait_until(lambda: self.d.status()["leases"][0]["held_s"] >= seconds, f"{name} held {seconds} s")
        self.d.unlock(token)

    def rows(self, *args):
        return [json.loads(line) for line in self.cli("history", "--json", *args).stdout.splitlines()]

    def test_within_no_time(self):
        """--since 0 asks for nothing that could be, and once was all."""
        self.assertIn("--since wants more than 0", self.cli("history", "--since", "0", status=64).stderr)

    def test_history(self):
        """history: who ended why, with wait and hold apart, over a restart; by name, by number of rows."""
        token = self.d.lock("first").json()["token"]
        waiter = in_thread(self.hold, "second", 0.2)
        wait_until(lambda: self.d.waiting() == ["second"], "it waits")
        wait_until(lambda: self.d.status()["waiting"][0]["waited_s"] >= 0.3, "for a moment")
        self.d.unlock(token)
        waiter.result()
        self.cli("pause", "new driver")
        self.cli("resume")
        self.d.terminate()
        self.d.start()
        first, second, pause, resume = self.rows()
        self.assertEqual([first["id"], second["id"], pause["act"], resume["act"]],
                         ["first", "second", "pause", "resume"])
        self.assertEqual((first["waited_s"], second["end"], pause["reason"]), (0, "released", "new driver"))
        self.assertGreaterEqual(second["waited_s"], 0.3)
        self.assertLess(second["held_s"], first["held_s"] + 5)
        self.assertGreaterEqual(second["held_s"], 0.2)
        table = self.cli("history").stdout
        for word in ("WAITED", "second", "released", "operator: pause, new driver"):
            self.assertIn(word, table)
        self.assertEqual([row["id"] for row in self.rows("second")], ["second"])
        self.assertEqual([row["act"] for row in self.rows("--limit", "1")], ["resume"])
        self.assertEqual(len(self.rows("--since", "1h")), 4)
        self.assertEqual(self.cli("history", "nobody").stdout, "no claim of this name has ended\n")
        self.assertNotIn("nothing has ended", self.cli("history", "--limit", "0").stdout)

    def test_history_fits_the_terminal(self):
        """history at 80 columns: a long name gives way, and why it ended stays in sight."""
        self.hold("x" * 120)
        self.d.env.update(TERM="xterm", NO_COLOR="1")
        status, shown = self.on_terminal("history", answer=None)
        self.assertEqual(status, 0, shown)
        row = next(line for line in shown.splitlines() if "xxx" in line)
        self.assertLessEqual(len(row.rstrip()), 80)
        self.assertIn("released", row)

    def test_pages_of_history(self):
        """GET /v1/gpu/history: a page at a time, newest first, each row once; bad input changes nothing."""
        names = [f"job {n}" for n in range(7)]
        for name in names:
            self.hold(name)
        seen, before = [], 0
        while True:
            answer = self.d.http("GET", f"/v1/gpu/history?limit=3&before={before}").json()
            self.assertLessEqual(len(answer["history"]), 3)
            seen += [row["id"] for row in answer["history"]]
            before = answer.get("next")
            if not before:
                break
        self.assertEqual(seen, names[::-1])
        self.assertEqual([row["id"] for row in self.d.http("GET", "/v1/gpu/history?name=job%205").json()["history"]],
                         ["job 5"])
        self.assertEqual(self.d.http("GET", "/v1/gpu/history?since=99999999999").json()["history"], [])
        for query in ("limit=0", "limit=x", "limit=99999999999999", "before=-1", "since=x", "x=%zz"):
            self.assertEqual(len(self.d.http("GET", "/v1/gpu/history?" + query).json()["history"]), 7, query)
        for query in ("name=%", "name=%00", "name=" + "x" * 200):
            self.assertError(self.d.http("GET", "/v1/gpu/history?" + query), 400, "bad_field")
        self.assertError(self.d.http("GET", "/v1/gpu/history", token=None), 401)
        self.assertEqual(len(self.rows("job 2")), 1)

    def test_events_and_metrics_tell_the_wait(self):
        """A lease granted at once and held for a while waited for nothing, in events and histograms."""
        token = self.d.lock("quick").json()["token"]
        wait_until(lambda: self.d.status()["leases"][0]["held_s"] >= 0.3, "it is held for a while")
        row = self.d.status()["leases"][0]
        self.assertEqual(row["waited_s"], 0)
        self.assertGreaterEqual(row["age_s"], row["held_s"])
        self.d.unlock(token)
        ended = [json.loads(line) for line in self.cli("events", "--json").stdout.splitlines()]
        ended = [row for row in ended if row.get("what") == "ended"][-1]
        self.assertEqual(ended["waited_s"], 0)
        self.assertGreaterEqual(ended["held_s"], 0.3)
        self.assertGreaterEqual(ended["age_s"], 0.3)
        line = [line for line in self.cli("events").stdout.splitlines() if "ended" in line][-1]
        self.assertIn("held", line)
        self.assertNotIn("waited", line)
        metrics = self.d.http("GET", "/metrics").body.decode()
        self.assertIn('baton_wait_seconds_bucket{class="normal",le="0.05"} 1\n', metrics)
        self.assertIn('baton_hold_seconds_bucket{class="normal",le="0.25"} 0\n', metrics)
        self.assertIn('baton_hold_seconds_count{class="normal"} 1\n', metrics)
        self.assertIn("# TYPE baton_clock_jumps_total counter", metrics)


class Asking(Commands):
    def test_destructive_commands_ask(self):
        """reset, force-release and release --now ask on a terminal: no is no, yes is yes, --yes is not asked."""
        for args in (["reset"], ["force-release"], ["force-release", "--lease", "holder"],
                     ["release", "--now", "holder"]):
            self.d.lock("holder")
            status, shown = self.on_terminal(*args, answer="n")
            self.assertEqual(status, 77, (args, shown))
            self.assertIn("[y/N]", shown)
            self.assertEqual(self.d.holders(), ["holder"], args)
            status, shown = self.on_terminal(*args, answer="y")
            self.assertEqual(status, 0, (args, shown))
            wait_until(lambda: not self.d.holders(), "revoked")
            self.d.lock("holder")
            status, shown = self.on_terminal(*args, "--yes", answer=None)
            self.assertEqual((status, "[y/N]" in shown), (0, False), (args, shown))
            wait_until(lambda: not self.d.holders(), "revoked")

    def test_scripts_are_not_asked(self):
        """Without a terminal the same commands act at once, as scripts expect."""
        for args in (["reset"], ["force-release"], ["release", "--now", "holder"]):
            self.d.lock("holder")
            self.cli(*args)
            wait_until(lambda: not self.d.holders(), "revoked")

    def test_nothing_to_revoke(self):
        """reset and force-release where nobody holds or waits say so, and ask nothing."""
        self.assertIn("nobody holds", self.cli("reset").stdout)
        self.assertIn("nobody held or waited", self.cli("force-release").stdout)
        status, shown = self.on_terminal("reset", answer=None)
        self.assertEqual((status, "[y/N]" in shown), (0, False), shown)

    def test_destructive_commands_are_never_suggested(self):
        """A mistyped word never leads to a command that takes something from somebody."""
        for word in ("donw", "dow", "rest", "resets", "rese", "force", "force-relase", "forcerelease", "reset-all"):
            said = self.cli(word, status=64).stderr
            for name in DESTRUCTIVE:
                self.assertNotRegex(said, rf"mean {name}\b", word)
        for command, slip in (("release", "--nwo"), ("release", "--no"), ("reset", "--yse"), ("force-release", "--ye"),
                              ("down", "--yess"), ("cancel", "--al")):
            said = self.cli(command, slip, status=64).stderr
            self.assertNotRegex(said, r"mean --(now|yes|all)\b", slip)


class UpAndDown(Commands):
    """The launcher: a broker that is not there is started, one that is there is only opened."""

    def setUp(self):
        self.d = self.daemon(start=False)
        (self.d.dir / "run").mkdir(mode=0o700)
        opener = self.d.dir / "bin" / "xdg-open"
        opener.parent.mkdir()
        opener.write_text(f'#!/bin/sh\necho "$1" >> {self.d.dir}/opened\n', encoding="utf-8")
        opener.chmod(0o755)
        self.d.env.update(PATH=f"{opener.parent}:{os.environ['PATH']}", BATON_SOCKET=self.d.socket)
        self.serve = ["--listen", "127.0.0.1:0", "--state", str(self.d.state), "--config", str(self.d.config_path)]
        self.addCleanup(lambda: self.run_cli(self.d, "down"))

    def opened(self):
        path = self.d.dir / "opened"
        return path.read_text(encoding="utf-8").split() if path.exists() else []

    def process(self):
        found = re.search(r"process (\d+)", self.up)
        return int(found[1])

    def start(self, *args):
        self.up = self.cli("up", *args, "--", *self.serve).stdout
        self.addCleanup(self.end, self.process())

    @staticmethod
    def end(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_up_starts_and_opens(self):
        """up: starts the broker, waits until it answers, opens a link that works once; again: only opens."""
        self.start()
        self.assertEqual(self.cli("status").returncode, 0)
        again = self.cli("up", "--", "--fake-gpu", "other:1G").stdout
        self.assertIn("runs already", again)
        self.assertIn("not used", again)
        first, second = self.opened()
        self.assertRegex(first, r"^http://127\.0\.0\.1:\d+/\?open=[0-9a-f]+$")
        self.assertNotEqual(first, second)
        port = int(re.search(r":(\d+)/", first)[1])
        self.d.address = ("127.0.0.1", port)
        self.assertEqual(self.d.http("GET", first[first.index("/?"):], token=None).status, 200)
        self.assertNotEqual(self.d.http("GET", first[first.index("/?"):], token=None).status, 200)
        self.assertEqual(os.stat(self.d.state / "serve.log").st_mode & 0o777, 0o600)

    def test_up_outlives_its_terminal(self):
        """up: the broker is in a session of its own and goes on when the terminal is closed."""
        controller, terminal = os.openpty()
        process = self.start_cli(self.d, "up", "--no-open", "--", *self.serve, stdin=terminal, stderr=terminal,
                                 start_new_session=True)
        os.close(terminal)
        self.up = process.communicate(timeout=30)[0]
        self.addCleanup(self.end, self.process())
        os.close(controller)
        self.assertEqual(self.opened(), [])
        self.assertEqual(os.getsid(self.process()), self.process())
        self.assertEqual(self.cli("status").returncode, 0)

    def test_down(self):
        """down: stops it in good order, waits until it is gone, leaves the leases; without one it is content."""
        self.start("--no-open")
        holder = self.start_cli(self.d, "run", "--name", "job", "--", "sh", "-c", "echo on; read line",
                                stdin=subprocess.PIPE)
        self.assertEqual(holder.stdout.readline(), "on\n")
        status, shown = self.on_terminal("down", answer="n")
        self.assertEqual((status, "1 holder and 0 waiters" in shown), (77, True), shown)
        pid = self.process()
        status, shown = self.on_terminal("down", answer="y")
        self.assertEqual(status, 0, shown)
        self.assertTrue(has_ended(pid))
        self.start("--no-open")
        self.assertIn("job", self.cli("status").stdout)
        holder.communicate("\n", timeout=30)
        self.assertEqual(holder.returncode, 0)
        self.cli("down")
        self.assertIn("nothing to stop", self.cli("down").stdout)

    def test_down_by_several(self):
        """down, by several at once: each waits until it is gone, and none calls that a failure."""
        self.start("--no-open")
        downs = [self.start_cli(self.d, "down") for _ in range(6)]
        for down in downs:
            said = down.communicate(timeout=30)
            self.assertEqual(down.returncode, 0, said)

    def test_up_that_fails(self):
        """up: a broker that does not start is reported by its own words and status, and left nowhere."""
        refused = self.cli("up", "--no-open", "--", *self.serve, "--fake-gpu", "x", status=64).stderr
        self.assertIn("is not NAME:VRAM", refused)
        self.assertIn("serve.log", refused)
        self.d.config_path.write_text("queue: {max: lots}\n", encoding="utf-8")
        self.assertIn("config.yaml:1", self.cli("up", "--no-open", "--", *self.serve, status=78).stderr)
        self.cli("status", status=69)

    def test_two_at_once(self):
        """up twice at the same time: one broker, and both are content."""
        jobs = [in_thread(self.run_cli, self.d, "up", "--no-open", "--", *self.serve) for _ in range(2)]
        results = [job.result(60) for job in jobs]
        for result in results:
            self.assertEqual(result.returncode, 0, results)
        self.up = "".join(result.stdout for result in results)
        self.addCleanup(self.end, self.process())
        self.assertEqual(self.up.count("process"), 1, results)


class Errors(Commands):
    """Each error names the object, the limit and the next step."""

    def said(self, *args, socket=None, status):
        env = {**self.d.environment(), "BATON_SOCKET": socket or self.d.socket}
        result = subprocess.run([BATON, *args], env=env, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(result.returncode, status, (args, result))
        return result.stderr

    def test_socket_paths(self):
        """What was given is named, and what is wrong with it."""
        long = "/tmp/" + "x" * 120
        self.assertIn("too long (at most 107 bytes)", self.said("status", socket=long, status=65))
        self.assertIn("too long (at most 107 bytes)", self.said("run", "--", "true", socket=long, status=64))
        self.assertIn("'nowhere'", self.said("--socket", "nowhere", "status", status=69))
        self.assertIn("/tmp/no-such/x", self.said("--socket", "/tmp/no-such/x", "status", status=69))

    def test_a_broker_that_ends_before_it_answers(self):
        """It is gone: that is no fault of the protocol."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.d.dir / "ends.http.sock"))
            listener.listen()

            def hang_up():
                with listener.accept()[0] as client:
                    client.recv(65536)
            ends = in_thread(hang_up)
            self.assertIn("No broker answers", self.said("status", socket=str(self.d.dir / "ends.sock"), status=69))
            ends.result(20)

    def test_needs_that_never_fit(self):
        """The limit is named, at every door, with a status that is not that of no broker."""
        daemon = self.d = self.daemon(args=["--fake-gpu", "rtx3090:24576"])
        rows = ((["--gpus", "3"], {"gpus": 3}, "there is 1"), (["--slots", "5"], {"slots": 5}, "rtx3090 has 1"),
                (["--vram", "900G"], {"vram_mb": 900 * 1024}, "rtx3090 has 23.5 of 24.0 GiB"))
        for args, fields, words in rows:
            self.assertIn(words, self.said("run", *args, "--", "true", status=72))
            answer = daemon.lock("x", **fields)
            self.assertError(answer, 409, "never_fits")
            self.assertIn(words, answer.json()["error"]["detail"])
        said = self.said("run", "--gpu", "x", "--", "true", status=66)
        self.assertIn("there is no 'x'; the GPU is rtx3090", said)
        self.assertEqual(said.count("there is no"), 1)

    def test_brokers_own_words(self):
        """What libbaton refuses by itself it refuses in the broker's words."""
        for args, fields, words in ((["--slots", "0"], {"slots": 0}, "0 slots need vram"),
                                    (["--label", ""], {"label": ""}, "label")):
            self.assertIn(words, self.said("run", *args, "--", "true", status=64))
            self.assertIn(words, self.d.lock("x", **fields).json()["error"]["detail"])

    def test_choices_are_listed(self):
        """A wrong word where there are few right ones: they are named."""
        self.assertIn("voice, chat, normal, background", self.said("run", "--class", "silly", "--", "true", status=64))
        self.assertIn("dashboard, console, mic", self.said("open", "--page", "x", status=64))
        self.assertIn("did you mean voice?", self.said("run", "--class", "vioce", "--", "true", status=64))

    def test_stopped_broker(self):
        """A broker that is stopped does not answer, and that is said within a few seconds."""
        self.d.process.send_signal(signal.SIGSTOP)
        try:
            begin = time.monotonic()
            self.assertIn("does not answer", self.said("status", status=75))
            self.assertLess(time.monotonic() - begin, 10)
        finally:
            self.d.process.send_signal(signal.SIGCONT)

    @unittest.skipUnless(os.geteuid() == 0, "needs a second user")
    def test_broker_of_another_user(self):
        """Whose broker it is, is said, whether its socket can be opened or not."""
        self.d.dir.chmod(0o755)
        run = self.d.dir / "run"
        for folder, sockets in ((0o755, 0o777), (0o755, 0o600), (0o700, 0o600)):
            run.chmod(folder)
            for name in ("baton.sock", "http.sock"):
                (run / name).chmod(sockets)
            try:
                result = subprocess.run([BATON, "status"], capture_output=True, text=True, timeout=30, check=False,
                                        env={**self.d.environment(), "BATON_SOCKET": self.d.socket}, user=65534)
            except PermissionError:
                self.skipTest("the other user cannot execute the program where it lies")
            self.assertEqual(result.returncode, 77, result)
            self.assertIn("belongs to user 0", result.stderr)


class Help(Commands):
    def test_help_and_version(self):
        """help, help COMMAND, -V and --version: of every command, before and behind it."""
        overview = self.cli("help").stdout
        self.assertEqual(overview, self.cli("--help").stdout)
        names = re.findall(r"^  ([a-z][a-z-]*) ", overview, re.M)
        self.assertGreater(len(names), 15)
        version = self.cli("--version").stdout
        self.assertEqual(version, self.cli("-V").stdout)
        for name in names:
            text = self.cli("help", name).stdout
            self.assertEqual(text, self.cli(name, "--help").stdout, name)
            self.assertTrue(text.startswith(f"usage: baton {name}"), (name, text[:80]))
            self.assertEqual(self.cli(name, "-V").stdout, version, name)
            self.assertEqual(self.cli(name, "--version").stdout, version, name)
        self.assertIn("did you mean status", self.cli("help", "stauts", status=64).stderr)

    def test_every_command_has_its_manual(self):
        """Each command stands in baton(1)."""
        page = (os.path.join(os.path.dirname(__file__), "..", "..", "man", "baton.1.scd"))
        with open(page, encoding="utf-8") as file:
            manual = file.read()
        names = re.findall(r"^  ([a-z][a-z-]*) ", self.cli("help").stdout, re.M)
        for name in names:
            self.assertRegex(manual, rf"(?m)^\*{name}\*", name)


if __name__ == "__main__":
    unittest.main()
