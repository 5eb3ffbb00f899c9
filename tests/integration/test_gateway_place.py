"""Servers that have one model at a time: whose the place is, over switches, restarts and reloads."""
import itertools
import json
import unittest

from lib.gateway import GatewayTest, upstream
from lib.wait import holds_for, wait_until

KINDS = (("koboldcpp", ("a.kcpps", "b.gguf")), ("tabbyapi", ("a", "b")))


class OnePlace(GatewayTest):
    def row(self, server, name="it"):
        return upstream(server, name, models=[{"name": model, "vram_mb": 3000} for model in server.models])

    def training(self, daemon):
        """It needs more than is left, and looks what is there when it is granted."""
        return daemon.park("training", vram_mb=7000, slots=0, timeout_s=60)

    def unloads(self, server):
        return [row for row in server.requests if row[1].endswith("/unload") or b"unload_model" in row[3]]

    def single(self, kind, models, **options):
        server = self.server(kind, models)
        return server, self.behind(self.row(server), **options)

    def test_a_server_with_one_place(self):
        """Told to load and to unload. Another model's load waits until the first has left."""
        for kind, names in KINDS:
            with self.subTest(kind):
                server, daemon = self.single(kind, names)
                for name in (*names, names[0]):
                    self.assertEqual(self.ask(daemon, name).status, 200)
                    self.assertEqual(server.loaded, {name})
                self.assertEqual(server.most_loaded, 1)  # each was put out before
                self.assertEqual(self.training(daemon).read_answer().status, 200)
                self.assertEqual(server.loaded, set())

    def test_what_has_the_one_place(self):
        """It was started with another one, or with the right one."""
        for kind, names in (("koboldcpp", ("a.kcpps", "x.gguf")), ("tabbyapi", ("a", "x"))):
            with self.subTest(kind):
                server, daemon = self.single(kind, names[:1])
                server.loaded = {names[1]}
                self.assertEqual(self.ask(daemon, names[0]).status, 200)
                self.assertEqual((server.loaded, server.most_loaded), ({names[0]}, 1))
                load = ("POST", "/v1/model/load" if kind == "tabbyapi" else "/api/admin/reload_config")
                again, daemon = self.single(kind, names[:1])
                again.loaded = {names[0]}
                self.assertEqual(self.ask(daemon, names[0]).status, 200)
                self.assertNotIn(load, [row[:2] for row in again.requests])

    def test_a_name_that_is_said_in_part(self):
        """KoboldCpp leaves out of a file's name what is no letter, digit, dot, dash or underscore."""
        server, daemon = self.single("koboldcpp", ("My Model (Q4+).gguf", "x.gguf"))
        for name in (*server.models, server.models[0]):
            self.assertEqual(self.ask(daemon, name).status, 200)
            self.assertEqual(server.loaded, {name})

    def test_what_does_not_leave(self):
        """It says that it unloads, and does not: the next one fails, and the old one is still there."""
        for kind, (a, b) in KINDS:
            with self.subTest(kind):
                server, daemon = self.single(kind, (a, b), timing={"unload_max_s": 1})
                self.assertEqual(self.ask(daemon, a).status, 200)
                server.unloads_lost = 10 ** 6
                answer = self.ask(daemon, b)
                self.assertError(answer, 503, "model_failed")
                self.assertIn("did not leave", answer.json()["error"]["message"])
                self.assertEqual(self.ask(daemon, a).status, 200)

    def test_a_server_that_restarts(self):
        """It has nothing any more, or what it is started with: that does not answer in the other's name."""
        for kind, (a, b) in KINDS:
            for after in (set(), {b}):
                with self.subTest(kind, after=after):
                    server, daemon = self.single(kind, (a, b))
                    running = self.running(daemon, server, a)
                    server.loaded = after
                    server.hang_up()
                    self.assertError(running.read_answer(), 502, "upstream_broken")
                    wait_until(lambda: self.state_of(daemon, a) == "not loaded", "it is seen")  # noqa: B023
                    wait_until(lambda: server.running == 0, "its work is over")  # noqa: B023
                    server.gate.set()
                    self.assertEqual(self.ask(daemon, a).status, 200)
                    self.assertEqual(server.loaded, {a})

    def test_what_runs_keeps_its_one_place(self):
        server, daemon = self.single("tabbyapi", ("a", "b"))
        server.gate.clear()
        running = self.begin(daemon, "a")
        wait_until(lambda: server.running == 1, "it runs")
        other = self.begin(daemon, "b")
        wait_until(lambda: self.state_of(daemon, "b") == "loading", "the other one has its memory")
        holds_for(lambda: server.loaded == {"a"}, "its place is waited for", 0.5)
        server.gate.set()
        self.assertEqual([connection.read_answer().status for connection in (running, other)], [200, 200])
        self.assertEqual(server.loaded, {"b"})
        switch = self.models(daemon)["switches"][0]
        self.assertEqual((switch["model"], [row["model"] for row in switch["left"]]), ("b", ["a"]))

    def test_why_it_waits(self):
        server, daemon = self.single("tabbyapi", ("a", "b"), gateway={"quiet_s": 0.1})
        running = self.running(daemon, server, "a")
        other = self.begin(daemon, "b", stream=True)
        self.assertEqual(other.read_head()[0], 200)
        chunks = other.chunks()
        self.assertIn(b": waiting for another model to leave its server for", b"".join(itertools.islice(chunks, 20)))
        server.gate.set()
        self.assertIn(b"[DONE]", b"".join(chunks))
        self.assertEqual(running.read_answer().status, 200)

    def test_a_load_that_brings_something_else(self):
        """KoboldCpp goes back to what it was started with; TabbyAPI says so within its stream."""
        for kind, name in (("koboldcpp", "a.kcpps"), ("tabbyapi", "a")):
            with self.subTest(kind):
                server, daemon = self.single(kind, [name])
                server.load_status = 500
                self.assertError(self.ask(daemon, name), 503, "model_failed")
                wait_until(lambda: server.loaded == set(), "what it has instead is put out")
                wait_until(lambda: self.state_of(daemon, name) == "not loaded", "its memory is free")

    def test_a_load_that_is_refused(self):
        server, daemon = self.single("koboldcpp", ["a.kcpps"])
        server.takes_loads = False
        answer = self.ask(daemon, "a.kcpps")
        self.assertError(answer, 503, "model_failed")
        self.assertIn("did not do what it was told", answer.json()["error"]["message"])

    def running(self, daemon, server, model):
        """A request that the server works on until its gate is opened."""
        server.gate.clear()
        connection = self.begin(daemon, model)
        wait_until(lambda: server.running == 1, "it runs")
        return connection

    def test_no_longer_wanted_while_it_waits(self):
        """Nothing is switched for nobody."""
        server, daemon = self.single("tabbyapi", ("a", "b"))
        running = self.running(daemon, server, "a")
        other = self.begin(daemon, "b")
        wait_until(lambda: self.state_of(daemon, "b") == "loading", "it waits for the place")
        other.close()
        wait_until(lambda: self.state_of(daemon, "b") == "not loaded", "its memory is given back")
        server.gate.set()
        self.assertEqual(running.read_answer().status, 200)
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual((server.loaded, self.unloads(server)), ({"a"}, []))

    def test_a_wait_for_the_place_is_no_load(self):
        """However long it is: it is not what failed."""
        server, daemon = self.single("tabbyapi", ("a", "b"), timing={"load_max_s": 1}, gateway={"finish_s": 600})
        running = self.running(daemon, server, "a")
        other = self.begin(daemon, "b")
        wait_until(lambda: any(row["model"] == "b" and row["state"] == "loading"
                               for row in self.models(daemon)["models"]), "it waits for the place")
        first = self.lease_of(daemon, "b")
        wait_until(lambda: self.lease_of(daemon, "b") not in (None, first), "it asked for its memory again")
        server.gate.set()
        self.assertEqual([connection.read_answer().status for connection in (running, other)], [200, 200])

    def lease_of(self, daemon, model):
        return next((row["lease"] for row in daemon.status()["leases"] if row["label"] == model), None)

    def test_a_broker_that_was_killed(self):
        """What it had brought in still has the place and its memory, and goes before others come."""
        for kind, (a, b) in KINDS:
            with self.subTest(kind):
                server, daemon = self.single(kind, (a, b))
                self.assertEqual(self.ask(daemon, a).status, 200)
                self.again(daemon)
                wait_until(lambda: self.state_of(daemon, a) == "ready", "it is known again")
                running = self.running(daemon, server, a)
                other = self.begin(daemon, b)
                wait_until(lambda: self.state_of(daemon, b) == "loading", "the other one has its memory")
                holds_for(lambda: server.loaded == {a}, "its place is waited for", 0.5)
                server.gate.set()
                self.assertEqual([connection.read_answer().status for connection in (running, other)], [200, 200])
                self.assertEqual(server.loaded, {b})
                self.again(daemon)
                self.assertEqual(self.training(daemon).read_answer().status, 200)
                self.assertEqual(server.loaded, set())

    def again(self, daemon):
        daemon.kill()
        daemon.start()

    def test_killed_while_another_one_waits_for_the_place(self):
        """That one had none, and puts nobody out."""
        server, daemon = self.single("tabbyapi", ("a", "b"))
        self.running(daemon, server, "a")
        self.begin(daemon, "b")
        wait_until(lambda: self.state_of(daemon, "b") == "loading", "it waits for the place")
        self.again(daemon)
        server.gate.set()
        wait_until(lambda: server.running == 0, "the old request is over")
        wait_until(lambda: self.state_of(daemon, "a") == "ready", "the first one is known again")
        wait_until(lambda: self.state_of(daemon, "b") == "not loaded", "the second one had nothing", 5)
        self.assertEqual((server.loaded, self.unloads(server)), ({"a"}, []))
        self.assertEqual([self.ask(daemon, name).status for name in "ab"], [200, 200])

    def test_killed_while_it_loads(self):
        """That load may still come: nothing else is loaded before."""
        server, daemon = self.single("tabbyapi", ("a", "b"))
        server.load_delay.clear()
        self.begin(daemon, "a")
        wait_until(lambda: server.asked("/v1/model/load"), "it loads")
        self.again(daemon)
        other = self.begin(daemon, "b")
        wait_until(lambda: self.state_of(daemon, "b") == "loading", "the other one has its memory")
        holds_for(lambda: len(server.asked("/v1/model/load")) == 1, "its place is waited for", 0.5)
        server.load_delay.set()
        self.assertEqual(other.read_answer().status, 200)
        self.assertEqual((server.loaded, server.most_loaded), ({"b"}, 1))

    def test_another_name_for_the_same_server(self):
        """After a reload: what still runs there by the old name has the place."""
        server, daemon = self.single("tabbyapi", ("a", "b"))
        running = self.running(daemon, server, "a")
        daemon.write_config({**daemon.config, "upstreams": [self.row(server, "renamed")]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        other = self.begin(daemon, "b")
        wait_until(lambda: self.state_of(daemon, "b") == "loading", "the other one has its memory")
        holds_for(lambda: not self.unloads(server), "its place is waited for", 0.5)
        server.gate.set()
        self.assertEqual([connection.read_answer().status for connection in (running, other)], [200, 200])
        self.assertEqual((server.loaded, server.most_loaded), ({"b"}, 1))

    def test_who_waits_longest_is_next(self):
        server, daemon = self.single("tabbyapi", ("a", "b", "c"), gpus=[{"name": "gpu0", "vram_mb": 9000}])
        running = [self.running(daemon, server, "a")]
        for name in "bc":
            running.append(self.begin(daemon, name))
            wait_until(lambda: self.state_of(daemon, name) == "loading", "it waits for the place")  # noqa: B023
        server.gate.set()
        self.assertEqual([connection.read_answer().status for connection in running], [200] * 3)
        loads = [json.loads(row[3])["model_name"] for row in server.asked("/v1/model/load")]
        self.assertEqual(loads, ["a", "b", "c"])


if __name__ == "__main__":
    unittest.main()
