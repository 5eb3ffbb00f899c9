"""Goal: a Python program uses the GPU only under a lease, and what it did without one never looks done.

Method: the real daemon and programs in processes of their own, run by Debian's python3: brokers are killed and
restarted, programs stopped, revoked, asked to yield, forked, interrupted.
"""
import json
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

from lib.daemon import DaemonTest
from lib.environment import OF_ONE_LEASE, run_environment, two_gpus
from lib.python_client import ROOT, Program
from lib.wait import holds_for, wait_until

sys.path.insert(0, str(ROOT / "clients" / "python"))
import baton  # noqa: E402
from baton._claim import Claim  # noqa: E402

HOLD = """
with baton.lease(klass="background", name="holder", grace=OPTION_GRACE) as lease:
    say("held", lease.fence)
    while hear() != "end":
        lease.check()
        say("checked", lease.fence)
say("done")
""".replace("OPTION_GRACE", 'os.environ.get("GRACE", 0)')


class Claims(unittest.TestCase):
    """The life of a claim without a socket: what no real broker does at the right moment."""

    WELCOME = {"type": "welcome", "session": "1-a", "resumed": False, "linger_s": 20}
    GRANT = {"type": "granted", "ref": 1, "lease": 7, "fence": 5, "gpus": [{"index": 0, "name": "a"}]}

    def held(self):
        claim = Claim("me", {"request_id": "r"}, None, 0.0)
        claim.opened(0.0)
        claim.hear(self.WELCOME, 0.0)
        claim.hear(self.GRANT, 0.0)
        claim.out.clear()
        return claim

    def test_break_between_release_and_its_answer(self):
        """The work was done under the lease; the broker is told once it is back."""
        claim = self.held()
        claim.stopped(False, 1.0)
        self.assertEqual((claim.state, claim.out.pop()), ("releasing", {"type": "release", "lease": 7}))
        claim.broke(baton.BatonError("unreachable"), 1.0)
        self.assertEqual((claim.state, claim.owes, claim.error), ("over", True, None))

    def test_detail_is_said_by_the_release_alone(self):
        """How it ended is said by the last release, not by one that comes back."""
        claim = self.held()
        claim.detail = "exit status 1"
        claim.stopped(True, 1.0)
        self.assertEqual(claim.out.pop(), {"type": "release", "lease": 7, "requeue": True})
        claim = self.held()
        claim.detail = "exit status 1"
        claim.stopped(False, 1.0)
        self.assertEqual(claim.out.pop(), {"type": "release", "lease": 7, "detail": "exit status 1"})

    def test_revoke_that_crosses_the_release(self):
        """The broker had taken it before it heard the release: not done."""
        claim = self.held()
        claim.stopped(False, 1.0)
        claim.hear({"type": "released", "ref": 1, "lease": 7, "reason": "revoked"}, 1.0)
        self.assertEqual((claim.state, claim.error.code), ("over", "revoked"))

    def test_keep_ends_a_yield(self):
        claim = self.held()
        claim.hear({"type": "yield", "lease": 7, "reason": "preempted", "for": "voice", "grace_ms": 2000}, 1.0)
        self.assertEqual((claim.asked_to_yield.for_whom, claim.due), ("voice", 3.0))
        claim.hear({"type": "keep", "lease": 7}, 2.0)
        self.assertEqual((claim.asked_to_yield, claim.due), (None, float("inf")))

    def test_half_of_the_linger(self):
        """Counted from the last look at the connection, not from the moment at which the break was seen."""
        claim = self.held()
        claim.tick(100.0)
        claim.broke(baton.BatonError("unreachable"), 105.0)
        claim.tick(109.9)
        self.assertEqual(claim.state, "held")
        claim.tick(110.0)
        self.assertEqual((claim.state, claim.error.code), ("stopping", "stale"))


class Turns(DaemonTest):
    def test_block_holds_and_gives_back(self):
        """The block has the GPU, and nobody has it afterwards; a child finds the GPU in its environment."""
        daemon = self.daemon(args=["--fake-gpu", "a:24000"])
        program = Program(self, daemon, """
with baton.lease(vram="8G", klass="background", label="llama", name="trainer") as lease:
    say("held", json.dumps([lease.id, lease.fence, [gpu.name for gpu in lease.gpus], lease.held]))
    subprocess.run(["sh", "-c", "echo child $BATON_LEASE $BATON_GPU $CUDA_VISIBLE_DEVICES"], env=lease.environment())
    hear()
say("done", lease.held)
""")
        program.wait('held [1, 1, ["a"], true]')
        program.wait("child 1 a 0")
        row = daemon.status()["leases"][0]
        self.assertEqual([row[key] for key in ("id", "class", "vram_mb", "label")],
                         ["trainer", "background", 8192, "llama"])
        program.tell()
        program.wait("done False")
        self.assertEqual(program.result(), 0)
        self.assertEqual(daemon.holders(), [])

    def test_environment_is_that_of_baton_run(self):
        """Whatever `baton run` sets for its command a child finds; nothing of another lease is left."""
        for uuids in (True, False):
            daemon = self.daemon(config={"gpus": two_gpus(uuids)})
            program = Program(self, daemon, """
with baton.lease(gpus=2) as lease: env = lease.environment()
say(json.dumps({name: value for name, value in env.items() if os.environ.get(name) != value}))
say("BATON_GPU_UUIDS" in env)
""", BATON_GPU_UUIDS="GPU-of-another")
            env = json.loads(program.wait("{"))
            self.assertEqual(program.wait(""), str(uuids))
            self.assertEqual({**env, **OF_ONE_LEASE}, {**run_environment(self, daemon, "--gpus", "2"), **OF_ONE_LEASE})

    def test_heartbeats_go_on_while_it_computes(self):
        """A program that computes for longer than the TTL keeps its lease, though others wait."""
        daemon = self.daemon(timing={"heartbeat_s": 0.2, "session_ttl_s": 0.6})
        program = Program(self, daemon, HOLD)
        program.wait("held")
        waiter = daemon.session("next")
        waiter.queue(**{"class": "background"})
        holds_for(lambda: daemon.holders() == ["holder"], "the lease is kept", 1.5)
        program.tell("end")
        program.wait("done")
        waiter.wait("granted")

    def test_yield_and_give_way(self):
        """S14: asked for voice, it gives way, keeps its place and goes on under a new fence; `keep` ends a yield."""
        daemon = self.daemon(timing={"grace_s": 5})
        program = Program(self, daemon, """
asked = threading.Event()
with baton.lease(klass="background", on_yield=lambda y: asked.set()) as lease:
    say("held", lease.fence)
    asked.wait()
    say("asked", lease.should_yield(), lease.yield_requested.for_whom, lease.time_left() > 1)
    lease.need(4)
    lease.give_way()
    say("again", lease.fence, lease.id, lease.should_yield())
    asked.clear(); asked.wait()
    say("once more")
    while lease.should_yield(): time.sleep(0.01)
    say("kept", lease.time_left())
""")
        program.wait("held 1")
        voice = daemon.session("voice")
        lease = voice.hold(**{"class": "voice"})["lease"]
        program.wait("asked True voice True")
        self.assertEqual(daemon.waiting(), [daemon.status()["waiting"][0]["id"]])
        voice.release(lease)
        program.wait("again 3 1 False")
        ref = voice.acquire(**{"class": "voice"})
        program.wait("once more")
        voice.send(type="cancel", ref=ref)
        program.wait("kept None")
        self.assertEqual(program.result(), 0)


class Restarts(DaemonTest):
    def test_lease_outlives_the_broker(self):
        """kill -9 and a restart in the middle: the same lease and fence; the block ends well."""
        daemon = self.daemon()
        program = Program(self, daemon, HOLD)
        program.wait("held 1")
        daemon.kill()
        program.tell("check")
        program.wait("checked 1")
        daemon.start()
        wait_until(lambda: daemon.status()["leases"][0]["state"] == "held" and
                   "attached" in daemon.log().rpartition("started")[2], "it is back")
        program.tell("check")
        program.wait("checked 1")
        program.tell("end")
        program.wait("done")
        wait_until(lambda: not daemon.holders(), "it is given back")

    def test_waiter_keeps_its_place(self):
        """A restart while it waits: the same place, asked for once."""
        daemon = self.daemon()
        first = daemon.websocket("first")
        lease = first.hold()["lease"]
        program = Program(self, daemon, """
with baton.lease(name="waiter", on_place=lambda place: say("place", place.position)) as lease: say("held", lease.id)
""")
        program.wait("place 0")
        claim = daemon.status()["waiting"][0]["lease"]
        daemon.kill()
        daemon.start()
        again = daemon.websocket("first", resume=first.welcome["session"])
        wait_until(lambda: daemon.waiting() == ["waiter"], "it waits")
        again.release(lease)
        program.wait(f"held {claim}")
        self.assertEqual(program.result(), 0)

    def test_broker_that_stays_away(self):
        """No broker: half of its linger later the lease is lost, and the block does not end well."""
        daemon = self.daemon(timing={"session_ttl_s": 2, "heartbeat_s": 0.5})
        program = Program(self, daemon, """
began = []
try:
    with baton.lease(on_lost=lambda lost: say("told", lost.code)) as lease:
        say("held")
        hear()
        began.append(time.monotonic())
        while lease.held: time.sleep(0.01)
        say("lost after", round(time.monotonic() - began[0], 1))
    say("done")
except baton.LeaseLost as lost:
    say("LeaseLost", lost.code)
""")
        program.wait("held")
        daemon.kill()
        program.tell()
        after_s = float(program.wait("lost after").split()[-1])
        self.assertLess(abs(after_s - 1), 0.6)
        program.wait("LeaseLost stale")
        self.assertEqual(program.result(), 0)
        self.assertFalse(program.said("done"))

    def test_end_while_the_broker_is_away(self):
        """The work ended in time and the broker comes back later: the program is not signalled, the GPU is free."""
        daemon = self.daemon()
        program = Program(self, daemon, """
with baton.lease() as lease:
    say("held")
    hear()
say("done")
hear()
""")
        program.wait("held")
        daemon.kill()
        program.tell()
        program.wait("done")
        daemon.start()
        wait_until(lambda: not daemon.holders(), "it is given back")
        holds_for(lambda: program.process.poll() is None, "nobody signals it", 0.5)
        program.tell()
        self.assertEqual(program.result(), 0)


class Losses(DaemonTest):
    STALL = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
try:
    with baton.lease(name="holder", grace=10) as lease:
        say("held")
        hear()
        CHECK
    say("done")
except baton.LeaseLost as lost:
    say("LeaseLost", lost.code)
"""

    def stall(self, check):
        daemon = self.daemon(timing={"heartbeat_s": 0.2, "session_ttl_s": 0.5, "grace_max_s": 20})
        program = Program(self, daemon, self.STALL.replace("CHECK", check))
        program.wait("held")
        waiter = daemon.session("next")
        waiter.queue()
        program.signal(signal.SIGSTOP)
        program.tell()
        wait_until(lambda: "unresponsive" in daemon.log(), "it is revoked")
        program.signal(signal.SIGCONT)
        program.wait("LeaseLost revoked")
        self.assertEqual(program.result(), 0)
        self.assertFalse(program.said("done"))
        waiter.wait("granted")

    def test_s2_lost_in_a_stall_is_seen_by_check(self):
        """S2: stopped for longer than its TTL: the first check() after it sees that the lease is gone."""
        self.stall("lease.check(); say('done')")

    def test_s2_lost_in_a_stall_is_never_done(self):
        """S2: the same for a program that never checks: the end of the block says it."""
        self.stall("pass")

    def test_thread_that_gets_no_turn(self):
        """The program never lets its other threads run, so nobody answers the broker: check() looks by itself."""
        daemon = self.daemon(timing={"heartbeat_s": 0.2, "session_ttl_s": 0.5, "grace_max_s": 20})
        program = Program(self, daemon, """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
try:
    with baton.lease(name="holder", grace=10) as lease:
        sys.setswitchinterval(1000)
        say("held")
        hear()
        end = time.monotonic() + 3
        while time.monotonic() < end: pass
        lease.check()
        say("done")
except baton.LeaseLost as lost:
    sys.setswitchinterval(0.005)
    say("LeaseLost", lost.code)
""")
        program.wait("held")
        daemon.session("next").queue()
        program.tell()
        program.wait("LeaseLost revoked")
        self.assertFalse(program.said("done"))

    def test_stalled_while_the_broker_died(self):
        """Stopped over the broker's death: longer than half the linger ago is lost, though nobody could say it."""
        daemon = self.daemon(timing={"session_ttl_s": 0.6, "heartbeat_s": 0.2})
        program = Program(self, daemon, self.STALL.replace("CHECK", "pass"))
        program.wait("held")
        program.signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        daemon.kill()
        program.tell()
        wait_until(lambda: time.monotonic() - stopped_at > 0.5, "the time goes by")
        program.signal(signal.SIGCONT)
        program.wait("LeaseLost stale")
        self.assertFalse(program.said("done"))

    def test_revoked_by_an_operator(self):
        """An operator takes the lease: SIGTERM may end the block in an orderly way; the GPU is given back at once."""
        daemon = self.daemon()
        program = Program(self, daemon, """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
with baton.lease(name="holder", grace=5) as lease:
    say("held")
    try:
        while True: time.sleep(0.01)
    finally:
        try:
            for _ in range(1000):  # the signal may come before the word
                lease.check()
                time.sleep(0.01)
        except baton.LeaseLost as lost: say("LeaseLost", lost.code, lost.detail)
""")
        program.wait("held")
        self.assertEqual(self.run_cli(daemon, "release", "holder", "--reason", "lunch").returncode, 0)
        program.wait("LeaseLost revoked operator")
        self.assertEqual(program.result(), 3)
        wait_until(lambda: not daemon.holders(), "it is given back")

    def test_handler_that_may_not_wait(self):
        """A handler that calls what waits is told so, and nothing was done: the program that computes has its lease."""
        for call in ("release()", "give_way()", "need(1)", "acquire()"):
            daemon = self.daemon(timing={"grace_s": 5})
            program = Program(self, daemon, f"""
def handle(asked):
    try: lease.{call}
    except baton.BatonError as error: say("refused", error.code)
lease = baton.lease(klass="background", name="holder", on_yield=handle, grace=5)
with lease:
    say("held")
    while not lease.yield_requested: time.sleep(0.01)
    hear()
    lease.check()
say("done")
""")
            program.wait("held")
            daemon.session("voice").queue(**{"class": "voice"})
            program.wait("refused wrong_state")
            program.tell()
            program.wait("done")
            self.assertEqual(program.result(), 0, program.errors)

    def test_handler_that_is_quicker_than_acquire(self):
        """A handler that is called before acquire() goes on finds the claim in the lease, and may end it."""
        daemon = self.daemon()
        daemon.session("holder").hold()
        program = Program(self, daemon, """
called, start = threading.Event(), threading.Thread.start
def start_and_wait(thread): start(thread); called.wait(10)
def handle(place): say("place", lease.id > 0, lease.place == place); lease.cancel(); called.set()
threading.Thread.start = start_and_wait
lease = baton.lease(on_place=handle)
for _ in range(2):
    called.clear()
    try: lease.acquire()
    except baton.LeaseDenied as error: say(error.code)
""")
        for _ in range(2):
            program.wait("place True True")
            program.wait("cancelled")
        self.assertEqual(program.result(), 0, program.errors)

    def test_no_thread_to_be_had(self):
        """Where no thread can be begun nobody waits for one: it is said, and nothing is asked for."""
        daemon = self.daemon()
        program = Program(self, daemon, """
def refuse(thread): raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
lease, before = baton.lease(), os.listdir("/proc/self/fd")
try: lease.acquire()
except baton.BatonError as error: say(error.code, lease.held, os.listdir("/proc/self/fd") == before)
""")
        program.wait("internal False True")
        self.assertEqual(program.result(), 0, program.errors)

    def test_handler_that_ends_its_thread(self):
        """A handler that calls sys.exit() ends nothing: heartbeats go on, the program that computes has its lease."""
        daemon = self.daemon(timing={"grace_s": 5, "heartbeat_s": 0.2, "session_ttl_s": 0.6})
        program = Program(self, daemon, """
def handle(asked): say("handler"); sys.exit(3)
with baton.lease(klass="background", name="holder", on_yield=handle, grace=5) as lease:
    say("held")
    hear()
    lease.check()
say("done")
""")
        program.wait("held")
        daemon.session("voice").queue(**{"class": "voice"})
        program.wait("handler")
        holds_for(lambda: daemon.holders() == ["holder"], "the lease is kept", 1.5)
        program.tell()
        program.wait("done")
        self.assertEqual(program.result(), 0, program.errors)

    def test_thread_that_fails(self):
        """If the thread ends by a bug nobody goes on as if it were there: who waits is told, who computes has lost."""
        daemon = self.daemon()
        program = Program(self, daemon, """
def fail(lease):
    claim = lease._session.claim
    def tick(now): claim.__dict__.pop("tick"); 1 / 0
    claim.tick = tick
    lease._session.wake()
lost = threading.Event()
with baton.lease(on_lost=lambda error: lost.set()) as lease:
    waiter = baton.lease(on_place=lambda place: fail(waiter))
    try: waiter.acquire()
    except baton.BatonError as error: say("waiter", error.code)
    try:
        fail(lease)
        lost.wait()
        lease.check()
    except baton.LeaseLost as error: say("holder", error.code, lease.held)
""")
        program.wait("waiter internal")
        program.wait("holder internal False")
        wait_until(lambda: not daemon.holders(), "it is given back")

    def test_ignored_yield_is_revoked_and_killed(self):
        """S15: a program that neither gives way nor ends is killed before the next one has the GPU."""
        daemon = self.daemon(timing={"grace_s": 0.3})
        program = Program(self, daemon, """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with baton.lease(klass="background") as lease:
    say("held")
    while True: time.sleep(1)
""")
        program.wait("held")
        voice = daemon.session("voice")
        voice.hold(**{"class": "voice"})
        self.assertEqual(program.result(), -signal.SIGKILL)


class Processes(DaemonTest):
    def test_fork_does_not_own_the_lease(self):
        """A child has no lease: check() says so, its end gives nothing back, and it may ask for one of its own."""
        daemon = self.daemon(args=["--fake-gpu", "a:24000", "--fake-gpu", "b:8000"])
        program = Program(self, daemon, """
with baton.lease(name="parent", gpu="a") as lease:
    child = os.fork()
    if child == 0:
        try: lease.check()
        except baton.LeaseLost as lost: say("child", lost.code)
        with baton.lease(name="child", gpu="b") as own: say("child has", own.gpus[0].name)
    else:
        say("parent", os.waitpid(child, 0)[1])
        lease.check()
        hear()
if child == 0: sys.exit(7)
""")
        program.wait("child forked")
        program.wait("child has b")
        program.wait(f"parent {7 << 8}")
        self.assertEqual(daemon.holders(), ["parent"])
        program.tell()
        self.assertEqual(program.result(), 0)

    def test_child_does_not_keep_the_lease_of_a_dead_parent(self):
        """The parent is killed and its child lives on: the GPU is free at once."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        program = Program(self, daemon, """
lease = baton.lease(name="parent").acquire()
child = os.fork()
if child == 0:
    signal.pause()
say("child", child)
hear()
""")
        child = int(program.wait("child").split()[1])
        self.addCleanup(lambda: os.kill(child, signal.SIGKILL))
        waiter = daemon.session("next")
        ref = waiter.queue()["ref"]
        killed_at = time.monotonic()
        program.signal(signal.SIGKILL)
        granted = waiter.wait("granted", ref=ref)
        print(f"kill to grant {1000 * (granted['at'] - killed_at):.1f} ms")
        self.assertLess(granted["at"] - killed_at, 1)

    def test_named_child_is_evicted(self):
        """A fork child that computes for the lease and is named: a revoke kills it, and only then the next begins."""
        daemon = self.daemon(timing={"grace_s": 0.3})
        program = Program(self, daemon, """
lease = baton.lease(name="parent", klass="background").acquire()
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: signal.pause()
lease.processes(child)
say("child", child)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.waitpid(child, 0)
time.sleep(60)
""")
        child = os.pidfd_open(int(program.wait("child").split()[1]))
        self.addCleanup(os.close, child)
        voice = daemon.session("voice")
        voice.hold(**{"class": "voice"})
        self.assertTrue(select.select([child], [], [], 0)[0], "the child is gone before the grant")
        self.assertEqual(program.result(), -signal.SIGKILL)

    def test_multiprocessing(self):
        """A pool forked under a lease computes, and its end gives nothing back."""
        daemon = self.daemon()
        program = Program(self, daemon, """
import multiprocessing
with baton.lease(name="parent") as lease:
    with multiprocessing.get_context("fork").Pool(2) as pool: say("pool", pool.map(abs, [-1, -2]))
    lease.check()
    say("held")
    hear()
""")
        program.wait("pool [1, 2]")
        program.wait("held")
        self.assertEqual(daemon.holders(), ["parent"])
        program.tell()
        self.assertEqual(program.result(), 0)


class Ends(DaemonTest):
    def ends(self, code, act=None):
        """The program holds, then ends in some way: nothing is left at once. Its exit status."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        program = Program(self, daemon, code)
        program.wait("held")
        if act:
            act(program)
        status = program.result()
        wait_until(lambda: not daemon.names(), "nothing is left", 10)  # long before the linger is over
        return status

    def test_interpreter_ends_with_a_lease(self):
        """Nobody called release(): the lease ends with the interpreter, by a word and not by its death."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        program = Program(self, daemon, "lease = baton.lease(name='forgetful').acquire(); say('held')")
        self.assertEqual(program.result(), 0, program.errors)
        wait_until(lambda: not daemon.holders(), "nothing is left")
        wait_until(lambda: " bye " in daemon.log(), "it said so")

    def test_ctrl_c_in_the_block(self):
        self.assertEqual(self.ends("""
with baton.lease() as lease:
    say("held")
    while True: time.sleep(1)
""", lambda program: program.signal(signal.SIGINT)), -signal.SIGINT)

    def test_exception_in_the_block(self):
        self.assertEqual(self.ends("""
with baton.lease() as lease:
    say("held")
    raise ValueError("in the block")
"""), 1)

    def test_ctrl_c_while_it_waits(self):
        """The place in the queue is left at once."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        daemon.session("first").hold()
        program = Program(self, daemon, """
lease = baton.lease(name="waiter", on_place=lambda place: say("place"))
try: lease.acquire()
except KeyboardInterrupt: say("interrupted"); hear()
""")
        program.wait("place")
        program.signal(signal.SIGINT)
        program.wait("interrupted")
        wait_until(lambda: not daemon.waiting(), "the place is left")
        program.tell()
        self.assertEqual(program.result(), 0)

    def test_killed(self):
        self.assertEqual(self.ends("lease = baton.lease().acquire(); say('held'); hear()",
                                   lambda program: program.signal(signal.SIGKILL)), -signal.SIGKILL)


class Asyncio(DaemonTest):
    def test_many_tasks_take_turns(self):
        """Fifty tasks of one program: one at a time has the GPU, all have their turn, and the loop goes on."""
        daemon = self.daemon()
        program = Program(self, daemon, """
inside, most, turns, ticks = 0, 0, 0, 0
async def job():
    global inside, most, turns
    async with baton.lease_async() as lease:
        inside += 1; most = max(most, inside)
        await asyncio.sleep(0.002)
        lease.check()
        inside -= 1; turns += 1
async def tick():
    global ticks
    while True: ticks += 1; await asyncio.sleep(0.001)
async def main():
    ticker = asyncio.ensure_future(tick())
    await asyncio.gather(*(job() for _ in range(50)))
    ticker.cancel()
asyncio.run(main())
say("turns", turns, "most", most, "ticks", ticks > 50)
""")
        program.wait("turns 50 most 1 ticks True")
        self.assertEqual(program.result(), 0, program.errors)

    def test_cancelled_waiter_leaves(self):
        daemon = self.daemon()
        daemon.session("first").hold()
        program = Program(self, daemon, """
async def wait():
    async with baton.lease_async(name="waiter"): say("held")
async def main():
    try: await asyncio.wait_for(wait(), 0.3)
    except asyncio.TimeoutError: say("given up")
    await asyncio.get_running_loop().run_in_executor(None, hear)
asyncio.run(main())
""")
        program.wait("given up")
        wait_until(lambda: not daemon.waiting(), "the place is left")
        program.tell()
        self.assertEqual(program.result(), 0, program.errors)

    def test_cancelled_together_with_news(self):
        """Whatever the broker says in the moment of the cancellation, the task is cancelled and the place is left."""
        daemon = self.daemon()
        daemon.session("first").hold()
        program = Program(self, daemon, """
async def cancelled_after(rounds):
    lease = baton.lease_async(name="waiter")
    task = asyncio.ensure_future(lease.acquire())
    while not lease.place: await asyncio.sleep(0.001)
    for tell in list(lease._session.watchers): tell()  # as its thread does when a message came
    for _ in range(rounds): await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    return task.cancelled()
async def main():
    say("cancelled", *[await cancelled_after(rounds) for rounds in range(6)])
asyncio.run(main())
""")
        program.wait("cancelled" + 6 * " True")
        self.assertEqual(program.result(), 0, program.errors)
        wait_until(lambda: not daemon.waiting(), "the places are left")

    def test_loss_ends_the_block(self):
        """A task that awaits something for ever is cancelled when its lease is lost; the block ends with LeaseLost."""
        daemon = self.daemon(timing={"session_ttl_s": 0.6, "heartbeat_s": 0.2})
        program = Program(self, daemon, """
async def main():
    try:
        async with baton.lease_async() as lease:
            say("held")
            await asyncio.Event().wait()
    except baton.LeaseLost as lost:
        say("LeaseLost", lost.code)
    await asyncio.sleep(0)
    say("goes on")
asyncio.run(main())
""")
        program.wait("held")
        daemon.kill()
        program.wait("LeaseLost stale")
        program.wait("goes on")
        self.assertEqual(program.result(), 0, program.errors)

    def test_yield(self):
        daemon = self.daemon(timing={"grace_s": 5})
        program = Program(self, daemon, """
async def main():
    async with baton.lease_async(klass="background") as lease:
        say("held")
        asked = await lease.until_yield()
        await lease.need(4)
        say("asked", asked.for_whom)
        await lease.give_way()
        say("again", lease.fence)
        await lease.change(1, "1G")
asyncio.run(main())
""")
        program.wait("held")
        voice = daemon.session("voice")
        lease = voice.hold(**{"class": "voice"})["lease"]
        program.wait("asked voice")
        voice.release(lease)
        program.wait("again 3")
        self.assertEqual(program.result(), 0, program.errors)


class Nonsense(DaemonTest):
    """A broker that says what is no message, or grants what it may not: no lease, no hanging, a word about it."""

    LINES = [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b"[" * 100000, b'{"type":"welcome"}', b"x" * 70000,
             b'{"type":"granted","ref":1,"lease":1,"fence":1,"gpus":[{"index":0,"name":"a"}]}']
    GRANTS = ['"lease":1,"fence":0,"gpus":[{"index":0,"name":"a"}]', '"lease":1,"fence":1,"gpus":[]',
              '"lease":1,"fence":1e999,"gpus":[{"index":0,"name":"a"}]',
              '"lease":1,"fence":"x","gpus":[{"index":0,"name":"a"}]', '"lease":1,"fence":1,"gpus":[7]',
              '"lease":{},"fence":1,"gpus":[{"index":0,"name":"a"}]', '"lease":1']

    def serve(self, words):
        """A listening socket that answers the first line with these words and closes; where it is."""
        folder = tempfile.TemporaryDirectory(prefix="bt-")
        self.addCleanup(folder.cleanup)
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(f"{folder.name}/s")
        listener.listen(8)

        def answer():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(65536)
                    try:
                        peer.sendall(words)
                    except OSError:
                        pass
        threading.Thread(target=answer, daemon=True).start()
        return listener.getsockname()

    def test_no_lease_from_nonsense(self):
        welcome = b'{"type":"welcome","version":1,"session":"1-a","resumed":false,"epoch":1,"linger_s":2}\n'
        grants = [welcome + b'{"type":"granted","ref":1,%s}' % grant.encode() for grant in self.GRANTS]
        daemon = self.daemon(start=False)
        program = Program(self, daemon, """
for path in iter(hear, "end"):
    try:
        with baton.lease(socket=path, timeout=0.2): say("held")
    except baton.BatonError as error: say("no lease", error.code)
""")
        for words in self.LINES + grants:
            program.tell(self.serve(words + b"\n"))
            self.assertIn(program.wait("").split()[-1], ("protocol", "timeout", "unreachable"), words[:99])
        program.tell("end")
        self.assertEqual(program.result(), 0, program.errors)


if __name__ == "__main__":
    unittest.main()
