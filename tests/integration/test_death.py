"""Goal: whoever dies, hangs or stays mute loses the GPU in time, and exactly one other gets it.

Method: the real daemon, holders as real processes that are killed and stopped.
"""
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
import unittest

from lib.daemon import DaemonTest, end_process
from lib.wait import holds_for, wait_until

HOLDER = str(pathlib.Path(__file__).parent / "lib" / "holder.py")


# A wrapper: holds, starts a job that ignores SIGTERM, names it, and prints its number.
WRAPPER = """
import json, signal, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); lines = s.makefile("rw")
def say(**message): lines.write(json.dumps(message) + "\\n"); lines.flush()
def wait(kind):
    while (message := json.loads(lines.readline()))["type"] != kind: pass
    return message
say(type="hello", id="wrapper"); wait("welcome")
say(type="acquire", ref=1); say(type="accept", lease=wait("offered")["lease"]); wait("granted")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
job = subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
say(type="processes", pids=[job.pid]); wait("ok")
say(type="processes", pids=[job.pid], cgroup="/tmp"); wait("denied")
print(job.pid, flush=True)
while True: lines.readline()
"""

# Holds; told to, it names a program that it has not started, and is gone.
LAST_WORDS = """
import json, os, signal, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); lines = s.makefile("rw")
def say(**message): lines.write(json.dumps(message) + "\\n"); lines.flush()
def wait(kind):
    while (message := json.loads(lines.readline()))["type"] != kind: pass
    return message
say(type="hello", id="brief"); wait("welcome")
say(type="acquire", ref=1); say(type="accept", lease=wait("offered")["lease"]); wait("granted")
print("holds", flush=True)
sys.stdin.readline()
say(type="processes", pids=[int(sys.argv[2])])
os.kill(os.getpid(), signal.SIGKILL)
"""


class Holder:
    """A native client in a process of its own."""

    def __init__(self, test, daemon, name, **fields):
        arguments = [f"{key}={json.dumps(value)}" for key, value in fields.items()]
        self.process = subprocess.Popen([sys.executable, HOLDER, daemon.socket, name, *arguments],
                                        stdout=subprocess.PIPE, text=True)
        test.addCleanup(end_process, self.process)
        test.addCleanup(self.resume)

    def wait(self, kind):
        for line in self.process.stdout:
            message = json.loads(line)
            if message["type"] == kind:
                return message
        raise AssertionError(f"the holder ended before {kind}")

    def signal(self, number):
        self.process.send_signal(number)

    def resume(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)


class Death(DaemonTest):
    def test_s1_killed_holder_hands_over(self):
        """S1, P13: a native holder dies by SIGKILL; the next one is offered the GPU at once."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        delays = []
        for _ in range(5):
            holder = Holder(self, daemon, "victim")
            holder.wait("granted")
            waiter = daemon.session("next", accept=False)
            ref = waiter.acquire()
            waiter.wait("queued", ref=ref)
            killed_at = time.monotonic()
            holder.signal(signal.SIGKILL)
            offered = waiter.wait("offered", ref=ref)
            delays.append(1000 * (offered["at"] - killed_at))
            waiter.bye()
            wait_until(lambda: not daemon.holders(), "the offer is taken back")
        print(f"S1: kill to offer {min(delays):.1f} to {max(delays):.1f} ms (100 ms promised)")
        self.assertLess(min(delays), 100)
        self.assertLess(max(delays), 1000)

    def test_s1_job_outlives_its_wrapper(self):
        """S1: the wrapper dies by SIGKILL; the job that it named is ended, and only then the next one is offered."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        wrapper = subprocess.Popen([sys.executable, "-c", WRAPPER, daemon.socket], stdout=subprocess.PIPE, text=True)
        self.addCleanup(end_process, wrapper)
        job = os.pidfd_open(int(wrapper.stdout.readline()))
        self.addCleanup(os.close, job)
        waiter = daemon.session("next")
        waiter.queue()
        wrapper.kill()
        waiter.wait("granted")
        self.assertTrue(select.select([job], [], [], 0)[0], "the job is gone before the grant")
        wait_until(lambda: "exited" in daemon.log(), "it says so")

    def test_s1_killed_waiter_leaves(self):
        """P14: a waiter that died is not granted when its turn comes."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        first = daemon.session("first")
        lease = first.hold()["lease"]
        ghost = Holder(self, daemon, "ghost")
        ghost.wait("queued")
        live = daemon.session("live")
        ref = live.queue()["ref"]
        ghost.signal(signal.SIGKILL)
        wait_until(lambda: daemon.waiting() == ["live"], "the ghost is gone")
        first.release(lease)
        live.wait("granted", ref=ref)

    def test_s2_stopped_holder_is_revoked(self):
        """S2: a holder stopped by SIGSTOP is asked, then killed; the next one is offered the GPU."""
        daemon = self.daemon(timing={"heartbeat_s": 0.3, "session_ttl_s": 1})
        holder = Holder(self, daemon, "stopped")
        fence = holder.wait("granted")["fence"]
        waiter = daemon.session("next")
        ref = waiter.acquire()
        waiter.wait("queued", ref=ref)
        stopped_at = time.monotonic()
        holder.signal(signal.SIGSTOP)
        granted = waiter.wait("granted", ref=ref)
        print(f"S2: stop to next grant {granted['at'] - stopped_at:.2f} s at a TTL of 1 s")
        self.assertGreater(granted["at"] - stopped_at, 0.7)
        self.assertGreater(granted["fence"], fence)
        self.assertEqual(holder.process.wait(10), -signal.SIGKILL)

    def test_s2_spared_holder_has_lost_its_token(self):
        """S2, S5: a mute tab cannot be killed; after the lock-delay its lease is gone for good."""
        daemon = self.daemon(timing={"heartbeat_s": 0.3, "session_ttl_s": 1})
        tab = daemon.websocket("frozen", alive=False)
        lease = tab.hold()["lease"]
        waiter = daemon.session("next")
        ref = waiter.acquire()
        tab.wait("revoked", lease=lease)
        waiter.wait("granted", ref=ref)
        tab.send(type="renew", lease=lease)
        denied = tab.wait("denied")
        self.assertIn(denied["code"], ("stale", "revoked"))
        self.assertEqual(daemon.holders(), ["next"])

    def test_alive_by_requests(self):
        """A tab whose WebSocket stands still, as in Firefox with its page's thread, shows by requests that it lives: it
        keeps its lease and its place for as long as it does. The secret of its session counts, and nothing else."""
        daemon = self.daemon(timing={"heartbeat_s": 0.3, "session_ttl_s": 3})
        tab, waits = (daemon.websocket(name, alive=False) for name in ("tab", "waits"))
        lease = tab.hold()["lease"]
        waits.queue()

        def show(text):
            return daemon.http("POST", "/v1/gpu/session/alive", {"session": text}, token=None)

        until = time.monotonic() + 4.5
        while time.monotonic() < until:
            for client in (tab, waits):
                answer = show(client.welcome["session"])
                self.assertEqual((answer.status, answer.json()), (200, {"status": "renewed", "expires_in_s": 3}))
            tab.wait("heartbeat", count=len(tab.messages("heartbeat")) + 1)
        self.assertEqual((daemon.holders(), daemon.waiting()), (["tab"], ["waits"]))

        number, secret = tab.welcome["session"].split("-")
        self.assertError(show(f"{number}-{'0' * len(secret)}"), 409, "stale")
        self.assertError(show(number), 400, "bad_field")
        self.assertError(daemon.http("POST", "/v1/gpu/session/alive", {"session": tab.welcome["session"]}, token=None,
                                     headers={"Origin": "http://evil.example"}), 403)
        tab.wait("revoked", lease=lease)  # it shows nothing any more
        waits.drop()
        wait_until(lambda: show(waits.welcome["session"]).status == 409, "who is cut off is not alive")

    def test_s8_unanswered_offer_goes_back(self):
        """S8, P15: an offer that nobody accepts is taken back; the place stays at the head."""
        daemon = self.daemon(timing={"ack_s": 0.5})
        first = daemon.session("first")
        lease = first.hold()["lease"]
        deaf = daemon.session("deaf", accept=False)
        deaf_ref = deaf.queue()["ref"]
        other = daemon.session("other")
        other.queue()
        first.release(lease)
        offer = deaf.wait("offered", ref=deaf_ref)
        again = deaf.wait("offered", ref=deaf_ref, count=2)
        self.assertGreaterEqual(again["at"] - offer["at"], 0.4)
        self.assertGreater(again["fence"], offer["fence"])
        deaf.accept = True  # a third one, should this come too late
        deaf.send(type="accept", lease=again["lease"])
        deaf.wait("granted", ref=deaf_ref)
        self.assertEqual(daemon.holders(), ["deaf"])
        self.assertEqual(daemon.waiting(), ["other"])

    def test_s8_offer_to_the_dead_is_dropped(self):
        """S8, C32: the offered one dies before it accepts; the next one is offered the GPU."""
        daemon = self.daemon(timing={"ack_s": 10, "tab_linger_s": 0})
        first = daemon.session("first")
        lease = first.hold()["lease"]
        doomed = daemon.websocket("doomed", accept=False)
        ref = doomed.queue()["ref"]
        other = daemon.session("other")
        other_ref = other.queue()["ref"]
        first.release(lease)
        doomed.wait("offered", ref=ref)
        doomed.drop()
        other.wait("granted", ref=other_ref)

    def test_named_in_the_last_moment(self):
        """What a client names and its own end are read at once: the program ends before anybody else is let in."""
        daemon = self.daemon()
        program = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(end_process, program)
        client = subprocess.Popen([sys.executable, "-c", LAST_WORDS, daemon.socket, str(program.pid)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(end_process, client)
        self.assertEqual(client.stdout.readline(), "holds\n")
        daemon.process.send_signal(signal.SIGSTOP)
        client.communicate("go on\n", timeout=20)
        daemon.process.send_signal(signal.SIGCONT)
        daemon.session("next").hold()
        self.assertEqual(program.wait(1), -signal.SIGKILL)

    def test_s9_cancel_against_grant(self):
        """S9, P16, P17, E5: cancel and grant cross; the claim has one end and the GPU goes on."""
        daemon = self.daemon()
        first = daemon.session("first")
        racer = daemon.session("racer")
        for round_number in range(60):
            lease = first.hold()["lease"]
            ref = racer.queue()["ref"]
            if round_number % 2:
                racer.send(type="cancel", ref=ref)
                first.release(lease)
            else:
                first.release(lease)
                racer.send(type="cancel", ref=ref)

            def ended():
                return racer.messages("released", ref=ref) or racer.messages("denied", ref=ref)
            wait_until(ended, f"round {round_number} ends")
            if racer.messages("denied", ref=ref):  # the grant was first: a lease is released
                racer.release(racer.wait("granted", ref=ref)["lease"])
                racer.wait("released", ref=ref)
            end = racer.messages("released", ref=ref)[-1]
            late = [m for m in racer.messages("granted", ref=ref) if m["at"] > end["at"]]
            self.assertEqual(late, [], "granted after it was told that it ended")
            wait_until(lambda: not daemon.holders() and not daemon.waiting(), "nothing is left")

    def test_s15_tab_that_ignores_preemption(self):
        """S15, E6: a tab that does not answer a yield is revoked after its grace."""
        daemon = self.daemon(timing={"grace_s": 0.4, "lock_delay_s": 0.3})
        mute = daemon.websocket("mute")
        lease = mute.hold(**{"class": "background"}, preemptible=True)["lease"]
        voice = daemon.session("voice")
        asked_at = time.monotonic()
        ref = voice.acquire(**{"class": "voice"})
        mute.wait("yield", lease=lease)
        mute.wait("revoked", lease=lease)
        granted = voice.wait("granted", ref=ref)
        print(f"S15: tab, ask to grant {granted['at'] - asked_at:.2f} s with grace 0.4 and lock-delay 0.3 s")
        self.assertGreater(granted["at"] - asked_at, 0.6)
        mute.send(type="renew", lease=lease)
        mute.wait("denied")
        self.assertEqual(daemon.holders(), ["voice"])

    def test_s15_process_that_ignores_preemption(self):
        """S15: a native holder that ignores yield and SIGTERM is killed before anybody else starts."""
        daemon = self.daemon(timing={"grace_s": 0.3})
        mute = Holder(self, daemon, "mute", mute=True, preemptible=True, **{"class": "background"})
        mute.wait("granted")
        voice = daemon.session("voice")
        ref = voice.acquire(**{"class": "voice"})
        mute.wait("yield")
        voice.wait("granted", ref=ref)
        self.assertEqual(mute.process.wait(10), -signal.SIGKILL)

    def test_p22_voice_does_not_wait_for_background(self):
        """S14, P22: a background holder that obeys gives way to voice within its grace."""
        daemon = self.daemon(timing={"grace_s": 5, "min_run_s": 10})
        worker = Holder(self, daemon, "worker", preemptible=True, **{"class": "background"})
        worker.wait("granted")
        voice = daemon.session("voice")
        asked_at = time.monotonic()
        ref = voice.acquire(**{"class": "voice"})
        granted = voice.wait("granted", ref=ref)
        print(f"S14: voice waits {1000 * (granted['at'] - asked_at):.1f} ms for an obedient holder")
        self.assertLess(granted["at"] - asked_at, 2)

    def test_hold_limit_only_when_others_wait(self):
        """P22: nobody is asked while nobody waits; after hold_max a holder is asked for the next one."""
        daemon = self.daemon(timing={"grace_s": 5}, config={"classes": {"background": {"hold_max_s": 0.4}}})
        worker = daemon.websocket("worker")  # a native one would be killed when its turn is over
        lease = worker.hold(**{"class": "background"})["lease"]
        holds_for(lambda: not worker.messages("yield"), "no yield while nobody waits", 0.8)
        other = daemon.websocket("other")
        ref = other.acquire(**{"class": "background"})
        asked = worker.wait("yield", lease=lease)
        self.assertEqual(asked["reason"], "hold-max")
        wait_until(lambda: daemon.status()["waiting"][0]["waited_s"] > 0, "they differ by a millisecond")
        worker.release(lease, requeue=True)
        other.wait("granted", ref=ref)
        wait_until(lambda: daemon.waiting() == ["worker"], "the worker waits again")

    def test_e11_holder_waits_for_whom_it_blocks(self):
        """E11: a claim that its own caller blocks is refused with the cycle named; a lent lease lets it in."""
        daemon = self.daemon()
        outer = daemon.session("outer")
        lease = outer.hold()["lease"]
        inner = daemon.session("inner")
        denied = inner.wait("denied", ref=inner.acquire(parent=lease))
        self.assertEqual(denied["code"], "deadlock")
        self.assertIn("outer", denied["detail"])
        queued = inner.queue(parent=lease, host=lease)
        outer.send(type="lend", lease=lease, to=queued["lease"])
        granted = inner.wait("granted", ref=queued["ref"])
        self.assertEqual(sorted(daemon.holders()), ["inner", "outer"])
        inner.release(granted["lease"])
        wait_until(lambda: daemon.holders() == ["outer"], "the lender goes on")

    def test_peer_is_bound_by_pidfd_not_by_number(self):
        """C40, E9: the death of the process counts, although another one keeps the socket open."""
        daemon = self.daemon(timing={"native_linger_s": 30, "heartbeat_s": 30, "session_ttl_s": 60})
        holder = Holder(self, daemon, "parent", keep=True)
        holder.wait("granted")
        child = holder.wait("child")["pid"]
        self.addCleanup(os.kill, child, signal.SIGKILL)
        waiter = daemon.session("next")
        ref = waiter.acquire()
        waiter.wait("queued", ref=ref)
        holder.signal(signal.SIGKILL)
        waiter.wait("granted", ref=ref)


if __name__ == "__main__":
    unittest.main()
