"""Goal: the lock routes and streams give each GPU to one holder, keep places, and end what has ended
(CASES C 12 to 15, 32; D 6, 7, 14 to 25; E 1, 3 to 5, 7). Method: plain HTTP clients, as curl would be.
"""
import json
import socket
import time
import unittest

from lib.daemon import DaemonTest, in_thread
from lib.managed import free_port
from lib.wait import holds_for, wait_until


def sse_of(connection):
    """(event, data) one by one from an open stream."""
    buffer = ""
    for chunk in connection.chunks():
        buffer += chunk.decode()
        while "\n\n" in buffer:
            block, _, buffer = buffer.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" in fields:
                yield fields["event"], json.loads(fields["data"])


class Lock(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def test_lock_and_unlock(self):
        """The predecessor's cycle: acquired with token, fence, gpu and TTL; released."""
        answer = self.d.lock("curl")
        body = answer.json()
        self.assertEqual((answer.status, body["status"], body["gpu"]), (200, "acquired", "gpu0"))
        self.assertRegex(body["token"], r"^[0-9a-f]{32}$")
        self.assertEqual(body["expires_in_s"], 300)
        released = self.d.unlock(body["token"])
        self.assertEqual((released.status, released.json()["status"]), (200, "released"))

    def test_p6_c12_tokens(self):
        """C12, P6: another id, an old token, a token beside it: 409, and the holder stays."""
        old = self.d.lock("victim").json()["token"]
        self.d.unlock(old)
        token = self.d.lock("victim").json()["token"]
        near = f"{(int(token, 16) + 1) % (1 << 128):032x}"
        for wrong in (old, near, "0" * 32):
            self.assertError(self.d.unlock(wrong), 409, "stale")
        answer = self.d.http("POST", "/v1/gpu/unlock", {"id": "victim"})
        self.assertIn(answer.status, (400, 403, 409), answer)
        self.assertEqual(self.d.holders(), ["victim"])

    def test_c12_token_of_a_previous_epoch(self):
        """C12: after a restart a token that was released before is still refused."""
        token = self.d.lock("a").json()["token"]
        self.d.unlock(token)
        self.d.kill()
        self.d.start()
        holder = self.d.lock("b")
        self.assertError(self.d.unlock(token), 409, "stale")
        self.assertEqual(self.d.holders(), ["b"])
        self.assertEqual(self.d.unlock(holder.json()["token"]).status, 200)

    def test_p7_twins(self):
        """P7: two clients of one id are two; a double unlock of one does not free the other."""
        first = self.d.lock("Root-Console-Chat").json()["token"]
        second = self.d.parked("Root-Console-Chat")
        third = self.d.park("Root-Console-Chat")
        wait_until(lambda: len(self.d.waiting()) == 2, "both wait")
        self.assertEqual(self.d.unlock(first).status, 200)
        self.assertEqual(second.read_answer().status, 200)
        self.assertError(self.d.unlock(first), 409, "stale")
        self.assertEqual(len(self.d.holders()), 1)
        self.assertEqual(len(self.d.waiting()), 1)
        third.close()

    def test_c13_renew(self):
        """C13, E3: renew prolongs; after a revoke or the TTL it is refused and stays refused."""
        body = self.d.lock("a", ttl_s=1).json()
        self.assertEqual(self.d.http("POST", "/v1/gpu/renew", {"token": body["token"], "ttl_s": 30}).status, 200)
        self.assertGreater(self.d.status()["leases"][0]["expires_in_s"], 20)
        self.d.http("POST", "/v1/gpu/reset", unix=True)
        for _ in range(2):
            answer = self.d.http("POST", "/v1/gpu/renew", {"token": body["token"]})
            self.assertEqual(answer.status, 409, answer)

    def test_e3_ttl_ends_and_renew_after_it_is_refused(self):
        """E3: a plain HTTP lease ends with its TTL; renewing it afterwards does not bring it back."""
        token = self.d.lock("a", ttl_s=1).json()["token"]
        wait_until(lambda: not self.d.holders(), "the TTL ends it")
        self.assertEqual(self.d.http("POST", "/v1/gpu/renew", {"token": token}).status, 409)
        self.assertEqual(self.d.holders(), [])

    def test_c14_request_id_concurrently(self):
        """C14: the same request_id twice at once is one claim, and both get the same answer."""
        holder = self.d.lock("holder").json()["token"]
        jobs = [in_thread(lambda: self.d.lock("idem", request_id="r1")) for _ in range(2)]
        wait_until(lambda: "idem" in self.d.waiting(), "it waits")
        holds_for(lambda: len(self.d.waiting()) == 1, "one entry", 0.3)
        self.d.unlock(holder)
        answers = [job.result() for job in jobs]
        tokens = {a.json().get("token") for a in answers if a.status == 200}
        self.assertEqual(len(tokens), 1, answers)
        self.assertEqual(self.d.holders(), ["idem"])

    def test_c14_request_id_after_a_lost_answer(self):
        """C14, P15: asked again after the answer was lost, the same claim answers with its token."""
        first = self.d.lock("idem", request_id="r2").json()
        again = self.d.lock("idem", request_id="r2")
        self.assertEqual(again.status, 200)
        self.assertEqual((again.json()["token"], again.json()["fence"]), (first["token"], first["fence"]))
        self.assertEqual(self.d.unlock(first["token"]).status, 200)

    def test_c15_one_client_cannot_fill_the_queue(self):
        """C15: one name is capped; the rest of its requests gets 429; others keep their places."""
        self.d.lock("holder")
        self.d.parked("other")
        parked = [self.d.park("greedy") for _ in range(16)]
        wait_until(lambda: self.d.waiting().count("greedy") == 16, "16 of them wait")
        for _ in range(5):
            answer = self.d.lock("greedy")
            self.assertEqual(answer.status, 429, answer)
            self.assertIn("retry-after", answer.headers)
        self.assertEqual(self.d.waiting()[0], "other")
        self.assertEqual(len(parked), 16)

    def test_p14_waiter_that_left(self):
        """P14, C32: a queued client that disconnects is never granted; the next one is."""
        token = self.d.lock("holder").json()["token"]
        ghost = self.d.parked("ghost")
        live = self.d.parked("live")
        ghost.close()
        wait_until(lambda: self.d.waiting() == ["live"], "the ghost is gone")
        self.d.unlock(token)
        self.assertEqual(live.read_answer().status, 200)

    def test_c32_fin_while_queued(self):
        """C32: a FIN alone (the client reads on) ends the wait in the same turn, too, or is answered."""
        token = self.d.lock("holder").json()["token"]
        half = self.d.parked("half")
        half.socket.shutdown(socket.SHUT_WR)
        live = self.d.parked("live")
        self.d.unlock(token)
        wait_until(lambda: self.d.waiting() == [], "nobody waits")
        if self.d.holders() == ["half"]:
            self.d.unlock(half.read_answer().json()["token"])
        self.assertEqual(live.read_answer().status, 200)

    def test_p17_cancelled_in_every_state(self):
        """P17: a client that leaves while queued, while granted, or after: no entry stays behind."""
        for stage in range(20):
            token = self.d.lock("holder").json()["token"]
            leaver = self.d.parked("leaver")
            if stage % 2:
                leaver.close()
                self.d.unlock(token)
            else:
                self.d.unlock(token)
                leaver.close()
            wait_until(lambda: not self.d.waiting(), "no entry")
            self.d.http("POST", "/v1/gpu/reset", unix=True)
            wait_until(lambda: not self.d.holders(), "no holder")

    def test_p18_timeouts_are_the_clients(self):
        """P18, P16: 0.5 s and 1.5 s asked for are 0.5 s and 1.5 s; then 503 with Retry-After."""
        self.d.lock("holder")
        for seconds in (0.5, 1.5):
            started_at = time.monotonic()
            answer = self.d.lock("waiter", timeout_s=seconds)
            took = time.monotonic() - started_at
            self.assertError(answer, 503, "timeout")
            self.assertEqual((answer.json()["status"], answer.json()["msg"]), ("timeout", "GPU Queue Timeout"))
            self.assertIn("retry-after", answer.headers)
            self.assertGreaterEqual(took, seconds - 0.01)
            self.assertLess(took, seconds + 1)

    def test_p19_place_is_kept(self):
        """P19: a waiter that timed out and asks again with its request_id is before who came later."""
        self.d.lock("holder")
        self.assertEqual(self.d.lock("early", timeout_s=0.3, request_id="e").status, 503)
        late = self.d.parked("late")
        early = self.d.parked("early", request_id="e")
        self.assertEqual(self.d.waiting(), ["early", "late"])
        for connection in (late, early):
            connection.close()

    def test_p20_classes_age(self):
        """P20: background that waited for its offset goes before chat that came then."""
        daemon = self.daemon(config={"classes": {"background": {"offset_s": 1.2}, "normal": {"offset_s": 0.5},
                                                 "chat": {"offset_s": 0.2}}})
        daemon.lock("holder")
        daemon.parked("old", **{"class": "background"})
        daemon.parked("chat-1", **{"class": "chat"})
        self.assertEqual(daemon.waiting(), ["chat-1", "old"])
        wait_until(lambda: daemon.status()["waiting"][1]["waited_s"] > 1.1, "it aged")
        daemon.parked("chat-2", **{"class": "chat"})
        self.assertEqual(daemon.waiting(), ["chat-1", "old", "chat-2"])

    def test_p21_classes_by_rule_not_by_substring(self):
        """P21: `mic` inside a name gives no voice priority; the rules' globs and the numbers do."""
        self.d.lock("holder")
        for name in ("dynamic-batch-trainer", "cosmic-dream", "Dreamer-chat", "Root-Mic-1", "Root-Console-Chat"):
            self.d.parked(name)
        self.d.parked("by-number", priority=0)
        classes = {row["id"]: row["class"] for row in self.d.status()["waiting"]}
        self.assertEqual(classes, {"dynamic-batch-trainer": "normal", "cosmic-dream": "normal",
                                   "Dreamer-chat": "background", "Root-Mic-1": "voice",
                                   "Root-Console-Chat": "chat", "by-number": "voice"})

    def test_p23_fifth_parked_request_of_a_browser(self):
        """P23: a browser parks at most four lock requests, so that two sockets are left for the unlock."""
        daemon = self.daemon(config={"origins": ["http://localhost:8000"]})
        browser = {"Origin": "http://localhost:8000", "User-Agent": "Chromium"}
        answer = daemon.http("POST", "/v1/gpu/lock", {"id": "tab-0"}, browser)
        for i in range(4):
            daemon.park(f"tab-{i + 1}", headers=browser)
        wait_until(lambda: len(daemon.waiting()) == 4, "four wait")
        self.assertError(daemon.http("POST", "/v1/gpu/lock", {"id": "tab-5"}, browser), 429, "too_many_waiting")
        other = {**browser, "User-Agent": "Firefox"}
        daemon.park("firefox", headers=other)
        wait_until(lambda: "firefox" in daemon.waiting(), "another browser may wait")
        started_at = time.monotonic()
        body = {"token": answer.json()["token"]}
        self.assertEqual(daemon.http("POST", "/v1/gpu/unlock", body, browser).status, 200)
        print(f"P23: unlock beside waiting tabs {1000 * (time.monotonic() - started_at):.1f} ms")
        self.assertLess(time.monotonic() - started_at, 1)

    def test_p24_stream_ends_with_its_connection(self):
        """P24: hold the connection, hold the GPU: an SSE lock is released by the close alone."""
        stream = self.d.park("stream", {"Accept": "text/event-stream"})
        self.assertEqual(stream.read_head()[0], 200)
        event, data = next(e for e in sse_of(stream) if e[0] == "granted")
        self.assertEqual((event, self.d.holders()), ("granted", ["stream"]))
        self.assertGreater(data["fence"], 0)
        waiter = self.d.parked("next")
        closed_at = time.monotonic()
        stream.close()
        self.assertEqual(waiter.read_answer().status, 200)
        print(f"P24: close of a stream to the next grant {1000 * (time.monotonic() - closed_at):.1f} ms")

    def test_stream_tells_queue_and_yield(self):
        """A stream says queued, granted, yield; curl -N is a complete client."""
        holder = self.d.session("holder")
        lease = holder.hold()["lease"]
        stream = self.d.park("stream", {"Accept": "text/event-stream"})
        stream.read_head()
        events = sse_of(stream)
        event, data = next(events)
        self.assertEqual((event, data["position"]), ("queued", 0))
        holder.release(lease)
        event, data = next(e for e in events if e[0] != "queued")
        self.assertEqual(event, "granted")
        self.d.http("POST", f"/v1/gpu/leases/{data['lease']}/yield", unix=True)
        self.assertEqual(next(events)[0], "yield")

    def test_no_wait(self):
        """wait:false is answered at once: 503 busy, no place."""
        self.d.lock("holder")
        self.assertError(self.d.lock("hasty", wait=False), 503, "busy")
        self.assertEqual(self.d.waiting(), [])

    def test_unlock_by_id_only_in_compat(self):
        """--compat bridge: unlock by id where just one plain lease carries it; never otherwise."""
        daemon = self.daemon(args=["--compat", "bridge"],
                             env={"BRIDGE_PORT": str(free_port()), "BRIDGE_TOKEN": "sovereign-secret-of-a-test"})
        bearer = {"Authorization": "Bearer sovereign-secret-of-a-test"}

        def post(path, body):
            return daemon.http("POST", path, body, bearer)
        self.assertEqual(post("/v1/gpu/lock", {"id": "Root-Mic"}).status, 200)
        self.assertError(post("/v1/gpu/unlock", {"id": "stranger"}), 409, "stale")
        self.assertEqual(post("/v1/gpu/unlock", {"id": "Root-Mic"}).status, 200)
        self.assertEqual(post("/v1/gpu/reset", {}).status, 200)
        self.assertNotIn("sovereign-secret-of-a-test", daemon.log())


class Memory(DaemonTest):
    def test_e1_two_that_do_not_fit_together(self):
        """E1: two claims of 6 GB on 8 GB: the second waits though nothing was allocated yet."""
        daemon = self.daemon(args=["--fake-gpu", "small:8192:4"])
        first = daemon.lock("a", vram_mb=6144)
        self.assertEqual(first.status, 200)
        self.assertError(daemon.lock("b", vram_mb=6144, wait=False), 503, "busy")
        second = daemon.parked("b", vram_mb=6144)
        daemon.unlock(first.json()["token"])
        self.assertEqual(second.read_answer().status, 200)

    def test_never_fits(self):
        """A need that no GPU can ever meet is refused at once."""
        daemon = self.daemon(args=["--fake-gpu", "small:8192"])
        self.assertError(daemon.lock("big", vram_mb=9000), 409, "never_fits")
        self.assertError(daemon.lock("gang", gpus=2), 409, "never_fits")
        self.assertError(daemon.lock("name", gpu="nowhere"), 400, "no_such_gpu")

    def test_unknown_vram_counts_as_all(self):
        """With nothing said about VRAM, a claim that states some has the GPU alone."""
        daemon = self.daemon(config={"gpus": [{"name": "a", "slots": 4}]})
        self.assertEqual(daemon.lock("a", vram_mb=100).status, 200)
        self.assertError(daemon.lock("b", vram_mb=100, wait=False), 503, "busy")

    def test_e7_gang_is_taken_at_once_or_not_at_all(self):
        """E7: two GPUs come together; a cancelled wait for two leaves the free one free."""
        daemon = self.daemon(args=["--fake-gpu", "a:8192", "--fake-gpu", "b:8192"])
        daemon.lock("one", gpu="a")
        gang = daemon.parked("gang", gpus=2)
        gang.close()
        wait_until(lambda: not daemon.waiting(), "the gang left")
        self.assertEqual(daemon.lock("two", gpu="b", wait=False).status, 200)

    def test_idle_second_gpu_is_used(self):
        """Two GPUs serve two clients at once, each told which one it has."""
        daemon = self.daemon(args=["--fake-gpu", "a:8192", "--fake-gpu", "b:8192"])
        names = {daemon.lock(f"client-{i}").json()["gpu"] for i in range(2)}
        self.assertEqual(names, {"a", "b"})

    def test_change_and_eviction(self):
        """A resident model shrinks to its memory, and gives it up for a claim that needs it."""
        daemon = self.daemon(args=["--fake-gpu", "a:8192"], timing={"grace_s": 1})
        model = daemon.session("model")
        lease = model.hold(vram_mb=6000, evictable=True)["lease"]
        model.send(type="change", lease=lease, slots=0, vram_mb=6000)
        model.wait("changed", lease=lease)
        compute = daemon.lock("compute", wait=False)
        self.assertEqual(compute.status, 200)
        daemon.unlock(compute.json()["token"])
        big = daemon.park("big", vram_mb=5000)
        self.assertEqual(model.wait("yield", lease=lease)["reason"], "evicted")
        model.release(lease)
        self.assertEqual(big.read_answer().status, 200)


if __name__ == "__main__":
    unittest.main()
