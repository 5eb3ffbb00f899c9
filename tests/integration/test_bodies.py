"""Goal: a body or a name that is not what it should be gets 400, changes nothing, and the daemon lives
(CASES C 16 to 18; D 33 to 37). Method: each bad body to each door that takes one.
"""
import json
import time
import unittest

from lib.daemon import DaemonTest
from lib.wait import wait_until

POSTS = ("/v1/gpu/lock", "/v1/gpu/unlock", "/v1/gpu/renew")


class Bodies(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def post(self, path, body):
        return self.d.http("POST", path, body)

    def unchanged(self):
        self.assertEqual(self.d.holders() + self.d.waiting(), [])

    def test_c16_ids(self):
        """C16, P33, P36: ids of wrong type, length or alphabet are 400 on lock; nothing is kept."""
        for bad in (None, 5, [], {}, True, 1.5, "", "a" * 129, "a\0b", "a\nb", "a\x1b[2J", "a\u202eb",
                    "a\u2066b", "a\u200bb", "a\x7fb", "a\ufeffb", "\ufffe"):
            answer = self.post("/v1/gpu/lock", {"id": bad})
            self.assertError(answer, 400)
        self.unchanged()

    def test_c16_invalid_utf8(self):
        """C16: bytes that are no UTF-8 are 400."""
        for bad in (b'\xff', b'\xc0\xaf', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xe2\x28\xa1', b'\xc3'):
            self.assertError(self.post("/v1/gpu/lock", b'{"id":"' + bad + b'"}'), 400)
        self.assertError(self.post("/v1/gpu/lock", b'{"id":"\\ud800"}'), 400)
        self.unchanged()

    def test_c16_p36_twenty_megabytes(self):
        """C16, P36: an id of 20 MB is refused while it is being sent; memory stays flat."""
        with self.d.connect() as connection:
            head = self.d.request("POST", "/v1/gpu/lock", b"", {"Content-Length": str(20 << 20)})
            connection.send(head)
            try:
                for _ in range(20):
                    connection.send(b"a" * (1 << 20))
            except OSError:
                pass  # closed in the middle, as it should be
            self.assertIn(connection.read_answer().status, (413, None))
        self.unchanged()

    def test_c16_good_ids(self):
        """Names of people and programs in any script are fine, 1 to 128 bytes."""
        for good in ("a", "a" * 128, "Ünï côdé 日本語", "x y/z:1.2-3_4", "emoji 🎭", 'quote"back\\slash'):
            answer = self.post("/v1/gpu/lock", {"id": good})
            self.assertEqual(answer.status, 200, good)
            self.assertEqual(self.d.holders(), [good])
            self.assertEqual(self.d.unlock(answer.json()["token"]).status, 200)

    def test_c17_bodies(self):
        """C17, P33: bodies that are not one plain JSON object are 400 on every door."""
        bad = [b"[]", b'"x"', b"{", b"", b"5", b"null", b"true", b'\xef\xbb\xbf{"id":"x"}',
               '{"id":"x"}'.encode("utf-16"), b'{"id":"x","id":"y"}', b'{"id":"x"} x', b'{"id":"x"}{}',
               b'{"id":"x",}', b"{'id':'x'}", b'{"id":x}', b'{"id":"x"', b"\0", b'{"id":"x"}\0',
               b'{"id":"x","timeout_s":NaN}', b'{"id":"x","timeout_s":1e400}',
               b'{"id":"x","timeout_s":Infinity}', b'{"id":"x","vram_mb":18446744073709551616}',
               b'{"id":"x","vram_mb":-0}', b'{"id":"x" /* comment */}']
        for path in POSTS:
            for body in bad:
                answer = self.post(path, body)
                self.assertError(answer, 400)
        self.unchanged()

    def test_c17_fields(self):
        """C17: fields of wrong type or out of range are 400 and name the field."""
        bad = {"timeout_s": ["5", -1, True, 1e30, {}], "ttl_s": [-5, "1", 1e12], "vram_mb": [-1, 1.5, "6G", 1 << 60],
               "slots": [-1, 0.5, 1 << 40], "class": ["root", 5, ""], "priority": [-5, "0", 1.5],
               "gpu": [99, "no-such", [], {}, [1, "x"]], "gpus": [0, 17, "2"], "wait": ["no", 0],
               "request_id": [5, "", "x" * 65], "preemptible": ["yes"], "parent": [0, -1, "1"]}
        for field, values in bad.items():
            for value in values:
                answer = self.post("/v1/gpu/lock", {"id": "x", field: value})
                self.assertIn(answer.status, (400, 409), f"{field}={value!r}: {answer}")
                self.assertIn(field, answer.body.decode(), f"{field}={value!r}: {answer}")
        self.unchanged()

    def test_c17_tokens(self):
        """C17: tokens that are no 32 hex digits are refused on unlock and renew."""
        for path in POSTS[1:]:
            for token in (None, 5, "", "x", "0" * 31, "0" * 33, "g" * 32, [], {}):
                answer = self.post(path, {"token": token})
                self.assertIn(answer.status, (400, 409), f"{token!r}: {answer}")

    def test_c18_depth(self):
        """C18, P33: deep nesting is 400 in no time, with a flat stack."""
        for opening in (b"[", b'{"a":', b'{"id":['):
            started_at = time.monotonic()
            depth = min(60000 // len(opening), 30000)
            self.assertError(self.post("/v1/gpu/lock", opening * depth), 400)
            self.assertLess(time.monotonic() - started_at, 2)
        body = b"[" * 100000
        self.assertIn(self.post("/v1/gpu/lock", body).status, (400, 413))
        self.assertEqual(self.d.lock("alive").status, 200)

    def test_unknown_fields_are_ignored(self):
        """What a newer client says more is no error."""
        self.assertEqual(self.post("/v1/gpu/lock", {"id": "x", "colour": {"deep": [1]}}).status, 200)

    def test_p32_unlock_of_nothing(self):
        """P32, P34: unlocking what is not held is 409 and no event."""
        events = self.d.status()
        for token in ("0" * 32, "f" * 32):
            self.assertError(self.d.unlock(token), 409, "stale")
        self.assertError(self.post("/v1/gpu/unlock", {"id": None}), 400)
        after = self.d.status()
        self.assertEqual((after["fence"], after["held"]), (events["fence"], events["held"]))
        self.assertNotIn("ended", self.d.log())

    def test_p35_status_shows_twins(self):
        """P35: two waiters of one name are two rows, with their own times; none vanishes with the other."""
        holder = self.d.session("holder")
        holder.hold()
        keep = self.d.park("twin", timeout_s=60)
        self.d.park("twin", timeout_s=2)

        def both_wait():
            status = self.d.status()
            return status if len(status["waiting"]) == 2 else None
        status = wait_until(both_wait, "both wait")
        self.assertEqual(status["queue_depth"], 2)
        self.assertEqual(status["queued"], ["twin", "twin"])
        self.assertEqual(len(status["request_start_times"]), 2)
        self.assertEqual(len({row["lease"] for row in status["waiting"]}), 2)
        wait_until(lambda: len(self.d.status()["waiting"]) == 1, "one timed out")
        self.assertEqual(list(self.d.status()["request_start_times"]), ["twin"])
        keep.close()

    def test_p35_status_tells_everything(self):
        """P35: status has owner, age, class, why, bound of each; and the predecessor's keys."""
        holder = self.d.session("holder")
        held = holder.hold(label="model-x")
        self.d.parked("curl", **{"class": "background"})
        status = self.d.status()
        self.assertTrue(status["locked"])
        self.assertEqual((status["owner"], status["queue_depth"]), ("holder", 1))
        lease = status["leases"][0]
        self.assertEqual((lease["lease"], lease["fence"], lease["label"], lease["state"]),
                         (held["lease"], held["fence"], "model-x", "held"))
        self.assertGreaterEqual(lease["held_s"], 0)
        waiter = status["waiting"][0]
        self.assertEqual((waiter["id"], waiter["class"], waiter["position"]), ("curl", "background", 0))
        self.assertGreater(waiter["bound_s"], 0)
        self.assertIn("holder", json.dumps(waiter["why"]))
        self.assertEqual(status["gpus"][0]["name"], "gpu0")

    def test_p37_logging_does_not_stall(self):
        """P37: thousands of log lines leave the loop responsive, and the ring has a bound."""
        self.d.terminate()
        self.d.args += ["--log-level", "debug"]
        self.d.start()
        worst = 0.0
        with self.d.connect() as talker:
            for i in range(1000):  # several lines each
                talker.send(self.d.request("POST", "/v1/gpu/lock", {"id": "talker"}))
                token = talker.read_answer().json()["token"]
                talker.send(self.d.request("POST", "/v1/gpu/unlock", {"token": token}))
                talker.read_answer()
                if i % 50 == 0:
                    started_at = time.monotonic()
                    self.assertEqual(self.d.http("GET", "/health").status, 200)
                    worst = max(worst, time.monotonic() - started_at)
        print(f"P37: worst health answer {1000 * worst:.1f} ms while logging")
        self.assertLess(worst, 1)
        lines = self.d.http("GET", "/logs?limit=100000").json()
        self.assertLessEqual(len(lines["logs"] if isinstance(lines, dict) else lines), 2000)


if __name__ == "__main__":
    unittest.main()
