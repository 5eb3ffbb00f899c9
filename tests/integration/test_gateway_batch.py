"""Two models on a card for one: who waits for the one in memory is served before it leaves for another, for a quantum
at most; nobody of a higher class waits for that."""
import json
import threading
import unittest

from lib.gateway import CHAT, GatewayTest, upstream
from lib.wait import holds_for, wait_until


class Batch(GatewayTest):
    def setUp(self):
        super().setUp()
        self.ollama = self.server("ollama", ["a", "b"], size_mb=6000)

    def start(self, **timing):
        """Model `a` is in memory, and somebody else has the turn."""
        models = [{"name": name, "vram_mb": 6000} for name in "ab"]
        daemon = self.behind(upstream(self.ollama, "ollama", models=models), timing=timing)
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.game = daemon.lock("game").json()["token"]
        self.ollama.requests.clear()
        return daemon

    def wait_for(self, daemon, *models, **headers):
        """Requests on their way, and each is known to the broker; their connections."""
        before = len(self.models(daemon)["requests"])
        sent = []
        for i, model in enumerate(models):
            sent.append(self.begin(daemon, model, headers=headers))
            wait_until(lambda: len(self.models(daemon)["requests"]) == before + i + 1, "it waits")
        return sent

    def waits_for_memory(self, daemon):
        wait_until(lambda: self.state_of(daemon, "b") == "waiting for memory", "it waits for the other one")
        self.assertEqual(self.state_of(daemon, "a"), "ready")

    def order(self):
        return "".join(json.loads(row[3])["model"] for row in self.ollama.asked(CHAT))

    def loads(self, model):
        return [row for row in self.ollama.asked("/api/generate")
                if b'"keep_alive":-1' in row[3] and json.loads(row[3])["model"] == model]

    def answers(self, sent):
        self.assertEqual([one.read_answer().status for one in sent], [200] * len(sent))

    def test_before_it_leaves(self):
        daemon = self.start()
        sent = self.wait_for(daemon, "a", "b", "a", "b", "a", "b")
        self.waits_for_memory(daemon)
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order(), "aaabbb")
        self.assertEqual((len(self.loads("a")), len(self.loads("b"))), (0, 1))

    def test_who_comes_later(self):
        daemon = self.start()
        sent = self.wait_for(daemon, "a", "b")
        self.waits_for_memory(daemon)
        sent += self.wait_for(daemon, "a")
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order(), "aab")

    def test_a_voice_for_the_other(self):
        daemon = self.start()
        sent = self.wait_for(daemon, "a", "b", "a")
        self.waits_for_memory(daemon)
        sent += self.wait_for(daemon, "b", **{"x-baton-class": "voice"})
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order()[0], "b")

    def test_less_urgent(self):
        """A background request does not keep a chat's model out."""
        daemon = self.start(quantum_s=600)
        sent = self.wait_for(daemon, "a", **{"x-baton-class": "background"})
        sent += self.wait_for(daemon, "b")
        wait_until(lambda: self.ollama.loaded == {"b"}, "it left at once")
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order(), "ba")

    def test_no_turn_in_time(self):
        """The time is over while somebody else has the turn."""
        daemon = self.start(quantum_s=1)
        sent = self.wait_for(daemon, "a", "b")
        wait_until(lambda: self.ollama.loaded == {"b"}, "the other one has the memory")
        self.assertEqual(self.order(), "")
        daemon.unlock(self.game)
        self.answers(sent)

    def test_who_waits_leaves(self):
        daemon = self.start(quantum_s=600)
        gone, other = self.wait_for(daemon, "a", "b")
        self.waits_for_memory(daemon)
        gone.close()
        wait_until(lambda: self.ollama.loaded == {"b"}, "there is nobody to wait for")
        daemon.unlock(self.game)
        self.answers([other])


class Parallel(GatewayTest):
    """A server that works on several requests at once has them in one turn."""

    def start(self, parallel=3, kind="openai", **options):
        self.plain = self.server(kind, ["m"])
        self.addCleanup(self.plain.gate.set)
        daemon = self.behind(upstream(self.plain, "plain", vram_mb=1000, parallel=parallel), **options)
        self.assertEqual(self.ask(daemon, "m").status, 200)
        self.plain.requests.clear()
        self.plain.gate.clear()
        return daemon

    def ask_for(self, daemon, count, runs, **headers):
        """So many more; as many as run then."""
        sent = [self.begin(daemon, "m", headers=headers) for _ in range(count)]
        wait_until(lambda: self.plain.running == runs, "they run")
        return sent

    def turns(self, daemon):
        return [row["lease"] for row in daemon.status()["leases"] if row["slots"] == 1]

    def shown(self, daemon):
        """Those that run first: their bodies may come in another order than their heads."""
        return sorted((row["state"], row["lease"]) for row in self.models(daemon)["requests"])

    def test_in_one_turn(self):
        """As many as it may; the turn is over with the last of them, whoever began it."""
        daemon = self.start()
        sent = self.ask_for(daemon, 5, 3)
        wait_until(lambda: len(daemon.waiting()) == 2, "two wait")
        turn, = self.turns(daemon)
        self.assertEqual(self.shown(daemon)[:3], [("running", turn)] * 3)
        sent.pop(0).close()
        wait_until(lambda: len(self.models(daemon)["requests"]) == 4, "one has left")
        self.assertEqual(self.turns(daemon), [turn])
        self.plain.gate.set()
        self.assertEqual([one.read_answer().status for one in sent], [200] * 4)
        wait_until(lambda: not self.turns(daemon) and not daemon.waiting(), "all turns are over")

    def test_one_by_one(self):
        """Where nothing is said of it, and who is of another class."""
        daemon = self.start(parallel=1)
        self.ask_for(daemon, 2, 1)
        wait_until(lambda: len(daemon.waiting()) == 1, "one waits")

    def test_others_come_between(self):
        """While somebody else waits nobody joins; those who waited before come along."""
        daemon = self.start()
        first = self.ask_for(daemon, 1, 1)
        game = daemon.park("game", **{"class": "chat"})
        wait_until(lambda: daemon.waiting() == ["game"], "it waits")
        sent = [self.begin(daemon, "m") for _ in range(3)]
        wait_until(lambda: len(daemon.waiting()) == 4, "they wait behind it")
        self.assertEqual(self.plain.running, 1)
        self.plain.gate.set()
        token = game.read_answer().json()["token"]
        self.plain.gate.clear()
        self.assertEqual(first[0].read_answer().status, 200)
        wait_until(lambda: self.plain.running == 0, "none of them runs")
        daemon.unlock(token)
        wait_until(lambda: self.plain.running == 3, "they have one turn")
        self.assertEqual(len(self.turns(daemon)), 1)
        self.plain.gate.set()
        self.assertEqual([one.read_answer().status for one in sent], [200] * 3)

    def test_others_leave_again(self):
        """Whoever waited for their sake alone joins the turn that runs."""
        daemon = self.start(parallel=9)
        sent = self.ask_for(daemon, 1, 1)
        game = daemon.parked("game", **{"class": "chat"})
        sent += [self.begin(daemon, "m") for _ in range(8)]
        wait_until(lambda: len(daemon.waiting()) == 9, "they wait behind it")
        holds_for(lambda: self.plain.running == 1, "none of them runs", 2)
        game.close()
        wait_until(lambda: self.plain.running == 9, "they have joined", 6)
        turn, = self.turns(daemon)
        self.assertEqual(self.shown(daemon), [("running", turn)] * 9)
        wait_until(lambda: not daemon.waiting(), "nobody waits")
        self.plain.gate.set()
        self.assertEqual([one.read_answer().status for one in sent], [200] * 9)

    def test_room_again(self):
        """Who waits has it at once, while the turn goes on."""
        daemon = self.start(parallel=2)
        self.plain.pieces = lambda pieces: [pieces[0], lambda: False]
        self.plain.gate.set()
        self.begin(daemon, "m", stream=True)
        wait_until(lambda: self.plain.running == 1, "a long one runs")
        sent = [self.begin(daemon, "m") for _ in range(20)]
        wait_until(lambda: len(self.plain.requests) == 21, "they are asked one after the other", 10)
        self.assertEqual([one.read_answer().status for one in sent], [200] * 20)
        self.assertEqual(len(self.turns(daemon)), 1)

    def test_an_old_turn(self):
        """Whoever comes to it joins, and nothing that runs is cut short: nobody else waits."""
        daemon = self.start(config={"classes": {"chat": {"hold_max_s": 1}}}, gateway={"finish_s": 0.2})
        go_on = threading.Event()
        self.plain.pieces = lambda pieces: [pieces[0], go_on.is_set, *pieces[1:]]
        self.plain.gate.set()
        long = self.begin(daemon, "m", stream=True)
        self.assertEqual(long.read_head()[0], 200)
        self.plain.gate.clear()
        turn, = self.turns(daemon)
        holds_for(lambda: self.turns(daemon) == [turn], "it goes on", 1.2)
        later = self.ask_for(daemon, 2, 3)
        holds_for(lambda: self.plain.running == 3 and not daemon.waiting(), "they run together", 0.5)
        self.plain.gate.set()
        self.assertEqual([one.read_answer().status for one in later], [200] * 2)
        go_on.set()
        self.assertTrue(b"".join(long.chunks()).endswith(b"data: [DONE]\n\n"))

    def test_the_end_of_an_old_turn(self):
        """At its hold limit it ends for the one that had all of it; who joined later is asked again, behind others."""
        daemon = self.start(config={"classes": {"chat": {"hold_max_s": 5}}}, gateway={"finish_s": 0.2})
        first, = self.ask_for(daemon, 1, 1)
        holds_for(lambda: self.plain.running == 1, "it has all of its turn", 5)
        later, = self.ask_for(daemon, 1, 2)
        game = daemon.park("game", **{"class": "chat"})
        self.assertError(first.read_answer(), 503, "outranked")
        token = game.read_answer().json()["token"]
        wait_until(lambda: self.plain.running == 0, "none of them runs")
        self.assertEqual(len(daemon.waiting()), 1)
        daemon.unlock(token)
        wait_until(lambda: self.plain.running == 1, "it is asked again")
        self.plain.gate.set()
        self.assertEqual(later.read_answer().status, 200)

    def test_taken_back(self):
        """A voice takes the turn of all of them, which are asked again later."""
        daemon = self.start()
        sent = self.ask_for(daemon, 3, 3)
        voice = daemon.park("voice", **{"class": "voice"})
        token = voice.read_answer().json()["token"]
        wait_until(lambda: self.plain.running == 0, "the server hears of it")
        self.assertEqual(len(daemon.waiting()), 3)
        daemon.unlock(token)
        wait_until(lambda: self.plain.running == 3, "they are asked again")
        self.assertEqual(len(self.turns(daemon)), 1)
        self.plain.gate.set()
        self.assertEqual([one.read_answer().status for one in sent], [200] * 3)

    def test_revoked(self):
        daemon = self.start()
        sent = self.ask_for(daemon, 3, 3)
        daemon.http("POST", f"/v1/gpu/leases/{self.turns(daemon)[0]}/revoke", {}, unix=True)
        for one in sent:
            self.assertError(one.read_answer(), 503, "outranked")
        wait_until(lambda: not self.turns(daemon) and self.plain.running == 0, "nothing of it is left")

    def test_stopped(self):
        """All of them hear of it, and nothing is waited for."""
        daemon = self.start(kind="llama-server")
        self.plain.slots_busy = True
        sent = self.ask_for(daemon, 3, 3)
        daemon.terminate()
        for one in sent:
            self.assertError(one.read_answer(), 503, "draining")

    def test_the_turn_of_one_that_settles(self):
        """Its client left, and its server says that it works: it keeps the turn, alone or not."""
        daemon = self.start(kind="llama-server")
        sent = self.ask_for(daemon, 2, 2)
        self.plain.slots_busy = True
        sent[0].close()
        wait_until(lambda: ("left", self.turns(daemon)[0]) in self.shown(daemon), "it is waited for")
        self.plain.gate.set()
        self.assertEqual(sent[1].read_answer().status, 200)
        self.assertEqual(len(self.turns(daemon)), 1)
        self.plain.slots_busy = False
        wait_until(lambda: not self.turns(daemon), "it is idle")


if __name__ == "__main__":
    unittest.main()
