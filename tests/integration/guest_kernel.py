"""Goal: what `baton run` does with the kernel's controllers, on a kernel that has them: a real kill for want of memory
under `--strict`, and every cgroup as it was before, whoever ends first.

Method: test_kernel.py boots a kernel for it, in which this is the only user of cgroup v2; the real broker, real jobs.
"""
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import struct
import sys
import unittest

from lib.daemon import DaemonTest, die_with_parent
from lib.native import keeper_of
from lib.wait import wait_until

ROOT = pathlib.Path("/sys/fs/cgroup")
AROUND = ROOT / "user"
JOBS = AROUND / "jobs"
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
NOBODY = 65534

# In a cgroup of its own that has less memory than one of its processes takes, whose end its leader does not mind.
KILLED = """
folder=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
echo {most} >"$folder/memory.max"
python3 -c 'print(len(bytearray(256 << 20)))'
exit 0
"""


def raise_loopback():
    with socket.socket() as any_socket:
        name = b"lo".ljust(16, b"\0")
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, name + bytes(16))[:18])[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", name, flags | IFF_UP))


def lay_cgroups():
    """As systemd lays them: this in one, jobs in another that may be divided."""
    for folder in (ROOT / "system", AROUND, JOBS):
        folder.mkdir()
    (ROOT / "system/cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    for folder in (ROOT, AROUND):
        (folder / "cgroup.subtree_control").write_text("+memory", encoding="ascii")


def among_jobs():
    """In a child: what it starts is in the cgroup that is divided."""
    die_with_parent()
    (JOBS / "cgroup.procs").write_text("0", encoding="ascii")


def delegated():
    """The same for a user without rights whom that cgroup was given."""
    among_jobs()
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    die_with_parent()


class Kernel(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def tearDown(self):
        (JOBS / "cgroup.subtree_control").write_text("-memory", encoding="ascii")
        for path in (JOBS, JOBS / "cgroup.procs", JOBS / "cgroup.subtree_control", JOBS / "cgroup.threads"):
            os.chown(path, 0, 0)

    def job(self, *words, **options):
        return self.start_cli(self.d, "run", *words, **{"preexec_fn": among_jobs, "stdin": -1, **options})

    def assertUndivided(self):
        """Nothing is left of what was made, and nothing is passed on that was not."""
        wait_until(lambda: not [path for path in JOBS.iterdir() if path.is_dir()], "no folder is left")
        self.assertEqual((JOBS / "cgroup.subtree_control").read_text().strip(), "")

    def running(self, *words):
        """A job under --strict that has begun: its wrapper, and where both are."""
        job = self.job("--strict", *words, "--", "sh", "-c", "echo up; read line; exit 3")
        self.assertEqual(job.stdout.readline(), "up\n")
        own, beside = JOBS / f"baton-run-{job.pid}", JOBS / f"baton-wrapper-{job.pid}"
        self.assertEqual((JOBS / "cgroup.subtree_control").read_text(), "memory\n")
        self.assertIn(str(job.pid), (beside / "cgroup.procs").read_text().split())
        self.assertEqual(len((own / "cgroup.procs").read_text().split()), 1)
        return job

    def test_killed_for_want_of_memory(self):
        """The leader says 0, but the kernel has killed its worker: 137, and why."""
        job = self.job("-q", "--strict", "--", "sh", "-c", KILLED.format(most="32M"))
        _, said = job.communicate(timeout=60)
        self.assertEqual(job.returncode, 137, said)
        self.assertIn("the kernel killed 1 process of sh because memory ran out\n", said)
        history = json.loads(self.d.http("GET", "/v1/gpu/history").body)["history"]
        self.assertEqual(history[0]["detail"], "the kernel killed 1 process because memory ran out; exit status 0")
        self.assertUndivided()

    def test_enough_memory(self):
        """Nobody was killed: the job's own status."""
        job = self.job("-q", "--strict", "--", "sh", "-c", KILLED.format(most="max"))
        out, said = job.communicate(timeout=60)
        self.assertEqual((job.returncode, out, said), (0, f"{256 << 20}\n", ""))

    def test_divided_and_back(self):
        job = self.running()
        _, said = job.communicate("\n", timeout=30)
        self.assertEqual(job.returncode, 3, said)
        self.assertUndivided()

    def test_wrapper_killed(self):
        """Its keeper ends the job, and takes the controller back."""
        job = self.running()
        keeper = keeper_of(job.pid)
        os.kill(job.pid, signal.SIGKILL)
        wait_until(lambda: not pathlib.Path(f"/proc/{keeper}").exists(), "the keeper has done its work")
        self.assertUndivided()
        self.assertEqual(self.d.holders(), [])

    def test_both_killed(self):
        """The broker ends the job, and takes it back."""
        job = self.running()
        keeper = keeper_of(job.pid)
        os.kill(job.pid, signal.SIGSTOP)
        os.kill(keeper, signal.SIGKILL)
        os.kill(job.pid, signal.SIGKILL)
        wait_until(lambda: not self.d.holders(), "the broker has ended it")
        self.assertUndivided()

    def test_delegated(self):
        """A user whom a cgroup was given needs no root for any of this."""
        for path in (JOBS, JOBS / "cgroup.procs", JOBS / "cgroup.subtree_control", JOBS / "cgroup.threads"):
            os.chown(path, NOBODY, NOBODY)
        d = self.daemon(start=False, preexec=delegated)
        os.chown(d.dir, NOBODY, NOBODY)
        (d.dir / "run").mkdir(mode=0o700)
        os.chown(d.dir / "run", NOBODY, NOBODY)
        d.preexec = lambda: (os.setgroups([]), os.setgid(NOBODY), os.setuid(NOBODY))
        d.start()
        self.d = d
        job = self.job("-q", "--strict", "--", "sh", "-c", KILLED.format(most="32M"), preexec_fn=delegated)
        _, said = job.communicate(timeout=60)
        self.assertEqual(job.returncode, 137, said)
        self.assertUndivided()

    def test_others_beside(self):
        """What else is in the cgroup forbids it: said, and the job runs uncounted."""
        beside = self.job("--slots", "0", "--vram", "1M", "--", "sleep", "60")
        wait_until(self.d.holders, "another wrapper is there")
        job = self.job("-q", "--strict", "--", "sh", "-c", "exit 3")
        _, said = job.communicate(timeout=30)
        self.assertEqual(job.returncode, 3)
        self.assertRegex(said, r"--strict learns of no process killed for want of memory: \S+ holds other processes")
        beside.send_signal(signal.SIGTERM)
        beside.communicate(timeout=30)
        self.assertUndivided()

    def test_no_dmem(self):
        """--limit on a kernel without that controller, which most are."""
        if re.search(r"\bdmem\b", (ROOT / "cgroup.controllers").read_text()):
            self.skipTest("this kernel has it")
        job = self.job("-q", "--limit", "--vram", "1M", "--", "sh", "-c", "exit 3")
        _, said = job.communicate(timeout=30)
        self.assertEqual(job.returncode, 3)
        self.assertIn("--limit does not hold on gpu0", said)


if __name__ == "__main__":
    if os.getpid() == 1:
        sys.exit("not as the first process")
    raise_loopback()
    lay_cgroups()
    unittest.main()
