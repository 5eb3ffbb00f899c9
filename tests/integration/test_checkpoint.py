"""Goal: a program that knows nothing of Baton is moved off the GPU when a voice needs it, with all of its memory, and
goes on afterwards; it is never put back without a lease, and what cannot be moved is stopped as without.

Method: programs under `baton run --on-yield checkpoint` that a stand-in for CUDA's driver moves: real processes, the
real broker, and files that say in which state the driver has each process (tests/lib/cuda/standin.c). Nothing here has
been tried on a real card.
"""
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent, end_process
from lib.gpus import Nvml, card
from lib.native import is_pending, own_cgroup, without_cgroups
from lib.overlap import is_alive
from lib.wait import holds_for, wait_until

GPU = ("--fake-gpu", "a:24576")
JOB = pathlib.Path(__file__).with_name("lib") / "cuda_job.py"
LIBRARY = os.path.abspath(os.environ.get("CUDA_STANDIN", "build/tests/lib/cuda/libcuda.so"))
GIB = 1024


class Checkpoint(DaemonTest):
    TIMING = {}

    def setUp(self):
        self.start_daemon()

    def start_daemon(self, **options):
        self.d = self.daemon(**{"args": GPU, "timing": self.TIMING, **options})
        self.folder = self.d.dir / "job"
        self.folder.mkdir()
        self.d.env.update(BATON_LIBCUDA=LIBRARY, BATON_CUDA_STANDIN=str(self.folder))

    def scenario(self, *lines):
        beside = self.folder / "scenario.new"
        beside.write_text("\n".join(lines) + "\n", encoding="ascii")
        beside.rename(self.folder / "scenario")

    def calls(self):
        """(call, pid) in their order."""
        path = self.folder / "calls"
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def states(self):
        return {int(path.name[6:]): path.read_text(encoding="ascii").strip()
                for path in self.folder.glob("state-*") if not path.name.endswith(".new")}

    def heard(self):
        """In which states the processes heard SIGTERM."""
        return {path.read_text(encoding="ascii").strip() for path in self.folder.glob("term-*")}

    def signs(self):
        found = {int(path.name[6:]): path.read_bytes() for path in self.folder.glob("alive-*")}
        return {pid: struct.unpack("d", data)[0] for pid, data in found.items() if len(data) == 8}

    def command(self, *options, kind="one", grace="10s", vram="16G"):
        return ["run", "-c", "background", "-n", "train", "--vram", vram, "--grace", grace, "--on-yield", "checkpoint",
                *options, "--", sys.executable, "-S", str(JOB), str(self.folder), LIBRARY, kind]

    def start_job(self, *options, kind="one", count=1, confined=True, **more):
        self.wrapper = self.start_cli(self.d, *self.command(*options, kind=kind, **more),
                                      preexec_fn=die_with_parent if confined else without_cgroups)
        wait_until(lambda: len(self.signs()) == count, "the job is at work")
        return self.wrapper

    def session(self, name, **options):
        """It leaves before the daemon stops: a holder that loses its session is ended, and that is this process."""
        session = self.d.session(name, **options)
        self.addCleanup(self.leave, session)
        return session

    @staticmethod
    def leave(session):
        try:
            session.bye()
        except OSError:
            pass  # the daemon, or the session, has ended already

    def voice(self, **need):
        """It asks, and has the GPU: its session and its lease."""
        session = self.session("voice")
        return session, session.hold(**{"class": "voice", **need})["lease"]

    def leader(self):
        return next(pid for pid in self.signs() if int(pathlib.Path(f"/proc/{pid}/stat").read_text().split()[3])
                    == self.wrapper.pid)

    def row(self):
        rows = [row for row in self.d.status()["leases"] if row["id"] == "train"]
        return rows[0] if rows else None

    def assert_away(self):
        self.assertEqual(set(self.states().values()), {"checkpointed"})
        before = self.signs()
        holds_for(lambda: self.signs() == before, "no process of it does anything", 0.15)
        self.assertIsNone(self.row(), "it holds nothing")
        self.assertEqual(self.d.waiting(), ["train"])

    def assert_goes_on(self):
        before = self.signs()
        wait_until(lambda: all(self.signs()[pid] > at for pid, at in before.items()), "all of it goes on")
        self.assertEqual(set(self.states().values()), {"running"})

    def ended(self, status):
        _, said = self.wrapper.communicate(timeout=20)
        self.assertEqual(self.wrapper.returncode, status, said)
        self.assertFalse([pid for pid in self.signs() if is_alive(pid)])
        wait_until(lambda: "train" not in self.d.holders(), "its lease is over")
        return said


class AwayAndBack(Checkpoint):
    def rounds(self, confined):
        self.start_job(kind="three", count=3, confined=confined)
        pids, lease, moved = set(self.signs()), self.row()["lease"], list(self.states())
        for _ in range(2):
            voice, held = self.voice(vram_mb=20 * GIB)  # its memory is free, too
            offered = voice.messages("offered", lease=held)[0]["at"]
            self.assert_away()
            self.assertLess(max(self.signs().values()), offered, "all stood still by then")
            voice.release(held)
            self.assert_goes_on()
            wait_until(lambda: self.row(), "it has its lease")
            row = self.row()
            self.assertEqual((row["lease"], row["slots"], row["vram_mb"]), (lease, 1, 16 * GIB))
            self.assertEqual(set(self.signs()), pids, "the same processes")
            voice.bye()

        first, second = moved[0], moved[1]
        order = [pid for call, pid in self.calls() if call == "lock"][:2]
        self.assertEqual(set(order), {first, second})
        there = [(call, pid) for call in ("lock", "checkpoint") for pid in order]
        back = [(call, pid) for call in ("restore", "unlock") for pid in reversed(order)]
        self.assertEqual(self.calls(), 2 * (there + back))

    def test_with_a_cgroup(self):
        """All of it leaves in one order and comes back in the other, under the same lease, several times."""
        if not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        self.rounds(True)

    def test_without_a_cgroup(self):
        """The same where no cgroup may be made."""
        self.rounds(False)

    def test_what_is_said(self):
        """The wrapper says where the job is, and when it goes on."""
        self.start_job()
        voice, held = self.voice()
        self.assert_away()
        self.assertRegex(self.run_cli(self.d, "status").stdout, r"train .*off the GPU, in RAM; ")
        self.assertIn("moved off the GPU, in RAM", self.run_cli(self.d, "status", "train").stdout)
        self.assertRegex(self.run_cli(self.d, "top", "--once").stdout, r"train .*off the GPU, in RAM; ")
        self.assertTrue(self.d.status()["waiting"][0]["moved"])
        voice.release(held)
        said = [self.wrapper.stderr.readline()]
        while said[-1] and "goes on, after" not in said[-1]:
            said.append(self.wrapper.stderr.readline())
        self.assertIn("goes on, after", said[-1])
        self.assertRegex("".join(said), r"is off the GPU, with 16\.0G in RAM \(it took [\d.]+s\)")
        self.assert_goes_on()

    def test_program_without_cuda(self):
        """What does not use CUDA now is frozen and gives its lease back like any other."""
        self.wrapper = self.start_cli(self.d, *self.command()[:-7], "--", "sh", "-c",
                                      f"echo ready; until [ -e {self.folder}/go ]; do sleep 0.01; done; exit 6")
        self.assertEqual(self.wrapper.stdout.readline(), "ready\n")
        voice, held = self.voice(vram_mb=20 * GIB)
        (self.folder / "go").touch()
        holds_for(lambda: self.wrapper.poll() is None, "it is frozen", 0.1)
        voice.release(held)
        self.assertEqual(self.wrapper.wait(20), 6)
        self.assertEqual(self.calls(), [])

    def test_another_begins_meanwhile(self):
        """A program that starts to use CUDA while the others leave is moved as well."""
        self.start_job(kind="late")
        self.scenario("hang checkpoint")
        voice = self.session("voice")
        ref = voice.acquire(**{"class": "voice"})
        wait_until(lambda: [call for call, _ in self.calls()] == ["lock", "checkpoint"], "it is on its way")
        (self.folder / "more").touch()
        wait_until(lambda: len(self.states()) == 2 and len(self.signs()) == 2, "there is another one")
        self.scenario()
        voice.wait("granted", ref=ref)
        self.assert_away()
        self.assertEqual(len(self.states()), 2)

    def test_taken_back(self):
        """Nobody needs the GPU any more before it has left: it is put back at once, and stays."""
        self.start_job()
        self.scenario("hang checkpoint")
        voice = self.session("voice")
        voice.acquire(**{"class": "voice"})
        wait_until(lambda: [call for call, _ in self.calls()] == ["lock", "checkpoint"], "it is on its way")
        voice.bye()
        wait_until(lambda: self.row()["state"] == "held", "the broker took it back")
        self.scenario()
        self.assert_goes_on()
        self.assertEqual([call for call, _ in self.calls()], ["lock", "checkpoint", "restore", "unlock"])
        self.assertIsNone(self.wrapper.poll())

    def test_limit_of_its_own(self):
        """--hold does not run while it is away."""
        self.start_job("--hold", "3s")
        voice, held = self.voice()
        holds_for(lambda: self.wrapper.poll() is None, "it is away", 3.1)
        voice.release(held)
        self.ended(124)


class TheEndOfIt(Checkpoint):
    """What ends a job that is away. It does not come back for that: it has no lease."""

    def names(self):
        return [call for call, _ in self.calls()]

    def go_away(self, *options, **more):
        self.start_job(*options, **more)
        voice, held = self.voice(vram_mb=20 * GIB)
        self.assert_away()
        return voice, held

    def test_signals(self):
        """INT and TERM to the wrapper: it hears them, has its grace, and ends where it is."""
        for signo in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=signo):
                self.start_daemon()
                self.go_away()
                self.wrapper.send_signal(signo)
                self.ended(0 if signo == signal.SIGTERM else -signal.SIGINT)
                self.assertNotIn("restore", self.names())
                self.assertEqual((self.d.holders(), self.d.waiting()), (["voice"], []))

    def test_wrapper_is_killed(self):
        """kill -9 of the wrapper: nothing stays, and nothing comes back."""
        for confined in ([True] if own_cgroup() else []) + [False]:
            with self.subTest(confined=confined):
                self.start_daemon()
                voice, held = self.go_away(kind="three", count=3, confined=confined)
                self.wrapper.kill()
                wait_until(lambda: not [pid for pid in self.signs() if is_alive(pid)], "all of it is gone")
                wait_until(lambda: not self.d.waiting(), "and its place")
                voice.release(held)
                self.assertNotIn("restore", self.names())

    def test_all_of_baton_is_killed(self):
        """kill -9 of wrapper and keeper, as `pkill -9 baton` does it, and of the broker: the next one ends the job."""
        for confined in ([True] if own_cgroup() else []) + [False]:
            for broker in (False, True):
                with self.subTest(confined=confined, broker=broker):
                    self.start_daemon()
                    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup: the kernel sends it, too
                    self.go_away(kind="three", count=3, confined=confined)
                    signal.signal(signal.SIGHUP, before)
                    children = pathlib.Path(f"/proc/{self.wrapper.pid}/task/{self.wrapper.pid}/children").read_text()
                    keeper = next(int(pid) for pid in children.split()
                                  if pathlib.Path(f"/proc/{pid}/comm").read_text() == "baton-keeper\n")
                    self.wrapper.send_signal(signal.SIGSTOP)  # else it makes another one
                    os.kill(keeper, signal.SIGKILL)
                    if broker:
                        self.d.kill()
                    self.wrapper.kill()
                    if broker:
                        self.d.start()
                    wait_until(lambda: not [pid for pid in self.signs() if is_alive(pid)], "all of it is gone")
                    wait_until(lambda: not self.d.waiting(), "and its place")
                    self.d.kill()

    def test_wrapper_is_killed_as_it_moves(self):
        """.. also while the driver is at work, there or back."""
        for call in ("lock", "checkpoint", "restore", "unlock"):
            with self.subTest(call=call):
                self.start_daemon()
                self.start_job()
                self.scenario(f"hang {call}")
                voice = self.session("voice")
                ref = voice.acquire(**{"class": "voice"})
                if call in ("restore", "unlock"):
                    voice.release(voice.wait("granted", ref=ref)["lease"])
                wait_until(lambda call=call: call in self.names(), "it hangs there")
                self.wrapper.kill()
                wait_until(lambda: not [pid for pid in self.signs() if is_alive(pid)], "all of it is gone")
                wait_until(lambda: "train" not in self.d.names(), "and its lease")

    def test_it_is_killed(self):
        """kill -9 of the command: what it had started does not stay."""
        self.go_away(kind="three", count=3)
        leader = self.leader()
        os.kill(leader, signal.SIGKILL)
        self.ended(137)

    def test_told_as_it_leaves(self):
        """SIGINT to the wrapper while the driver is at work: all is put back first, for it may want to save."""
        self.start_job(kind="stubborn")
        self.scenario("hang checkpoint")
        self.session("voice").acquire(**{"class": "voice"})
        wait_until(lambda: "checkpoint" in self.names(), "it is on its way")
        self.wrapper.send_signal(signal.SIGINT)
        wait_until(lambda: not is_pending(self.wrapper.pid, signal.SIGINT), "it has been read")
        self.scenario()
        self.assert_goes_on()
        there_and_back = ["lock", "checkpoint", "restore", "unlock"]
        holds_for(lambda: self.names() == there_and_back, "it is not moved again", 0.3)
        (self.folder / "end").touch()
        self.ended(75)
        self.assertEqual(self.heard(), set())

    def test_told_before(self):
        """A SIGINT that it has heard, and went on after, is no reason not to move it."""
        self.start_job(kind="stubborn")
        self.wrapper.send_signal(signal.SIGINT)
        wait_until((self.folder / "interrupted").exists, "it heard that")
        voice, held = self.voice(vram_mb=20 * GIB)
        self.assert_away()
        voice.release(held)
        self.assert_goes_on()

    def test_its_place_is_over(self):
        """Once it is told to end it has no place any more: the GPU is not kept for it."""
        voice, held = self.go_away(kind="stubborn")
        self.wrapper.send_signal(signal.SIGINT)
        wait_until(lambda: not self.d.waiting(), "it waits no more")
        voice.release(held)
        holds_for(lambda: self.d.holders() == [] and self.wrapper.poll() is None, "it has its grace, off the GPU", 0.3)
        (self.folder / "end").touch()
        self.assertEqual(self.wrapper.wait(20), 0)
        self.assertNotIn("restore", self.names())

    def test_cancelled(self):
        """An operator takes it out of the queue: it is told to end, off the GPU."""
        self.go_away()
        self.assertEqual(self.run_cli(self.d, "cancel", "train").returncode, 0)
        said = self.ended(75)
        self.assertIn("gets no lease to come back", said)
        self.assertEqual(self.heard(), {"checkpointed"})
        self.assertNotIn("restore", self.names())

    def test_its_wait_is_over(self):
        """--wait counts for the way back, too; --requeue starts it again then."""
        self.start_job("--wait", "1s")
        self.voice()
        self.assertIn("gets no lease to come back", self.ended(75))
        self.assertNotIn("restore", self.names())

    def test_taken_while_it_moves(self):
        """An operator takes the lease while the driver is at work: SIGTERM, its grace, SIGKILL."""
        self.start_job()
        self.scenario("hang checkpoint")
        self.session("voice").acquire(**{"class": "voice"})
        wait_until(lambda: "checkpoint" in self.names(), "it hangs there")
        self.run_cli(self.d, "release", "--now", "train")
        self.ended(75)

    def test_missed_offers(self):
        """The wrapper was stopped over its offers: when it is continued it asks again, and comes back."""
        voice, held = self.go_away()
        self.wrapper.send_signal(signal.SIGSTOP)
        voice.release(held)
        wait_until(lambda: "train" not in self.d.names(), "it missed all its offers")
        self.assertEqual(set(self.states().values()), {"checkpointed"})
        self.wrapper.send_signal(signal.SIGCONT)
        self.assert_goes_on()


class CannotLeave(Checkpoint):
    """It is stopped as by --on-yield term; before that it has its GPU again."""

    def fail(self, *lines, status=75, kind="one", count=1, **more):
        """A voice comes, and the job cannot leave; what is said."""
        self.start_daemon()
        self.start_job(kind=kind, count=count, **more)
        self.scenario(*lines)
        self.voice(vram_mb=20 * GIB)
        return self.ended(status)

    def test_a_call_fails(self):
        """One of two cannot be moved: all are put back, last ones first, and hear SIGTERM with their CUDA."""
        for line, words in (("second lock 600", "did not end in time"), ("second checkpoint 2", "out of memory"),
                            ("second checkpoint 801", "managed memory"), ("fail lock 999", "CUDA error 999")):
            with self.subTest(line=line):
                said = self.fail(line, kind="three", count=3)
                self.assertIn("cannot be moved off the GPU", said)
                self.assertIn(words, said)
                self.assertEqual(self.heard() - {"none"}, {"running"})
                calls = [call for call, _ in self.calls()]
                if "checkpoint" in line:
                    self.assertEqual(calls, ["lock", "lock", "checkpoint", "checkpoint", "restore", "unlock", "unlock"])
                    self.assertEqual([pid for _, pid in self.calls()][-2:],
                                     [pid for _, pid in self.calls()][1::-1])

    def test_lost(self):
        """The driver gives a process up on the way: said once, with its own status."""
        said = self.fail("break checkpoint 999", status=74)
        self.assertEqual(said.count("cannot be put back on the GPU"), 1, said)
        self.assertNotIn("had to give the GPU back", said)

    def test_the_driver_hangs(self):
        """A call that does not return keeps nobody out for longer than the grace."""
        for call in ("lock", "checkpoint"):
            with self.subTest(call=call):
                said = self.fail(f"hang {call}", grace="1s")
                self.assertIn("the driver does not answer", said)

    def test_requeue(self):
        """With --requeue it is started again afterwards."""
        self.start_job("--requeue")
        self.scenario("fail checkpoint 801")
        first = set(self.signs())
        voice, _ = self.voice()
        self.scenario()
        voice.bye()
        wait_until(lambda: set(self.signs()) > first and self.wrapper.poll() is None, "it was started again")

    def test_too_little_ram(self):
        """RAM is counted first: what does not fit beside 1 GiB for others is not moved."""
        self.start_daemon(args=("--fake-gpu", "a:16000000"))
        self.start_job(vram="14T")
        self.voice()
        said = self.ended(75)
        self.assertIn("too little RAM", said)
        self.assertEqual(self.calls(), [])

    def test_in_use_elsewhere(self):
        """Another tool has stopped its CUDA: it is not touched."""
        self.start_job()
        next(self.folder.glob("state-*")).write_text("locked\n")
        self.voice()
        self.assertIn("somebody else has stopped it", self.ended(75))
        self.assertEqual(self.calls(), [])


class Refused(Checkpoint):
    def refused(self, words, *options, vram="8G", **env):
        need = ["--vram", vram] if vram else []
        result = self.run_with(env, "run", *need, "--on-yield", "checkpoint", *options, "--", "true")
        self.assertEqual(result.returncode, 64, result)
        self.assertIn(words, result.stderr)
        self.assertIn("freeze keeps the memory", result.stderr)

    def run_with(self, env, *args):
        self.d.env.update(env)
        return self.run_cli(self.d, *args)

    def test_before_anything_else(self):
        """What can be known at once is said at once, with what to do."""
        self.refused("say by --vram", vram=None)
        self.refused("only one", "--gpus", "2")
        self.refused("there is no libcuda.so.1", BATON_LIBCUDA=str(self.d.dir / "none.so"))
        self.refused("CUDA 13.0, and only those since 570", BATON_LIBCUDA=os.environ["CUDA_STANDIN_OLD"])
        self.scenario("version driver 12040")
        self.refused("CUDA 12.4", BATON_LIBCUDA=LIBRARY)
        self.scenario()
        mps = self.d.dir / "mps"
        mps.mkdir()
        (mps / "control").touch()
        self.refused("MPS is running", CUDA_MPS_PIPE_DIRECTORY=str(mps))
        self.assertEqual(self.run_with({"CUDA_MPS_PIPE_DIRECTORY": str(self.d.dir)}, "run", "--vram", "8G",
                                       "--on-yield", "checkpoint", "--", "true").returncode, 0)

    def test_which_gpu(self):
        """It comes back to the card that it left: several, and an instance of one, are refused."""
        self.start_daemon(args=("--fake-gpu", "a:24576", "--fake-gpu", "b:24576"))
        self.refused("say by --gpu which")
        self.assertEqual(self.run_cli(self.d, "run", "--vram", "8G", "--gpu", "b", "--on-yield", "checkpoint", "--",
                                      "true").returncode, 0)
        nvml = Nvml(self.d.dir / "nvml")
        nvml.write(card("GPU-1", 1, "mig"), "mig MIG-1 total=8192")
        self.start_daemon(args=nvml.args, env=nvml.env)
        self.refused("MIG", vram="1G")

    def test_attached(self):
        """Ctrl-C leaves what is attached to itself: it must not be off the GPU then."""
        result = self.run_cli(self.d, "attach", "--vram", "8G", "--on-yield", "checkpoint", str(self.d.process.pid))
        self.assertEqual(result.returncode, 64, result)


class DryRun(Checkpoint):
    """baton doctor --checkpoint PID: nothing is locked, and nothing moves."""

    def doctor(self, pid, status):
        result = self.run_cli(self.d, "doctor", "--checkpoint", str(pid), "--json")
        self.assertEqual(result.returncode, status, result)
        return {row["name"]: row for row in json.loads(result.stdout)["checks"]}

    def test_of_a_program(self):
        """What could be moved, what could not and why, and what is no program of CUDA."""
        self.start_job(kind="three", count=3)
        leader = self.leader()
        rows = self.doctor(leader, 0)
        self.assertEqual([row["state"] for row in rows.values()], ["ok", "ok", "note"], rows)
        self.assertIn("2 of its 3 processes use CUDA", rows["program"]["text"])
        text = self.run_cli(self.d, "doctor", "--checkpoint", str(leader)).stdout
        self.assertIn("CUDA 13.0 can move programs", text)

        self.assertEqual(self.doctor(self.d.process.pid, 0)["program"]["state"], "note")
        self.assertIn("no process", self.doctor(2 ** 22 + 1, 1)["program"]["text"])
        next(self.folder.glob("state-*")).write_text("failed\n")
        self.assertIn("given up by the driver", self.doctor(leader, 1)["program"]["text"])
        self.d.env["BATON_LIBCUDA"] = os.environ["CUDA_STANDIN_OLD"]
        self.assertEqual(self.doctor(leader, 1)["driver"]["fix"], "install a newer driver")
        self.assertEqual(self.calls(), [])

    def test_of_the_shell_that_asks(self):
        """The command itself, whose checks end beside it, is no part of the program."""
        for script in ('"$0" doctor --checkpoint $$ --json; exit $?', 'exec "$0" doctor --checkpoint $$ --json'):
            result = subprocess.run(["sh", "-c", script, BATON], text=True, capture_output=True, check=False,
                                    timeout=30, env={**self.d.environment(), "BATON_SOCKET": self.d.socket})
            self.assertEqual(result.returncode, 0, result)
            rows = {row["name"]: row for row in json.loads(result.stdout)["checks"]}
            self.assertEqual(rows["program"]["text"], "none of its 1 processes uses CUDA now")

    def test_what_a_process_shows(self):
        """MPS, MIG, several GPUs, memory shared by NCCL or CUDA: each with what to do."""
        mps = self.d.dir / "mps"
        mps.mkdir()
        (mps / "control").touch()
        shared = pathlib.Path("/dev/shm") / f"nccl-{os.getpid()}"
        shared.write_bytes(bytes(4096))
        self.addCleanup(shared.unlink)
        for env, mapped, word in (({"CUDA_MPS_PIPE_DIRECTORY": str(mps)}, "", "MPS"), ({}, str(shared), "NCCL"),
                                  ({"CUDA_VISIBLE_DEVICES": "MIG-1"}, "", "MIG"),
                                  ({"CUDA_VISIBLE_DEVICES": "0,1"}, "", "several GPUs")):
            with self.subTest(word=word):
                script = ("import ctypes, mmap, sys, time; ctypes.CDLL(sys.argv[1])\n"
                          "m = open(sys.argv[2], 'r+b') if sys.argv[2] else None\n"
                          "m = m and mmap.mmap(m.fileno(), 0)\nprint('ready', flush=True); sys.stdin.read()")
                program = subprocess.Popen([sys.executable, "-S", "-c", script, LIBRARY, mapped], text=True,
                                           env={**os.environ, **env}, preexec_fn=die_with_parent,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                self.addCleanup(end_process, program)
                self.assertEqual(program.stdout.readline(), "ready\n")
                (self.folder / f"state-{program.pid}").write_text("running\n")
                row = self.doctor(program.pid, 1)["program"]
                self.assertIn(word, row["text"])
                self.assertTrue(row["fix"])
                program.communicate()


class CannotComeBack(Checkpoint):
    def test_lost(self):
        """The driver cannot put it back: tried again, said once, status 74; it can still end by itself."""
        self.start_job()
        voice, held = self.voice()
        self.scenario("fail restore 2")
        voice.release(held)
        said = self.ended(74)
        self.assertEqual(said.count("cannot be put back on the GPU"), 1, said)
        self.assertIn("out of memory", said)
        self.assertEqual(self.heard(), {"checkpointed"})
        self.assertEqual([call for call, _ in self.calls()].count("restore"), 3)

    def test_started_again(self):
        """.. and with --requeue it is started again."""
        self.start_job("--requeue")
        first = set(self.signs())
        voice, held = self.voice()
        self.scenario("break restore 999")
        voice.release(held)
        wait_until(lambda: set(self.signs()) > first and self.wrapper.poll() is None, "it was started again")

    def test_a_little_later(self):
        """What fails only now is tried again."""
        self.start_job()
        voice, held = self.voice()
        self.scenario("fail restore 2")
        voice.release(held)
        wait_until(lambda: "restore" in [call for call, _ in self.calls()], "it was tried")
        self.scenario()
        self.assert_goes_on()

    def test_the_driver_hangs(self):
        """A call that does not return holds the GPU no longer than the next one's grace."""
        self.start_job(grace="1s")
        voice, held = self.voice()
        self.scenario("hang restore")
        voice.release(held)
        wait_until(lambda: "restore" in [call for call, _ in self.calls()], "it hangs there")
        self.voice()
        self.assertIn("the driver does not answer", self.ended(74))

    def test_asked_again_on_its_way(self):
        """The next voice comes while it is moved back: it leaves again, and nothing is lost."""
        self.start_job()
        voice, held = self.voice()
        self.scenario("hang unlock")
        voice.release(held)
        wait_until(lambda: "unlock" in [call for call, _ in self.calls()], "it is on its way")
        ref = voice.acquire(**{"class": "voice"})
        wait_until(lambda: self.row()["state"] == "yielding", "it is asked")
        self.scenario()
        held = voice.wait("granted", ref=ref)["lease"]
        self.assert_away()
        voice.release(held)
        self.assert_goes_on()


class Measured(Checkpoint):
    """With memory that is measured."""

    def setUp(self):
        self.nvml = Nvml(self.enterContext(tempfile.TemporaryDirectory(prefix="bt-")))
        self.memory()
        self.start_daemon(args=self.nvml.args, env=self.nvml.env)

    def memory(self, *rows):
        used = sum(mib for _, mib in rows)
        self.nvml.write(card("GPU-1", 1, used=used), *(f"process {pid} {mib} compute" for pid, mib in rows))

    def test_free_before_the_next(self):
        """Who needs the memory has it once it is measured free, and it counts for nobody."""
        self.start_job(vram="8G")
        pid = next(iter(self.states()))
        self.memory((pid, 12 * GIB))
        wait_until(lambda: self.row().get("vram_mb_measured") == 12 * GIB, "it is measured")
        voice = self.session("voice")
        ref = voice.acquire(**{"class": "voice", "vram_mb": 20 * GIB})
        wait_until(lambda: self.states()[pid] == "checkpointed", "it is off the GPU")
        holds_for(lambda: not voice.messages("granted", ref=ref), "its memory is not free yet", 0.3)
        self.memory()
        held = voice.wait("granted", ref=ref)["lease"]
        self.assert_away()
        self.assertEqual(self.d.status()["gpus"][0]["measured"]["vram_mb_free"], 24576)
        voice.release(held)
        self.assert_goes_on()
        self.wrapper.terminate()
        self.assertIn("with 12.0G in RAM", self.ended(0))

    def test_room_for_all_of_it(self):
        """Its lease declares less than it has: it waits until all of that is free, and says why, once."""
        self.start_job(vram="4G")
        pid = next(iter(self.states()))
        self.memory((pid, 16 * GIB))
        wait_until(lambda: self.row().get("vram_mb_measured") == 16 * GIB, "it is measured")
        voice = self.session("voice")
        ref = voice.acquire(**{"class": "voice"})
        wait_until(lambda: self.states()[pid] == "checkpointed", "it is off the GPU")
        self.memory((os.getpid(), 12 * GIB))
        voice.release(voice.wait("granted", ref=ref)["lease"])
        wait_until(lambda: self.row(), "it has a lease again")
        holds_for(lambda: self.states()[pid] == "checkpointed", "there is no room", 0.5)

        ref = voice.acquire(**{"class": "voice"})
        held = voice.wait("granted", ref=ref)["lease"]  # at once: it had nothing to move
        self.assert_away()
        voice.release(held)
        fence = wait_until(lambda: self.row() and self.row()["fence"], "it has a lease again")
        wait_until(lambda: self.row() and self.row()["fence"] > fence, "it gives that back, and asks again")
        self.memory()
        self.assert_goes_on()
        self.wrapper.terminate()
        self.assertEqual(self.ended(0).count("cannot come back yet: it needs 16.1G on gpu0, where 12.0G are"), 1)


class WithoutABroker(Checkpoint):
    TIMING = {"heartbeat_s": 0.2, "session_ttl_s": 1.6, "native_linger_s": 0.3, "restart_linger_s": 3, "settle_s": 0.5}

    def test_it_comes_back(self):
        """The daemon is killed and started: the job stays away behind the voice, and goes on after it."""
        self.start_job()
        voice, held = self.voice()
        self.assert_away()
        resume = voice.welcome["session"]
        self.d.kill()
        voice.drop()
        holds_for(lambda: set(self.states().values()) == {"checkpointed"}, "it stays away", 0.3)
        self.d.start()
        voice = self.session("voice", resume=resume)
        wait_until(lambda: self.d.waiting() == ["train"], "it is back")
        self.assert_away()
        voice.release(held)
        self.assert_goes_on()

    def test_it_is_stopped_and_started(self):
        """The same as it is stopped in order."""
        self.start_job()
        voice, held = self.voice()
        self.assert_away()
        voice.release(held)
        self.assert_goes_on()
        voice.acquire(**{"class": "voice"})
        wait_until(lambda: set(self.states().values()) == {"checkpointed"}, "it is away again")
        self.assertEqual(self.d.terminate(), 0)
        voice.drop()
        self.d.start()
        self.assert_goes_on()

    def test_it_stays_away(self):
        """The daemon dies and stays away: the job holds nothing, so it waits, and can be ended."""
        self.start_job()
        self.voice()
        self.assert_away()
        self.d.kill()
        holds_for(lambda: self.wrapper.poll() is None and set(self.states().values()) == {"checkpointed"}, "it waits",
                  2.5)
        self.wrapper.terminate()
        self.assertEqual(self.wrapper.wait(20), 0)
        self.assertNotIn("restore", [call for call, _ in self.calls()])


if __name__ == "__main__":
    unittest.main()
