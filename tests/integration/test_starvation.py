"""Nobody starves: the cheap sequences of ordinary messages that once kept others out for ever, over the wire."""
import threading
import unittest

from lib.daemon import DaemonTest
from lib.wait import wait_until

# A class is due after quantum / share: chat after 2 s.
TIMING = {"quantum_s": 0.5, "voice_credit_s": 0.5, "ack_s": 0.2, "min_run_s": 0.1, "grace_s": 0.2, "lock_delay_s": 0.1}


class Answering:
    """A session whose answers to some messages are a function; as a client would, in a thread of its own."""

    def __init__(self, session, answers):
        self.session, self.answers, self.seen, self.over = session, answers, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            with self.session.changed:
                if not self.session.changed.wait_for(lambda: len(self.session.inbox) > self.seen, 0.1):
                    continue
                fresh = self.session.inbox[self.seen:]
                self.seen += len(fresh)
            for message in fresh:
                if message["type"] in self.answers:
                    try:
                        self.answers[message["type"]](message)
                    except OSError:
                        return

    def stop(self):
        self.over = True
        self.thread.join()


class Starvation(DaemonTest):
    def answering(self, session, **answers):
        answering = Answering(session, answers)
        self.addCleanup(answering.stop)
        return answering

    def served(self, waiter, ref):
        """Offered in time: before the number it was told first."""
        queued = waiter.wait("queued", ref=ref)
        granted = waiter.wait("granted", ref=ref)
        self.assertIsNotNone(queued["bound_s"], queued)
        self.assertLessEqual(granted["at"] - queued["at"], queued["bound_s"])

    def test_voice_that_never_accepts(self):
        daemon = self.daemon(timing=TIMING)
        voice = daemon.websocket("mic", accept=False)
        self.answering(voice, released=lambda m: voice.acquire(**{"class": "voice", "timeout_s": None}))
        for _ in range(2):
            voice.acquire(**{"class": "voice", "timeout_s": None})
        voice.wait("offered")
        chat = daemon.websocket("console")
        self.served(chat, chat.acquire(**{"class": "chat", "timeout_s": None}))

    def test_voice_that_cancels_each_offer(self):
        daemon = self.daemon(timing=TIMING)
        voice = daemon.websocket("mic", accept=False)

        def leave(message):
            voice.send(type="cancel", ref=message["ref"])
            voice.acquire(**{"class": "voice", "timeout_s": None})

        self.answering(voice, offered=leave)
        for _ in range(2):
            voice.acquire(**{"class": "voice", "timeout_s": None})
        chat = daemon.websocket("console")
        self.served(chat, chat.acquire(**{"class": "chat", "timeout_s": None}))
        self.assertGreater(len(voice.messages("offered")), 2)

    def test_no_turn_is_passed_on_past_the_queue(self):
        daemon = self.daemon(timing=TIMING)
        greedy = daemon.websocket("greedy")
        held = greedy.hold(**{"class": "background"})["lease"]
        stranger = greedy.queue(**{"class": "background"})
        greedy.send(type="lend", lease=held, to=stranger["lease"])
        self.assertEqual(greedy.wait("denied", lease=held)["code"], "wrong_state")

    def test_who_cannot_be_served_closes_nothing(self):
        daemon = self.daemon(timing=TIMING, args=["--fake-gpu", "g:24576"])
        resident = daemon.websocket("resident")
        resident.hold(slots=0, vram_mb=10000)
        big = daemon.websocket("big")
        blocked = big.queue(**{"class": "chat", "vram_mb": 20000})
        self.assertIsNone(blocked["bound_s"])
        self.assertEqual(blocked["bound_why"], "blocked")
        small = daemon.websocket("small")
        small.hold(**{"class": "chat"})

    def test_an_evicted_resident_comes_back_last(self):
        daemon = self.daemon(timing=TIMING, args=["--fake-gpu", "g:24576"])
        resident = daemon.websocket("resident")
        self.answering(resident, **{"yield": lambda m: resident.release(m["lease"], requeue=True)})
        resident.hold(**{"slots": 0, "vram_mb": 18000, "evictable": True, "class": "chat", "timeout_s": None})
        work = daemon.websocket("work")
        work.hold(**{"slots": 0, "vram_mb": 16000, "class": "background"})
        self.assertEqual(len(resident.messages("yield")), 1)

    def test_no_place_is_told_twice(self):
        """Who is due passes whoever stands before it, and each is told its own place."""
        shares = {"voice": {"share": 0.05}, "chat": {"share": 0.05}, "normal": {"share": 0.8}}
        daemon = self.daemon(timing=TIMING, config={"classes": shares})
        daemon.websocket("holder").hold(**{"class": "voice", "preemptible": False})
        for cls in ("normal", "chat", "chat", "background"):
            daemon.websocket(cls).queue(**{"class": cls})

        def said():
            return [(row["class"], row["sentence"].split(",")[0].split(":")[0]) for row in daemon.status()["waiting"]]

        wait_until(lambda: ("normal", "Next") in said(), "the class that is due is next")
        self.assertEqual(said(), [("chat", "2nd in the queue"), ("chat", "3rd in the queue"), ("normal", "Next"),
                                  ("background", "4th in the queue")])


if __name__ == "__main__":
    unittest.main()
