"""GPUs that a test writes: cards behind the stand-in NVML, and trees of sysfs and procfs. Their formats are
written from the documentation of NVML and of the kernel, not recorded from machines."""
import os
import pathlib

MIB = 1 << 20


class Nvml:
    """A scenario of tests/lib/nvml/standin.c; change it by write() while the daemon runs."""

    def __init__(self, folder, old=False):
        self.folder = pathlib.Path(folder)
        self.sysfs, self.procfs = self.folder / "sys", self.folder / "proc"
        for path in (self.sysfs, self.procfs):
            path.mkdir(parents=True, exist_ok=True)
        self.path, self.calls_path = self.folder / "nvml.txt", self.folder / "calls.txt"
        self.limits_path = self.folder / "limits.txt"  # where it is there the driver limits cgroups
        self.library = os.environ["NVML_STANDIN_OLD" if old else "NVML_STANDIN"]
        self.write()

    def write(self, *lines):
        beside = self.path.with_suffix(".new")
        beside.write_text("\n".join(lines) + "\n", encoding="ascii")
        beside.rename(self.path)

    @property
    def args(self):
        return ["--nvml", self.library, "--sysfs", str(self.sysfs), "--procfs", str(self.procfs)]

    @property
    def env(self):
        limits = {"BATON_NVML_LIMITS": str(self.limits_path)} if self.limits_path.exists() else {}
        return {"BATON_NVML_SCENARIO": str(self.path), "BATON_NVML_CALLS": str(self.calls_path), **limits}

    def calls(self, name):
        text = self.calls_path.read_text(encoding="ascii") if self.calls_path.exists() else ""
        return text.split().count(name)

    def pci(self, address, vendor="0x10de", runtime="active", kind="0x030000", device="0x2684"):
        """A display device on the bus."""
        folder = self.sysfs / "bus/pci/devices" / address
        (folder / "power").mkdir(parents=True, exist_ok=True)
        for name, value in (("vendor", vendor), ("class", kind), ("device", device)):
            (folder / name).write_text(value + "\n", encoding="ascii")
        (folder / "power/runtime_status").write_text(runtime + "\n", encoding="ascii")

    def meminfo(self, total_kb, available_kb, free_kb=0):
        (self.procfs / "meminfo").write_text(
            f"MemTotal:       {total_kb} kB\nMemFree:        {free_kb} kB\nMemAvailable:   {available_kb} kB\n",
            encoding="ascii")


def card(uuid, bus, *words, total=24576, reserved=0, used=0):
    return f"gpu {uuid} 00000000:{bus:02x}:00.0 total={total} reserved={reserved} used={used} {' '.join(words)}"
