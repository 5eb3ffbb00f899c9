"""Model servers that come, go and change while requests run: the configuration read again."""
import threading
import unittest

from lib.gateway import CHAT, GatewayTest, upstream
from lib.wait import wait_until


class Reloaded(GatewayTest):
    def again(self, daemon, *upstreams, **fields):
        """The same configuration with these model servers; the answer."""
        daemon.write_config({**daemon.config, "upstreams": list(upstreams), **fields})
        return daemon.http("POST", "/v1/hot-reload", unix=True)

    def take(self, daemon, *upstreams, **fields):
        answer = self.again(daemon, *upstreams, **fields)
        self.assertEqual(answer.status, 200, answer)
        self.assertNotIn("upstreams", answer.json()["needs_restart"])
        return answer

    def leases(self, daemon):
        return [row["label"] for row in daemon.status()["leases"]]

    def places(self, daemon):
        return [gpu["name"] for row in daemon.status()["leases"] for gpu in row["gpus"]]

    def names(self, daemon):
        return [row["id"] for row in daemon.http("GET", "/v1/models").json()["data"]]

    def test_the_first_one(self):
        """A daemon that was started without any."""
        daemon = self.behind()
        plain = self.server("openai", ["m"])
        answer = self.take(daemon, upstream(plain, "plain", vram_mb=1000))
        # A changed file is also seen by itself, and may have been applied a moment before.
        wait_until(lambda: "upstreams" in answer.json()["changed"] or "upstreams" in daemon.log(), "it says what")
        self.assertEqual(self.ask(daemon, "m").status, 200)

    def test_added(self):
        one, two = self.server("openai", ["a"]), self.server("openai", ["b"])
        daemon = self.behind(upstream(one, "one", vram_mb=1000))
        self.assertError(self.ask(daemon, "b"), 404, "model_not_found")
        self.take(daemon, upstream(one, "one", vram_mb=1000), upstream(two, "two", vram_mb=1000))
        self.assertEqual([self.ask(daemon, name).status for name in "ba"], [200, 200])

    def test_removed_finishes_and_leaves(self):
        one, two = self.server("ollama", ["a"]), self.server("openai", ["b"])
        daemon = self.behind(upstream(one, "one"), upstream(two, "two", vram_mb=1000), gateway={"finish_s": 0})
        go_on = threading.Event()
        one.pieces = [b"data: {}\n\n", go_on.is_set, b"data: [DONE]\n\n"]
        stream = self.begin(daemon, "a", stream=True)
        self.assertEqual(stream.read_head()[0], 200)
        chunks = stream.chunks()
        self.assertEqual(next(chunks), b"data: {}\n\n")
        waits = self.begin(daemon, "a")  # for its turn, at a server that is about to go
        wait_until(lambda: len(daemon.waiting()) == 1, "it waits")

        self.take(daemon, upstream(two, "two", vram_mb=1000))
        self.assertError(waits.read_answer(), 404, "model_not_found")
        self.assertNotIn("a", self.names(daemon))
        self.assertError(self.ask(daemon, "a"), 404, "model_not_found")
        self.assertEqual(self.state_of(daemon, "a"), "leaving")
        self.assertIn("a", one.loaded)
        go_on.set()
        self.assertTrue(b"".join(chunks).endswith(b"data: [DONE]\n\n"))
        wait_until(lambda: not one.loaded, "its model left memory")
        wait_until(lambda: "a" not in self.leases(daemon), "its lease ended")
        wait_until(lambda: "a" not in [row["model"] for row in self.models(daemon)["models"]], "it is forgotten")
        self.assertEqual(self.ask(daemon, "b").status, 200)

    def test_removed_while_it_loads(self):
        one = self.server("ollama", ["a"])
        daemon = self.behind(upstream(one, "one"))
        one.load_delay.clear()
        waits = self.begin(daemon, "a")
        wait_until(lambda: one.asked("/api/generate"), "it loads")
        self.take(daemon)
        self.assertError(waits.read_answer(), 404, "model_not_found")
        one.load_delay.set()
        wait_until(lambda: not self.models(daemon)["models"], "it is forgotten")
        self.assertEqual(one.loaded, set())
        self.assertEqual(self.leases(daemon), [])

    def test_another_url(self):
        """Who waits is served by the one that has the name now."""
        old, new = self.server("ollama", ["a"]), self.server("ollama", ["a"])
        daemon = self.behind(upstream(old, "it"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        game = daemon.lock("game").json()["token"]
        waits = self.begin(daemon, "a")
        wait_until(lambda: len(daemon.waiting()) == 1, "it waits for its turn")
        self.take(daemon, upstream(new, "it"))
        daemon.unlock(game)
        self.assertEqual(waits.read_answer().status, 200)
        self.assertEqual((len(old.asked(CHAT)), len(new.asked(CHAT))), (1, 1))
        wait_until(lambda: not old.loaded, "the old one gave its memory back")
        self.assertEqual(new.loaded, {"a"})

    def test_another_url_while_it_loads(self):
        """The old one loads on, and keeps its lease until it has given its memory back; the new one has its own."""
        old, new = self.server("ollama", ["a"], size_mb=5000), self.server("ollama", ["a"], size_mb=5000)
        row = {"models": [{"name": "a", "vram_mb": 5000}]}
        daemon = self.behind(upstream(old, "it", **row))
        old.load_delay.clear()
        waits = self.begin(daemon, "a")
        wait_until(lambda: old.asked("/api/generate"), "it loads")
        self.take(daemon, upstream(new, "it", **row))
        wait_until(lambda: len(daemon.waiting()) == 1, "the new one waits for the memory")
        self.assertEqual(len(self.leases(daemon)), 1)
        self.assertEqual(new.asked("/api/generate"), [])
        old.load_delay.set()
        self.assertEqual(waits.read_answer().status, 200)
        self.assertEqual((old.loaded, new.loaded), (set(), {"a"}))

    def test_removed_and_there_again(self):
        """Before it has left memory: it is the same one, with its lease."""
        one = self.server("ollama", ["a"], size_mb=5000)
        row = upstream(one, "it", models=[{"name": "a", "vram_mb": 5000}])
        daemon = self.behind(row)
        one.pieces = [b"data: {}\n\n", (go_on := threading.Event()).is_set, b"data: [DONE]\n\n"]
        stream = self.begin(daemon, "a", stream=True)
        self.assertEqual(stream.read_head()[0], 200)
        self.take(daemon)
        self.take(daemon, row)
        waits = self.begin(daemon, "a")
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "another asks for it")
        go_on.set()
        list(stream.chunks())
        self.assertEqual(waits.read_answer().status, 200)
        self.assertEqual(self.leases(daemon), ["a"])
        self.assertEqual(one.loaded, {"a"})
        self.assertEqual(len(self.models(daemon)["models"]), 1)

        one.unloads_lost = 2  # and once more while it is unloaded
        self.take(daemon)
        wait_until(lambda: self.state_of(daemon, "a") == "unloading", "it leaves")
        self.take(daemon, row)
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(self.leases(daemon), ["a"])
        self.assertEqual(one.loaded, {"a"})

    def test_another_name_behind_an_alias(self):
        """A request that had to give way goes to another server, and its body has that one's name of the model."""
        alias = "the-best-model-" + "x" * 90
        one, two, voice = self.server("openai", ["q"]), self.server("openai", ["zzz"]), self.server("openai", ["v"])
        spoken = upstream(voice, "v", vram_mb=100)
        daemon = self.behind(upstream(one, "one", models=[{"name": "q", "alias": alias, "vram_mb": 1000}]), spoken,
                             timing={"min_run_s": 0})
        one.gate.clear()
        voice.gate.clear()
        client = self.begin(daemon, alias, encoding_format="float")
        wait_until(lambda: one.running == 1, "it runs")
        self.begin(daemon, "v", headers={"x-baton-class": "voice"})
        wait_until(lambda: voice.running == 1, "it gave way")
        self.take(daemon, upstream(two, "two", models=[{"name": "zzz", "alias": alias, "vram_mb": 1000}]), spoken)
        one.gate.set()
        voice.gate.set()
        self.assertEqual(client.read_answer().status, 200)
        self.assertEqual([row[3] for row in two.asked(CHAT)],
                         [b'{"model": "zzz", "messages": [], "encoding_format": "float"}'])

    def test_another_key_and_other_models(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        key = daemon.dir / "key"
        key.write_text("upstream-secret-0123456789\n", encoding="ascii")
        key.chmod(0o600)
        self.take(daemon, upstream(plain, "plain", key_file=str(key),
                                   models=[{"name": "m", "alias": "gpt-4o", "vram_mb": 500}]))
        self.assertEqual(self.ask(daemon, "gpt-4o").status, 200)
        self.assertEqual(plain.asked(CHAT)[-1][2]["authorization"], "Bearer upstream-secret-0123456789")
        key.write_text("upstream-secret-9876543210\n", encoding="ascii")  # the same file
        self.take(daemon, upstream(plain, "plain", key_file=str(key), vram_mb=1000))
        self.assertError(self.ask(daemon, "gpt-4o"), 404, "model_not_found")
        self.assertEqual(self.ask(daemon, "m").status, 200)
        self.assertEqual(plain.asked(CHAT)[-1][2]["authorization"], "Bearer upstream-secret-9876543210")

    def test_a_size_that_was_missing(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain"))
        self.assertError(self.ask(daemon, "m"), 503, "model_failed")
        self.take(daemon, upstream(plain, "plain", models=[{"name": "m", "vram_mb": 500}]))
        self.assertEqual(self.ask(daemon, "m").status, 200)

    def test_another_gpu(self):
        ollama = self.server("ollama", ["a"])
        gpus = [{"name": name, "vram_mb": 8000} for name in ("left", "right")]
        daemon = self.behind(upstream(ollama, "it", gpu="left"), gpus=gpus)
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(self.places(daemon), ["left"])
        self.take(daemon, upstream(ollama, "it", gpu="right"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        wait_until(lambda: self.places(daemon) == ["right"], "it moved")
        self.take(daemon, upstream(ollama, "it", gpu="none"))
        wait_until(lambda: self.leases(daemon) == [], "it takes no lease")
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(self.leases(daemon), [])

    def test_a_bad_one_changes_nothing(self):
        one, two = self.server("openai", ["a"]), self.server("openai", ["b"])
        daemon = self.behind(upstream(one, "one", vram_mb=1000))
        good = upstream(two, "two", vram_mb=1000)
        for bad in ({"kind": "unknown"}, {"gpu": "gpu7"}, {"key_file": "/nonexistent/key"}, {"name": "two"}):
            with self.subTest(bad):
                answer = self.again(daemon, good, {**upstream(one, "one", vram_mb=1000), **bad})
                self.assertError(answer, 400, "bad_config")
                self.assertEqual(self.ask(daemon, "a").status, 200)
                self.assertError(self.ask(daemon, "b"), 404, "model_not_found")

    def test_times_of_the_gateway(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.assertEqual(daemon.lock("game").status, 200)
        self.take(daemon, upstream(plain, "plain", vram_mb=1000), gateway={"quiet_s": 0.1, "whole_wait_s": 0.3})
        self.assertError(self.ask(daemon, "m"), 503, "timeout")

    def test_streams_of_those_that_stay(self):
        """To and fro with other servers, while one streams."""
        one, two = self.server("openai", ["a"]), self.server("ollama", ["b"])
        daemon = self.behind(upstream(one, "one", vram_mb=1000))
        go_on = threading.Event()
        one.pieces = [b"data: {}\n\n", go_on.is_set, b"data: [DONE]\n\n"]
        stream = self.begin(daemon, "a", stream=True)
        self.assertEqual(stream.read_head()[0], 200)
        for _ in range(5):
            self.take(daemon, upstream(two, "two"), upstream(one, "one", vram_mb=1000))
            self.take(daemon, upstream(one, "one", vram_mb=1000))
        go_on.set()
        self.assertTrue(b"".join(stream.chunks()).endswith(b"data: [DONE]\n\n"))


if __name__ == "__main__":
    unittest.main()
