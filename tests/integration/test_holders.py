"""Goal: who holds GPU memory and is none of the usual is named as what it is: VRAM served as swap, the dead, the stuck,
containers, also those that a job leaves behind. Method: the real daemon and real processes, NVIDIA's library written by
the tests; containers are cgroups with the names that docker gives them, where this user may make some.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from lib.daemon import die_with_parent
from lib.gpus import card
from lib.native import own_cgroup
from lib.python_client import Program
from lib.wait import DEADLINE_S, wait_until
from test_measure import MeasureTest

# Of this process: else what a killed test left, or the same one beside, would be in its way.
ID, BEFORE, LATER = (first + f"{os.getpid():048x}" for first in ("3f2a9c1b77d0e15c", "a" * 16, "b" * 16))


class HoldersTest(MeasureTest):
    def setUp(self):
        self.nvml_ = self.nvml(card("GPU-a", 1))
        self.d = self.measuring(self.nvml_)
        self.d.lock("keeps the figures coming")

    def lists(self, *pids):
        """The driver lists them, with 700 MiB each."""
        self.nvml_.write(card("GPU-a", 1, used=700 * len(pids)), *(f"process {pid} 700 compute" for pid in pids))

    def row(self, pid, key=None):
        """Its row, once it has the key."""
        def look():
            rows = {row["pid"]: row for row in self.gpus(self.d)["gpu0"]["measured"].get("processes", [])}
            return rows.get(pid) if not key or key in rows.get(pid, {}) else None
        return wait_until(look, f"{pid} is listed with {key}")

    def container(self, identity=ID):
        """A cgroup as docker makes it; removed at the end."""
        folder = own_cgroup()
        if not folder:
            self.skipTest("this user may make no cgroup v2 here")
        folder = folder / f"docker-{identity}.scope"
        folder.mkdir()

        def remove():
            for pid in (folder / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            wait_until(lambda: not (folder / "cgroup.procs").read_text(), "it is empty")
            folder.rmdir()
        self.addCleanup(remove)
        return folder

    def child_of(self, pid):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # gone meanwhile
                    if pathlib.Path(f"/proc/{child}/comm").read_text() == "sleep\n":
                        return int(child)
        return None

    def shown(self, *command):
        result = self.run_cli(self.d, *command)
        return result.stdout


class Odd(HoldersTest):
    def test_vram_as_swap(self):
        """A daemon that serves VRAM is called that in gpus, status, top and doctor, and left alone."""
        vramfs = self.nvml_.folder / "vramfs"
        shutil.copy(shutil.which("sleep"), vramfs)
        daemon = self.sleeper(vramfs, "600")
        self.lists(daemon.pid)
        row = self.row(daemon.pid, "condition")
        self.assertEqual((row["condition"], row["command"]), ("vram_swap", "vramfs"))
        self.assertIn("swapoff", row["condition_text"])
        for command in (("gpus",), ("top", "--once")):
            self.assertIn("unmanaged, VRAM as swap", self.shown(*command))
        for command in (("gpus",), ("status",)):
            self.assertIn(f"gpu0: vramfs ({daemon.pid}), 700M: It serves VRAM as swap", self.shown(*command))
        checks = json.loads(self.shown("doctor", "--json"))["checks"]
        holders = next(check for check in checks if check["name"] == "holders")
        self.assertEqual(holders["state"], "warn")
        self.assertIn(f"vramfs ({daemon.pid}), 700M", holders["text"])
        self.assertIsNone(daemon.poll())

    def test_dead(self):
        """One that is not collected, and one of which nothing is left; both were seen alive."""
        zombie, dead = self.sleeper(), self.sleeper()
        self.lists(zombie.pid, dead.pid)
        self.assertNotIn("condition", self.row(zombie.pid))
        self.row(dead.pid)
        zombie.kill()
        dead.kill()
        dead.wait()
        self.assertEqual(self.row(zombie.pid, "condition")["condition"], "zombie")
        row = self.row(dead.pid, "condition")
        self.assertEqual((row["condition"], row["command"]), ("dead", "sleep"))
        self.assertIn("dead, not collected", self.shown("gpus"))

    def test_what_a_holder_leaves(self):
        """The job is dead and its memory not free: it drains, and its memory is the job's until it is."""
        job = self.start_cli(self.d, "run", "--slots", "0", "--vram", "1G", "--name", "train", "--", "sleep", "600")
        child = wait_until(lambda: self.child_of(job.pid), "its command runs")
        self.lists(child)
        self.assertEqual(self.row(child, "client")["client"], "train")
        job.terminate()
        job.wait()
        gpu = wait_until(lambda: self.gpus(self.d)["gpu0"].get("vram_mb_draining") and self.gpus(self.d)["gpu0"],
                         "it drains")
        self.assertEqual(gpu["vram_mb_draining"], 1024)
        self.lists()
        wait_until(lambda: not self.gpus(self.d)["gpu0"].get("vram_mb_draining"), "it is free")


class Told(HoldersTest):
    """A holder is told what it may not know."""

    def job(self, *options):
        self.d.http("POST", "/v1/gpu/force-release-all", unix=True)
        job = self.start_cli(self.d, "run", "--name", "train", *options, "--", "sleep", "600")
        return job, wait_until(lambda: self.child_of(job.pid), "its command runs")

    def line(self, job, words):
        for line in job.stderr:
            if words in line:
                return line.strip()
        raise AssertionError(f"it ended without: {words}")

    def test_over_its_declaration(self):
        """It uses more than it said: told, shown, and counted at what it uses."""
        job, child = self.job("--vram", "500M")
        self.lists(child)
        self.assertEqual(self.line(job, "declared"),
                         "baton: run: It uses 700 MiB of gpu0 and declared 500: it counts with what it uses.")
        lease = self.d.status()["leases"][0]
        self.assertEqual((lease["notices"], lease["vram_mb"], lease["vram_mb_measured"]), (["over"], 500, 700))
        self.assertEqual(self.gpus(self.d)["gpu0"]["vram_mb_granted"], 700)
        self.assertIn("held, over what it declared", self.shown("status"))
        self.assertIn("notice", self.shown("events", "--json"))

    def test_on_another_gpu(self):
        """It uses a card that it was not given, as a container may that sees all: told, and shown."""
        self.d.http("POST", "/v1/gpu/force-release-all", unix=True)
        self.nvml_.write(card("GPU-a", 1), card("GPU-b", 2))
        wait_until(lambda: len(self.d.status()["gpus"]) == 2, "the second card is found")
        job, child = self.job("--gpu", "gpu0")
        self.nvml_.write(card("GPU-a", 1), card("GPU-b", 2, used=700), f"process {child} 700 compute")
        self.assertEqual(self.line(job, "no lease"),
                         "baton: run: It uses 700 MiB of gpu1, on which it has no lease.")
        self.assertEqual(self.d.status()["leases"][0]["notices"], ["other_gpu"])
        self.assertIn("held, also on another GPU", self.shown("status"))

    def test_python_is_told(self):
        """The same for a program with the Python client."""
        self.d.http("POST", "/v1/gpu/force-release-all", unix=True)
        program = Program(self, self.d, """
with baton.lease(on_notice=lambda notice: say(notice.code, notice.text)): say("held"), hear()
""")
        program.wait("held")
        self.nvml_.write(card("GPU-a", 1, "lost"))
        self.assertIn("gpu0 was lost", program.wait("gpu_lost "))
        self.nvml_.write(card("GPU-a", 1))
        program.wait("gpu_back ")

    def test_lost_card(self):
        """Its card falls off the bus, and comes back."""
        job, _ = self.job()
        self.nvml_.write(card("GPU-a", 1, "lost"))
        self.assertIn("gpu0 was lost", self.line(job, "was lost"))
        self.assertEqual(self.d.status()["leases"][0]["notices"], ["gpu_lost"])
        self.assertIn("held, its GPU is lost", self.shown("status"))
        self.nvml_.write(card("GPU-a", 1))
        self.assertIn("gpu0 is back", self.line(job, "is back"))
        self.assertNotIn("notices", self.d.status()["leases"][0])


class Containers(HoldersTest):
    def test_named(self):
        """Its runtime and id, beside the pid that it has outside."""
        folder = self.container()
        inside = self.sleeper()
        (folder / "cgroup.procs").write_text(str(inside.pid))
        self.lists(inside.pid)
        self.assertEqual(self.row(inside.pid)["container"], {"runtime": "docker", "id": ID})
        for command in (("gpus",), ("top", "--once")):
            self.assertIn("unmanaged, in docker 3f2a9c1b77d0", self.shown(*command))

    def test_pid_inside(self):
        """One with a pid of its own in there: that is told, too."""
        folder = self.container()
        inside = subprocess.Popen(["unshare", "--user", "--pid", "--fork", "--kill-child", "sleep", "600"],
                                  preexec_fn=die_with_parent)
        self.addCleanup(inside.wait)
        self.addCleanup(inside.kill)
        child = wait_until(lambda: inside.poll() is not None or self.sleep_of(inside.pid), "it runs")
        if child is True:
            self.skipTest("no PID namespace may be made here")
        (folder / "cgroup.procs").write_text(str(child))
        self.lists(child)
        self.assertEqual(self.row(child)["container"]["pid"], 1)

    def sleep_of(self, pid):
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return next((int(child) for child in children
                     if pathlib.Path(f"/proc/{child}/comm").read_text() == "sleep\n"), None)

    def job(self):
        """A job that says its mark and ends when it is told to."""
        self.d.http("POST", "/v1/gpu/force-release-all", unix=True)
        job = self.start_cli(self.d, "run", "--", "sh", "-c", "echo $BATON_RUN; read line", stdin=subprocess.PIPE)
        return job, job.stdout.readline().strip()

    def test_outlives_the_job(self):
        """A container that began during a job and is still on its GPU when that is over is named at its end."""
        folder = self.container()
        job, _ = self.job()
        inside = self.sleeper()
        (folder / "cgroup.procs").write_text(str(inside.pid))
        self.lists(inside.pid)
        self.row(inside.pid, "container")
        errors = job.communicate("\n", timeout=DEADLINE_S)[1]
        self.assertIn(f"docker container 3f2a9c1b77d0 (sleep, process {inside.pid}) was started while sh ran, "
                      "and is still on gpu0; to end it: docker stop 3f2a9c1b77d0", errors)
        self.assertEqual(job.returncode, 0)
        self.assertIsNone(inside.poll())

    def test_of_others(self):
        """One that was there before is not the job's; nor is one that is on no GPU, unless it has the job's mark."""
        before, later, marked = self.sleeper(), None, None
        (self.container(BEFORE) / "cgroup.procs").write_text(str(before.pid))
        self.lists(before.pid)
        self.row(before.pid, "container")
        job, mark = self.job()
        later = self.sleeper()
        (self.container(LATER) / "cgroup.procs").write_text(str(later.pid))
        marked = subprocess.Popen(["sleep", "600"], env={"BATON_RUN": f"outer,{mark}"})
        self.addCleanup(marked.wait)
        self.addCleanup(marked.kill)
        (self.container() / "cgroup.procs").write_text(str(marked.pid))
        errors = job.communicate("\n", timeout=DEADLINE_S)[1]
        self.assertIn("docker container 3f2a9c1b77d0", errors)
        self.assertIn("and still runs", errors)
        self.assertNotIn("container aaaa", errors)
        self.assertNotIn("container bbbb", errors)


if __name__ == "__main__":
    unittest.main()
