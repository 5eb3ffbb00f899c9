"""Goal: the GPUs of the machine are found, measured and shown without being configured, and what is not known is
never taken for zero (REPORTS 26, 28, 32, 33). Method: the real daemon and real processes, NVIDIA's library written
by the tests.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from lib.daemon import DaemonTest
from lib.environment import run_environment
from lib.gpus import Nvml, card
from lib.native import own_cgroup
from lib.python_client import Program
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

    def test_no_such_card(self):
        """The configuration names one that is not there: `baton gpus` says which, not only that nothing is measured."""
        nvml = self.nvml(card("GPU-a", 1))
        d = self.measuring(nvml, config={"gpus": [{"name": "big", "uuid": "GPU-b"}, {"name": "next"}]})
        said = self.run_cli(d, "gpus").stdout
        self.assertIn("not measured: no card is GPU-b; what is declared counts", said)
        self.assertNotIn("HOLDER", said, "nobody is on them: there is no table of processes")

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


    def found_while_it_runs(self, *before, release=False):
        """Two cards are known; the broker starts anew with what NVML then has of them, and the rest comes."""
        nvml = self.nvml(card("GPU-a", 1), card("GPU-b", 2))
        d = self.measuring(nvml, timing={"restart_linger_s": 10})
        held = d.lock("who", gpu="gpu1").json()
        if release:
            d.unlock(held["token"])
        d.kill()
        nvml.write(*before)
        d.start()
        nvml.write(card("GPU-a", 1), card("GPU-b", 2))
        self.run_cli(d, "reload")  # so that the driver is asked at once
        return d, held

    def test_one_of_before_is_plugged_in(self):
        """It is lent without a restart, by the name that it had; a lease on the other keeps its GPU."""
        d, held = self.found_while_it_runs(card("GPU-b", 2))
        wait_until(lambda: list(self.gpus(d)) == ["gpu1", "gpu0"], "it is found")
        self.assertEqual(d.lock("other", gpu="gpu0").json()["gpu"], "gpu0")
        self.assertEqual({gpu["name"]: gpu["slots_used"] for gpu in d.status()["gpus"]}, {"gpu1": 1, "gpu0": 1})
        d.kill()
        d.start()
        self.assertEqual({gpu["name"]: gpu["slots_used"] for gpu in d.status()["gpus"]}, {"gpu0": 1, "gpu1": 1})
        self.assertEqual(d.unlock(held["token"]).status, 200)

    def test_its_lease_was_there_before_it(self):
        """The same where a lease is still on the one that was away: that takes a restart, and nothing is mixed up."""
        d, held = self.found_while_it_runs("init 9")
        wait_until(lambda: "only a restart can lend" in d.log(), "it is found")
        wait_until(lambda: self.gpus(d)["gpu0"]["vram_mb_total"] == 24576, "the other one is measured")
        d.lock("asks", gpu="gpu0")
        self.assertEqual([(gpu["name"], gpu["slots_used"]) for gpu in d.status()["gpus"]], [("gpu0", 1)])
        d.kill()
        d.start()
        self.assertEqual([(gpu["name"], gpu["slots_used"]) for gpu in d.status()["gpus"]], [("gpu0", 1), ("gpu1", 1)])
        self.assertEqual(d.unlock(held["token"]).status, 200)

    def test_the_driver_is_loaded_after_the_start(self):
        """Two cards that were known, and a start before their driver: both are lent once it is there."""
        d, _ = self.found_while_it_runs("init 9", release=True)
        wait_until(lambda: list(self.gpus(d)) == ["gpu0", "gpu1"], "they are found")


def real_library():
    """NVIDIA's own, of Debian's libnvidia-ml1: as tools/dev/deps.sh has unpacked it, or as it is installed."""
    unpacked = pathlib.Path(__file__).resolve().parents[2] / "build-nvml"
    folders = [*unpacked.glob("usr/lib/*/nvidia/current"), *pathlib.Path("/usr/lib").glob("*-linux-gnu")]
    return next((path for path in (folder / "libnvidia-ml.so.1" for folder in folders) if path.exists()), None)


class RealLibrary(MeasureTest):
    """NVIDIA's own library, without the driver: it says why there are no figures, and nobody waits for it."""

    def setUp(self):
        if not real_library():
            self.skipTest("no libnvidia-ml1 of Debian's non-free: tools/dev/deps.sh test could not get it")
        if pathlib.Path("/proc/driver/nvidia").exists():
            self.skipTest("NVIDIA's driver is loaded here")

    def measured_by_it(self, **options):
        nvml = self.nvml()
        begun = time.monotonic()
        daemon = self.daemon(args=["--nvml", str(real_library()), *nvml.args[2:]], **options)
        self.assertLess(time.monotonic() - begun, 2.5, "a start waits 3 s for a driver that does not answer")
        return daemon

    def test_no_driver(self):
        """As without any library, and one line of the log says why; a reload and `baton gpus` ask anew."""
        d = self.measured_by_it()
        self.assertIn('why="NVML: Driver Not Loaded (9); the library is installed, but no driver of NVIDIA is loaded"',
                      d.log())
        gpu = d.status()["gpus"][0]
        self.assertEqual((gpu["name"], gpu["vram_mb_total"], gpu["vram_mb_used"]), ("gpu0", None, None))
        self.assertNotIn("measured", gpu)
        self.assertEqual(d.lock("a", vram_mb=100).status, 200)
        self.assertEqual(self.run_cli(d, "gpus").returncode, 0)
        self.assertEqual(self.run_cli(d, "reload").returncode, 0)
        self.assertNotIn("baton_gpu_vram_free_bytes{", d.http("GET", "/metrics").body.decode())
        self.assertEqual(d.log().count("Driver Not Loaded"), 1)

    def test_a_card_by_configuration(self):
        """One that only NVML could measure: it is unknown, not 0, and who states no VRAM has his turn."""
        d = self.measured_by_it(config={"gpus": [{"name": "big", "uuid": "GPU-52a3b1c4", "vram_mb": 24576}]})
        gpu = d.status()["gpus"][0]
        self.assertEqual((gpu["name"], gpu["vram_mb_used"]), ("big", None))
        self.assertEqual(d.lock("turn").status, 200)


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
        lease = d.status()["leases"][0]
        self.assertEqual((mine["lease"], lease["vram_mb"], lease["vram_mb_measured"]), (lease["lease"], 2048, 1500))
        self.assertEqual((rows[stranger.pid]["command"], rows[stranger.pid]["vram_mb"]), ("sleep", 700))
        self.assertNotIn("client", rows[stranger.pid])
        self.assertEqual((rows[gone.pid]["command"], rows[gone.pid]["vram_mb"]), (None, 100))
        self.assertEqual(rows[os.getpid()]["vram_mb"], None)
        unnamed = [row for row in self.gpus(d)["gpu0"]["measured"]["processes"] if row["pid"] is None]
        self.assertEqual(sorted(str(row["vram_mb"]) for row in unnamed), ["50", "None"])
        self.assertEqual(self.gpus(d)["gpu0"]["vram_mb_unmanaged"], 3500)
        metrics = d.http("GET", "/metrics").body.decode()
        for pid, client, holding, mib in ((child, "train", lease["lease"], 1500), (stranger.pid, "", "", 700)):
            self.assertIn(f'baton_gpu_process_vram_bytes{{gpu="gpu0",pid="{pid}",command="sleep",client="{client}",'
                          f'lease="{holding}"}} {mib << 20}\n', metrics)

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


class Reserved(MeasureTest):
    """28: what the driver reserves is its own row and no use; what is free, and so grants, are the same either way."""

    def rows(self, daemon):
        return {name: (gpu["vram_mb_used"], gpu["vram_mb_unmanaged"], gpu["measured"]["vram_mb_reserved"],
                       gpu["measured"]["vram_mb_free"]) for name, gpu in self.gpus(daemon).items()}

    def test_one_card_refuses_the_newer_call(self):
        """Two like cards, both idle; the newer call works on one: on the other what is reserved counts as in use, and
        on either there is room for as much, and for no MiB more."""
        d = self.measuring(self.nvml(card("GPU-a", 1, reserved=905, used=8),
                                     card("GPU-b", 2, "error2", reserved=905, used=8)))
        free = 24576 - 905 - 8
        self.assertEqual(self.rows(d), {"gpu0": (8, 8, 905, free), "gpu1": (913, 913, None, free)})
        most = self.most_granted(d, "gpu0")
        self.assertEqual(most, self.most_granted(d, "gpu1"))
        self.assertEqual(most, free - 512)  # the headroom

    def most_granted(self, daemon, gpu):
        """The most MiB that are granted at once."""
        least, beyond = 0, 24576
        while beyond - least > 1:
            middle = (least + beyond) // 2
            answer = daemon.lock("probe", gpu=gpu, vram_mb=middle, wait=False)
            if answer.status == 200:
                daemon.unlock(answer.json()["token"])
                least = middle
            else:
                beyond = middle
        return least

    def test_the_newer_call_stops_working(self):
        """While it runs the driver begins to refuse the newer call, and takes it again: nobody is blamed for what it
        reserves any longer than that, and who waits for memory that is free gets it all the same."""
        nvml = self.nvml(card("GPU-a", 1, reserved=912, used=0))
        d = self.measuring(nvml)
        holder = d.lock("holder", vram_mb=4000).json()
        for word, wanted in (("error2", (912, None)), ("", (0, 912))):
            nvml.write(card("GPU-a", 1, word, reserved=912, used=0))
            wait_until(lambda wanted=wanted: self.rows(d)["gpu0"][0:3:2] == wanted, word or "taken again")
            self.assertEqual(self.rows(d)["gpu0"][3], 24576 - 912)
        d.unlock(holder["token"])


class Unknown(MeasureTest):
    """What is not known is never zero, and holds up only who needs to know it."""

    def state(self, daemon, name="gpu0"):
        return self.gpus(daemon)[name]["measured"]["state"]

    def test_lost_card(self):
        """Card 1 of four is lost, later not counted any more: the others go on, and no old figure is shown (33)."""
        cards = [card(f"GPU-{n}", n + 1, "util=50", used=1000 * n) for n in range(4)]
        nvml = self.nvml(*cards)
        d = self.measuring(nvml)
        holder = d.session("holder")
        lease = holder.hold(gpu="gpu1", vram_mb=100)
        nvml.write(*cards[:1], card("GPU-1", 2, "lost"), *cards[2:])
        wait_until(lambda: self.state(d, "gpu1") == "lost", "it is seen to be lost")
        gpus = self.gpus(d)
        self.assertEqual([gpu["healthy"] for gpu in gpus.values()], [True, False, True, True])
        lost = gpus["gpu1"]
        self.assertEqual((lost["vram_mb_used"], lost["measured"]["utilisation_percent"],
                          lost["measured"]["vram_mb_free"], lost["measured"]["processes"]), (None, None, None, []))
        self.assertGreaterEqual(lost["measured"]["age_s"], 0)
        self.assertIn("lost", lost["measured"]["text"])
        metrics = d.http("GET", "/metrics").body.decode()
        self.assertIn('baton_gpu_utilisation_ratio{gpu="gpu0"} 0.5', metrics)
        self.assertNotIn('baton_gpu_utilisation_ratio{gpu="gpu1"}', metrics)
        self.assertNotIn('baton_gpu_vram_used_bytes{gpu="gpu1"}', metrics)
        self.assertIn('baton_gpu_sample_age_seconds{gpu="gpu1"}', metrics)

        holder.release(lease["lease"])
        d.parked("wants it", gpu="gpu1")
        self.assertEqual(d.lock("other", gpu="gpu2", vram_mb=1000).status, 200)
        nvml.write(cards[0], *cards[2:])
        wait_until(lambda: "state=gone" in d.log() or self.state(d, "gpu1") in ("lost", "gone"), "it is gone")
        gpus = self.gpus(d)
        self.assertEqual([gpu["uuid"] for gpu in gpus.values()], [f"GPU-{n}" for n in range(4)])
        self.assertEqual(gpus["gpu3"]["vram_mb_used"], 3000)
        nvml.write(*cards)
        wait_until(lambda: self.gpus(d)["gpu1"]["healthy"], "it is back")
        wait_until(lambda: "wants it" in d.holders(), "and given to who waited")

    def test_a_call_that_never_returns(self):
        """Card 0 hangs: it is unknown since then, card 1 goes on, turns go on, memory waits."""
        nvml = self.nvml(card("GPU-a", 1, used=500), card("GPU-b", 2, used=700))
        d = self.measuring(nvml)
        d.lock("watch", gpu="gpu1")
        nvml.write(card("GPU-a", 1, "hang", used=500), card("GPU-b", 2, used=900))
        wait_until(lambda: self.state(d) == "hung", "it is seen to hang")
        gpus = self.gpus(d)
        self.assertEqual((gpus["gpu0"]["vram_mb_used"], gpus["gpu0"]["vram_mb_unmanaged"], gpus["gpu0"]["healthy"]),
                         (None, None, True))
        wait_until(lambda: self.gpus(d)["gpu1"]["vram_mb_used"] == 900, "the other card is read")
        d.parked("sized", gpu="gpu0", vram_mb=1000)
        why = d.status()["waiting"][0]["why"]
        self.assertEqual(why["code"], "unknown", why)
        self.assertEqual(d.lock("turn", gpu="gpu0").status, 200)
        nvml.write(card("GPU-a", 1, used=500), card("GPU-b", 2, used=900))
        wait_until(lambda: self.state(d) == "ok", "it answers again")
        d.http("POST", "/v1/gpu/force-release-all", unix=True)

    def test_driver_and_library_differ(self):
        """After an upgrade: one line that says what to do, and turns are still granted."""
        nvml = self.nvml("init 18")
        d = self.measuring(nvml)
        self.assertEqual(d.lock("turn", vram_mb=100).status, 200)
        wait_until(lambda: "reboot, or reload" in d.log(), "it is logged")
        d.status(), d.status()
        self.assertEqual(d.log().count("GPUs cannot be measured: what is declared counts"), 1)

    def test_waits_for_what_others_use(self):
        """Used by a stranger: who needs more waits, sees why, and is granted once it is free."""
        stranger = self.sleeper()
        used = [card("GPU-a", 1, used=20000), f"process {stranger.pid} 20000 compute"]
        nvml = self.nvml(*used)
        d = self.measuring(nvml)
        d.parked("big", vram_mb=8000)
        why = d.status()["waiting"][0]["why"]
        self.assertEqual(why["code"], "vram", why)
        small = d.lock("small", vram_mb=1000)
        self.assertEqual(small.status, 200)
        d.unlock(small.json()["token"])
        nvml.write(card("GPU-a", 1))
        wait_until(lambda: "big" in d.holders(), "it is free, and given")
        self.assertEqual(stranger.poll(), None, "no signal ever goes to who only a driver named")

    def test_unified(self):
        """GB10: both calls are not supported; the machine's memory counts, and 4 GiB are left to others (26)."""
        nvml = self.nvml("gpu GPU-a 0:1:0 unsupported name=NVIDIA_GB10")
        nvml.meminfo(127600748, 118566368, 7789944)
        d = self.measuring(nvml)
        gpu = self.gpus(d)["gpu0"]
        self.assertEqual((gpu["vram_mb_total"], gpu["measured"]["unified"], gpu["measured"]["vram_mb_free"]),
                         (127600748 // 1024, True, 118566368 // 1024))
        self.assertEqual(gpu["vram_mb_used"], (127600748 - 118566368) // 1024)
        d.parked("all of it", vram_mb=118566368 // 1024 - 4000)
        self.assertEqual(d.lock("most of it", vram_mb=118566368 // 1024 - 4200).status, 200)


class AtRest(MeasureTest):
    def test_nobody_needs_it(self):
        """Found at the start, then closed: nothing is asked again before somebody needs it (32)."""
        nvml = self.nvml(card("GPU-a", 1))
        d = self.measuring(nvml)
        wait_until(lambda: nvml.calls("shutdown") == 1, "the handle is closed")
        d.http("GET", "/metrics")
        self.assertEqual(nvml.calls("init"), 1)
        self.assertEqual(self.gpus(d)["gpu0"]["measured"]["state"], "ok")  # one look
        self.assertEqual(nvml.calls("init"), 2)
        wait_until(lambda: nvml.calls("shutdown") == 2, "the handle is closed again")
        d.lock("a", vram_mb=100)
        wait_until(lambda: nvml.calls("init") == 3, "a claim needs it")

    def test_what_was_in_use_is_not_shown_for_long(self):
        """/metrics at rest: what was measured last is unknown by then, as is what is free."""
        d = self.measuring(self.nvml(card("GPU-a", 1, used=2000)), timing={"sample_max_s": 3})
        figures = ("\nbaton_gpu_vram_used_bytes{", "\nbaton_gpu_vram_unmanaged_bytes{")
        shown = lambda: [name in d.http("GET", "/metrics").body.decode() for name in figures]
        self.assertEqual(shown(), [True, True])
        wait_until(lambda: shown() == [False, False], "they are too old")
        self.assertEqual(self.gpus(d)["gpu0"]["vram_mb_used"], 2000)  # one look
        self.assertEqual(shown(), [True, True])

    def test_sleeping_card(self):
        """Not woken by a look; woken by a claim, which learns its size."""
        nvml = self.nvml(card("GPU-a", 1, total=8192))
        nvml.pci("0000:01:00.0", runtime="suspended", device="0x28a0")
        d = self.measuring(nvml)
        gpu = self.gpus(d)["gpu0"]
        self.assertEqual((gpu["measured"]["state"], gpu["vram_mb_used"], gpu["vram_mb_total"]), ("asleep", 0, None))
        self.assertIn("powered down", gpu["measured"]["text"])
        self.assertEqual(self.run_cli(d, "status").returncode, 0)
        self.assertEqual(nvml.calls("init"), 0)
        nvml.pci("0000:01:00.0", runtime="active")
        self.assertEqual(d.lock("a").status, 200)
        gpu = wait_until(lambda: self.gpus(d)["gpu0"]["vram_mb_total"] and self.gpus(d)["gpu0"], "it woke")
        self.assertEqual((gpu["name"], gpu["uuid"], gpu["vram_mb_total"]), ("gpu0", "GPU-a", 8192))
        self.assertEqual((d.state / "gpus").read_text(encoding="ascii"), "gpu0 GPU-a\n")


class Configured(MeasureTest):
    def test_by_uuid(self):
        """The file gives names, slots and a smaller size; a card that it does not name is not lent."""
        nvml = self.nvml(card("GPU-a", 1), card("GPU-b", 2), card("GPU-c", 3))
        d = self.measuring(nvml, config={"gpus": [{"name": "big", "uuid": "GPU-c", "slots": 2},
                                                  {"name": "small", "uuid": "0000:01:00.0", "vram_mb": 4000}]})
        gpus = self.gpus(d)
        self.assertEqual({name: (gpu["uuid"], gpu["slots"], gpu["vram_mb_total"]) for name, gpu in gpus.items()},
                         {"big": ("GPU-c", 2, 24576), "small": ("GPU-a", 1, 4000)})
        self.assertEqual(gpus["small"]["measured"]["pci"], "0000:01:00.0")

    def test_without_uuid_in_their_order(self):
        nvml = self.nvml(card("GPU-a", 1), card("GPU-b", 2, total=8192))
        d = self.measuring(nvml, config={"gpus": [{"name": "x"}, {"name": "y"}, {"name": "z", "vram_mb": 100}]})
        gpus = self.gpus(d)
        self.assertEqual({name: gpu["vram_mb_total"] for name, gpu in gpus.items()},
                         {"x": 24576, "y": 8192, "z": 100})
        self.assertNotIn("measured", gpus["z"])

    def test_browser_gpu_by_a_found_name(self):
        nvml = self.nvml(card("GPU-a", 1), card("GPU-b", 2))
        d = self.measuring(nvml, config={"browser_gpu": "gpu1"})
        self.assertEqual(d.websocket("page").hold()["gpu"], "gpu1")

    def test_mig(self):
        """Instances are GPUs of their own, the card is not lent; a third one is added while it runs (33)."""
        lines = ["gpu GPU-a 0:1:0 total=81920 mig", "mig MIG-1 total=20096", "mig MIG-2 total=10048"]
        nvml = self.nvml(*lines)
        d = self.measuring(nvml)
        gpus = self.gpus(d)
        self.assertEqual([(gpu["uuid"], gpu["vram_mb_total"], gpu["measured"]["parent"]) for gpu in gpus.values()],
                         [("MIG-1", 20096, "GPU-a"), ("MIG-2", 10048, "GPU-a")])
        d.lock("a", gpu="gpu1")
        nvml.write(*lines, "mig MIG-3 total=5024")
        found = wait_until(lambda: len(self.gpus(d)) == 3 and self.gpus(d), "it is found")
        self.assertEqual(found["gpu2"]["uuid"], "MIG-3")
        self.assertEqual(found["gpu1"]["slots_used"], 1)
        self.assertEqual(d.lock("b", gpu="gpu2", vram_mb=4000).status, 200)


def write_amd(nvml, name="card0", pci="0000:03:00.0", apu=False, **files):
    folder = nvml.sysfs / "class/drm" / name / "device"
    (folder / "power").mkdir(parents=True, exist_ok=True)
    values = {"uevent": f"DRIVER=amdgpu\nPCI_ID=1002:744C\nPCI_SLOT_NAME={pci}\n",
              "mem_info_vram_total": 8192 << 20, "mem_info_vram_used": 100 << 20,
              "mem_info_gtt_total": 16384 << 20, "mem_info_gtt_used": 50 << 20, "gpu_busy_percent": 7,
              "power/runtime_status": "active", **({} if apu else {"mem_busy_percent": 1}), **files}
    for key, value in values.items():
        (folder / key).write_text(f"{value}\n", encoding="ascii")


class Numbered(MeasureTest):
    """38: a program that wants numbers is given those of its runtime, not Baton's."""

    NAMES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")

    def seen(self, daemon, *options):
        """What `baton run` sets, and the Python client the same where nothing else was asked for."""
        found = run_environment(self, daemon, *options)
        if "--gpu" in options and "--env-ids" not in options:
            program = Program(self, daemon, f"""
with baton.lease(gpu={options[1]!r}) as lease:
    env = lease.environment()
    say("env", *(env[name] for name in {self.NAMES!r}))
""")
            self.assertEqual(program.wait("env ").split()[1:], [found[name] for name in self.NAMES])
        return [found[name] for name in self.NAMES]

    def test_another_order(self):
        """One of three cards is lent, and the driver lists them in another order than CUDA: its number is CUDA's."""
        nvml = self.nvml(card("GPU-a", 0x41), card("GPU-b", 2), card("GPU-c", 5))
        d = self.measuring(nvml, config={"gpus": [{"name": "c", "uuid": "GPU-c"}]})
        self.assertIn("\nc: GPU-c, CUDA 1, NVML 2\n", self.run_cli(d, "gpus").stdout)
        self.assertEqual(self.seen(d, "--env-ids", "index"), ["1", "GPU-c", "-1", "-1"])
        self.assertEqual(self.seen(d, "--gpu", "c"), ["GPU-c", "GPU-c", "-1", "-1"])

    def test_instance(self):
        """An instance of MIG's has no number: its UUID is all that CUDA takes."""
        d = self.measuring(self.nvml("gpu GPU-a 0:1:0 total=81920 mig", "mig MIG-1 total=20096", "mig MIG-2 total=999"))
        self.assertEqual(self.seen(d, "--gpu", "gpu1", "--env-ids", "index"), ["MIG-2", "MIG-2", "-1", "-1"])

    def test_asleep(self):
        """The first job on a card that slept: CUDA is told its number, not its address, of which it knows nothing."""
        nvml = self.nvml(card("GPU-a", 1))
        nvml.pci("0000:01:00.0", runtime="suspended")
        d = self.measuring(nvml)
        self.assertIn(self.seen(d)[0], ("0", "GPU-a"))  # that, once it was read

    def test_two_makers(self):
        """ROCm counts its own cards; who has none of them sees none."""
        nvml = self.nvml(card("GPU-a", 1), card("GPU-b", 2))
        for number, address, identity in (0, "0000:81:00.0", "f1"), (1, "0000:03:00.0", ""):
            write_amd(nvml, f"card{number}", address, unique_id=identity)
        d = self.measuring(nvml)
        self.assertEqual([gpu["measured"]["pci"] for gpu in self.gpus(d).values()],
                         ["0000:01:00.0", "0000:02:00.0", "0000:03:00.0", "0000:81:00.0"])
        self.assertEqual(self.seen(d, "--gpu", "gpu1"), ["GPU-b", "GPU-b", "-1", "-1"])
        self.assertEqual(self.seen(d, "--gpu", "gpu2"), ["0", "0", "0", "0"])  # the card has no UUID
        self.assertEqual(self.seen(d, "--gpu", "gpu3"), ["GPU-f1", "GPU-f1", "1", "0"])

    def test_two_makers_in_one_lease(self):
        """AMD's first, as the configuration has it: CUDA ends its list at the first that is not its own, so it is told
        NVIDIA's alone; each runtime counts what is its own; all are told by `BATON_GPU_UUIDS`."""
        nvml = self.nvml(card("GPU-a", 1))
        write_amd(nvml, "card0", "0000:81:00.0", unique_id="f1")
        d = self.measuring(nvml, config={"gpus": [{"name": "amd", "uuid": "0000:81:00.0"},
                                                  {"name": "nv", "uuid": "GPU-a"}]})
        names = (*self.NAMES, "BATON_DOCKER_GPUS", "BATON_GPU_UUIDS", "BATON_GPU")
        found = run_environment(self, d, "--gpus", "2")
        wanted = ["GPU-a", "GPU-a", "0", "0", "device=GPU-a", "GPU-f1,GPU-a", "amd,nv"]
        self.assertEqual([found[name] for name in names], wanted)
        self.assertEqual(self.seen(d, "--gpus", "2", "--env-ids", "index"), ["0", "GPU-a", "0", "0"])
        program = Program(self, d, f"""
with baton.lease(gpus=2) as lease:
    env = lease.environment()
    say("env", *(env[name] for name in {names!r}))
""")
        self.assertEqual(program.wait("env ").split()[1:], wanted)


class Draining(MeasureTest):
    def test_granted_when_measured_free(self):
        """The holder is dead and its memory is not free: the next waits for the memory, and no longer."""
        nvml = self.nvml(card("GPU-a", 1, total=8192))
        d = self.measuring(nvml)
        job = self.start_cli(d, "run", "--vram", "6G", "--name", "first", "--", "sleep", "600")
        wait_until(lambda: d.holders() == ["first"], "it holds")
        nvml.write(card("GPU-a", 1, total=8192, used=6000), f"process {job.pid} 6000 compute")
        rows = lambda: self.gpus(d)["gpu0"]["measured"].get("processes", [])
        wait_until(lambda: [row.get("client") for row in rows()] == ["first"], "it is seen")
        job.kill()
        waiting = d.park("second", vram_mb=6000)
        wait_until(lambda: "draining" in {row["state"] for row in d.status()["leases"]}, "it drains")
        self.assertEqual(d.waiting(), ["second"])
        nvml.write(card("GPU-a", 1, total=8192))
        self.assertEqual(waiting.read_answer().status, 200)


class Drm(MeasureTest):
    def client(self, nvml, pid, fd, pci="0000:03:00.0", client=1, **regions):
        folder = nvml.procfs / str(pid) / "fdinfo"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"drm-driver:\tamdgpu\ndrm-pdev:\t{pci}\ndrm-client-id:\t{client}"]
        lines += [f"drm-{key.replace('_', '-')}:\t{value}" for key, value in regions.items()]
        (folder / str(fd)).write_text("\n".join(lines), encoding="ascii")

    def test_amd(self):
        """A card and its processes, without any library; integrated graphics are not lent beside it (29)."""
        nvml = self.nvml("init 9")
        mine = self.sleeper()
        write_amd(nvml)
        write_amd(nvml, "card1", "0000:c4:00.0", apu=True)
        self.client(nvml, mine.pid, 7, resident_vram="512 MiB", resident_gtt="100 MiB")
        self.client(nvml, mine.pid, 8, resident_vram="512 MiB", resident_gtt="100 MiB")
        d = self.measuring(nvml)
        gpus = self.gpus(d)
        self.assertEqual(list(gpus), ["gpu0"])
        gpu = gpus["gpu0"]
        self.assertEqual((gpu["vram_mb_total"], gpu["vram_mb_used"], gpu["measured"]["source"], gpu["measured"]["pci"],
                          gpu["measured"]["utilisation_percent"]), (8192, 100, "drm", "0000:03:00.0", 7))
        row = gpu["measured"]["processes"][0]
        self.assertEqual((row["pid"], row["command"], row["use"], row["vram_mb"]), (mine.pid, "sleep", "drm", 512))

    def test_cgroup(self):
        """A job with a cgroup of its own counts with what the kernel counts there, also for what is not seen."""
        if not own_cgroup():
            self.skipTest("this user may make no cgroup v2 here")
        nvml = self.nvml("init 9")
        write_amd(nvml, mem_info_vram_used=3000 << 20)
        d = self.measuring(nvml)
        job = self.start_cli(d, "run", "--vram", "1G", "--name", "train", "--", "sh", "-c", "echo up; exec sleep 600")
        self.assertEqual(job.stdout.readline(), "up\n")
        folder = nvml.sysfs / str(own_cgroup() / f"baton-run-{job.pid}").removeprefix("/sys/")
        folder.mkdir(parents=True)
        (folder / "dmem.max").write_text("drm/0000:03:00.0/vram0 max\n", encoding="ascii")
        (folder / "dmem.current").write_text(f"drm/0000:c4:00.0/vram0 1\ndrm/0000:03:00.0/vram0 {2500 << 20}\n",
                                             encoding="ascii")
        lease = wait_until(lambda: next((row for row in d.status()["leases"] if row.get("vram_mb_measured")), None),
                           "it is counted")
        self.assertEqual((lease["vram_mb_measured"], lease["notices"]), (2500, ["over"]))
        gpu = self.gpus(d)["gpu0"]
        self.assertEqual((gpu["vram_mb_granted"], gpu["vram_mb_unmanaged"]), (2500, 500))
        cgroup = gpu["measured"]["cgroups"][0]
        self.assertEqual((cgroup["client"], cgroup["vram_mb"], cgroup["vram_mb_max"]), ("train", 2500, None))
        self.assertEqual(cgroup["lease"], lease["lease"])
        self.assertIn("the cgroup of train uses 2.4G; no limit", self.run_cli(d, "gpus").stdout)
        labels = f'{{gpu="gpu0",session="{cgroup["session"]}",client="train",lease="{lease["lease"]}"}}'
        metrics = d.http("GET", "/metrics").body.decode()
        self.assertIn(f"\nbaton_gpu_cgroup_vram_bytes{labels} {2500 << 20}\n", metrics)
        self.assertNotIn("\nbaton_gpu_cgroup_vram_max_bytes{", metrics)
        (folder / "dmem.max").write_text(f"drm/0000:03:00.0/vram0 {4096 << 20}\n", encoding="ascii")
        wait_until(lambda: self.gpus(d)["gpu0"]["measured"]["cgroups"][0]["vram_mb_max"] == 4096, "the limit is read")
        self.assertIn("uses 2.4G, at most 4.0G", self.run_cli(d, "gpus").stdout)
        self.assertIn(f"\nbaton_gpu_cgroup_vram_max_bytes{labels} {4096 << 20}\n",
                      d.http("GET", "/metrics").body.decode())
        (folder / "dmem.current").unlink()
        wait_until(lambda: "baton_gpu_cgroup_vram_bytes{" not in d.http("GET", "/metrics").body.decode(),
                   "what is no longer counted is not shown")

    def test_one_client_in_two_processes(self):
        """29: a descriptor that a forked child keeps: counted once, with the lowest pid, and with the child when its
        parent is dead; units mixed, a key told twice, a number beyond all bounds in another row."""
        nvml = self.nvml("init 9")
        write_amd(nvml)
        parent, child = sorted((self.sleeper(), self.sleeper()), key=lambda process: process.pid)
        for process in (parent, child):
            self.client(nvml, process.pid, 5, client=76, resident_vram="614400 KiB", shared_vram="100 MiB",
                        memory_vram="9 GiB", total_cpu="18446744073709551616")
            self.client(nvml, process.pid, 6, client=76, resident_vram="614400 KiB", shared_vram="100 MiB")
        d = self.measuring(nvml)
        self.assertEqual(self.seen(d), {parent.pid: 500})
        shutil.rmtree(nvml.procfs / str(parent.pid))
        wait_until(lambda: self.seen(d) == {child.pid: 500}, "the child has it now")

    def test_one_process_on_two_cards(self):
        """29: a program with the same client's number on a card and on an APU, where `gtt` counts, and
        a value without a unit is bytes; the last line has no end."""
        nvml = self.nvml("init 9")
        write_amd(nvml)
        write_amd(nvml, "card1", "0000:c4:00.0", apu=True)
        mine = self.sleeper()
        self.client(nvml, mine.pid, 3, client=4, resident_vram="64 MiB", resident_gtt="512 MiB")
        self.client(nvml, mine.pid, 4, pci="0000:c4:00.0", client=4, resident_vram="5348 KiB",
                    resident_gtt=str(3 << 30))
        config = {"gpus": [{"name": "card", "uuid": "0000:03:00.0"}, {"name": "apu", "uuid": "0000:c4:00.0"}]}
        nvml.meminfo(32 << 20, 30 << 20)
        d = self.measuring(nvml, config=config)
        self.assertEqual(self.seen(d, "card"), {mine.pid: 64})
        self.assertEqual(self.seen(d, "apu"), {mine.pid: 3072 + 5})

    def seen(self, daemon, gpu="gpu0"):
        return {row["pid"]: row["vram_mb"] for row in self.gpus(daemon)[gpu]["measured"]["processes"]}

    def test_apu_alone(self):
        nvml = self.nvml("init 9")
        write_amd(nvml, apu=True)
        d = self.measuring(nvml)
        self.assertEqual((self.gpus(d)["gpu0"]["vram_mb_total"], self.gpus(d)["gpu0"]["vram_mb_used"]), (24576, 150))

    def test_beside_nvidia(self):
        """NVIDIA's come first; a card that is suspended is shown asleep and not read."""
        nvml = self.nvml(card("GPU-a", 1))
        write_amd(nvml, **{"power/runtime_status": "suspended", "mem_info_vram_used": "unreadable"})
        d = self.measuring(nvml)
        gpus = self.gpus(d)
        self.assertEqual([(gpu["measured"]["source"], gpu["measured"]["state"]) for gpu in gpus.values()],
                         [("nvml", "ok"), ("drm", "asleep")])
        self.assertEqual(gpus["gpu1"]["vram_mb_used"], 0)


if __name__ == "__main__":
    unittest.main()
