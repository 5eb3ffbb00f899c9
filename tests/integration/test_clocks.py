"""Goal: neither a clock that somebody sets nor a machine that slept moves anybody's place or lease.

Method: the real daemon with a preloaded library that shifts CLOCK_REALTIME and CLOCK_BOOTTIME on command
(lib/clock_shift.c): for the daemon this is what setting the clock and a suspend look like.
"""
import os
import struct
import time
import unittest

from lib.daemon import DaemonTest
from lib.wait import holds_for, wait_until

DAY_S = 86400


class Clocks(DaemonTest):
    def shifting(self, **options):
        """A daemon whose clocks can be moved."""
        daemon = self.daemon(start=False, **options)
        self.shift_path = daemon.dir / "shift"
        self.shift(0, 0)
        daemon.env.update(LD_PRELOAD=os.environ["CLOCK_SHIFT_LIB"], CLOCK_SHIFT=str(self.shift_path))
        # The preloaded library comes before the sanitizer's, which is on purpose.
        daemon.env["ASAN_OPTIONS"] = "detect_leaks=1:verify_asan_link_order=0"
        return daemon.start()

    def shift(self, realtime_s, boottime_s):
        mode = "r+b" if self.shift_path.exists() else "wb"
        with open(self.shift_path, mode) as file:
            file.write(struct.pack("qq", realtime_s, boottime_s))

    def test_s13_suspend_of_eight_hours(self):
        """S13, C43: one round of heartbeats after a suspend; who answers keeps all, the dead one goes."""
        daemon = self.shifting(timing={"session_ttl_s": 6, "heartbeat_s": 3, "settle_s": 1},
                               config={"gpus": [{"name": "a"}, {"name": "b"}]})
        alive = daemon.session("alive")
        alive.hold(gpu="a")
        mute = daemon.websocket("mute")
        lease = mute.hold(gpu="b")["lease"]
        waiters = [daemon.session(f"waiter-{i}") for i in range(5)]
        for waiter in waiters:
            waiter.queue(gpu="a")
        order = daemon.waiting()
        mute.alive = False
        asked = len(alive.messages("heartbeat"))
        self.shift(0, 8 * 3600)
        jumped_at = time.monotonic()
        self.assertEqual(daemon.waiting(), order)  # a turn, in which it notices
        wait_until(lambda: len(alive.messages("heartbeat")) > asked, "asked at once")
        self.assertLess(time.monotonic() - jumped_at, 2.5, "not with the next round")
        wait_until(lambda: "clock-jump" in daemon.log(), "it says so")
        mute.wait("revoked", lease=lease)
        holds_for(lambda: "alive" in daemon.holders() and daemon.waiting() == order, "the others stay", 1)
        self.assertEqual(alive.messages("yield") + alive.messages("revoked"), [])

    def test_s13_idleness_is_no_stall(self):
        """S13: after a pause without any session the first one finds a broker that is wide awake."""
        daemon = self.daemon(timing={"heartbeat_s": 0.1, "grace_s": 0.2, "settle_s": 5})
        wait_until(lambda: daemon.status()["uptime_s"] > 1.5, "longer than a stall is")
        mute = daemon.websocket("mute")
        mute.hold(**{"class": "background"})
        asked_at = time.monotonic()
        voice = daemon.session("voice")
        voice.hold(**{"class": "voice"})
        self.assertLess(time.monotonic() - asked_at, 4)
        self.assertNotIn("clock-jump", daemon.log())
        self.assertIn("baton_clock_jumps_total 0", daemon.http("GET", "/metrics").body.decode())

    def test_c43_wall_clock_is_set(self):
        """C43, P25: the wall clock goes back and ahead by a day: order, leases and timeouts do not care."""
        daemon = self.shifting()
        token = daemon.lock("holder", ttl_s=60).json()["token"]
        first = daemon.parked("first")
        self.shift(-DAY_S, 0)
        second = daemon.parked("second")
        self.shift(DAY_S, 0)
        third = daemon.parked("third")
        self.assertEqual(daemon.waiting(), ["first", "second", "third"])
        self.assertEqual(daemon.holders(), ["holder"])
        started_at = time.monotonic()
        self.assertEqual(daemon.lock("short", timeout_s=0.5).status, 503)
        self.assertLess(time.monotonic() - started_at, 2)
        self.assertLess(daemon.status()["waiting"][0]["waited_s"], 60)
        self.assertEqual(daemon.unlock(token).status, 200)
        for connection in (first, second, third):
            answer = connection.read_answer()
            self.assertEqual(answer.status, 200)
            daemon.unlock(answer.json()["token"])


if __name__ == "__main__":
    unittest.main()
