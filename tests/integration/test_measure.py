"""Goal: the GPUs of the machine are found, measured and shown without being configured, and what is not known is
never taken for zero (REPORTS 26, 28, 32, 33). Method: the real daemon and real processes, NVIDIA's library written
by the tests.
"""
import os
import pathlib
import subprocess
import tempfile
import unittest

from lib.daemon import DaemonTest
from lib.gpus import Nvml, card
from lib.wait import wait_until


class MeasureTest(DaemonTest):
    def nvml(self, *lines, old=False):
        folder = tempfile.TemporaryDirectory(prefix="bt-nvml-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        nvml = Nvml(folder.name, old)
        nvml.write(*lines)
        return nvml

    def measuring(self, nvml, **options):
        daemon = self.daemon(args=nvml.args, env=nvml.env, **options)
        return daemon

    def gpus(self, daemon):
        return {gpu["name"]: gpu for gpu in daemon.status()["gpus"]}

    def sleeper(self, *command):
        """A process of its own, killed at the end."""
        process = subprocess.Popen(command or ["sleep", "600"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process


class Found(MeasureTest):
    def test_nothing_configured(self):
        """Two unlike cards: names, sizes, figures; reserved is its own row and no use by others (28)."""
        nvml = self.nvml(card("GPU-a", 1, "util=33", "temp=50", "power=123456", "name=NVIDIA_RTX_4090",
                              reserved=905, used=2000),
                         card("GPU-b", 2, total=8192))
        d = self.measuring(nvml)
        gpus = self.gpus(d)
        self.assertEqual(list(gpus), ["gpu0", "gpu1"])
        a, b = gpus["gpu0"], gpus["gpu1"]
        self.assertEqual((a["uuid"], a["vram_mb_total"], a["vram_mb_used"], a["vram_mb_unmanaged"], a["healthy"]),
                         ("GPU-a", 24576, 2000, 2000, True))
        m = a["measured"]
        self.assertEqual((m["model"], m["pci"], m["nvml_index"], m["cuda_index"], m["state"], m["vram_mb_reserved"],
                          m["vram_mb_free"], m["utilisation_percent"], m["temperature_c"], m["power_w"]),
                         ("NVIDIA RTX 4090", "0000:01:00.0", 0, 0, "ok", 905, 24576 - 905 - 2000, 33, 50, 123.456))
        self.assertEqual((b["vram_mb_total"], b["measured"]["utilisation_percent"], b["measured"]["power_w"]),
                         (8192, None, None))
        self.assertEqual(self.run_cli(d, "status").returncode, 0)

    def test_more_than_exists(self):
        nvml = self.nvml(card("GPU-a", 1, total=8192))
        d = self.measuring(nvml)
        result = self.run_cli(d, "run", "--vram", "24G", "--", "true")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("8", result.stderr)
        self.assertIn("24", result.stderr)

    def test_no_gpu_at_all(self):
        """No library: one GPU of unknown size by declaration, as ever."""
        nvml = self.nvml()
        d = self.daemon(args=["--nvml", str(nvml.folder / "none.so"), *nvml.args[2:]])
        gpu = d.status()["gpus"][0]
        self.assertEqual((gpu["name"], gpu["vram_mb_total"], gpu["vram_mb_used"]), ("gpu0", None, None))
        self.assertNotIn("measured", gpu)
        self.assertEqual(d.lock("a", vram_mb=100).status, 200)

    def test_names_stay_over_a_restart(self):
        """Card 0 is gone at the next start: the other keeps its name, and its lease."""
        nvml = self.nvml(card("GPU-a", 1), card("GPU-b", 2))
        d = self.measuring(nvml, timing={"restart_linger_s": 10})
        held = d.lock("who", gpu="gpu1").json()
        d.kill()
        nvml.write(card("GPU-b", 2))
        d.start()
        self.assertEqual([(gpu["name"], gpu["uuid"], gpu["slots_used"]) for gpu in d.status()["gpus"]],
                         [("gpu1", "GPU-b", 1)])
        self.assertEqual(d.unlock(held["token"]).status, 200)


class Processes(MeasureTest):
    def test_who_uses_it(self):
        """A child of a holder is the holder's; a stranger, a dead pid, pid 0 and N/A are shown as what they are."""
        stranger = self.sleeper()
        gone = subprocess.Popen(["true"])
        gone.wait()
        nvml = self.nvml(card("GPU-a", 1))
        d = self.measuring(nvml)
        job = self.start_cli(d, "run", "--vram", "2G", "--name", "train", "--", "sh", "-c", "sleep 600 & wait")
        wait_until(lambda: d.holders(), "it holds")
        child = wait_until(lambda: self.descendant(job.pid, "sleep"), "its child runs")
        nvml.write(card("GPU-a", 1, used=5000), f"process {child} 1500 compute", f"process {stranger.pid} 700 compute",
                   f"process {gone.pid} 100 compute", "process 0 50 compute", "process 4294967295 na graphics",
                   f"process {os.getpid()} na graphics")
        rows = wait_until(lambda: self.rows(d, 6), "they are seen")
        mine = rows[child]
        self.assertEqual((mine["command"], mine["vram_mb"], mine["client"], mine["use"]),
                         ("sleep", 1500, "train", "compute"))
        self.assertEqual(mine["lease"], d.status()["leases"][0]["lease"])
        self.assertEqual((rows[stranger.pid]["command"], rows[stranger.pid]["vram_mb"]), ("sleep", 700))
        self.assertNotIn("client", rows[stranger.pid])
        self.assertEqual((rows[gone.pid]["command"], rows[gone.pid]["vram_mb"]), (None, 100))
        self.assertEqual(rows[os.getpid()]["vram_mb"], None)
        unnamed = [row for row in self.gpus(d)["gpu0"]["measured"]["processes"] if row["pid"] is None]
        self.assertEqual(sorted(str(row["vram_mb"]) for row in unnamed), ["50", "None"])
        self.assertEqual(self.gpus(d)["gpu0"]["vram_mb_unmanaged"], 3500)

    def rows(self, daemon, count):
        measured = self.gpus(daemon)["gpu0"]["measured"]
        rows = measured.get("processes", [])
        return {row["pid"]: row for row in rows} if len(rows) == count else None

    def descendant(self, pid, name):
        """The process of that name below this one."""
        parents, names = {}, {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            child = int(stat.parent.name)
            parents[child] = int(text.rpartition(")")[2].split()[1])
            names[child] = text.partition("(")[2].rpartition(")")[0]
        for child in parents:
            above = child
            while above and above != pid:
                above = parents.get(above)
            if above == pid and names[child] == name:
                return child
        return None


if __name__ == "__main__":
    unittest.main()
