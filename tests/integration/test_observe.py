"""Goal: a lab runs observe for a week and then reads what it would have done: docs/observe.md followed literally, and
what it says of grants, the switch and the replay, with the real daemon and real processes.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import xml.etree.ElementTree as xml
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent
from lib.gpus import Nvml, card
from lib.wait import wait_until, holds_for

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs/observe.md"
CARD = {"gpus": [{"name": "card", "vram_mb": 24576}]}


def both_hold(daemon):
    return [row["state"] for row in daemon.status()["leases"]] == ["held", "held"]


class Observe(DaemonTest):
    def observing(self, **config):
        return self.daemon(config={"mode": "observe", **CARD, **config})

    def replay(self, daemon, *args):
        done = subprocess.run([BATON, "replay", "--json", "--state", str(daemon.state), *args], capture_output=True,
                              text=True, timeout=60, check=False, env=daemon.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_two_at_once(self):
        """Both have it at once; answer, status, health, metrics and the command line say what that is worth."""
        daemon = self.observing()
        first = daemon.lock("first", vram_mb=20000).json()
        second = daemon.lock("second", vram_mb=20000).json()
        self.assertTrue(first["observed"])
        self.assertNotIn("would_wait", first)
        self.assertTrue(second["observed"] and second["would_wait"])
        status = daemon.status()
        self.assertEqual((status["mode"], len(status["leases"]), status["waiting"]), ("observe", 2, []))
        self.assertEqual([row.get("would_wait") for row in status["leases"]], [None, True])
        self.assertEqual(sum(status["counters"]["would_wait"].values()), 1)
        self.assertEqual(daemon.http("GET", "/health").json()["mode"], "observe")
        metrics = daemon.http("GET", "/metrics").body.decode()
        self.assertIn("\nbaton_observe 1\n", metrics)
        self.assertIn('\nbaton_would_wait_total{class="normal"} 1\n', metrics)
        shown = self.run_cli(daemon, "status").stdout
        self.assertIn("nobody is protected", shown)
        self.assertIn("would wait", shown)
        wait_until(lambda: "observe mode: nothing is enforced" in daemon.log(), "the log says so")
        events = self.run_cli(daemon, "events", "--json").stdout
        self.assertTrue([line for line in events.splitlines() if json.loads(line).get("what") == "collides"], events)

    def test_who_does_not_ask(self):
        """Programs that only the driver knows count as arrivals, from when they are seen until they are gone; those
        that only draw do not, nor does a program that asked. With the switch to enforce these records end.
        """
        nvml = Nvml(tempfile.mkdtemp(prefix="bt-nvml-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, nvml.folder)
        first, second, draws = (subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent) for _ in range(3))
        for process in (first, second, draws):
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        nvml.write(card("GPU-a", 1), f"process {first.pid} 700 compute", f"process {draws.pid} 50 graphics")
        daemon = self.daemon(config={"mode": "observe"}, args=nvml.args, env=nvml.env)
        rows = lambda: [(row["id"], row.get("label"), row.get("would_wait")) for row in daemon.status()["leases"]]
        wait_until(lambda: rows() == [("sleep", f"unmanaged, process {first.pid}", None)], "the first is recorded")
        nvml.write(card("GPU-a", 1), *(f"process {process.pid} 700 compute" for process in (first, second)))
        wait_until(lambda: len(rows()) == 2, "the second is recorded")
        self.assertEqual(rows()[1], ("sleep", f"unmanaged, process {second.pid}", True))
        nvml.write(card("GPU-a", 1), f"process {second.pid} 700 compute")
        wait_until(lambda: len(rows()) == 1, "the first is gone")
        self.assertIn("sleep", self.run_cli(daemon, "history").stdout)
        job = self.start_cli(daemon, "run", "--name", "asks", "--", "sh", "-c", "echo $$; exec sleep 600")
        pid = int(job.stdout.readline())
        nvml.write(card("GPU-a", 1), *(f"process {number} 700 compute" for number in (second.pid, pid)))
        wait_until(lambda: len(daemon.status()["gpus"][0]["measured"]["processes"]) == 2, "both are seen")
        self.assertEqual(sorted(row[0] for row in rows()), ["asks", "sleep"])
        replayed = self.replay(daemon)
        self.assertEqual((replayed["requests"], replayed["past"]["collisions"]), (3, 2))
        self.assertGreater(replayed["wait_s"]["max"], 0)
        daemon.write_config({**daemon.config, "mode": "enforce"})
        wait_until(lambda: [row[0] for row in rows()] == ["asks"], "only who asked is left")
        self.assertIsNone(second.poll())

    def test_more_than_there_is(self):
        """Nothing is refused for being too much or too many."""
        daemon = self.observing(queue={"held_per_principal_max": 1})
        for vram_mb in (1000, 99999, 1000):
            self.assertEqual(daemon.lock("big", vram_mb=vram_mb, wait=False).status, 200)
        self.assertNotEqual(daemon.lock("x", gpu="nowhere").status, 200)

    def test_nobody_is_stopped(self):
        """A job past its hold limit, and past its broker's patience, goes on beside a voice."""
        daemon = self.observing(classes={"background": {"hold_max_s": 0.3}})
        job = self.start_cli(daemon, "run", "--class", "background", "--", "sleep", "60")
        wait_until(lambda: daemon.holders() == ["sleep"], "the job holds")
        daemon.lock("mic", **{"class": "voice"})
        holds_for(lambda: job.poll() is None and not any(row.get("yield") for row in daemon.status()["leases"]),
                  "nobody is asked", 1.5)

    def test_switch_to_enforce(self):
        """By a saved file: who overlaps is left alone, who comes waits for them, and then the rules are in force."""
        daemon = self.observing(classes={"background": {"hold_max_s": 0.2}})
        jobs = [self.start_cli(daemon, "run", "--class", "background", "--", "sleep", "60") for _ in range(2)]
        wait_until(lambda: both_hold(daemon), "both hold")
        daemon.write_config({**daemon.config, "mode": "enforce"})
        wait_until(lambda: daemon.status()["mode"] == "enforce", "the file is noticed")
        daemon.parked("mic", **{"class": "voice"})
        row = daemon.status()["waiting"][0]
        self.assertEqual((row["why"]["code"], row["bound_s"], row["bound_why"]),
                         ("observed", None, "observed"), row)
        self.assertIn("before the rules were enforced", self.run_cli(daemon, "why", "mic").stdout)
        holds_for(lambda: all(job.poll() is None for job in jobs) and daemon.waiting() == ["mic"], "left alone", 1.5)
        for job in jobs:
            job.send_signal(signal.SIGTERM)
            job.wait(15)
        wait_until(lambda: daemon.holders() == ["mic"], "the voice is served")
        self.assertNotIn("observed", daemon.status()["leases"][0])
        self.assertNotIn("nobody is protected", self.run_cli(daemon, "status").stdout)

    def test_flag_and_file(self):
        """The flag counts where the file names no mode, and a file that names one takes it back."""
        daemon = self.daemon(args=["--observe"])
        self.assertEqual(daemon.status()["mode"], "observe")
        daemon.write_config({**daemon.config, "mode": "enforce"})
        self.assertEqual(self.run_cli(daemon, "reload").returncode, 0)
        self.assertEqual(daemon.status()["mode"], "enforce")

    def test_bad_mode(self):
        daemon = self.observing()
        daemon.write_config({**daemon.config, "mode": "maybe"})
        done = self.run_cli(daemon, "reload")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("config.yaml:", done.stderr)
        self.assertEqual(daemon.status()["mode"], "observe")

    def test_replay_while_it_runs(self):
        """What collided is in the record; the rules would have let it wait; and the broker is not disturbed."""
        daemon = self.observing()
        first, second = daemon.lock("a").json(), daemon.lock("b", **{"class": "voice"}).json()
        # The record tells of no later moment than its last.
        wait_until(lambda: min(row["held_s"] for row in daemon.status()["leases"]) > 0.2, "both hold for a moment")
        daemon.unlock(daemon.lock("c", vram_mb=1).json()["token"])
        past = self.replay(daemon)["past"]
        self.assertEqual((past["collisions"], past["running"]), (2, 2))
        before = sorted((path.name, path.stat().st_mtime_ns) for path in daemon.state.iterdir())
        self.replay(daemon)
        self.assertEqual(sorted((path.name, path.stat().st_mtime_ns) for path in daemon.state.iterdir()), before)
        daemon.unlock(first["token"])
        daemon.unlock(second["token"])
        result = self.replay(daemon)
        self.assertEqual((result["past"]["collisions"], result["past"]["running"]), (2, 0))
        self.assertEqual((result["granted"], result["collisions"]), (3, 0))
        self.assertFalse(result["past"]["rules_unknown"])
        self.assertIsNotNone(result["worst_wait_by_bound"])
        self.assertLessEqual(result["worst_wait_by_bound"], 1)
        daemon.terminate()
        self.assertEqual(self.replay(daemon)["past"], result["past"])

    def test_replay_other_rules(self):
        """--config lays other rules over those that it ran by: with two turns nobody would have waited."""
        daemon = self.observing()
        tokens = [daemon.lock(name).json()["token"] for name in ("a", "b")]
        wait_until(lambda: min(row["held_s"] for row in daemon.status()["leases"]) > 0.2, "both hold for a moment")
        for token in tokens:
            daemon.unlock(token)
        self.assertGreater(self.replay(daemon)["wait_s"]["max"], 0.1)
        other = daemon.dir / "other.yaml"
        other.write_text("gpus:\n  - {name: card, vram_mb: 24576, slots: 2}\n", encoding="utf-8")
        self.assertEqual(self.replay(daemon, "--config", str(other))["wait_s"]["max"], 0)
        other.write_text("gpus: 7\n", encoding="utf-8")
        done = subprocess.run([BATON, "replay", "--state", str(daemon.state), "--config", str(other)],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 65)
        self.assertIn("other.yaml:1", done.stderr)

    def test_replay_of_nothing(self):
        daemon = self.observing()
        for args, status in ((["--state", "/nowhere"], 66), (["--state", str(daemon.state)], 66),
                             (["--state", str(daemon.state), "--from", "soon"], 64),
                             (["--state", str(daemon.state), "--from", "1h", "--to", "2h"], 64),
                             (["--from", "7d", "x"], 64), (["--state", "x", "y"], 64)):
            done = subprocess.run([BATON, "replay", *args], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, status, (args, done.stderr))
            self.assertTrue(done.stderr.startswith("baton: replay: "), done.stderr)

    def test_restart(self):
        """A restart forgets neither the leases nor what they are; a managed one keeps them alone, too."""
        daemon = self.observing()
        jobs = [self.start_cli(daemon, "run", "--", "sleep", "60") for _ in range(2)]
        wait_until(lambda: both_hold(daemon), "both hold")
        daemon.kill()
        daemon.write_config({**daemon.config, "mode": "enforce"})
        daemon.start()
        wait_until(lambda: all(row["attached"] for row in daemon.status()["leases"]), "both came back")
        self.assertEqual([row.get("observed") for row in daemon.status()["leases"]], [True, True], daemon.status())
        self.assertTrue(all(job.poll() is None for job in jobs))


class Document(DaemonTest):
    """docs/observe.md, block by block, in a home of its own."""

    def setUp(self):
        super().setUp()
        home = self.daemon(start=False)
        self.home = home.dir
        for folder in ("bin", "run"):
            (self.home / folder).mkdir(parents=True, mode=0o700)
        (self.home / "bin/baton").symlink_to(BATON)
        self.environment = {**home.environment(), "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home / "run"),
                            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}"}
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            self.environment.pop(name, None)

    def shell(self, block):
        done = subprocess.run(["bash", "-euc", block], capture_output=True, text=True, cwd=self.home,
                              env=self.environment, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_followed(self):
        start, work, look, read, other, enforce = re.findall(
            r"^```sh\n(.*?)^```$", DOC.read_text(encoding="utf-8"), re.M | re.S)
        # The port of every day may be taken by another broker.
        start = start.replace("serve", "serve --listen 127.0.0.1:0")
        log = self.home / "serve.log"
        with open(log, "wb") as out:
            broker = subprocess.Popen(["bash", "-euc", start], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                      cwd=self.home, env=self.environment, start_new_session=True,
                                      preexec_fn=die_with_parent)
        self.addCleanup(broker.wait)
        self.addCleanup(lambda: os.killpg(broker.pid, signal.SIGTERM))
        wait_until(lambda: "nobody is protected" in log.read_text(encoding="utf-8"), "it says what it is")
        self.shell(work)
        looked = self.shell(look)
        self.assertIn("nobody is protected", looked)
        self.assertIn("collides", looked)
        week = self.shell(read)
        self.assertRegex(week, r"collisions +1 +0\n")
        self.assertRegex(week, r"background +1 +1 +0 ")
        xml.parse(self.home / "week.svg")
        self.assertIn("REPLAYED", self.shell(other))
        enforced = self.shell(enforce)
        self.assertIn("mode", enforced)
        self.assertNotIn("nobody is protected", enforced)


if __name__ == "__main__":
    unittest.main()
