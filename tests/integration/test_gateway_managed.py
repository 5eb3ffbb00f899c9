"""Model servers that Baton starts: woken by requests, stopped when others need the room, when they are idle, and with
the broker."""
import os
import pathlib
import random
import signal
import subprocess
import sys
import unittest
from unittest import mock

from lib.daemon import BATON
from lib.gateway import CHAT
from lib.managed import COMMAND, ManagedTest, free_port, pids_of
from lib.model_server import ModelServer
from lib.wait import holds_for, wait_until


class Ports(unittest.TestCase):
    def test_nobody_gets_one_twice(self):
        """Neither this process nor one beside: a server binds its port long after it was chosen."""
        first = free_port()
        code = "from lib.managed import reserve; raise SystemExit(reserve(int(input())))"
        beside = subprocess.run([sys.executable, "-c", code], input=str(first), text=True, check=False,
                                cwd=pathlib.Path(__file__).parent)
        self.assertEqual(beside.returncode, 0)
        second, choose = free_port(), random.choice
        chosen = [first, second]
        with mock.patch("random.choice", side_effect=lambda ports: chosen.pop() if chosen else choose(ports)):
            self.assertNotIn(free_port(), [first, second])
        self.assertEqual(chosen, [])


class Keeper(unittest.TestCase):
    def test_continued_while_it_ends(self):
        """A keeper gets SIGCONT, as at its broker's end, while it ends: a sanitizer's check at exit may not hang."""
        for _ in range(10):
            with subprocess.Popen(["baton-keeper", "true"], executable=BATON, stdin=subprocess.PIPE) as keeper:
                def ends(keeper=keeper):
                    for _ in range(1000):
                        keeper.send_signal(signal.SIGCONT)
                    return keeper.poll() is not None

                try:
                    wait_until(ends, "it ends")
                finally:
                    keeper.kill()


class Managed(ManagedTest):
    def test_woken_by_a_request(self):
        daemon = self.behind(self.row("it", env=["WORD=${MODEL}-${PORT}"]))
        for path in ("/v1/models", "/v1/models/m", "/api/tags", "/v1/gpu/models", "/favicon.ico", "/sw.js", "/props"):
            daemon.http("GET", path)
        self.assertEqual(self.runs("it"), [])
        self.assertEqual([self.ask(daemon, "m").status for _ in range(2)], [200, 200])
        self.assertEqual(len(self.runs("it")), 1)
        self.assertEqual(daemon.status()["leases"][0]["label"], "m")
        wait_until(lambda: f"started with m-{self.ports['it']}" in daemon.log(), "its output is in the log")
        self.assertIn("started with m-", daemon.http("GET", "/logs").body.decode())

    def test_one_start_for_all_who_wait(self):
        daemon = self.behind(self.row("it"))
        waiting = [self.begin(daemon, "m") for _ in range(5)]
        self.assertEqual([one.read_answer().status for one in waiting], [200] * 5)
        self.assertEqual(daemon.log().count("model server started"), 1)

    def test_makes_room(self):
        """Two that do not fit beside each other; all of the first is gone before the second is started."""
        daemon = self.behind(self.row("one", "child", model="a"), self.row("two", model="b"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        left = "left-behind-" + self.ports["one"]
        self.assertEqual(len(pids_of(left)), 1)
        self.assertEqual(self.ask(daemon, "b").status, 200)
        self.assertEqual((self.runs("one"), pids_of(left)), ([], []))
        self.assertEqual([row["label"] for row in daemon.status()["leases"]], ["b"])

    def test_idle(self):
        daemon = self.behind(self.row("it", idle_s=0.5))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        daemon.http("GET", "/v1/models")
        wait_until(lambda: not self.runs("it"), "it was stopped")
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")
        self.assertIsNone(self.failure(daemon))
        self.assertEqual(self.ask(daemon, "m").status, 200)

    def test_release(self):
        daemon = self.behind(self.row("it"))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        lease = daemon.status()["leases"][0]["lease"]
        self.run_cli(daemon, "release", str(lease), "--yes")
        wait_until(lambda: not self.runs("it"), "it was stopped")
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")

    def test_ends_at_once(self):
        daemon = self.behind(self.row("it", "fail"))
        answer = self.ask(daemon, "m")
        self.assertError(answer, 503, "model_failed")
        self.assertIn("status 3", answer.json()["error"]["message"])
        self.assertLessEqual(int(answer.headers["retry-after"]), 15)
        again = self.ask(daemon, "m")  # told at once, and not started again
        self.assertError(again, 503, "model_failed")
        self.assertEqual(daemon.log().count("model server started"), 1)
        self.assertEqual(daemon.status()["leases"], [])

    def test_no_such_program(self):
        row = self.row("it")
        daemon = self.behind({**row, "cmd": ["/nonexistent/llama-server"]})
        answer = self.ask(daemon, "m")
        self.assertError(answer, 503, "model_failed")
        self.assertIn("status 127", answer.json()["error"]["message"])
        wait_until(lambda: "/nonexistent/llama-server: No such file" in daemon.log(), "why is in the log")

    def test_hangs_at_its_start(self):
        daemon = self.behind(self.row("it", "hang"), timing={"load_max_s": 1})
        answer = self.ask(daemon, "m")
        self.assertError(answer, 503, "model_failed")
        self.assertIn("load_max_s", answer.json()["error"]["message"])
        wait_until(lambda: not self.runs("it"), "it was stopped")
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")

    def test_killed(self):
        daemon = self.behind(self.row("it"))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        os.kill(self.runs("it")[0], signal.SIGKILL)
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")
        self.assertIn("status 137", self.failure(daemon))
        self.assertError(self.ask(daemon, "m"), 503, "model_failed")

    def test_its_keeper_is_killed(self):
        """What it kept is killed, in whatever session, before its memory goes to others; another one's is not."""
        daemon = self.behind(self.row("it", "child", "deaf"), self.row("other", "child", vram_mb=1000, model="o"))
        self.assertEqual([self.ask(daemon, model).status for model in "mo"], [200, 200])
        ports = [self.ports[name] for name in ("it", "other")]
        keeper, = pids_of("baton-keeper", ports[0])
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: [row["label"] for row in daemon.status()["leases"]] == ["o"], "its memory is free")
        self.assertEqual(self.runs("it") + pids_of("left-behind-" + ports[0]), [])
        self.assertEqual((len(self.runs("other")), len(pids_of("left-behind-" + ports[1]))), (1, 1))
        wait_until(lambda: "was killed; what it kept is killed" in daemon.log(), "the log says so")

    def test_what_was_there_before(self):
        """A shell that has a child may execute the broker: that child is none of what a keeper kept."""
        mark = f"there-before-{os.getpid()}"

        def has_child():
            if os.fork() == 0:
                os.setsid()
                os.execvp("sleep", [mark, "600"])

        self.addCleanup(lambda: [os.kill(pid, signal.SIGKILL) for pid in pids_of(mark)])
        daemon = self.behind(self.row("it", "child", "deaf"), preexec=has_child)
        self.assertEqual(self.ask(daemon, "m").status, 200)
        before, = pids_of(mark)
        keeper, = pids_of("baton-keeper", self.ports["it"])
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")
        self.assertEqual(self.runs("it") + pids_of("left-behind-" + self.ports["it"]), [])
        self.assertEqual(pids_of(mark), [before])

    def test_its_keeper_is_stopped(self):
        """It goes on when it is to end what it keeps, or the broker is gone."""
        daemon = self.behind(self.row("one", model="a"), self.row("two", "child", model="b"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        keeper, = pids_of("baton-keeper", self.ports["one"])
        os.kill(keeper, signal.SIGSTOP)
        self.assertEqual(self.ask(daemon, "b").status, 200)
        self.assertEqual(self.runs("one"), [])
        keeper, = pids_of("baton-keeper", self.ports["two"])
        os.kill(keeper, signal.SIGSTOP)
        daemon.kill()
        wait_until(lambda: not self.runs("two") and not pids_of("left-behind-" + self.ports["two"]), "nothing is left")

    def test_crashes_when_asked(self):
        daemon = self.behind(self.row("it", "crash"))
        self.assertIn(self.ask(daemon, "m").status, (502, 503))
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")
        self.assertIn("status 7", self.failure(daemon))

    def test_floods_its_output(self):
        daemon = self.behind(self.row("it", "flood"))
        self.assertEqual([self.ask(daemon, "m").status for _ in range(3)], [200] * 3)
        wait_until(lambda: "output left out" in daemon.log(), "most of it is left out")
        self.assertLess(daemon.log().count("x" * 200), 200)
        self.assertEqual(daemon.http("GET", "/health").status, 200)

    def test_somebody_elses_port(self):
        row = self.row("it")
        other = ModelServer("openai", ["m"], port=int(self.ports["it"]))
        self.addCleanup(other.close)
        daemon = self.behind(row)
        answer = self.ask(daemon, "m")
        self.assertError(answer, 503, "model_failed")
        self.assertIn("something else answers", answer.json()["error"]["message"])
        self.assertEqual((self.runs("it"), other.asked(CHAT)), ([], []))

    def test_ends_with_the_broker(self):
        for how in ("stop", "kill"):
            with self.subTest(how):
                daemon = self.behind(self.row("it", "child"))
                self.assertEqual(self.ask(daemon, "m").status, 200)
                left = "left-behind-" + self.ports["it"]
                self.assertEqual(len(pids_of(left)), 1)
                if how == "stop":
                    daemon.terminate()
                else:
                    daemon.kill()
                wait_until(lambda: not self.runs("it") and not pids_of(left), "nothing is left")

    def test_deaf(self):
        """Who does not end when asked is killed; until then its memory is not given to others."""
        daemon = self.behind(self.row("it", "deaf"), timing={"grace_s": 0.3})
        self.assertEqual(self.ask(daemon, "m").status, 200)
        training = daemon.park("training", vram_mb=7000, slots=0, timeout_s=60)
        wait_until(lambda: self.state_of(daemon, "m") == "unloading", "it is asked to go")
        holds_for(lambda: bool(self.runs("it")) and len(daemon.status()["leases"]) == 1, "it has its memory", 0.5)
        wait_until(lambda: not self.runs("it"), "it was killed")
        self.assertEqual(training.read_answer().status, 200)

    def test_reload(self):
        """Another command on the same port waits until the old one is gone; one that is removed is stopped."""
        row = self.row("it", "child")
        daemon = self.behind(row)
        self.assertEqual(self.ask(daemon, "m").status, 200)
        before = self.runs("it")
        daemon.write_config({**daemon.config, "upstreams": [{**row, "env": ["WORD=anew"]}]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        self.assertEqual(self.ask(daemon, "m").status, 200)
        self.assertNotEqual(self.runs("it"), before)
        self.assertEqual(len(self.runs("it")), 1)
        wait_until(lambda: "started with anew" in daemon.log(), "the log says so")
        other = {**row, "models": [{"name": "n", "vram_mb": 5000}]}  # another model: another process
        daemon.write_config({**daemon.config, "upstreams": [other]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        self.assertEqual(self.ask(daemon, "n").status, 200)
        self.assertEqual(len(pids_of(COMMAND, self.ports["it"], "n")), 2)  # it, and its keeper
        self.assertEqual(pids_of(COMMAND, self.ports["it"], "m"), [])
        daemon.write_config({**daemon.config, "upstreams": []})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        wait_until(lambda: not self.runs("it"), "it was stopped")
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")

    def test_reload_while_it_hangs(self):
        """A start that hangs is broken off when its command is another one, or it is removed."""
        row = self.row("it", "hang")
        daemon = self.behind(row, timing={"load_max_s": 600})
        waiting = self.begin(daemon, "m")
        hung = wait_until(lambda: self.runs("it"), "it runs")
        daemon.write_config({**daemon.config, "upstreams": [{**row, "cmd": row["cmd"][:-1]}]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        self.assertEqual(waiting.read_answer().status, 200)
        self.assertNotEqual(self.runs("it"), hung)
        self.assertEqual(len(daemon.status()["leases"]), 1)

        daemon.write_config({**daemon.config, "upstreams": [row]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        waiting = self.begin(daemon, "m")
        wait_until(lambda: self.state_of(daemon, "m") == "loading" and self.runs("it"), "it runs")
        daemon.write_config({**daemon.config, "upstreams": []})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        self.assertError(waiting.read_answer(), 404, "model_not_found")
        wait_until(lambda: not daemon.status()["leases"] and not self.runs("it"), "nothing is left")

    def test_configuration(self):
        good = self.row("it")
        bad = [({"url": "http://10.0.0.1:80"}, "127.0.0.1"), ({"gpu": "none"}, "none"), ({"models": []}, "one model"),
               ({"models": [{"name": "m"}]}, "vram_mb"), ({"cmd": ["x", "${HOME}"]}, "${PORT}"),
               ({"cmd": [""]}, "program"),
               ({"env": ["=x"]}, "NAME=VALUE"), ({"ready": "health"}, "path"), ({"idle_s": 0}, "idle_s"),
               ({"cmd": ["x" * 2000, "y" * 100]}, "2048")]
        for change, word in bad:
            with self.subTest(change):
                daemon = self.daemon(start=False, config={"upstreams": [{**good, **change}]})
                answer = self.run_cli(daemon, "serve", "--check", "--config", str(daemon.config_path))
                self.assertEqual(answer.returncode, 78, answer)
                self.assertIn(word, answer.stderr)
        rows = [good, {**self.row("other"), "url": good["url"]}]
        daemon = self.daemon(start=False, config={"upstreams": rows})
        answer = self.run_cli(daemon, "serve", "--check", "--config", str(daemon.config_path))
        self.assertIn("the port of another one", answer.stderr)


if __name__ == "__main__":
    unittest.main()
