"""Goal: under `--limit` the driver is told of the limit before the job begins, and no longer when it is over; where
there can be none, that is said, and the job runs.

Method: the real daemon and real jobs; the files of the kernel's dmem controller are a tree that the test writes from
the kernel's documentation, because no kernel here has it, and NVML's limits are the stand-in's, for real cgroups. What
the driver then refuses is the driver's affair, and was not seen.
"""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from lib.daemon import BATON, die_with_parent
from lib.gpus import card
from lib.native import own_cgroup, removed, without_cgroups, without_rights
from lib.wait import wait_until
from test_measure import MeasureTest

GIB = 1 << 30
NONE = (1 << 64) - 1
NOBODY = 65534
HELPER = pathlib.Path(BATON).with_name("baton-gpu-limit")


class Limit(MeasureTest):
    def setUp(self):
        self.cards = self.nvml(card("GPU-a", 1), card("GPU-b", 2))
        self.prepare()
        self.d = self.measuring(self.cards)
        self.d.env["BATON_CGROUPFS"] = str(self.cards.sysfs / "fs/cgroup")

    def prepare(self):
        """Before the broker."""

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
        # Its keeper may be in there for a moment after it.
        self.addCleanup(lambda: wait_until(lambda: removed(around), "it is empty"))
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


class ByNvml(Limit):
    """Where the kernel has no controller for it, by a program that has the rights (this user: root)."""

    def setUp(self):
        if os.getuid() != 0 or not own_cgroup():
            self.skipTest("only root may limit by NVML, in a cgroup of its own")
        super().setUp()
        self.d.env["BATON_NVML"] = self.cards.library

    def prepare(self):
        self.limits = self.cards.limits_path
        self.limits.touch()

    def rows(self):
        return [tuple(line.split()) for line in self.limits.read_text(encoding="ascii").splitlines()]

    def ends(self, job):
        self.assertEqual(job.stdout.readline(), "up\n")
        _, said = job.communicate("\n", timeout=20)
        self.assertEqual(job.returncode, 3)
        return said

    def test_set_and_lifted(self):
        """For the leased card and the job's cgroup, before the job begins; none of it is kept for the job; lifted."""
        job, go = self.waiting_job("--vram", "8G", "--limit")
        path = str(own_cgroup() / f"baton-run-{job.pid}")
        go()
        self.assertEqual(job.stdout.readline(), "up\n")
        self.assertEqual(self.rows(), [("GPU-b", path, "0", str(8 * GIB))])
        self.cards.write(card("GPU-a", 1), card("GPU-b", 2), f"cgroup {path} 3072")
        wait_until(lambda: "the cgroup of train uses 3.0G, at most 8.0G" in self.run_cli(self.d, "gpus").stdout,
                   "the broker shows it")
        _, said = job.communicate("\n", timeout=20)
        self.assertEqual(job.returncode, 3)
        self.assertIn("sh gets at most 8.0G of gpu1: the driver refuses more", said)
        self.assertEqual(self.rows()[1:], [("GPU-b", path, "0", str(NONE))])

    def test_not_more_than_around(self):
        """The driver looks at the nearest limit alone: one that would be above that of the cgroup around is refused."""
        self.limits.write_text(f"GPU-b {own_cgroup()} 0 {4 * GIB}\n", encoding="ascii")
        job, go = self.waiting_job("-q", "--vram", "8G", "--limit")
        go()
        self.assertIn(f"nor does NVML hold it: {own_cgroup()} may have at most {4 * GIB} bytes", self.ends(job))
        self.assertEqual(len(self.rows()), 1)

    def test_it_cannot_hold(self):
        """A driver that is older, or none, or that hangs: said, and the job runs."""
        for case, words in (("old", "NVIDIA's driver is older than r615"), ("none", "there is no libnvidia-ml.so.1"),
                            ("hang", "NVIDIA's driver does not answer")):
            with self.subTest(case=case):
                self.d.env["BATON_NVML"] = {"old": os.environ["NVML_STANDIN_OLD"], "none": "/no/such.so"}.get(
                    case, self.cards.library)
                job, go = self.waiting_job("-q", "--vram", "8G", "--limit")
                if case == "hang":
                    self.d.env["BATON_NVML_SCENARIO"] = str(self.d.dir / "hangs")
                    self.cards.write(card("GPU-a", 1), card("GPU-b", 2, "hang"))
                go()
                said = self.ends(job)
                self.assertIn("--limit does not hold on gpu1: ", said)
                self.assertIn(words, said)
                self.assertEqual(self.rows(), [])

    def helper(self, *words, path=HELPER, **options):
        return subprocess.run([path, *words], env={**os.environ, **self.d.env}, capture_output=True, text=True,
                              timeout=30, check=False, **options)

    def test_of_others(self):
        """Whoever may call the program may limit his own jobs, and is told by no library of his own what to do."""
        if without_rights(self.d.dir):
            self.skipTest(without_rights(self.d.dir))
        program = self.d.dir / "baton-gpu-limit"
        shutil.copy(HELPER, program)
        program.chmod(0o4755)
        self.d.dir.chmod(0o755)
        user = {"path": program, "user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
        own, other = own_cgroup() / f"baton-run-9{os.getpid()}", own_cgroup() / f"baton-test-{os.getpid()}"
        for folder in (own, other):
            folder.mkdir()
            self.addCleanup(folder.rmdir)
        os.chown(other, NOBODY, NOBODY)
        for path in (own, other, self.d.dir, f"{own}/../{own.name}", "baton-run-1", "/sys/fs/cgroup/baton-run-1"):
            refused = self.helper("GPU-a", path, "1000", **user)
            self.assertEqual(refused.returncode, 77, refused)
            self.assertIn("is no cgroup of a job of yours", refused.stderr)

        os.chown(own, NOBODY, NOBODY)
        unset = self.helper("GPU-a", own, "1000", **user)
        self.assertIn("there is no libnvidia-ml.so.1", unset.stderr, "not that which the environment names")
        for words in ((), ("GPU-a", own), ("GPU-a", own, "0"), ("GPU-a", own, "-1"), ("GPU-a", own, "1G"),
                      ("GPU-a", own, "99999999999999999999"), ("GPU-a", own, " 5")):
            self.assertEqual(self.helper(*words, **user).returncode, 64, words)
        self.assertEqual(self.rows(), [])


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
        wait_until(lambda: "sh" in [row["id"] for row in self.history()], "the broker has written it down")
        return job.returncode, said

    def test_another_turn_of_the_same_lease(self):
        """One of it was killed for want of memory as it gave way: that is not told of its next turn, which the broker
        takes from it."""
        if not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        holder = self.d.session("holder")
        lease = holder.hold()["lease"]
        script = "trap 'exit 1' TERM; echo up; read line"
        job = self.start_cli(self.d, "run", "-q", "--strict", "--requeue", "-c", "background", "--", "sh", "-c", script,
                             stdin=-1)
        wait_until(self.d.waiting, "it waits")
        folder = self.root / str(own_cgroup() / f"baton-run-{job.pid}").removeprefix("/sys/fs/cgroup/")
        folder.mkdir(parents=True)
        (folder / "memory.events").write_text("oom_kill 0\n", encoding="ascii")
        holder.release(lease)
        self.assertEqual(job.stdout.readline(), "up\n")
        (folder / "memory.events").write_text("oom_kill 1\n", encoding="ascii")
        holder.release(holder.hold(**{"class": "voice"})["lease"])
        self.assertEqual(job.stdout.readline(), "up\n")
        self.assertEqual(self.run_cli(self.d, "force-release", "--lease", "sh", "--yes").returncode, 0)
        ended = wait_until(lambda: [row for row in self.history() if row.get("id") == "sh"],
                           "the broker has it written down")
        self.assertEqual([row.get("detail") for row in ended], [None])
        job.kill()
        _, said = job.communicate(timeout=20)
        self.assertIn("the kernel killed 1 process of sh", said)

    def history(self):
        return json.loads(self.d.http("GET", "/v1/gpu/history").body)["history"]

    def assertToldEverywhere(self, detail):
        """In history, over a restart, and as an event and a line of the log."""
        ended = [row.get("detail") for row in self.history() if row["id"] == "sh"]
        self.assertEqual(ended, [detail])
        events = self.run_cli(self.d, "events", "--json").stdout.splitlines()
        told = [event.get("detail") for event in map(json.loads, events)
                if event.get("client") == "sh" and event["what"] == "ended"]
        self.assertEqual(told, [detail])
        self.assertIn(detail, self.run_cli(self.d, "events").stdout)
        self.assertIn(f'why="{detail}"', self.d.log())
        self.d.terminate()
        self.d.start()
        self.assertIn(f"released: {detail}", self.run_cli(self.d, "history", "sh").stdout)

    def test_strict(self):
        """The kernel killed a worker for want of memory and the leader calls that a success: 137."""
        status, said = self.run_killed("--strict")
        self.assertEqual(status, 137, said)
        self.assertIn("the kernel killed 1 process of sh because memory ran out\n", said)
        self.assertToldEverywhere("the kernel killed 1 process because memory ran out; exit status 0")

    def test_strict_without_a_count(self):
        """Where nothing counts that, it is said at the start, and why."""
        status, said = self.run_killed("--strict", counted=False)
        self.assertEqual(status, 0, said)
        self.assertIn("--strict learns of no process killed for want of memory: the kernel has no memory controller",
                      said)


if __name__ == "__main__":
    unittest.main()
