"""Goal: `baton doctor` sees each thing that it looks for, broken and whole, names cause and cure, changes nothing and
never waits long. Method: the real command on trees that stand for a machine (BATON_DOCTOR_ROOT), one thing broken
in each, and beside the real daemon or a scripted one.
"""
import contextlib
import getpass
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from lib.daemon import BATON, DaemonTest
from lib.wait import DEADLINE_S

PCI = "sys/bus/pci/devices/0000:01:00.0"
LIBRARY = "usr/lib/x86_64-linux-gnu/libnvidia-ml.so"
LIMITS = "Limit                     Soft Limit           Hard Limit           Units\n" \
         "Max open files            {0}                 {0}              files\n"


class Machine:
    """A machine on which all is well: its system's files below a folder."""

    def __init__(self, folder):
        self.root = folder
        for path, text in {
                f"{PCI}/class": "0x030000\n", f"{PCI}/vendor": "0x10de\n",
                "sys/bus/pci/drivers/nvidia/x": "", "sys/bus/pci/drivers/nouveau/x": "",
                "sys/module/nvidia/version": "550.54.14\n", f"{LIBRARY}.550.54.14": "",
                "dev/nvidia0": "", "dev/nvidiactl": "", "dev/dri/renderD128": "",
                "proc/sys/kernel/osrelease": "6.8.0-45-generic\n",
                "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
                "sys/fs/cgroup/cgroup.controllers": "cpu memory dmem pids\n",
                "sys/fs/cgroup/user.slice/mine/cgroup.procs": "1\n",
                "sys/fs/cgroup/user.slice/mine/cgroup.controllers": "memory dmem\n",
                "sys/fs/cgroup/dmem.capacity": "drm/0000:03:00.0/vram0 8\nnvidia/0000:01:00.0/vidmem 8\n",
                "proc/self/cgroup": "1:name=systemd:/x\n0::/user.slice/mine\n",
                "proc/self/limits": LIMITS.format(524288),
                "proc/sys/fs/inotify/max_user_watches": "65536\n",
                "proc/sys/fs/inotify/max_user_instances": "128\n",
                "run/systemd/system/x": "", f"var/lib/systemd/linger/{getpass.getuser()}": "",
                "usr/bin/chromium": "", "etc/chromium.d/webgpu": "CHROMIUM_FLAGS='--enable-unsafe-webgpu'\n"}.items():
            self.write(path, text)
        self.link(f"{PCI}/driver", "../../drivers/nvidia")
        self.link(f"{LIBRARY}.1", "libnvidia-ml.so.550.54.14")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def link(self, path, target):
        with contextlib.suppress(FileNotFoundError):
            (self.root / path).unlink()
        (self.root / path).symlink_to(target)

    def remove(self, path):
        shutil.rmtree(self.root / path) if (self.root / path).is_dir() else (self.root / path).unlink()


class DoctorTest(DaemonTest):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.machine = Machine(self.folder / "root")
        for name in ("home", "run", "state"):
            (self.folder / name).mkdir(mode=0o700)
        self.env = {**os.environ, "BATON_DOCTOR_ROOT": str(self.machine.root), "BATON_DOCTOR_PORTS": "",
                    "HOME": str(self.folder / "home"), "XDG_RUNTIME_DIR": str(self.folder / "run"),
                    "XDG_STATE_HOME": str(self.folder / "state"), "XDG_CONFIG_HOME": str(self.folder / "config")}
        self.env.pop("BATON_SOCKET", None)

    def doctor(self, *args, **options):
        return subprocess.run([BATON, "doctor", *args], env=self.env, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False, **options)

    def rows(self, *args, **options):
        result = self.doctor("--json", *args, **options)
        self.assertEqual(result.stderr, "")
        answer = json.loads(result.stdout)
        self.assertEqual(answer["broken"], sum(row["state"] == "fail" for row in answer["checks"]))
        self.assertEqual(result.returncode, 1 if answer["broken"] else 0)
        return {row["name"]: row for row in answer["checks"]}

    def expect(self, name, state, words, fix="", **options):
        row = self.rows(**options)[name]
        self.assertEqual(row["state"], state, row)
        self.assertIn(words, row["text"])
        self.assertIn(fix, row.get("fix", ""))
        if state in ("warn", "fail"):
            self.assertTrue(row.get("fix"), row)


class System(DoctorTest):
    def test_all_is_well(self):
        """On a machine where nothing is wrong each check but that of the broker, which is not there, is ok."""
        rows = self.rows()
        self.assertEqual({name: row["state"] for name, row in rows.items() if row["state"] != "ok"},
                         {"broker": "fail", "token": "note"}, rows)

    def test_gpu(self):
        self.machine.remove("sys/bus/pci/devices/0000:01:00.0")
        self.machine.remove("dev/nvidiactl")
        self.expect("gpu", "warn", "no GPU is seen", "--fake-gpu")

    def test_driver_missing(self):
        self.machine.link(f"{PCI}/driver", "../../drivers/nouveau")
        self.machine.remove("sys/module/nvidia/version")
        self.expect("driver", "warn", "no NVIDIA driver", "modprobe")

    def test_library_missing(self):
        self.machine.remove(f"{LIBRARY}.1")
        self.expect("driver", "fail", "550.54.14 is loaded, but libnvidia-ml.so.1", "libnvidia-ml1")

    def test_library_of_another_version(self):
        """After an upgrade without a reboot nothing can be measured: the text says what helps."""
        self.machine.link(f"{LIBRARY}.1", "libnvidia-ml.so.555.42.02")
        self.machine.write("usr/lib/x86_64-linux-gnu/libnvidia-ml.so.555.42.02", "")
        self.expect("driver", "fail", "is 550.54.14, its library 555.42.02", "reboot")

    def test_version_by_proc(self):
        self.machine.remove("sys/module/nvidia/version")
        self.machine.write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14"
                                                         "  Thu Feb 22 01:44:30 UTC 2024\nGCC version: 12.2.0\n")
        self.expect("driver", "ok", "550.54.14")

    def test_devices(self):
        (self.machine.root / "dev/dri/renderD128").chmod(0o660)
        (self.machine.root / "dev/nvidia0").chmod(0o666)
        (self.machine.root / "dev/nvidiactl").chmod(0o666)
        if os.geteuid() != 0:
            (self.machine.root / "dev/dri/renderD128").chmod(0o060)
            self.expect("devices", "warn", "renderD128", "usermod -aG")
            return
        # Root may open everything: somebody else looks.
        for folder in (self.folder, *self.folder.rglob("*")):
            folder.chmod(folder.stat().st_mode | 0o555) if folder.is_dir() else None
        result = self.doctor("--json", user=65534, group=65534, extra_groups=[])
        row = next(row for row in json.loads(result.stdout)["checks"] if row["name"] == "devices")
        self.assertEqual(row["state"], "warn", row)
        self.assertIn("usermod -aG root", row["fix"])

    def test_kernel(self):
        self.machine.write("proc/sys/kernel/osrelease", "4.19.0-27-amd64\n")
        self.expect("kernel", "fail", "4.19.0-27-amd64 has no pidfds", "5.3")
        self.machine.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        self.expect("kernel", "note", "other containers")
        self.machine.remove("proc/sys/kernel/osrelease")
        self.expect("kernel", "fail", "cannot be read", "mount /proc")

    def test_clock(self):
        self.machine.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm\n")
        self.expect("clock", "warn", "acpi_pm", "dmesg")

    def test_limit(self):
        """What stands between a lease and a limit that the driver enforces, one thing after the other."""
        self.expect("limit", "ok", "holds: 2 regions of VRAM")
        self.machine.write("sys/fs/cgroup/user.slice/mine/cgroup.controllers", "memory\n")
        self.expect("limit", "note", "dmem is not enabled for /user.slice/mine", "+dmem > cgroup.subtree_control")
        self.machine.write("sys/fs/cgroup/dmem.capacity", "drm/0000:03:00.0/stolen 1\n")
        self.expect("limit", "note", "no driver counts VRAM by cgroup", "Linux 6.14")
        self.machine.write("sys/fs/cgroup/cgroup.controllers", "cpu\n")
        self.expect("limit", "note", "has no dmem controller", "Linux 6.14")
        self.machine.write("sys/module/nvidia/version", "615.71.09\n")
        if os.getuid() == 0:
            self.expect("limit", "ok", "holds on NVIDIA's cards, by NVML (")
            self.machine.remove("sys/fs/cgroup/user.slice/mine")
            self.expect("limit", "note", "/user.slice/mine is not delegated to this user", "--scope")
        else:
            self.expect("limit", "note", "it takes root", "chmod u+s baton-gpu-limit")
        self.machine.remove("sys/fs/cgroup/cgroup.controllers")
        self.expect("limit", "note", "no cgroup v2")

    def test_cgroup(self):
        self.machine.remove("sys/fs/cgroup/user.slice/mine/cgroup.procs")
        self.expect("cgroup", "note", "/user.slice/mine is not delegated", "Delegate=yes")
        self.machine.remove("sys/fs/cgroup/cgroup.controllers")
        self.expect("cgroup", "warn", "no cgroup v2", "unified_cgroup_hierarchy")
        self.machine.write("sys/fs/cgroup/unified/cgroup.controllers", "")  # beside v1
        self.machine.write("sys/fs/cgroup/unified/user.slice/mine/cgroup.procs", "1\n")
        self.expect("cgroup", "ok", "cgroup v2, and /user.slice/mine may be divided")

    def test_logout(self):
        """Lingering, KillUserProcesses in the file and in a drop-in over it, and no systemd at all."""
        linger = f"var/lib/systemd/linger/{getpass.getuser()}"
        self.machine.remove(linger)
        self.expect("logout", "note", "lingering is off", "loginctl enable-linger")
        self.machine.write("etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n")
        self.expect("logout", "warn", "a logout ends the broker and every job", "loginctl enable-linger")
        self.machine.write("etc/systemd/logind.conf.d/50.conf", "[Login]\nKillUserProcesses=no\n")
        self.expect("logout", "note", "lingering is off")
        self.machine.remove("etc/systemd/logind.conf.d/50.conf")
        self.machine.write(linger, "")
        self.expect("logout", "note", "in tmux, too", "systemd-run")
        self.machine.remove("run/systemd/system")
        self.expect("logout", "ok", "no systemd")

    def test_files(self):
        self.machine.write("proc/self/limits", LIMITS.format(1024))
        self.expect("files", "warn", "1024 open files at most", "LimitNOFILE")
        self.machine.write("proc/self/limits", "nonsense")
        self.expect("files", "unknown", "names no limit")

    def test_inotify(self):
        self.machine.write("proc/sys/fs/inotify/max_user_watches", "8\n")
        self.expect("inotify", "warn", "only 8 watches", "sysctl fs.inotify")

    def test_browsers(self):
        """None; one with no flag; one whose profile has the flag; Firefox."""
        self.machine.remove("etc/chromium.d/webgpu")
        state = self.folder / "home/.config/chromium/Local State"
        state.parent.mkdir(parents=True)
        state.write_text('{"browser":{"enabled_labs_experiments":["x@1"]}}', encoding="utf-8")
        self.expect("browsers", "note", "no flag forces WebGPU on", "chrome://flags/#enable-unsafe-webgpu")
        state.write_text('{"browser":{"enabled_labs_experiments":["enable-unsafe-webgpu@1"]}}', encoding="utf-8")
        self.expect("browsers", "ok", "forced on")
        state.write_text("{broken", encoding="utf-8")
        self.expect("browsers", "ok", "chrome://gpu")
        self.machine.remove("usr/bin/chromium")
        self.expect("browsers", "note", "none is found", "Chromium")
        self.machine.write("usr/bin/firefox", "")
        self.expect("browsers", "note", "dom.webgpu.enabled")

    def test_others(self):
        """A server on a known port is seen by a connection alone; another broker by what it leaves."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.env["BATON_DOCTOR_PORTS"] = f"Ollama:{server.getsockname()[1]}"
            self.expect("others", "note", "Ollama (port", "baton run")
            server.settimeout(DEADLINE_S)
            connection, _ = server.accept()
            with connection:
                self.assertEqual(connection.recv(100), b"")
        self.expect("others", "ok", "no other broker")
        self.machine.write("var/run/nvshare/scheduler.sock", "")
        self.expect("others", "warn", "nvshare", "one of them")

    def test_one_that_hangs(self):
        """A check that hangs is unknown after its limit; the others have said theirs."""
        self.machine.remove("sys/module/nvidia/version")
        os.mkfifo(self.machine.root / "sys/module/nvidia/version")
        began = time.monotonic()
        rows = self.rows()
        self.assertLess(time.monotonic() - began, 6)
        self.assertEqual(rows["driver"]["state"], "unknown", rows["driver"])
        self.assertIn("no answer within 2 s", rows["driver"]["text"])
        self.assertEqual(rows["kernel"]["state"], "ok")

    def test_changes_nothing(self):
        """Nothing is made, removed or written, in any folder that it looks at."""
        def everything():
            return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in self.folder.rglob("*")}
        before = everything()
        self.doctor()
        self.assertEqual(everything(), before)

    def test_text(self):
        """A line for each check, with its cure; nothing that steers a terminal."""
        self.machine.write("proc/sys/kernel/osrelease", "4.19\x1b[2Jx\n")
        result = self.doctor()
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stdout.strip().split("\n")), len(self.rows()) + 1)
        self.assertRegex(result.stdout, r"(?m)^FAIL  kernel +Linux 4\.19\?\[2Jx has no pidfds, .*To mend it: ")
        self.assertNotIn("\x1b", result.stdout)


class Folders(DoctorTest):
    def test_runtime(self):
        (self.folder / "run").chmod(0o777)
        self.expect("runtime", "fail", "others could put a socket", "chmod 700")
        self.env["XDG_RUNTIME_DIR"] = str(self.folder / "none")
        self.expect("runtime", "warn", "which is not there")
        del self.env["XDG_RUNTIME_DIR"]
        self.expect("runtime", "note", "is not set", "export XDG_RUNTIME_DIR")

    def test_state(self):
        state = self.folder / "state" / "baton"
        state.mkdir(mode=0o700)
        state.chmod(0o777)
        self.expect("state", "fail", "others can write", "chmod 700")
        state.rmdir()
        state.write_text("", encoding="ascii")
        self.expect("state", "fail", "is no folder")
        self.assertIn(str(self.folder / "elsewhere"), self.folder_of("--state", str(self.folder / "elsewhere")))

    def folder_of(self, *args):
        (self.folder / "elsewhere").mkdir(mode=0o700, exist_ok=True)
        return self.rows(*args)["state"]["text"]

    def test_token(self):
        token = self.folder / "state" / "baton" / "token"
        token.parent.mkdir(mode=0o700)
        token.write_text("0123456789abcdef" * 4 + "\n", encoding="ascii")
        token.chmod(0o644)
        self.expect("token", "fail", "others can read the install token", "chmod 600")
        token.chmod(0o600)
        self.expect("token", "ok", "this user's alone")
        token.write_text("\n", encoding="ascii")
        self.expect("token", "fail", "holds no token", "remove it")

    def test_configuration(self):
        config = self.folder / "config" / "baton" / "config.yaml"
        config.parent.mkdir(parents=True)
        config.write_text("gpus:\n  - {name: a}\nnonsense: 1\n", encoding="ascii")
        self.expect("config", "fail", "config.yaml:3: ", "serve --check")
        other = self.folder / "other.yaml"
        other.write_text("gpus:\n  - {name: a}\n", encoding="ascii")
        self.assertEqual(self.rows("--config", str(other))["config"]["state"], "ok")


class Broker(DoctorTest):
    def scripted(self, answer):
        """A broker that answers every request so."""
        path = self.folder / "run" / "http.sock"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        self.addCleanup(server.close)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as connection:
                        connection.recv(4096)
                        connection.sendall(answer)
        if answer:
            threading.Thread(target=serve, daemon=True).start()
        self.env["BATON_SOCKET"] = str(self.folder / "run" / "baton.sock")
        return server

    @staticmethod
    def health(**fields):
        body = json.dumps({"status": "ok", **fields}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def test_whole(self):
        daemon = self.daemon()
        self.env.update(BATON_SOCKET=daemon.socket)
        rows = self.rows("--state", str(daemon.state), "--config", str(daemon.config_path))
        self.assertEqual({row["state"] for row in rows.values()}, {"ok"}, rows)

    def test_none(self):
        self.expect("broker", "fail", "no broker answers", "baton up")

    def test_another_version(self):
        self.scripted(self.health(version="9.9.9\x1b[2J"))
        self.expect("broker", "warn", "the broker is version 9.9.9?[2J, this program", "restart")

    def test_no_grants(self):
        daemon = self.daemon()
        self.env.update(BATON_SOCKET=daemon.socket)
        self.assertEqual(self.run_cli(daemon, "pause").returncode, 0)
        self.expect("broker", "warn", "nothing is granted", "baton status")

    def test_open_to_others(self):
        daemon = self.daemon()
        self.env.update(BATON_SOCKET=daemon.socket)
        os.chmod(os.path.dirname(daemon.socket), 0o777)
        self.expect("broker", "fail", "others can reach or replace the broker's socket", "chmod 700")

    def test_hangs(self):
        """A broker that takes the connection and says nothing."""
        self.scripted(None)
        self.expect("broker", "unknown", "no answer within 2 s")


if __name__ == "__main__":
    unittest.main()
