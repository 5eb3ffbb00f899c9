"""Goal: a program that knows nothing of Baton gives the GPU to a voice in the middle of its work and goes on
afterwards, the same process with the same memory; what is frozen counts as there, and nothing stays frozen for ever.

Method: real process trees under `baton run --on-yield freeze` that write signs of life, with the real broker; in a
cgroup of their own where this user may make one, and without.
"""
import os
import pathlib
import signal
import struct
import sys
import time
import unittest

from lib.daemon import DaemonTest, die_with_parent
from lib.overlap import JOB, is_alive
from lib.pseudo_terminal import Terminal
from lib.native import own_cgroup, without_cgroups
from lib.wait import holds_for, wait_until

GPU = ("--fake-gpu", "a:24576")
TRIES, GRANT_MS = 8, 50
GIB = 1024


class Freeze(DaemonTest):
    TIMING = {}

    def setUp(self):
        self.d = self.daemon(args=GPU, timing=self.TIMING)
        self.folder = self.d.dir / "job"
        self.folder.mkdir()

    def signs(self):
        found = {int(path.name[6:]): path.read_bytes() for path in self.folder.glob("alive-*")}
        return {pid: struct.unpack("d", data)[0] for pid, data in found.items() if len(data) == 8}

    def start_job(self, kind="trap", count=1, options=(), confined=True):
        """Of kind "half" it ends well on SIGTERM, in half of its grace."""
        wrapper = self.start_cli(self.d, "run", "-c", "background", "-n", "train", "--vram", "16G", "--grace", "400ms",
                                 "--on-yield", "freeze", *options, "--", sys.executable, "-S", str(JOB),
                                 str(self.folder), kind, "0.4",
                                 preexec_fn=die_with_parent if confined else without_cgroups)
        self.wrapper = wrapper
        wait_until(lambda: len(self.signs()) == count, "the job is at work")
        return wrapper

    def lease(self):
        rows = [row for row in self.d.status()["leases"] if row["id"] == "train"]
        return rows[0] if rows else None

    def freeze(self):
        """A voice comes; its session, its lease, and how long it waited in ms."""
        voice = self.d.session("voice")
        begun = time.monotonic()
        lease = voice.hold(**{"class": "voice"})["lease"]
        offered = next(message["at"] for message in voice.messages("offered") if message["lease"] == lease)
        return voice, lease, (offered - begun) * 1000

    def assert_frozen(self):
        before = self.signs()
        holds_for(lambda: self.signs() == before, "no process of it does anything", 0.15)

    def assert_goes_on(self):
        before = self.signs()
        wait_until(lambda: all(self.signs()[pid] > at for pid, at in before.items()), "all of it goes on")


class GivingTheTurn(Freeze):
    def rounds(self, confined):
        self.start_job("forked", 3, confined=confined)
        lease, pids, waits = self.lease()["lease"], set(self.signs()), []
        while len(waits) < 2 or (min(waits) >= GRANT_MS and len(waits) < TRIES):
            voice, held, waited_ms = self.freeze()
            waits.append(waited_ms)
            self.assert_frozen()
            row = self.lease()
            self.assertEqual((row["lease"], row["slots"], row["vram_mb"], row["parked"]), (lease, 0, 16 * GIB, True))
            self.assertEqual(self.d.waiting(), ["train"])
            voice.release(held)
            self.assert_goes_on()
            wait_until(lambda: self.lease()["slots"] == 1, "it has its turn")
            self.assertNotIn("parked", self.lease())
            self.assertEqual(set(self.signs()), pids, "the same processes")
            voice.bye()
        self.assertLess(min(waits), GRANT_MS, "from the voice's question to its offer")

    def test_with_a_cgroup(self):
        """S14: voice has the GPU in 50 ms, all of the tree stands still, and goes on afterwards; several times."""
        if not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        self.rounds(True)

    def test_without_a_cgroup(self):
        """S14: the same by SIGSTOP, where no cgroup may be made."""
        self.rounds(False)

    def test_it_ends_as_it_would_have(self):
        """Its status is its own, however often it was frozen."""
        wrapper = self.start_cli(self.d, "run", "-q", "-c", "background", "--on-yield", "freeze", "--", "sh", "-c",
                                 f"echo ready; until [ -e {self.folder}/go ]; do sleep 0.01; done; exit 6")
        self.assertEqual(wrapper.stdout.readline(), "ready\n")
        voice, held, _ = self.freeze()
        (self.folder / "go").touch()
        holds_for(lambda: wrapper.poll() is None, "it is frozen", 0.1)
        voice.release(held)
        self.assertEqual(wrapper.wait(20), 6)
        self.assertEqual(self.d.holders(), [])

    def test_what_is_said(self):
        """The wrapper, `baton status` and `baton why` say that it is frozen and keeps its memory."""
        self.start_job()
        self.freeze()
        status = self.run_cli(self.d, "status").stdout
        self.assertRegex(status, r"train .*frozen, keeps its memory")
        self.assertRegex(status, r"train .*frozen; .*voice", "its wait for the turn, too")
        self.assertEqual(self.d.status()["waiting"][0]["resumes"], self.lease()["lease"])
        waiter = self.d.session("other")
        waiter.queue(vram_mb=12 * GIB, slots=0, **{"class": "background"})
        said = self.run_cli(self.d, "why", "other").stdout
        self.assertRegex(said, r"train is frozen and keeps 16\.0 GiB of VRAM on a")
        self.wrapper.terminate()
        _, said = self.wrapper.communicate(timeout=20)
        self.assertIn("frozen and keeps its memory", said)

    def test_limit_of_its_own(self):
        """--hold does not run while it is frozen."""
        self.start_job(options=("--hold", "3s"))
        voice, held, _ = self.freeze()
        holds_for(lambda: self.wrapper.poll() is None and "parked" in self.lease(), "it is frozen", 3.1)
        voice.release(held)
        self.assertEqual(self.wrapper.wait(20), 124)


class TheEndOfIt(Freeze):
    """What ends a job that is frozen."""

    def test_its_memory_is_wanted(self):
        """By a higher class: it is let go on for its grace, to save, and then its memory is free."""
        wrapper = self.start_job("half")
        voice, _, _ = self.freeze()
        chat = self.d.session("chat")
        chat.hold(vram_mb=12 * GIB, slots=0, **{"class": "chat"})
        self.assertTrue((self.folder / "term").exists(), "it heard SIGTERM")
        self.assertEqual(wrapper.wait(20), 75)
        voice.bye()

    def test_its_memory_is_wanted_at_once(self):
        """By who comes first: a voice that wants memory as well as the turn. It is not frozen and let go on by turns:
        it ends, and the voice speaks; also where another like it waits for its turn."""
        for others in (0, 1):
            with self.subTest(others=others):
                self.setUp()
                wrapper = self.start_job("half")
                waiting = [self.d.parked("other", vram_mb=16 * GIB, **{"class": "background"}) for _ in range(others)]
                voice = self.d.session("voice")
                voice.hold(vram_mb=12 * GIB, **{"class": "voice"})
                self.assertEqual(wrapper.wait(20), 75)
                self.assertLessEqual(self.d.log().count("yield lease=1 "), 2)
                voice.bye()
                for each in waiting:
                    each.close()

    def test_comes_back_by_requeue(self):
        """.. and with --requeue it is started again when its memory is there."""
        wrapper = self.start_job("half", options=("--requeue",))
        first = set(self.signs())
        voice, _, _ = self.freeze()
        chat = self.d.session("chat")
        chat.hold(vram_mb=12 * GIB, slots=0, **{"class": "chat"})
        voice.bye()
        chat.bye()
        wait_until(lambda: set(self.signs()) > first and wrapper.poll() is None, "it was started again")

    def test_revoked(self):
        """An operator takes the lease: SIGTERM, its grace, SIGKILL."""
        for kind in ("half", "deaf"):
            with self.subTest(kind=kind):
                self.setUp()
                wrapper = self.start_job(kind)
                self.freeze()
                self.run_cli(self.d, "release", "--now", "train")
                self.assertEqual(wrapper.wait(20), 75)
                self.assertEqual((self.folder / "term").exists(), kind == "half")
                self.assertFalse([pid for pid in self.signs() if is_alive(pid)])

    def test_signals(self):
        """INT and TERM to the wrapper: it hears them, has its grace, and ends."""
        for signo in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=signo):
                self.setUp()
                wrapper = self.start_job("half" if signo == signal.SIGTERM else "trap")
                self.freeze()
                wrapper.send_signal(signo)
                self.assertEqual(wrapper.wait(20), 0 if signo == signal.SIGTERM else -signal.SIGINT)
                wait_until(lambda: self.d.holders() == ["voice"], "its lease is over")

    def test_ctrl_c(self):
        """On a terminal, while it is frozen: it is heard, and the shell has its terminal again."""
        terminal = Terminal(env={**self.d.environment(), "BATON_SOCKET": self.d.socket})
        self.addCleanup(terminal.end)
        terminal.line(f"{sys.argv and os.environ.get('BATON_BIN', 'build-asan/baton')} run -n train -c background "
                      f"--on-yield freeze -- sh -c 'trap \"echo heard; exit 9\" INT; echo ready; "
                      "while :; do sleep 0.01; done'")
        terminal.wait("\nready\r")
        self.freeze()
        terminal.wait("is frozen")
        terminal.type("\x03")
        terminal.wait("heard\r")
        terminal.line("echo status $?")
        terminal.wait("status 9\r")

    def test_wrapper_is_killed(self):
        """kill -9 of the wrapper: nothing stays, frozen or not."""
        for confined in ([True] if own_cgroup() else []) + [False]:
            with self.subTest(confined=confined):
                self.setUp()
                wrapper = self.start_job("forked", 3, confined=confined)
                voice, held, _ = self.freeze()
                wrapper.kill()
                wait_until(lambda: not [pid for pid in self.signs() if is_alive(pid)], "all of it is gone")
                wait_until(lambda: self.lease() is None, "and its memory")
                voice.release(held)

    def test_it_is_killed(self):
        """kill -9 of the command: its helpers do not stay frozen."""
        wrapper = self.start_job("forked", 3)
        self.freeze()
        stat = pathlib.Path(f"/proc/{wrapper.pid}/task/{wrapper.pid}/children").read_text().split()
        leader = next(int(pid) for pid in stat if pathlib.Path(f"/proc/{pid}/comm").read_text() != "baton-keeper\n" and
                      "forked" in pathlib.Path(f"/proc/{pid}/cmdline").read_text())
        os.kill(leader, signal.SIGKILL)
        self.assertEqual(wrapper.wait(20), 137)
        self.assertFalse([pid for pid in self.signs() if is_alive(pid)])


class WithoutABroker(Freeze):
    TIMING = {"heartbeat_s": 0.2, "session_ttl_s": 1.6, "native_linger_s": 0.3, "restart_linger_s": 3, "settle_s": 0.5}

    def test_it_does_not_come_back(self):
        """The daemon dies and stays away: the job does not stay frozen, it is ended when its lease is."""
        wrapper = self.start_job("half")
        self.freeze()
        self.d.kill()
        self.assertEqual(wrapper.wait(20), 75)
        self.assertTrue((self.folder / "term").exists())

    def test_it_comes_back(self):
        """The daemon is killed and started: the job stays frozen behind the voice, and goes on after it."""
        self.start_job()
        voice, held, _ = self.freeze()
        resume = voice.welcome["session"]
        self.d.kill()
        voice.drop()
        self.d.start()
        voice = self.d.session("voice", resume=resume)
        wait_until(lambda: self.lease() and self.lease()["attached"] and self.d.waiting() == ["train"], "it is back")
        self.assert_frozen()
        voice.release(held)
        self.assert_goes_on()

    def test_stopped_wrapper(self):
        """The wrapper is stopped while its job is frozen: the broker ends both for whoever needs the memory."""
        wrapper = self.start_job("deaf")
        voice, _, _ = self.freeze()
        wrapper.send_signal(signal.SIGSTOP)
        wait_until(lambda: self.lease().get("stopped"), "status says so")
        other = self.d.session("other")
        other.hold(vram_mb=12 * GIB, slots=0, **{"class": "chat"})
        self.assertFalse([pid for pid in self.signs() if is_alive(pid)])
        self.assertEqual(wrapper.wait(20), -signal.SIGKILL)
        voice.bye()

    def test_missed_offers(self):
        """The wrapper was stopped over its offers: when it is continued the turn is asked for again."""
        wrapper = self.start_job()
        voice, held, _ = self.freeze()
        wrapper.send_signal(signal.SIGSTOP)
        voice.release(held)
        wait_until(lambda: not self.d.waiting(), "it missed its offers")
        wrapper.send_signal(signal.SIGCONT)
        self.assert_goes_on()
        self.assertNotIn("parked", self.lease())


if __name__ == "__main__":
    unittest.main()
