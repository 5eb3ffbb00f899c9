"""Goal: what a browser does is on one GPU: its memory and its turns, and "all slots" are those of the GPU that is
granted (TABS A5). Method: sessions over WebSocket, as a page has one, and native ones beside them.
"""
import unittest

from lib.daemon import DaemonTest
from lib.wait import wait_until

GPUS = ["--fake-gpu", "a:24576:1", "--fake-gpu", "b:8192:4"]


class SeveralGpus(DaemonTest):
    def rows(self, daemon):
        return {row["id"]: row for row in daemon.status()["leases"]}

    def used(self, daemon):
        return [gpu["slots_used"] for gpu in daemon.status()["gpus"]]

    def test_all_of_the_first(self):
        """b has more slots, and one of them is taken: who asks for all of it gets a, at once, and nobody beside."""
        d = self.daemon(args=GPUS)
        d.websocket("small").hold(gpu="b")
        page = d.websocket("page")
        granted = page.hold(slots="all")
        self.assertEqual(granted["gpu"], "a")
        row = self.rows(d)["page"]
        self.assertEqual((row["slots"], row["all_slots"]), (1, True))

    def test_all_of_the_one_that_is_named(self):
        d = self.daemon(args=GPUS)
        granted = d.websocket("page").hold(slots="all", gpu="b")
        self.assertEqual(granted["gpu"], "b")
        self.assertEqual(self.rows(d)["page"]["slots"], 4)
        self.assertEqual([gpu["slots_used"] for gpu in d.status()["gpus"]], [0, 4])
        d.parked("script", gpu="b")

    def test_all_of_both(self):
        """A set of unlike GPUs has all that each has: over a restart and a reload, too, nobody is beside it."""
        d = self.daemon(args=[], config={"gpus": [{"name": "a", "vram_mb": 24576, "slots": 1},
                                                  {"name": "b", "vram_mb": 8192, "slots": 4}]})
        trainer = d.session("trainer")
        granted = trainer.hold(slots="all", gpus=2)
        self.assertEqual([gpu["name"] for gpu in self.rows(d)["trainer"]["gpus"]], ["a", "b"])
        self.assertEqual((self.rows(d)["trainer"]["slots"], self.rows(d)["trainer"]["all_slots"]), (1, True))
        self.assertEqual(self.used(d), [1, 4])
        d.kill()
        d.start()
        trainer = d.session("trainer", resume=trainer.welcome["session"])
        self.assertEqual(self.used(d), [1, 4])
        d.config["gpus"][1]["slots"] = 6
        d.write_config(d.config)
        d.http("POST", "/v1/hot-reload", unix=True)
        self.assertEqual(self.used(d), [1, 6])
        other = d.session("other")
        waiting = other.queue(gpu="b")
        trainer.release(granted["lease"])
        other.wait("granted", ref=waiting["ref"])
        self.assertEqual(self.used(d), [0, 1])

    def test_memory_and_turns_are_on_one(self):
        """The residence is on the browser's GPU, and there the turns are, too, though a program holds it."""
        d = self.daemon(args=["--fake-gpu", "a:24576:1", "--fake-gpu", "b:24576:1"])
        page = d.websocket("Console")
        self.assertEqual(page.hold(slots=0, vram_mb=16384, evictable=True)["gpu"], "a")
        program = d.websocket("llama.cpp")
        held = program.hold(gpu="a", preemptible=False)
        waiting = page.queue()
        self.assertEqual(waiting["why"]["code"], "holder")
        program.release(held["lease"])
        self.assertEqual(page.wait("granted", ref=waiting["ref"])["gpu"], "a")

    def test_turns_follow_a_residence_that_was_named(self):
        d = self.daemon(args=["--fake-gpu", "a:24576:1", "--fake-gpu", "b:24576:1"])
        page = d.websocket("Console")
        self.assertEqual(page.hold(slots=0, vram_mb=1024, evictable=True, gpu="b")["gpu"], "b")
        self.assertEqual(page.hold(slots="all")["gpu"], "b")

    def test_configured(self):
        """By name, from the file, also while it runs; programs go where there is room."""
        d = self.daemon(args=GPUS, config={"browser_gpu": "b"})
        self.assertEqual(d.websocket("page").hold()["gpu"], "b")
        self.assertEqual(d.websocket("other page").hold()["gpu"], "b")
        self.assertEqual(d.lock("script").json()["gpu"], "a")
        self.assertEqual(d.websocket("not a browser").hold(gpu="any", vram_mb=1, slots=0)["gpu"], "a")
        d.write_config({**d.config, "browser_gpu": "a"})
        d.http("POST", "/v1/hot-reload", unix=True)
        d.websocket("third page").queue()

    def test_refused(self):
        """A GPU that is not there is refused, and what is there is named."""
        d = self.daemon(start=False, args=GPUS, config={"browser_gpu": "rtx"})
        d.process = None
        result = self.run_cli(d, *d.command()[1:], "--check")
        self.assertEqual(result.returncode, 78, result)
        self.assertIn("browser_gpu: no GPU is named 'rtx'; there are a, b", result.stderr)
        d.write_config({"browser_gpu": "b"})
        d.start()
        d.write_config({"browser_gpu": "c"})
        answer = d.http("POST", "/v1/hot-reload", unix=True)
        self.assertError(answer, 400, "bad_config")
        self.assertEqual(d.websocket("page").hold()["gpu"], "b")


if __name__ == "__main__":
    unittest.main()
