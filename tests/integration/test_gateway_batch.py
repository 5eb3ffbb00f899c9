"""Two models on a card for one: who waits for a model already is served before it leaves for another, within the time
that it has to finish; nobody of a higher class waits for that, and who comes later does not join."""
import json
import unittest

from lib.gateway import CHAT, GatewayTest, upstream
from lib.wait import wait_until


class Batch(GatewayTest):
    def setUp(self):
        super().setUp()
        self.ollama = self.server("ollama", ["a", "b"], size_mb=6000)

    def start(self, **gateway):
        """Model `a` is in memory, and somebody else has the turn."""
        models = [{"name": name, "vram_mb": 6000} for name in "ab"]
        daemon = self.behind(upstream(self.ollama, "ollama", models=models), gateway=gateway or None)
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

    def leaving(self, daemon):
        wait_until(lambda: self.state_of(daemon, "a") == "leaving", "it was asked to leave")

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
        self.leaving(daemon)
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order(), "aaabbb")
        self.assertEqual((len(self.loads("a")), len(self.loads("b"))), (0, 1))

    def test_who_comes_later(self):
        daemon = self.start()
        sent = self.wait_for(daemon, "a", "b")
        self.leaving(daemon)
        sent += self.wait_for(daemon, "a")
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order(), "aba")

    def test_a_voice_for_the_other(self):
        """It comes when the batch is formed already."""
        daemon = self.start()
        sent = self.wait_for(daemon, "a", "b", "a")
        self.leaving(daemon)
        sent += self.wait_for(daemon, "b", **{"x-baton-class": "voice"})
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order()[0], "b")

    def test_less_urgent(self):
        """A background request does not keep a chat's model out."""
        daemon = self.start(finish_s=600)
        sent = self.wait_for(daemon, "a", **{"x-baton-class": "background"})
        sent += self.wait_for(daemon, "b")
        wait_until(lambda: self.ollama.loaded == {"b"}, "it left at once")
        daemon.unlock(self.game)
        self.answers(sent)
        self.assertEqual(self.order(), "ba")

    def test_no_turn_in_time(self):
        """Its time to finish is over while somebody else has the turn."""
        daemon = self.start(finish_s=1)
        sent = self.wait_for(daemon, "a", "b")
        wait_until(lambda: self.ollama.loaded == {"b"}, "the other one has the memory")
        self.assertEqual(self.order(), "")
        daemon.unlock(self.game)
        self.answers(sent)

    def test_who_waits_leaves(self):
        daemon = self.start(finish_s=600)
        gone, other = self.wait_for(daemon, "a", "b")
        self.leaving(daemon)
        gone.close()
        wait_until(lambda: self.ollama.loaded == {"b"}, "there is nobody to wait for")
        daemon.unlock(self.game)
        self.answers([other])


if __name__ == "__main__":
    unittest.main()
