"""Goal: what a program leaves behind is gone before the next one is let in, it sees the GPUs that it was given and no
others, and its end is told as it was.

Method: real process trees under `baton run` with the real broker; with a cgroup of their own where this user may make
one, and without. Times are measured by pidfds.
"""
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent, end_process, in_thread
from lib.native import keeper_now, keeper_of, own_cgroup, removed, without_cgroups
from lib.overlap import is_alive
from lib.wait import wait_until

TREE = pathlib.Path(__file__).parent / "lib" / "tree.py"
WORKERS = ("session", "hidden", "cleared", "deaf", "other")
GRACE_MS, MARGIN_MS, TRIES = 300, 100, 10


def gone_at(pids, deadline_s=20):
    """When the last of them has ended, by their pidfds."""
    fds = []
    for pid in pids:
        try:
            fds.append(os.pidfd_open(pid))
        except ProcessLookupError:
            pass
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    end = time.monotonic() + deadline_s
    while fds:
        for fd, _ in poll.poll(max(0, end - time.monotonic()) * 1000):
            poll.unregister(fd)
            fds.remove(fd)
            os.close(fd)
        assert not fds or time.monotonic() < end, "some of it lives on"
    return time.monotonic()


# Leaves a process that forks and exits without end, deaf to SIGTERM, in ever new sessions; one that adopts its own
# orphans; one that is stopped.
FORKS = """
import ctypes, os, signal, time
def worker(work):
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.setsid()
        work()
        os._exit(0)
def chain():
    while True:
        if os.fork(): os._exit(0)
        if os.getpid() % 2: os.setsid()
        time.sleep(0.001)
def adopter():
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    worker(lambda: worker(lambda: time.sleep(600)))
    time.sleep(600)
worker(chain)
worker(adopter)
worker(lambda: os.kill(os.getpid(), signal.SIGSTOP))
time.sleep(0.1)
"""

# systemd, as far as a process can tell: its name, and the signals that end a unit.
SYSTEMD = """
import os, pathlib, signal, sys
pathlib.Path("/proc/self/comm").write_text("systemd")
for signo in [int(signo) for signo in sys.argv[1].split()]:
    for pid in sys.argv[2:]:
        try:
            os.kill(int(pid), signo)
        except ProcessLookupError:
            pass
"""


ENDS_A_UNIT = f"{int(signal.SIGTERM)} {int(signal.SIGCONT)} {int(signal.SIGHUP)}"


def job_of(wrapper):
    """Its children that live, but for the keeper."""
    children = pathlib.Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text().split()
    return [pid for pid in map(int, children) if pid != keeper_now(wrapper) and is_alive(pid)]


class Tree(DaemonTest):
    """34: leader gone, workers in hiding."""

    def setUp(self):
        self.d = self.daemon()

    def start_tree(self, end, confined):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="bt-tree-", dir="/tmp"))  # for another user as well
        self.addCleanup(shutil.rmtree, folder)
        wrapper = self.start_cli(self.d, "run", "-q", "--grace", f"{GRACE_MS}ms", "--", sys.executable, "-S", str(TREE),
                                 str(folder), end, stdin=subprocess.PIPE,
                                 preexec_fn=die_with_parent if confined else without_cgroups)
        self.assertEqual(wrapper.stdout.readline(), "ready\n", "the tree stands")
        return wrapper, [int((folder / name).read_text()) for name in WORKERS]

    def ends(self, end, status, confined):
        """The leader ends: all of it gone in grace and margin, then the next one, then the leader's status."""
        wrapper, pids = self.start_tree(end, confined)
        waiter = self.d.session("next", accept=False)
        ref = waiter.acquire()
        waiter.wait("queued", ref=ref)
        gone = in_thread(gone_at, pids)
        begun = time.monotonic()
        if end == "stay":
            wrapper.kill()
        elif end != "kill":
            wrapper.stdin.write("\n")
            wrapper.stdin.flush()
        offered = waiter.wait("offered", ref=ref, deadline_s=20)
        # Looked for then: when the last one has ended a busy machine may tell us later than the broker.
        self.assertEqual([pid for pid in pids if is_alive(pid)], [], "nobody is let in beside it")
        waiter.accept = True
        waiter.send(type="accept", lease=offered["lease"])
        waiter.wait("granted", ref=ref)
        self.assertEqual(wrapper.wait(20), status)
        waiter.bye()
        return gone.result(25) - begun, offered["at"] - gone.result()

    def in_time(self, end, status, confined):
        """A busy machine may be late; one of several tries shows what Baton itself takes."""
        for _ in range(TRIES):
            gone, handed = self.ends(end, status, confined)
            if gone < (GRACE_MS + MARGIN_MS) / 1000 and handed < 0.1:
                return
        self.fail(f"{end}: gone after {gone:.3f} s, granted {handed:.3f} s later")

    def all_ends(self, confined):
        for end, status in (("0", 0), ("1", 1), ("kill", 137)):
            with self.subTest(end=end):
                self.in_time(end, status, confined)

    def test_with_a_cgroup(self):
        """34: exits with 0, with 1, is killed: with a cgroup of its own all of it is gone in time."""
        if not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        self.all_ends(True)

    def test_without_a_cgroup(self):
        """34: the same without any rights on cgroups: adopted and ended."""
        self.all_ends(False)

    def test_killed_wrapper(self):
        """34: kill -9 of the wrapper itself: the keeper ends all of it, with a cgroup and without."""
        if own_cgroup():
            self.in_time("stay", -signal.SIGKILL, True)
        self.in_time("stay", -signal.SIGKILL, False)

    def test_forks_without_end(self):
        """What is another process at each look is gone as well, with all the others, in a moment."""
        took, limit_s = [], (GRACE_MS + 2 * MARGIN_MS) / 1000
        while len(took) < TRIES and sum(each < limit_s for each in took) < 3:
            ours, theirs = os.pipe()
            self.addCleanup(os.close, ours)
            job = self.start_cli(self.d, "run", "-q", "--grace", f"{GRACE_MS}ms", "--", "sh", "-c",
                                 f"{sys.executable} -S -c '{FORKS}'; date +%s.%N", pass_fds=(theirs,),
                                 preexec_fn=without_cgroups)
            os.close(theirs)
            ended = float(job.stdout.readline())
            self.assertTrue(select.select([ours], [], [], 20)[0], "the last of them has it closed")
            took.append(time.time() - ended)
            self.assertEqual(job.wait(20), 0)
        print(f"34: a chain of forks is gone after {sorted(round(1000 * t) for t in took)} ms, grace {GRACE_MS} ms")
        self.assertLess(sorted(took)[2], limit_s)

    def test_what_was_there_before(self):
        """A shell executes `baton run` in its place and has children already, as `exec > >(tee log)` makes one: they
        are no part of the job, which is over without them, and all of its own is gone nevertheless."""
        job = "sleep 601 & echo \\$!; exit 3"
        script = f'sleep 600 >&- 2>&- & echo $!; exec {BATON} run --grace 300ms -- sh -c "{job}"'
        for before_exec in (die_with_parent, without_cgroups):
            with self.subTest(before_exec=before_exec.__name__):
                shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True, preexec_fn=before_exec,
                                         env={**self.d.environment(), "BATON_SOCKET": self.d.socket})
                self.addCleanup(end_process, shell)
                before, left = int(shell.stdout.readline()), int(shell.stdout.readline())
                self.addCleanup(os.kill, before, signal.SIGKILL)
                _, said = shell.communicate(timeout=20)
                self.assertEqual(shell.returncode, 3, said)
                self.assertIn("has ended and left 1 process;", said)
                self.assertEqual((is_alive(before), is_alive(left)), (True, False))

    def test_a_broker_is_no_part_of_it(self):
        """One that `baton up` starts in a job outlives a wrapper that is killed, as it outlives terminals."""
        socket = str(self.d.dir / "other.sock")
        job = self.start_cli(self.d, "run", "-q", "--", "sh", "-c",
                             f"{BATON} up --no-open --socket {socket} -- --state {self.d.dir}/other "
                             "--listen 127.0.0.1:0 --fake-gpu x:1024 >&2 && echo up; read line", stdin=subprocess.PIPE,
                             preexec_fn=without_cgroups)
        self.addCleanup(subprocess.run, [BATON, "--socket", socket, "down"], capture_output=True, check=False)
        self.assertEqual(job.stdout.readline(), "up\n")
        keeper = keeper_of(job.pid)
        fd = os.pidfd_open(keeper)
        self.addCleanup(os.close, fd)
        job.kill()
        self.assertTrue(select.select([fd], [], [], 20)[0], "the keeper has done its work")
        seen = subprocess.run([BATON, "--socket", socket, "status", "--json"], capture_output=True, check=False)
        self.assertEqual(seen.returncode, 0, seen)

    def test_killed_with_its_keeper(self):
        """Both killed at once: the broker ends all of it, and leaves no folder behind."""
        for confined in (True, False) if own_cgroup() else (False,):
            with self.subTest(confined=confined):
                wrapper, pids = self.start_tree("stay", confined)
                keeper = keeper_of(wrapper.pid)
                folder = own_cgroup() / f"baton-run-{wrapper.pid}" if confined else None
                self.assertTrue(not confined or folder.exists())
                os.kill(wrapper.pid, signal.SIGSTOP)  # neither sees the other's end
                os.kill(keeper, signal.SIGKILL)
                wrapper.kill()
                if not confined:  # the broker signals nobody of another user
                    os.kill(pids[WORKERS.index("other")], signal.SIGKILL)
                gone_at(pids)
                waiter = self.d.session("next")
                waiter.hold()
                waiter.bye()
                wait_until(lambda: not confined or not folder.exists(), "the folder is gone")
                self.assertEqual(wrapper.wait(20), -signal.SIGKILL)


class Devices(DaemonTest):
    """38: which GPUs a program sees."""

    PRESET = {"CUDA_VISIBLE_DEVICES": "2", "NVIDIA_VISIBLE_DEVICES": "all", "CUDA_DEVICE_ORDER": "FASTEST_FIRST",
              "HIP_VISIBLE_DEVICES": "5", "ROCR_VISIBLE_DEVICES": "5", "ZE_AFFINITY_MASK": "5",
              "BATON_DOCKER_GPUS": "all", "BATON_GPU_UUIDS": "GPU-of-somebody"}
    NAMES = tuple(PRESET)

    def daemon_of(self, uuids=True):
        gpus = [{"name": name, "vram_mb": size, **({"uuid": f"GPU-{name}"} if uuids else {})}
                for name, size in (("big", 24576), ("small", 8192))]
        return self.daemon(env=self.PRESET, config={"gpus": gpus})

    def seen(self, daemon, *options, command=("env",)):
        result = self.run_cli(daemon, "run", "-q", *options, "--", *command)
        self.assertEqual(result.returncode, 0, result)
        rows = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
        return [rows.get(name) for name in self.NAMES]

    def test_uuids(self):
        """By UUID, whatever was set before."""
        daemon = self.daemon_of()
        self.assertEqual(self.seen(daemon, "--gpu", "small"),
                         ["GPU-small", "GPU-small", "PCI_BUS_ID", "0", "1", "1", "device=GPU-small", "GPU-small"])
        self.assertEqual(self.seen(daemon, "--gpus", "2"),
                         ["GPU-big,GPU-small", "GPU-big,GPU-small", "PCI_BUS_ID", "0,1", "0,1", "0,1",
                          '"device=GPU-big,GPU-small"', "GPU-big,GPU-small"])

    def test_indexes(self):
        """By index where asked for, and for programs that parse numbers; containers get the UUID all the same."""
        daemon = self.daemon_of()
        expected = ["1", "GPU-small", "PCI_BUS_ID", "0", "1", "1", "device=GPU-small", "GPU-small"]
        self.assertEqual(self.seen(daemon, "--gpu", "small", "--env-ids", "index"), expected)
        vllm = daemon.dir / "vllm"
        vllm.write_text("#!/bin/sh\n# as vLLM reads it\n"
                        "python3 -c 'import os; int(os.environ[\"CUDA_VISIBLE_DEVICES\"])' && env\n")
        vllm.chmod(0o755)
        self.assertEqual(self.seen(daemon, "--gpu", "small", command=(str(vllm), "serve")), expected)
        self.assertEqual(self.seen(daemon, "--gpu", "small", "--env-ids", "uuid", command=("env",))[0], "GPU-small")

    def test_unknown_uuids(self):
        """Without a UUID: the index for all, and none of the others' variables is left."""
        daemon = self.daemon_of(uuids=False)
        self.assertEqual(self.seen(daemon, "--gpu", "small"),
                         ["1", "1", "PCI_BUS_ID", "0", "1", "1", "device=1", None])


class Ends(DaemonTest):
    """40: how it ended is how it is told."""

    def setUp(self):
        self.d = self.daemon()

    def status(self, script, *options):
        return self.run_cli(self.d, "run", "-q", *options, "--", "sh", "-c", script).returncode

    def test_statuses(self):
        """Its own, 128 + N for a signal, with a core or without, 126 and 127 where it cannot be run."""
        for signo in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            self.assertEqual(self.status(f"ulimit -c unlimited; cd {self.d.dir}; kill -{int(signo)} $$"), 128 + signo)
        self.assertEqual(self.status("exit 75"), 75)
        self.assertEqual(self.run_cli(self.d, "run", "--", "/no/such").returncode, 127)
        (self.d.dir / "text").write_text("no program")
        self.assertEqual(self.run_cli(self.d, "run", "--", str(self.d.dir / "text")).returncode, 126)

    def removed_meanwhile(self):
        """A program that is not there any more when its turn comes."""
        program = self.d.dir / "absent"
        program.symlink_to("/bin/true")
        token = self.d.lock("fine").json()["token"]
        job = self.start_cli(self.d, "run", "-q", "--", str(program))
        wait_until(self.d.waiting, "it waits")
        program.unlink()
        self.d.unlock(token)
        self.assertEqual(job.wait(20), 127)

    def test_the_broker_is_told(self):
        """History and events say of each how it ended; of what did what it was to do, nothing."""
        rows = {"fine": ("exit 0", None), "failed": ("exit 3", "exit status 3"),
                "crashed": ("ulimit -c 0; kill -SEGV $$", "killed by SIGSEGV"),
                "killed": ("kill -KILL $$", "killed by SIGKILL")}
        for name, (script, _) in rows.items():
            self.status(script, "--name", name)
        self.removed_meanwhile()
        self.status("exec sleep 600", "--name", "long", "--hold", "100ms", "--grace", "300ms")
        rows |= {"absent": ("", "not started: No such file or directory"),
                 "long": ("", "stopped at the end of --hold")}
        history = json.loads(self.d.http("GET", "/v1/gpu/history").body)["history"]
        self.assertEqual({row["id"]: row.get("detail") for row in history},
                         {name: detail for name, (_, detail) in rows.items()})
        self.assertEqual({row["end"] for row in history}, {"released"})

    def in_scope(self, path, *options, script="echo up; exec sleep 600", **others):
        """A job in a cgroup of that name, and the folder."""
        folder = own_cgroup()
        if not folder:
            self.skipTest("this user may make no cgroup v2 here")
        path = f"baton-test-{os.getpid()}/{path}"  # no folder of systemd's, nor of the same test beside
        made = [folder / path, *(folder / path).parents]
        made = made[:made.index(folder)]
        for each in reversed(made):
            each.mkdir(exist_ok=True)
        self.addCleanup(lambda: [wait_until(lambda at=each: removed(at), f"{each} is empty") for each in made])

        def enter():
            die_with_parent()
            (made[0] / "cgroup.procs").write_text("0", encoding="ascii")
        job = self.start_cli(self.d, "run", "--name", "job", *options, "--", "sh", "-c", script, preexec_fn=enter,
                             **others)
        self.assertEqual(job.stdout.readline(), "up\n")
        return job, made[0]

    def stopped_as_by_systemd(self, path):
        """By a program of its name, and as it does it: SIGTERM to each process in there, SIGHUP after it."""
        job, folder = self.in_scope(path)
        pids = self.pids_of(folder)
        self.assertIn(str(job.pid), pids)
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", SYSTEMD, ENDS_A_UNIT, *pids], check=True, timeout=20)
        wait_until(lambda: not self.d.holders(), "the lease is over")
        took = time.monotonic() - begun
        _, said = job.communicate(timeout=20)
        self.assertEqual(job.returncode, 128 + signal.SIGTERM, said)
        return self.last_end()["detail"], said, took

    def last_end(self):
        return json.loads(self.d.http("GET", "/v1/gpu/history").body)["history"][0]

    @staticmethod
    def pids_of(folder):
        procs = [file.read_text().split() for file in (folder / "cgroup.procs", *folder.glob("*/cgroup.procs"))]
        return [pid for pids in procs for pid in pids]

    def test_session_is_over(self):
        """37: what a logout ended is named so, to the broker and in the job's own log, and its lease is over."""
        detail, said, took = self.stopped_as_by_systemd("user.slice/session-3.scope")
        self.assertEqual(detail, "systemd stopped session-3.scope, at a logout or shutdown; killed by SIGTERM")
        self.assertIn("systemd stopped session-3.scope, in which sh was", said)
        self.assertLess(took, 5)  # 0.1 where nothing else runs

    def test_users_manager_is_over(self):
        """37, of a manager without linger."""
        detail, said, _ = self.stopped_as_by_systemd("user@1000.service/app.slice/run-r5.scope")
        self.assertEqual(detail, "systemd stopped run-r5.scope of the user, by command, at a logout or shutdown; "
                                 "killed by SIGTERM")
        self.assertIn("linger", said)

    def test_session_is_over_at_once(self):
        """37: SIGKILL to all of the session at once, wrapper and keeper too: nobody was left who could say why. The
        lease is over with the last of it, as that of a client that is gone, and no cause is made up."""
        job, folder = self.in_scope("user.slice/session-5.scope")
        pids = self.pids_of(folder)
        self.assertGreaterEqual(len(pids), 3)
        # None of them sees another's end: all stand still before the first is killed, and the wrapper, whose end makes
        # the kernel continue what is orphaned, is the last.
        for signo in (signal.SIGSTOP, signal.SIGKILL):
            for pid in sorted(map(int, pids), key=lambda pid: pid == job.pid):
                os.kill(pid, signo)
        job.wait(20)
        wait_until(lambda: not self.d.holders(), "the lease is over")
        ended = self.last_end()
        self.assertEqual((ended["id"], ended["end"], ended.get("detail")), ("job", "disconnected", None))

    def test_session_is_over_while_it_is_frozen(self):
        """37: what stood still when its session ended may save what it can, as at any SIGTERM, and is named."""
        job, folder = self.in_scope("user.slice/session-6.scope", "--on-yield", "freeze", "-c", "background")
        voice = self.d.session("voice")
        voice.hold(**{"class": "voice"})
        wait_until(lambda: sorted(self.d.holders()) == ["job", "voice"], "it is frozen, and keeps its memory")
        subprocess.run([sys.executable, "-c", SYSTEMD, ENDS_A_UNIT, *self.pids_of(folder)], check=True, timeout=20)
        job.communicate(timeout=20)
        wait_until(lambda: self.d.holders() == ["voice"], "its lease is over")
        self.assertIn("systemd stopped session-6.scope", self.last_end()["detail"])

    def test_asked_to_read_its_configuration(self):
        """SIGHUP alone, as `systemctl kill -s HUP` sends it, ends no unit: of a job that goes on and is done nothing
        is said."""
        job, _ = self.in_scope("train.service", script="trap 'echo heard' HUP; echo up; read line; read line; exit 0",
                               stdin=subprocess.PIPE)
        subprocess.run([sys.executable, "-c", SYSTEMD, str(int(signal.SIGHUP)), str(job.pid)], check=True, timeout=20)
        self.assertEqual(job.stdout.readline(), "heard\n")
        _, said = job.communicate("\n\n", timeout=20)
        self.assertEqual(job.returncode, 0, said)
        wait_until(lambda: not self.d.holders(), "the lease is over")
        self.assertIsNone(self.last_end().get("detail"))

    def in_namespace(self, *options):
        """`baton run` as the first process of a container, and its number outside."""
        user = ["--user", "--map-root-user"] if os.getuid() else []
        spaces = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *user]
        if subprocess.run([*spaces, "true"], capture_output=True, check=False).returncode:
            self.skipTest("this user may make no PID namespace here")
        outer = subprocess.Popen([*spaces, BATON, "run", "--requeue", *options, "--", "sh", "-c",
                                  "echo up; exec sleep 600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 preexec_fn=die_with_parent,
                                 env={**self.d.environment(), "BATON_SOCKET": self.d.socket})
        self.addCleanup(end_process, outer)
        children = pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        return outer, lambda: [pid for pid in map(int, children.read_text().split())
                               if pathlib.Path(f"/proc/{pid}/comm").read_text() == "baton\n"]

    def test_ended_from_outside_its_container(self):
        """SIGTERM as `docker stop` sends it, from where no sender can be seen: it is the user's, not the broker's, for
        the broker has said nothing; the job is not started again."""
        outer, first = self.in_namespace()
        self.assertEqual(outer.stdout.readline(), "up\n")
        os.kill(first()[0], signal.SIGTERM)
        self.assertEqual(outer.wait(20), 128 + signal.SIGTERM)
        wait_until(lambda: not self.d.holders(), "the lease is over")
        self.assertEqual(self.last_end()["detail"], "killed by SIGTERM")

    def test_told_to_end_while_it_waits_in_a_container(self):
        """The same before its turn: it does not go on waiting, and says that it was ended."""
        self.d.lock("a")
        outer, first = self.in_namespace()
        wait_until(self.d.waiting, "it waits")
        os.kill(first()[0], signal.SIGTERM)
        self.assertEqual(outer.wait(20), 128 + signal.SIGTERM)
        self.assertEqual(self.d.waiting(), [])

    def test_taken_back_in_a_container(self):
        """And what the broker does there is the broker's: the job gives way, and is started again."""
        self.d.kill()
        self.d = self.daemon(config={"classes": {"background": {"hold_max_s": 0.3}}})
        outer, _ = self.in_namespace("-c", "background", "--on-yield", "ignore", "--grace", "300ms")
        self.assertEqual(outer.stdout.readline(), "up\n")
        voice = self.d.session("voice")
        voice.release(voice.hold(**{"class": "voice"})["lease"])
        self.assertEqual(outer.stdout.readline(), "up\n")

    def test_ended_by_somebody_else(self):
        """SIGTERM from anybody else in such a session: no word of a logout."""
        job, _ = self.in_scope("user.slice/session-4.scope")
        job.terminate()
        _, said = job.communicate(timeout=20)
        self.assertNotIn("systemd", said)
        wait_until(lambda: not self.d.holders(), "the lease is over")
        self.assertEqual(self.last_end()["detail"], "killed by SIGTERM")

    def ends_as_its_limit_comes(self):
        """By itself, at the very moment: nobody stops it, or says so."""
        job = self.start_cli(self.d, "run", "--hold", "2s", "--", "sh", "-c", "echo up; read line; exit 3",
                             stdin=subprocess.PIPE)
        self.assertEqual(job.stdout.readline(), "up\n")
        limit = time.monotonic() + 2
        job.send_signal(signal.SIGSTOP)
        job.stdin.write("\n")
        job.stdin.flush()
        wait_until(lambda: time.monotonic() > limit, "its limit")
        wait_until(lambda: not job_of(job.pid), "it has ended")
        job.send_signal(signal.SIGCONT)
        _, said = job.communicate(timeout=20)
        self.assertEqual(job.returncode, 3)
        self.assertNotIn("--hold", said)

    def test_hold(self):
        """--hold: stopped when it has had the GPU for so long: 124, also if it calls that a success."""
        for script in ("exec sleep 600", "trap 'exit 0' TERM; while :; do sleep 0.02; done"):
            result = self.run_cli(self.d, "run", "--hold", "200ms", "--grace", "300ms", "--", "sh", "-c", script)
            self.assertEqual(result.returncode, 124, result)
            self.assertIn("--hold", result.stderr)
        self.assertEqual(self.status("exit 3", "--hold", "20s"), 3)
        self.ends_as_its_limit_comes()
        mark = self.d.dir / "started"
        for command in ("run", "shell", "attach"):
            words = {"run": ("--", "touch", str(mark)), "shell": ("/bin/true",), "attach": (str(os.getpid()),)}
            result = self.run_cli(self.d, command, "--hold", "0", *words[command])
            self.assertEqual(result.returncode, 64, result)
            self.assertIn("--hold wants more than 0", result.stderr)
        self.assertFalse(mark.exists())
        self.assertEqual(self.d.holders(), [])

    def test_killed_for_memory(self):
        """A worker of it was killed for want of memory and the leader exits with 0: said, and 137 with --strict."""
        folder = own_cgroup()
        controllers = (folder / "cgroup.subtree_control").read_text().split() if folder else []
        if "memory" not in controllers:
            self.skipTest("no cgroup v2 with a memory controller that this user may set limits in")
        limit = ("for c in $(find /sys/fs/cgroup -name baton-run-$PPID); do echo 64M > $c/memory.max; done; "
                 f"{sys.executable} -c 'b = bytearray(512 << 20)'; exit 0")
        for options, status in (((), 0), (("--strict",), 137)):
            result = self.run_cli(self.d, "run", *options, "--", "sh", "-c", limit)
            self.assertEqual(result.returncode, status, result)
            self.assertIn("because memory ran out", result.stderr)

    def test_ignore(self):
        """--on-yield ignore: not asked before its limit; then the broker takes the lease."""
        self.d.kill()
        self.d = self.daemon(config={"classes": {"background": {"hold_max_s": 0.6}}})
        begun = time.monotonic()
        worker = self.start_cli(self.d, "run", "-q", "-c", "background", "--on-yield", "ignore", "--grace", "300ms",
                                "--", "sh", "-c", "echo ready; exec sleep 600")
        self.assertEqual(worker.stdout.readline(), "ready\n")
        voice = self.d.session("voice")
        voice.hold(**{"class": "voice"})
        self.assertGreater(time.monotonic() - begun, 0.6)
        self.assertEqual(worker.wait(20), 75)


if __name__ == "__main__":
    unittest.main()
