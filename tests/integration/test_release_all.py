"""Goal: an operator's acts end what they name and nothing else, and never make two holders.

Method: crowds at all doors, then reset, force-release-all, yield, revoke, pause and resume.
"""
import json
import unittest

from lib.daemon import DaemonTest, in_thread
from lib.wait import holds_for, wait_until


def admin(daemon, path, **body):
    return daemon.http("POST", path, body or None, unix=True)


class ReleaseAll(DaemonTest):
    def crowd(self, daemon, sessions, requests):
        holder = daemon.websocket("holder")  # a native one is a process, and would be killed: test_death.py
        lease = holder.hold()["lease"]
        waiters = []
        for i in range(sessions):
            waiter = daemon.session(f"session-{i}")
            waiter.queue()
            waiters.append(waiter)
        parked = [daemon.park(f"http-{i}") for i in range(requests)]
        wait_until(lambda: len(daemon.waiting()) == sessions + requests, "all wait")
        return holder, lease, waiters, parked

    def test_s16_fifty_waiters(self):
        """S16, C44, P1, E5: 50 waiters are each told `released`, none `acquired`; the holder is revoked."""
        daemon = self.daemon()
        holder, lease, waiters, parked = self.crowd(daemon, 25, 25)
        self.assertEqual(admin(daemon, "/v1/gpu/force-release-all", reason="test").status, 200)
        for waiter in waiters:
            self.assertEqual(waiter.wait("released")["reason"], "force-released")
        for connection in parked:
            answer = connection.read_answer()
            self.assertError(answer, 409, "released")
            self.assertNotIn("token", answer.json())
        holder.wait("revoked", lease=lease)
        for waiter in waiters:
            self.assertEqual(waiter.messages("offered") + waiter.messages("granted"), [])
        wait_until(lambda: not daemon.holders(), "the GPU is free")
        self.assertEqual(daemon.waiting(), [])
        self.assertEqual(daemon.lock("after").status, 200)

    def test_s16_twice_at_once(self):
        """S16, C44: two operators at once; each waiter is told once, and one next holder follows."""
        daemon = self.daemon()
        holder, lease, waiters, parked = self.crowd(daemon, 10, 10)
        jobs = [in_thread(admin, daemon, "/v1/gpu/force-release-all") for _ in range(2)]
        self.assertEqual([job.result().status for job in jobs], [200, 200])
        for waiter in waiters:
            waiter.wait("released")
            self.assertEqual(len(waiter.messages("released")), 1)
        for connection in parked:
            self.assertError(connection.read_answer(), 409, "released")
        holder.wait("revoked", lease=lease)  # its thread may read later than ours
        self.assertEqual(len(holder.messages("revoked", lease=lease)), 1)
        late = [daemon.session(f"late-{i}") for i in range(3)]
        for session in late:
            session.acquire()
        wait_until(lambda: len(daemon.holders()) == 1 and len(daemon.waiting()) == 2, "one holder")
        holds_for(lambda: len(daemon.holders()) == 1, "one holder", 0.5)

    def test_s16_with_a_mute_holder(self):
        """S16, C44: a holder that ignores it loses its token at once, and its room after the delay."""
        daemon = self.daemon(timing={"lock_delay_s": 0.5})
        tab = daemon.websocket("mute")
        lease = tab.hold()["lease"]
        admin(daemon, "/v1/gpu/force-release-all")
        tab.wait("revoked", lease=lease)
        tab.send(type="renew", lease=lease)
        tab.wait("denied")
        self.assertEqual(daemon.lock("next", timeout_s=20).status, 200)

    def test_p2_reset_keeps_the_queue_and_the_order(self):
        """P2: reset revokes the holder; the next one starts only after the old token is dead."""
        daemon = self.daemon(timing={"lock_delay_s": 0.5})
        tab = daemon.websocket("old")
        held = tab.hold()
        first, second = daemon.session("first"), daemon.session("second")
        first.queue()
        second.queue()
        self.assertEqual(admin(daemon, "/v1/gpu/reset", reason="stuck").status, 200)
        revoked = tab.wait("revoked", lease=held["lease"])
        granted = first.wait("granted")
        self.assertGreater(granted["at"], revoked["at"] + 0.4)
        self.assertGreater(granted["fence"], held["fence"])
        self.assertEqual(daemon.waiting(), ["second"])
        tab.send(type="renew", lease=held["lease"])
        self.assertIn(tab.wait("denied")["code"], ("stale", "revoked"))

    def test_yield_and_revoke_one_lease(self):
        """One lease is asked, another one taken, and the rest goes on."""
        daemon = self.daemon(config={"gpus": [{"name": "a", "slots": 2}]})
        one, two = daemon.session("one"), daemon.websocket("two")
        lease_one, lease_two = one.hold()["lease"], two.hold()["lease"]
        self.assertEqual(admin(daemon, f"/v1/gpu/leases/{lease_one}/yield", reason="please").status, 200)
        asked = one.wait("yield", lease=lease_one)
        self.assertEqual((asked["reason"], asked["detail"]), ("operator", "please"))
        one.release(lease_one)
        one.wait("released", lease=lease_one)
        self.assertEqual(daemon.holders(), ["two"])
        self.assertEqual(admin(daemon, f"/v1/gpu/leases/{lease_two}/revoke").status, 200)
        two.wait("revoked", lease=lease_two)
        self.assertError(admin(daemon, "/v1/gpu/leases/99999/revoke"), 404, "not_found")

    def test_pause_and_resume(self):
        """Drain: nothing new is granted while paused, also over a restart; releases work; then it goes on."""
        daemon = self.daemon()
        holder = daemon.session("holder")
        lease = holder.hold()["lease"]
        waiter = daemon.session("waiter")
        waiter.queue()
        self.assertEqual(admin(daemon, "/v1/gpu/pause", reason="drain").status, 200)
        holder.release(lease)
        holder.wait("released")
        holds_for(lambda: not daemon.holders(), "nothing is granted", 0.4)
        daemon.kill()
        daemon.start()
        back = daemon.session("waiter", resume=waiter.welcome["session"])
        holds_for(lambda: not daemon.holders(), "nothing is granted", 0.4)
        self.assertEqual(admin(daemon, "/v1/gpu/resume").status, 200)
        back.wait("granted")

    def test_admin_needs_the_right(self):
        """Section 7: the install token alone does no admin act; the Unix socket does."""
        daemon = self.daemon()
        token = daemon.lock("x").json()["token"]
        for path in ("/v1/gpu/reset", "/v1/gpu/force-release-all", "/v1/gpu/pause", "/v1/hot-reload",
                     "/v1/gpu/leases/1/revoke", "/logs/clear"):
            self.assertError(daemon.http("POST", path), 403, "forbidden")
        self.assertEqual(daemon.unlock(token).status, 200)

    def test_audit(self):
        """S16: who did it, and why, is in the log as one line."""
        daemon = self.daemon()
        daemon.lock("x")
        admin(daemon, "/v1/gpu/force-release-all", reason="because\nof reasons"[:7])
        wait_until(lambda: "because" in daemon.log(), "the reason is in the log")
        rows = [line for line in daemon.log().splitlines() if "because" in line]
        self.assertEqual(len(rows), len(set(rows)))
        self.assertTrue(json.dumps(rows))


if __name__ == "__main__":
    unittest.main()
