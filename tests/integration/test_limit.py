"""Goal: under `--limit` the driver is told of the limit before the job begins, and no longer when it is over; where
there can be none, that is said, and the job runs.

Method: the real daemon and real jobs; the files of the kernel's dmem controller are a tree that the test writes from
the kernel's documentation, because no kernel here has it. What the driver then refuses is the driver's affair, and was
not seen.
"""
import os
import pathlib
import unittest

from lib.daemon import BATON, die_with_parent
from lib.gpus import card
from lib.native import own_cgroup, without_cgroups
from lib.wait import wait_until
from test_measure import MeasureTest

GIB = 1 << 30


class Limit(MeasureTest):
    def setUp(self):
        self.cards = self.nvml(card("GPU-a", 1), card("GPU-b", 2))
        self.d = self.measuring(self.cards)
        self.d.env["BATON_CGROUPFS"] = str(self.cards.sysfs / "fs/cgroup")

    def waiting_job(self, *options, confined=True):
        """It waits for the GPU, so that the files of its cgroup can be there when it gets it."""
        if confined and not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        voice = self.d.session("voice")
        lease = voice.hold(gpu="gpu1", slots=1)["lease"]
        job = self.start_cli(self.d, "run", "-n", "train", "--gpu", "gpu1", *options, "--", "sh", "-c",
                             "echo up; read line; exit 3", stdin=-1,
                             preexec_fn=die_with_parent if confined else without_cgroups)
        wait_until(lambda: self.d.waiting() == ["train"], "it waits")
        return job, lambda: voice.release(lease)

    def folder(self, job):
        folder = self.cards.sysfs / str(own_cgroup() / f"baton-run-{job.pid}").removeprefix("/sys/")
        folder.mkdir(parents=True)
        return folder

    def test_set_and_lifted(self):
        """By the address of the leased card, before the job begins; the broker sees it; without a limit at the end."""
        job, go = self.waiting_job("--vram", "8G", "--limit")
        folder = self.folder(job)
        (folder / "dmem.max").write_text("nvidia/0000:02:00.0/vidmem max\n", encoding="ascii")
        (folder / "dmem.current").write_text(f"nvidia/0000:02:00.0/vidmem {3 * GIB}\n", encoding="ascii")
        go()
        self.assertEqual(job.stdout.readline(), "up\n")
        self.assertEqual((folder / "dmem.max").read_text(), f"nvidia/0000:02:00.0/vidmem {8 * GIB}\n")
        wait_until(lambda: "the cgroup of train uses 3.0G, at most 8.0G" in self.run_cli(self.d, "gpus").stdout,
                   "the broker shows it")
        _, said = job.communicate("\n", timeout=20)
        self.assertEqual(job.returncode, 3)
        self.assertIn("sh gets at most 8.0G of gpu1: the driver refuses more", said)
        self.assertEqual((folder / "dmem.max").read_text(), "nvidia/0000:02:00.0/vidmem max\n")

    def test_it_is_not_in_its_cgroup(self):
        """The kernel does not let it in (the cgroup around it is threaded): it runs, and the limit is not claimed."""
        if not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        around = own_cgroup() / f"baton-test-{os.getpid()}"
        around.mkdir()
        self.addCleanup(around.rmdir)
        try:
            (around / "cgroup.type").write_text("threaded", encoding="ascii")
        except OSError as error:
            self.skipTest(f"no threaded cgroup may be made here: {error}")
        folder = self.cards.sysfs / str(around / "baton-run").removeprefix("/sys/")

        def enter():
            die_with_parent()
            (around / "cgroup.threads").write_text("0", encoding="ascii")
            made = pathlib.Path(f"{folder}-{os.getpid()}")
            made.mkdir(parents=True)
            (made / "dmem.max").write_text("nvidia/0000:02:00.0/vidmem max\n", encoding="ascii")
        job = self.start_cli(self.d, "run", "-q", "--gpu", "gpu1", "--vram", "8G", "--limit", "--", "sh", "-c",
                             "echo up; read line; exit 3", stdin=-1, preexec_fn=enter)
        self.assertEqual(job.stdout.readline(), "up\n")
        _, said = job.communicate("\n", timeout=20)
        self.assertEqual(job.returncode, 3)
        self.assertIn("--limit does not hold", said)
        self.assertNotIn(str(8 * GIB), pathlib.Path(f"{folder}-{job.pid}/dmem.max").read_text())

    def test_it_cannot_hold(self):
        """The job runs, and it is said why nothing holds it: no controller, another driver, no cgroup."""
        for case, words in (("none", "the kernel has no dmem controller"),
                            ("other", "the kernel counts no memory of 0000:02:00.0"),
                            ("bare", "no cgroup of its own can be made here")):
            with self.subTest(case=case):
                job, go = self.waiting_job("-q", "--vram", "8G", "--limit", confined=case != "bare")
                if case == "other":
                    (self.folder(job) / "dmem.max").write_text("drm/0000:09:00.0/vram0 max\n", encoding="ascii")
                go()
                self.assertEqual(job.stdout.readline(), "up\n")
                _, said = job.communicate("\n", timeout=20)
                self.assertEqual((job.returncode, said.count("--limit does not hold on gpu1: ")), (3, 1), said)
                self.assertIn(words, said)

    def test_inside(self):
        """Under the lease of another `baton run` there is no cgroup of its own, and that is said."""
        result = self.run_cli(self.d, "run", "-q", "--gpu", "gpu0", "--vram", "8G", "--", BATON, "run", "--vram", "4G",
                              "--limit", "--", "true")
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("--limit does not hold inside another lease", result.stderr)

    def test_usage(self):
        """Without --vram there is nothing to hold it to."""
        refused = self.run_cli(self.d, "run", "--limit", "--", "true")
        self.assertEqual(refused.returncode, 64)
        self.assertIn("--limit holds the job to what --vram says", refused.stderr)


class Killed(MeasureTest):
    """--strict, by a tree as well: what the kernel counts is said by a file of the job's cgroup."""

    def setUp(self):
        self.d = self.daemon()
        self.root = self.d.dir / "cgroup"
        self.d.env["BATON_CGROUPFS"] = str(self.root)

    def run_killed(self, *options, counted=True):
        """One of its processes is killed for want of memory, and its leader ends with 0."""
        if not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        holder = self.d.session("holder")
        lease = holder.hold()["lease"]
        job = self.start_cli(self.d, "run", "-q", *options, "--", "sh", "-c", "echo up; read line; exit 0", stdin=-1)
        wait_until(self.d.waiting, "it waits")
        folder = self.root / str(own_cgroup() / f"baton-run-{job.pid}").removeprefix("/sys/fs/cgroup/")
        folder.mkdir(parents=True)
        (folder.parent / "cgroup.controllers").write_text("cpu\n", encoding="ascii")
        if counted:
            (folder / "memory.events").write_text("low 0\noom 0\noom_kill 0\n", encoding="ascii")
        holder.release(lease)
        self.assertEqual(job.stdout.readline(), "up\n")
        if counted:
            (folder / "memory.events").write_text("low 0\noom 1\noom_kill 1\n", encoding="ascii")
        _, said = job.communicate("\n", timeout=20)
        holder.bye()
        return job.returncode, said

    def test_strict(self):
        """The kernel killed a worker for want of memory and the leader calls that a success: 137."""
        status, said = self.run_killed("--strict")
        self.assertEqual(status, 137, said)
        self.assertIn("the kernel killed 1 process of sh because memory ran out\n", said)

    def test_strict_without_a_count(self):
        """Where nothing counts that, it is said at the start, and why."""
        status, said = self.run_killed("--strict", counted=False)
        self.assertEqual(status, 0, said)
        self.assertIn("--strict learns of no process killed for want of memory: the kernel has no memory controller",
                      said)


if __name__ == "__main__":
    unittest.main()
