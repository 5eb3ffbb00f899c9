"""A model's memory goes to others when its server gave it back, and not before: whatever the server does when it is
asked, and over restarts of the broker."""
import re
import subprocess
import tempfile
import threading
import time
import unittest

from lib.gateway import CHAT, upstream
from lib.gpus import Nvml, card
from lib.managed import ManagedTest
from lib.wait import wait_until


class MemoryTest(ManagedTest):
    """Each time `training` needs more than is left, and looks what is there when it is granted."""

    def training(self, daemon):
        return daemon.park("training", vram_mb=7000, slots=0, timeout_s=60)


class GivenBack(MemoryTest):
    def test_a_server_that_does_not_unload(self):
        ollama = self.server("ollama", ["a"], size_mb=6000)
        ollama.unloads_lost = 10 ** 6
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]),
                             timing={"unload_max_s": 1})
        self.assertEqual(self.ask(daemon, "a").status, 200)
        begun = time.monotonic()
        self.assertEqual(self.training(daemon).read_answer().status, 200)
        self.assertGreaterEqual(time.monotonic() - begun, 1)
        self.assertEqual(ollama.loaded, {"a"})
        wait_until(lambda: "model still in memory after its unload" in daemon.log(), "the culprit is named")
        wait_until(lambda: "server=ollama" in daemon.log(), "the log says so")

    def test_a_refused_unload_is_logged_once(self):
        """It is asked for again and again, several times a second."""
        ollama = self.server("ollama", ["a"], size_mb=6000)
        ollama.unloads_lost, ollama.unload_status = 10 ** 6, 404
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]),
                             timing={"unload_max_s": 1})
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(self.training(daemon).read_answer().status, 200)
        self.assertGreater(len(ollama.asked("/api/generate")), 2)
        wait_until(lambda: "model still in memory after its unload" in daemon.log(), "the culprit is named")
        self.assertEqual(daemon.log().count("model server did not unload"), 1)
        self.assertIn("status=404", daemon.log())

    def test_a_failed_load_is_told_at_once(self):
        """Not only when what it may have left behind is gone."""
        ollama = self.server("ollama", ["a"], size_mb=6000)
        ollama.load_status = 500
        ollama.unload_gate.clear()
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]))
        for _ in range(2):
            self.assertError(self.ask(daemon, "a"), 503, "model_failed")
            self.assertEqual(self.state_of(daemon, "a"), "unloading")
        wait_until(lambda: len(ollama.asked("/api/generate")) == 2, "one load and one unload are asked for")

    def test_each_kind_that_unloads(self):
        """What a request loaded is told to go in the kind's own words, and is gone when the server lists it no more."""
        for kind, path in (("lmstudio", "/api/v1/models/unload"), ("localai", "/backend/shutdown"),
                           ("lemonade", "/v1/unload")):
            with self.subTest(kind):
                server = self.server(kind, ["org/a", "b"])
                server.unloads_lost = 2
                daemon = self.behind(upstream(server, kind, vram_mb=6000))
                self.assertEqual(self.ask(daemon, "org/a").status, 200)
                self.assertEqual(server.loaded, {"org/a"})
                self.assertEqual(self.training(daemon).read_answer().status, 200)
                self.assertEqual((server.loaded, len(server.asked(path))), (set(), 3))

    def test_a_load_by_a_request_that_was_cut_off(self):
        """The server loads on, for nobody: it is not listed yet, and its memory is not free."""
        for kind, path in (("lmstudio", "/api/v1/models"), ("localai", "/system"), ("lemonade", "/v1/health")):
            with self.subTest(kind):
                server = self.server(kind, ["a"])
                server.late_load = threading.Event()
                server.gate.clear()
                daemon = self.behind(upstream(server, kind, vram_mb=6000))
                waiting = self.begin(daemon, "a")
                wait_until(lambda: server.asked(CHAT), "it loads")
                waiting.close()
                wait_until(lambda: not self.models(daemon)["requests"], "its client has left")
                training = self.training(daemon)
                seen = len(server.asked(path))
                wait_until(lambda: len(server.asked(path)) > seen + 1, "it is looked for")
                self.assertEqual([row["label"] for row in daemon.status()["leases"]], ["a"])
                server.late_load.set()
                self.assertEqual(training.read_answer().status, 200)
                self.assertEqual(server.loaded, set())

    def test_a_server_that_unloads_late(self):
        ollama = self.server("ollama", ["a"], size_mb=6000)
        ollama.unloads_lost = 20
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(self.training(daemon).read_answer().status, 200)
        self.assertEqual(ollama.loaded, set())

    def test_a_command_that_is_too_slow_to_load(self):
        """It is over its time, and takes another while to end."""
        daemon = self.behind(self.row("it", "hang", "deaf"), timing={"load_max_s": 1})
        waiting = self.begin(daemon, "m")
        wait_until(lambda: self.runs("it"), "it was started")
        self.assertEqual(self.training(daemon).read_answer().status, 200)
        self.assertEqual(self.runs("it"), [])
        self.assertError(waiting.read_answer(), 503, "model_failed")


class NeverFree(MemoryTest):
    """Memory that nobody can be asked for: who uses it is named."""

    def behind_a_card(self, used, **options):
        folder = tempfile.TemporaryDirectory(prefix="bt-nvml-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        nvml = Nvml(folder.name)
        nvml.write(card("GPU-a", 1, used=used[1]), f"process {used[0]} {used[1]} compute")
        plain = self.server("openai", ["m"])
        return plain, self.daemon(args=nvml.args, env=nvml.env, config={
            "vram_headroom_mb": 0, "gateway": {"quiet_s": 0.1, "whole_wait_s": 1, "stream_wait_s": 1},
            "upstreams": [upstream(plain, "plain", vram_mb=20000)]}, **options)

    def stranger(self):
        process = subprocess.Popen(["sleep", "600"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_program_without_a_lease(self):
        stranger = self.stranger()
        plain, daemon = self.behind_a_card((stranger.pid, 10000))
        words = (f"It needs 19.5 GiB of VRAM on gpu0, where 14.2 GiB are free; programs without a lease use 9.8 GiB. "
                 f"sleep (pid {stranger.pid}) uses 10000 MiB.")
        answer = self.ask(daemon, "m")
        self.assertError(answer, 503, "no_headroom")
        self.assertIn(words, answer.json()["error"]["message"])
        stream = self.ask(daemon, "m", stream=True)
        self.assertIn(b"\n: Next: " + words.encode(), b"\n" + stream.body)
        self.assertIn(b'"code":"no_headroom"', stream.body)
        self.assertEqual(plain.asked(CHAT), [])

    def test_a_key_is_told_no_pids(self):
        stranger = self.stranger()
        _, daemon = self.behind_a_card((stranger.pid, 10000))
        key = self.run_cli(daemon, "keys", "new", "web").stdout.split()[0]
        answer = self.ask(daemon, "m", headers={"Authorization": f"Bearer {key}"})
        self.assertError(answer, 503, "no_headroom")
        self.assertIn("programs without a lease use 9.8 GiB", answer.json()["error"]["message"])
        self.assertNotIn(str(stranger.pid), answer.json()["error"]["message"])


class Restart(MemoryTest):
    def restart(self, daemon, how):
        getattr(daemon, how)()
        daemon.start()

    def test_a_server_keeps_its_model(self):
        for how in ("kill", "terminate"):
            with self.subTest(how):
                ollama = self.server("ollama", ["a"], size_mb=6000)
                daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]))
                self.assertEqual(self.ask(daemon, "a").status, 200)
                lease = self.models(daemon)["models"][0]["lease"]
                asked = len(ollama.asked("/api/generate"))
                self.restart(daemon, how)
                wait_until(lambda: self.state_of(daemon, "a") == "ready", "it is known again")
                self.assertEqual(self.models(daemon)["models"][0]["lease"], lease)
                self.assertEqual(len(ollama.asked("/api/generate")), asked)
                self.assertEqual(daemon.lock("training", vram_mb=7000, timeout_s=30).status, 200)
                self.assertEqual(ollama.loaded, set())

    def test_a_load_by_a_request_that_ended_with_the_broker(self):
        server = self.server("lmstudio", ["a"])
        server.late_load = threading.Event()
        server.gate.clear()
        daemon = self.behind(upstream(server, "lmstudio", vram_mb=6000))
        self.begin(daemon, "a")
        wait_until(lambda: server.asked(CHAT), "it loads")
        self.restart(daemon, "kill")
        training = self.training(daemon)
        seen = len(server.asked("/api/v1/models"))
        wait_until(lambda: len(server.asked("/api/v1/models")) > seen + 1, "it is looked for")
        self.assertEqual(daemon.waiting(), ["training"])
        server.late_load.set()
        self.assertEqual(training.read_answer().status, 200)
        self.assertEqual(server.loaded, set())

    def test_a_name_longer_than_its_label(self):
        """It is known again by its server's list or by the configuration; one that the list has no more is let go."""
        name = "registry.example/" + "é" * 30 + "-70b-instruct:q4"
        for named in (False, True):
            with self.subTest(named):
                ollama = self.server("ollama", ["other", name], size_mb=4000)
                models = {"models": [{"name": name, "vram_mb": 6000}]} if named else {}
                daemon = self.behind(upstream(ollama, "ollama", **models))
                self.assertEqual(self.ask(daemon, name).status, 200)
                lease = daemon.status()["leases"][0]["lease"]
                self.restart(daemon, "kill")
                wait_until(lambda: any(row["model"] == name and row["state"] == "ready"
                                       for row in self.models(daemon)["models"]), "it is known again")
                self.assertEqual([row["lease"] for row in daemon.status()["leases"]], [lease])
                self.assertEqual(daemon.lock("training", vram_mb=7000, timeout_s=10).status, 200)
                self.assertEqual(ollama.loaded, set())

    def test_a_name_that_is_listed_no_more(self):
        ollama = self.server("ollama", ["a" * 80], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        self.assertEqual(self.ask(daemon, "a" * 80).status, 200)
        daemon.kill()
        ollama.models = ["other"]
        daemon.start()
        wait_until(lambda: "a model is not in its server's list any more" in daemon.log(), "the log says so")

    def test_a_server_that_unloaded_meanwhile(self):
        ollama = self.server("ollama", ["a"], size_mb=6000)
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        daemon.kill()
        ollama.loaded.clear()
        daemon.start()
        self.assertEqual(daemon.lock("training", vram_mb=7000, timeout_s=30).status, 200)
        self.assertIsNone(self.models(daemon)["models"][0]["failure"])

    def test_a_load_that_was_cut_off(self):
        """The server loads on, for nobody: it is not listed yet, and its memory is not free."""
        ollama = self.server("ollama", ["a"], size_mb=6000)
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]))
        ollama.load_delay.clear()
        self.begin(daemon, "a")
        wait_until(lambda: ollama.asked("/api/generate"), "it loads")
        self.restart(daemon, "kill")
        training = self.training(daemon)
        seen = len(ollama.asked("/api/ps"))
        wait_until(lambda: len(ollama.asked("/api/ps")) > seen + 1, "it is looked for")
        self.assertEqual([row["label"] for row in daemon.status()["leases"]], ["a"])
        ollama.load_delay.set()
        self.assertEqual(training.read_answer().status, 200)
        self.assertEqual(ollama.loaded, set())

    def test_the_configuration_changed_meanwhile(self):
        """The name is another server's, or nobody's: what the old one has is not asked for there, and is kept for a
        while."""
        for kind in ("ollama", "openai", None):
            with self.subTest(kind):
                ollama = self.server("ollama", ["a"], size_mb=6000)
                other = self.server(kind or "openai", ["a"])
                row = {"models": [{"name": "a", "vram_mb": 6000}]}
                daemon = self.behind(upstream(ollama, "it", **row),
                                     timing={"restart_linger_s": 1, "unload_max_s": 1})
                self.assertEqual(self.ask(daemon, "a").status, 200)
                daemon.kill()
                daemon.write_config({**daemon.config, "upstreams": [upstream(other, "it", **row)] if kind else []})
                begun = time.monotonic()
                daemon.start()
                wait_until(lambda: re.search("(it|a model's server) is not in the configuration", daemon.log()),
                           "the log says so")
                self.assertEqual(self.training(daemon).read_answer().status, 200)
                self.assertGreaterEqual(time.monotonic() - begun, 2)
                self.assertEqual(ollama.loaded, {"a"})
                self.assertEqual(other.asked("/api/ps"), [])

    def test_a_command_ends_with_its_broker(self):
        """Its memory is free when it is gone, and the next request starts it again."""
        daemon = self.behind(self.row("it", "deaf"))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        self.restart(daemon, "kill")
        answer = daemon.lock("training", vram_mb=7000, timeout_s=30)
        self.assertEqual((answer.status, self.runs("it")), (200, []))
        daemon.unlock(answer.json()["token"])
        self.assertEqual(self.ask(daemon, "m").status, 200)

    def test_a_command_is_wanted_at_once(self):
        daemon = self.behind(self.row("it", "deaf"))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        self.restart(daemon, "kill")
        self.assertEqual(self.ask(daemon, "m").status, 200)
        self.assertIsNone(self.failure(daemon))


if __name__ == "__main__":
    unittest.main()
