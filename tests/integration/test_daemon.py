"""Goal: the daemon is a good citizen: it stops when told, reloads without touching a lease, survives a full
disk, and says what it does. Method: signals, limits and files, against the real thing.
"""
import datetime
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
import unittest

from lib.daemon import BATON, DaemonTest, in_thread
from lib.http import Connection
from lib.wait import holds_for, wait_until


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Full(DaemonTest):
    def fill(self, daemon, size):
        """From now on no file of the daemon can grow beyond `size` bytes: a full disk without root."""
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def test_s20_disk_full(self):
        """S20, C41, C42: nothing new is granted, in words; holders keep, release and heartbeat work."""
        daemon = self.daemon(timing={"heartbeat_s": 0.3, "session_ttl_s": 3})
        holder = daemon.session("holder")
        lease = holder.hold()["lease"]
        waiter = daemon.session("waiter")
        queued = waiter.queue()
        self.fill(daemon, 512)  # less than the frames of the two have by now
        daemon.park("something-to-write")
        wait_until(lambda: not daemon.status()["journal_ok"], "it knows that the disk is full")
        self.assertError(daemon.lock("new", timeout_s=1), 503, "journal_unavailable")
        holds_for(lambda: daemon.holders() == ["holder"], "the holder keeps its lease", 1)
        self.assertEqual(holder.messages("revoked") + holder.messages("yield"), [])
        holder.release(lease)
        holder.wait("released", lease=lease)
        self.assertEqual(daemon.holders(), [], "nothing is granted while the disk is full")
        self.fill(daemon, resource.RLIM_INFINITY)
        granted = waiter.wait("granted", ref=queued["ref"])
        self.assertTrue(daemon.status()["journal_ok"])
        daemon.kill()
        daemon.start()
        back = daemon.session("waiter", resume=waiter.welcome["session"])
        self.assertEqual(back.wait("claim")["fence"], granted["fence"])


class Stop(DaemonTest):
    def test_p27_sigterm_whatever_hangs(self):
        """P27: SIGTERM with parked requests, streams, half requests and silent sessions: gone within 5 s."""
        daemon = self.daemon()
        daemon.session("holder").hold()
        for i in range(10):
            daemon.park(f"parked-{i}")
        daemon.park("stream", {"Accept": "text/event-stream"})
        events = daemon.connect()
        events.send(daemon.request("GET", "/v1/gpu/events"))
        half = Connection(daemon.address)
        half.send(b"POST /v1/gpu/lock HTTP/1.1\r\nHost: x")
        idle = Connection(daemon.address)
        wait_until(lambda: len(daemon.waiting()) == 11, "all wait")
        started_at = time.monotonic()
        self.assertEqual(daemon.terminate(), 0)
        print(f"P27: stopped after {time.monotonic() - started_at:.2f} s")
        self.assertLess(time.monotonic() - started_at, 5)
        for connection in (events, half, idle):
            connection.close()

    def test_sigint_is_a_stop(self):
        """Ctrl-C ends it cleanly, too."""
        daemon = self.daemon()
        daemon.process.send_signal(signal.SIGINT)
        self.assertEqual(daemon.process.wait(10), 0)

    def test_start_line(self):
        """The start says where it listens and what to try next, and no secret."""
        daemon = self.daemon()
        self.assertIn(daemon.host, daemon.log())
        self.assertIn("baton status", daemon.log())
        self.assertNotIn(daemon.token, daemon.log())


class Fifos(DaemonTest):
    """A FIFO where a file should be keeps whoever opens it waiting for its other end."""

    def refuse(self, daemon, path):
        result = subprocess.run(daemon.command(), env=daemon.environment(), capture_output=True, text=True, timeout=20,
                                check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"{path}", result.stderr)
        self.assertIn("not a regular file", result.stderr)

    def test_start(self):
        """serve: each file that it needs is refused by name."""
        daemon = self.daemon()
        daemon.terminate()
        for path in [*(daemon.state / name for name in ("token", "admin-token", "lock", "fence", "journal.db",
                                                        "journal.db-wal", "journal.db-turns", "reserve")),
                     daemon.config_path]:
            with self.subTest(path=path.name):
                kept = path.read_bytes() if path.exists() else None
                path.unlink(missing_ok=True)
                os.mkfifo(path, 0o600)
                self.refuse(daemon, path)
                path.unlink()
                if kept is not None:
                    path.write_bytes(kept)
                    path.chmod(0o600)
        daemon.start()

    def test_start_without(self):
        """What it can do without is left aside, and replaced when it is written next."""
        daemon = self.daemon()
        daemon.terminate()
        names = ("page-keys", "sites", "gpus", "listens")
        for name in names:
            (daemon.state / name).unlink(missing_ok=True)
            os.mkfifo(daemon.state / name, 0o600)
        daemon.start()
        self.assertTrue((daemon.state / "listens").is_file())

    def test_reload(self):
        """A reload is refused, and the rules stay as they were."""
        daemon = self.daemon()
        daemon.config_path.unlink()
        os.mkfifo(daemon.config_path)
        self.assertError(daemon.http("POST", "/v1/hot-reload", unix=True), 400, "bad_config")
        self.assertEqual(daemon.status()["leases"], [])

    def test_clients(self):
        """Whoever looks for the broker by the note that it leaves, and `baton up` with its log."""
        home = self.daemon(start=False).dir / "home"
        folder = home / "baton"
        folder.mkdir(parents=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
        os.mkfifo(folder / "listens")
        os.mkfifo(folder / "serve.log")
        code = "import baton._address as a; print(a.socket_path())"
        python = {**env, "PYTHONPATH": str(pathlib.Path(__file__).parents[2] / "clients/python")}
        for command, its, status in (([BATON, "status"], env, 69), ([BATON, "up", "--no-open"], env, 71),
                                     ([sys.executable, "-c", code], python, 0)):
            with self.subTest(command=command[1]):
                result = subprocess.run(command, env=its, capture_output=True, text=True, timeout=20, check=False)
                self.assertEqual(result.returncode, status, result.stderr)
        result = subprocess.run([BATON, "up", "--no-open"], env=env, capture_output=True, text=True, timeout=20,
                                check=False)
        self.assertIn(f"{folder}/serve.log: not a regular file", result.stderr)


class Configuration(DaemonTest):
    def test_p11_e8_reload_touches_no_lease(self):
        """P11, E8: reload under load: leases, places and order stay; new rules count from then on."""
        daemon = self.daemon()
        holder = daemon.session("holder")
        lease = holder.hold(preemptible=False)["lease"]
        for i in range(5):
            daemon.parked(f"waiter-{i}")
        before = (daemon.holders(), daemon.waiting())
        fence = daemon.status()["fence"]
        daemon.write_config({**daemon.config, "class_rules": [{"match": "late*", "class": "voice"}]})
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "class_rules" in daemon.log(), "it says what changed")
        self.assertEqual((daemon.holders(), daemon.waiting()), before)
        self.assertEqual(daemon.status()["fence"], fence)
        self.assertEqual(holder.messages("yield") + holder.messages("revoked"), [])
        daemon.parked("late-one")
        self.assertEqual(daemon.waiting()[0], "late-one")
        holder.release(lease)
        wait_until(lambda: daemon.holders() == ["late-one"], "the queue goes on")

    def test_reload_by_route(self):
        """POST /v1/hot-reload answers with what changed."""
        daemon = self.daemon()
        daemon.write_config({**daemon.config, "log_level": "debug"})
        answer = daemon.http("POST", "/v1/hot-reload", unix=True)
        self.assertEqual(answer.status, 200, answer)
        # A changed file is also seen by itself, and may have been applied a moment before.
        wait_until(lambda: "log_level" in json.dumps(answer.json()) + daemon.log(), "it says what changed")

    def test_waiters_hear_of_a_new_guarantee(self):
        """Who waits at the same place is told what is so now: with longer turns configured, in a pause, and after."""
        daemon = self.daemon()
        daemon.lock("holder")
        waiter = daemon.websocket("waiter")
        first = waiter.queue(timeout_s=None)
        daemon.write_config({**daemon.config, "classes": {"normal": {"hold_max_s": 600}}})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        longer = waiter.wait("queued", count=2)
        self.assertGreater(longer["bound_s"], first["bound_s"])
        shown = daemon.status()["waiting"][0]["guaranteed_by"]
        # The same moment, each time rounded up from another one.
        self.assertLessEqual(abs(moment(longer["guaranteed_by"]) - moment(shown)), datetime.timedelta(seconds=1))
        daemon.http("POST", "/v1/gpu/pause", {}, unix=True)
        paused = waiter.wait("queued", count=3)
        self.assertEqual((paused["bound_s"], paused["bound_why"]), (None, "stopped"))
        daemon.http("POST", "/v1/gpu/resume", {}, unix=True)
        self.assertIsNotNone(waiter.wait("queued", count=4)["bound_s"])
        self.assertEqual({message["position"] for message in waiter.messages("queued")}, {0})

    def test_bad_reload_is_refused_whole(self):
        """A file with one error changes nothing and is named with its line."""
        daemon = self.daemon()
        daemon.lock("holder")
        daemon.config_path.write_text("log_level: debug\nclass_rules:\n  - {match: x, klass: voice}\n",
                                      encoding="utf-8")
        answer = daemon.http("POST", "/v1/hot-reload", unix=True)
        self.assertError(answer, 400, "bad_config")
        self.assertIn("config.yaml:3", answer.body.decode())
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "config.yaml:3" in daemon.log(), "the line is in the log")
        self.assertEqual(daemon.holders(), ["holder"])

    def test_bad_configuration_at_the_start(self):
        """The daemon does not start on half a configuration: 78, file and line."""
        for text, line in (("no_such_key: 1\n", 1), ("listen: 5\n", 1), ("timing:\n  grace_s: -1\n", 2),
                           ("queue: {max: many}\n", 1), ("log_level: [\n", 2)):
            daemon = self.daemon(start=False)
            daemon.config_path.write_text(text, encoding="utf-8")
            result = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20,
                                    check=False, env=daemon.environment())
            self.assertEqual(result.returncode, 78, (text, result))
            self.assertIn(f"config.yaml:{line}", result.stderr + result.stdout, text)

    def test_bad_options(self):
        """Wrong usage is 64 and names the option."""
        for arguments in (["--no-such"], ["--listen"], ["--compat", "x"], ["--log-level", "loud"], ["extra"],
                          ["--listen", "example.org:80"], ["--fake-gpu", "x"], ["--fake-gpu", "a:0"]):
            daemon = self.daemon(start=False)
            result = subprocess.run([*daemon.command()[:2], "--state", str(daemon.state), *arguments],
                                    capture_output=True, text=True, timeout=20, check=False,
                                    env=daemon.environment())
            self.assertEqual(result.returncode, 64, (arguments, result))
            self.assertIn(arguments[-1], result.stderr + result.stdout)


class Watching(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def test_events(self):
        """/v1/gpu/events tells each change once, and Last-Event-ID goes on where it stopped."""
        stream = self.d.connect()
        self.addCleanup(stream.close)
        stream.send(self.d.request("GET", "/v1/gpu/events"))
        self.assertEqual(stream.read_head()[0], 200)
        token = self.d.lock("x").json()["token"]
        self.d.unlock(token)
        text, ids = "", []
        for chunk in stream.chunks():
            text += chunk.decode()
            if '"end":"released"' in text:
                break
        ids = [int(line[4:]) for line in text.splitlines() if line.startswith("id: ")]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertNotIn(token, text)
        again = self.d.connect()
        self.addCleanup(again.close)
        again.send(self.d.request("GET", "/v1/gpu/events", headers={"Last-Event-ID": str(ids[0])}))
        again.read_head()
        replay = next(text for text in map(bytes.decode, again.chunks()) if "id: " in text)
        self.assertEqual(replay.split("\n")[0], f"id: {ids[1]}", "what came after the last one seen")

    def test_metrics(self):
        """/metrics is Prometheus text and counts grants."""
        self.d.unlock(self.d.lock("x").json()["token"])
        answer = self.d.http("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertIn("text/plain", answer.headers["content-type"])
        text = answer.body.decode()
        for line in text.splitlines():
            self.assertRegex(line, r'^(#|baton_[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+]+$)')
        self.assertRegex(text, r'baton_granted_total\{class="normal"\} 1\n')

    def test_logs(self):
        """/logs gives the newest lines with their numbers; clear empties it; no secret is in it."""
        token = self.d.lock("look-for-me").json()["token"]
        answer = self.d.http("GET", "/logs?limit=50")
        self.assertEqual(answer.status, 200)
        self.assertIn("look-for-me", answer.body.decode())
        self.assertNotIn(token, answer.body.decode())
        self.assertEqual(self.d.http("POST", "/logs/clear", unix=True).status, 200)
        self.assertNotIn("look-for-me", self.d.http("GET", "/logs").body.decode())
        self.assertEqual(self.d.http("GET", "/audit/server-logs").status, 200)

    def test_health(self):
        """/health needs no token and says that all is well."""
        answer = self.d.http("GET", "/health", token=None)
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.json())

    def test_page(self):
        """GET / answers something a person can read."""
        answer = self.d.http("GET", "/", token=None)
        self.assertEqual(answer.status, 200)
        self.assertIn(b"aton", answer.body)

    def test_unix_http(self):
        """http.sock serves the same API to the user, without a token."""
        answer = self.d.http("GET", "/v1/gpu/status", unix=True)
        self.assertEqual(answer.status, 200)

    def test_status_of_a_few(self):
        """Whoever asks for so many waiters gets no more in any of the lists; how many there are stays true."""
        daemon = self.daemon()
        daemon.lock("holder")
        for name in ("a", "b", "c"):
            daemon.parked(name)
        for limit in (0, 2, 5):
            status = daemon.http("GET", f"/v1/gpu/status?limit={limit}").json()
            names = ["a", "b", "c"][:limit]
            self.assertEqual([row["id"] for row in status["waiting"]], names)
            self.assertEqual((status["queued"], list(status["request_start_times"])), (names, names))
            self.assertEqual(status["queue_depth"], 3)

    def test_status_of_thousands_does_not_stall(self):
        """A long queue is listed in slices; others are served in between."""
        daemon = self.daemon(config={"queue": {"max": 4096, "per_session_max": 150, "per_principal_max": 4096}})
        daemon.session("holder").hold()
        for i in range(20):  # each under the message rate of one session
            crowd = daemon.session(f"crowd-{i}")
            for _ in range(150):
                crowd.acquire(timeout_s=600)
        wait_until(lambda: daemon.status()["queue_depth"] == 3000, "they wait", 60)
        job = in_thread(daemon.status)
        worst = 0.0
        while job.is_alive():
            started_at = time.monotonic()
            daemon.http("GET", "/health")
            worst = max(worst, time.monotonic() - started_at)
        status = job.result()
        self.assertEqual(len(status["waiting"]), 3000)
        print(f"status of 3000: worst answer beside it {1000 * worst:.1f} ms (sanitized build)")
        self.assertLess(worst, 1)

    def test_keep_alive_and_many_requests(self):
        """One connection serves hundreds of requests."""
        with self.d.connect() as connection:
            for _ in range(200):
                connection.send(self.d.request("POST", "/v1/gpu/lock", {"id": "loop"}))
                token = connection.read_answer().json()["token"]
                connection.send(self.d.request("POST", "/v1/gpu/unlock", {"token": token}))
                self.assertEqual(connection.read_answer().status, 200)

    def test_stale_socket_file_is_replaced(self):
        """A socket that a killed daemon left behind does not keep the next one from starting."""
        self.d.kill()
        self.d.start()
        self.d.session("x").hold()


if __name__ == "__main__":
    unittest.main()
