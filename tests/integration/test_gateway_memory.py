"""A model's memory goes to others when its server gave it back, and not before: whatever the server does when it is
asked, and over restarts of the broker."""
import time
import unittest

from lib.gateway import upstream
from lib.managed import ManagedTest
from lib.wait import wait_until


class GivenBack(ManagedTest):
    """Each time `training` needs more than is left, and looks what is there when it is granted."""

    def training(self, daemon):
        return daemon.park("training", vram_mb=7000, slots=0, timeout_s=60)

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
        self.assertIn("server=ollama", daemon.log())

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


class Restart(ManagedTest):
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

    def test_a_server_that_unloaded_meanwhile(self):
        ollama = self.server("ollama", ["a"], size_mb=6000)
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 6000}]))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        daemon.kill()
        ollama.loaded.clear()
        daemon.start()
        self.assertEqual(daemon.lock("training", vram_mb=7000, timeout_s=30).status, 200)
        self.assertIsNone(self.models(daemon)["models"][0]["failure"])

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
