"""Goal: with real llama.cpp behind Baton, which loads a model into a process's memory and computes words, two models
take turns on a card for one, a voice goes first, and who leaves stops the work. Method: llama_server.mjs as a command
that Baton starts, models by make_gguf.py, the real daemon.

Usage: real_model.py NODE; BATON_BIN names the daemon."""
import json
import os
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from lib.wait import wait_until  # noqa: E402
from llama_test import LlamaTest  # noqa: E402
from make_gguf import WORDS  # noqa: E402


def resident_mb(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:"))


class RealModels(LlamaTest):
    # 70 MB that are really in memory; and one that goes on until it is stopped, at some hundred words a second.
    SHAPES = {"one": {"layers": 8, "width": 4096}, "two": {"layers": 8, "width": 4096}, "endless": {"endless": True}}

    def test_two_on_a_card_for_one(self):
        """Eight requests at once: each gets its model's words, and no two processes are ever there together."""
        daemon = self.behind(self.real("one"), self.real("two"))
        seen, answers, over = [], {}, threading.Event()

        def watch():
            while not over.is_set():
                seen.append((len(self.alive("one")), len(self.alive("two"))))

        def work(i):
            answers[i] = self.ask(daemon, ("one", "two")[i % 2])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        watcher = threading.Thread(target=watch)
        for thread in (watcher, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        watcher.join()
        self.assertEqual([self.said(answers[i]) for i in range(8)], [WORDS] * 8)
        self.assertLessEqual(daemon.log().count("model server started"), 4)  # two, unless a request was late
        self.assertNotIn((1, 1), seen)
        self.assertTrue({(1, 0), (0, 1)} <= set(seen), "both were there")
        left = self.alive("one") + self.alive("two")
        self.assertEqual(len(left), 1)
        self.assertGreater(resident_mb(left[0]), 70)
        training = daemon.lock("training", vram_mb=7000, slots=0, timeout_s=60)
        self.assertEqual((training.status, self.alive("one") + self.alive("two")), (200, []))

    def test_who_leaves_stops_the_work(self):
        row = self.real("endless", vram_mb=1000)
        daemon = self.behind(row)
        reader = self.begin(daemon, "endless", stream=True, max_tokens=100000)
        self.assertEqual(reader.read_head()[0], 200)
        self.assertIn(b"data: ", next(reader.chunks()))
        self.assertEqual(len(daemon.holders()), 2)  # its memory, and the turn
        reader.close()
        wait_until(lambda: [row["label"] for row in daemon.status()["leases"]] == ["endless"], "its turn is over")
        self.assertIn("the broker", self.said(self.ask(daemon, "endless", max_tokens=8)))

    def test_voice_goes_first(self):
        """A text that would go on for minutes gives way, and says so; what was said is not a whole text."""
        daemon = self.behind(self.real("endless", vram_mb=1000), gateway={"finish_s": 1})
        slow = self.begin(daemon, "endless", headers={"x-baton-class": "background"}, stream=True, max_tokens=100000)
        self.assertEqual(slow.read_head()[0], 200)
        chunks = slow.chunks()
        next(chunks)
        voice = self.ask(daemon, "endless", headers={"x-baton-class": "voice"}, max_tokens=16)
        self.assertIn("the broker grants one lease", self.said(voice))
        last = json.loads(b"".join(chunks).rpartition(b"data: {")[2].join((b"{", b"")).split(b"\n")[0])
        self.assertEqual(last["error"]["code"], "outranked")

    def test_killed_in_the_middle(self):
        daemon = self.behind(self.real("endless", vram_mb=1000))
        reader = self.begin(daemon, "endless", stream=True, max_tokens=100000)
        self.assertEqual(reader.read_head()[0], 200)
        chunks = reader.chunks()
        next(chunks)
        os.kill(self.alive("endless")[0], 9)
        self.assertIn(b'"code":"upstream_broken"', b"".join(chunks))
        wait_until(lambda: not daemon.status()["leases"], "its memory is free")


if __name__ == "__main__":
    LlamaTest.NODE = sys.argv[1:2]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
