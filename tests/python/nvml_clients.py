"""Goal: the stand-in for NVIDIA's library answers as the library does, so that what the probe reads from it says
something: NVIDIA's own bindings and nvitop, both unmodified, read the figures of the scenario, and Baton the same ones.
Method: each as a process that finds the stand-in where it would find the library.
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from lib.daemon import DaemonTest  # noqa: E402
from lib.gpus import Nvml, card  # noqa: E402

MIB = 1 << 20
CARDS = [card("GPU-a1b2", 1, "util=33", "temp=50", "power=123456", "name=NVIDIA_RTX_4090", reserved=905, used=2000),
         card("GPU-c3d4", 2, total=8192)]
PLAIN = r"""
import json, pynvml as n
def tell(call, *args, **named):
    try:
        return call(*args, **named)
    except n.NVMLError as error:
        return type(error).__name__
n.nvmlInit()
rows = []
for i in range(n.nvmlDeviceGetCount()):
    h = n.nvmlDeviceGetHandleByIndex(i)
    v1, v2 = n.nvmlDeviceGetMemoryInfo(h), n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2)
    load = tell(n.nvmlDeviceGetUtilizationRates, h)
    rows.append({"uuid": n.nvmlDeviceGetUUID(h), "name": n.nvmlDeviceGetName(h), "pci": n.nvmlDeviceGetPciInfo(h).busId,
                 "v1": [v1.total, v1.free, v1.used], "v2": [v2.total, v2.reserved, v2.free, v2.used],
                 "load": load if isinstance(load, str) else load.gpu,
                 "temperature": tell(n.nvmlDeviceGetTemperature, h, 0),
                 "power": tell(n.nvmlDeviceGetPowerUsage, h), "mig": tell(n.nvmlDeviceGetMigMode, h),
                 "fan": tell(n.nvmlDeviceGetFanSpeed, h),
                 "processes": [[p.pid, p.usedGpuMemory] for p in n.nvmlDeviceGetComputeRunningProcesses(h)]})
beyond = tell(n.nvmlDeviceGetHandleByIndex, 9)
print(json.dumps({"rows": rows, "driver": n.nvmlSystemGetDriverVersion(), "beyond": beyond}))
n.nvmlShutdown()
"""
NVITOP = r"""
import json, nvitop
print(json.dumps([{"uuid": d.uuid(), "name": d.name(), "total": d.memory_total(), "used": d.memory_used(),
                   "free": d.memory_free(), "load": d.gpu_utilization(), "temperature": d.temperature(),
                   "power": d.power_usage(), "processes": {pid: p.gpu_memory() for pid, p in d.processes().items()}}
                  for d in nvitop.Device.all()]))
"""


class Clients(DaemonTest):
    def setUp(self):
        self.d = self.daemon(start=False)
        self.nvml = Nvml(self.d.dir / "nvml")
        (self.nvml.folder / "libnvidia-ml.so.1").symlink_to(self.nvml.library)
        self.nvml.write(CARDS[0], f"process {os.getpid()} 1500 compute", CARDS[1])

    def client(self, *command):
        env = {**os.environ, **self.nvml.env, "LD_LIBRARY_PATH": str(self.nvml.folder)}
        result = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=60,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("Function Not Found", result.stderr)
        return result.stdout

    def baton(self):
        """What Baton reads of the same."""
        self.d.args, self.d.env = self.nvml.args, self.nvml.env
        self.d.start()
        return [(gpu, gpu["measured"]) for gpu in self.d.status()["gpus"]]

    def test_bindings(self):
        """nvidia-ml-py: every figure, also what the card does not tell, and a card that is not there."""
        told = json.loads(self.client("-c", PLAIN))
        self.assertEqual((told["driver"], told["beyond"]), ("550.54.14", "NVMLError_InvalidArgument"))
        a, b = told["rows"]
        self.assertEqual(a, {"uuid": "GPU-a1b2", "name": "NVIDIA RTX 4090", "pci": "00000000:01:00.0",
                             "v1": [24576 * MIB, (24576 - 2905) * MIB, 2905 * MIB],
                             "v2": [24576 * MIB, 905 * MIB, (24576 - 2905) * MIB, 2000 * MIB], "load": 33,
                             "temperature": 50, "power": 123456, "mig": [0, 0], "fan": "NVMLError_NotSupported",
                             "processes": [[os.getpid(), 1500 * MIB]]})
        self.assertEqual([b[key] for key in ("load", "temperature", "power", "processes")],
                         ["NVMLError_NotSupported"] * 3 + [[]])
        for row, (gpu, measured) in zip(told["rows"], self.baton()):
            self.assertEqual((gpu["uuid"], gpu["vram_mb_total"] * MIB, gpu["vram_mb_used"] * MIB,
                              measured["vram_mb_free"] * MIB, measured["vram_mb_reserved"] * MIB, measured["model"]),
                             (row["uuid"], row["v2"][0], row["v2"][3], row["v2"][2], row["v2"][1], row["name"]))
            self.assertEqual([[p["pid"], p["vram_mb"] * MIB] for p in measured["processes"]], row["processes"])

    def test_nvitop(self):
        """nvitop's own reading, and the table that it prints."""
        rows = json.loads(self.client("-c", NVITOP))
        self.assertEqual(rows[0], {"uuid": "GPU-a1b2", "name": "NVIDIA RTX 4090",
                                   "total": 24576 * MIB, "used": 2000 * MIB,
                                   "free": (24576 - 2905) * MIB, "load": 33, "temperature": 50, "power": 123456,
                                   "processes": {str(os.getpid()): 1500 * MIB}})
        self.assertEqual((rows[1]["load"], rows[1]["processes"]), ("N/A", {}))
        table = self.client("-m", "nvitop", "--once", "--ascii")
        self.assertIn("550.54.14", table)
        self.assertRegex(table, r"50C .*123W .*2000MiB / 24.00GiB .*33%")
        self.assertRegex(table, rf"0 +{os.getpid()} C .*1500MiB")


if __name__ == "__main__":
    unittest.main()
