"""Goal: `baton doctor --deny` says who may open GPUs now, who would lose that, what would be changed and how that is
undone, and changes nothing; a job of `baton run` is let into the group that may open them where an administrator has
said so.

Method: a tree of device files (plain files), groups and processes that the test writes. The program that lets a job in
is run for real, with its capability, where this user may give it one (root): it is built with a group that every
system has.
"""
import grp
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import unittest

from lib.daemon import BATON, DaemonTest
from lib.native import without_rights
from test_doctor import DoctorTest

GPU_EXEC = os.environ.get("GPU_EXEC_TEST", "build/tests/integration/baton-gpu-exec-test")
GROUP = "games"
NOBODY = 65534


def acl(*entries):
    """As the kernel has it: of (tag, bits, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


class DryRun(DoctorTest):
    def setUp(self):
        super().setUp()
        self.machine.remove("dev/dri/renderD128")
        self.node("dev/nvidia0", 0o666)
        self.node("dev/nvidiactl", 0o666)

    def node(self, path, mode, gid=None, users=()):
        self.machine.write(path, "")
        full = self.machine.root / path
        if gid is not None:
            os.chown(full, -1, gid)
        full.chmod(mode)
        if users:
            none = 0xffffffff
            os.setxattr(full, "system.posix_acl_access",
                        acl((1, 6, none), *((2, 6, user) for user in users), (4, 6, none), (16, 6, none),
                            (32, 0, none)))

    def deny(self):
        return self.rows("--deny")

    def process(self, pid, name, target, groups="100", uid=1000):
        self.machine.write(f"proc/{pid}/comm", name + "\n")
        self.machine.write(f"proc/{pid}/status",
                           f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGroups:\t{groups} \n")
        (self.machine.root / f"proc/{pid}/fd").mkdir()
        self.machine.link(f"proc/{pid}/fd/5", target)

    def test_open_to_all(self):
        """As NVIDIA's driver makes them: everybody may, and what would be changed is said; nothing is."""
        before = {path: path.lstat().st_mtime_ns for path in self.machine.root.rglob("*")}
        rows = self.deny()
        self.assertEqual(rows["nodes"]["state"], "note")
        self.assertRegex(rows["nodes"]["text"], r"/dev/nvidia0, /dev/nvidiactl: everybody \(mode 666\)")
        self.assertIn("groupadd --system baton-gpu", rows["group"]["fix"])
        self.assertIn("NVreg_DeviceFileGID=GID NVreg_DeviceFileMode=0660", rows["nvidia"]["fix"])
        self.assertEqual(rows["drm"]["state"], "ok")
        self.assertIn("udevadm control --reload", rows["undo"]["text"])
        self.assertEqual(before, {path: path.lstat().st_mtime_ns for path in self.machine.root.rglob("*")})

    def test_group_and_acl(self):
        """A group, and a user who is logged in at the machine; the mode's group is the ACL's mask there."""
        gid = os.getgid() or grp.getgrnam(GROUP).gr_gid
        self.node("dev/dri/renderD128", 0o660, gid)
        self.node("dev/dri/renderD129", 0o660, gid, users=[NOBODY])
        text = self.deny()["nodes"]["text"]
        name = grp.getgrgid(gid).gr_name
        self.assertIn(f"/dev/dri/renderD128: group {name} (mode 660)", text)
        self.assertIn(f"/dev/dri/renderD129: group {name}, user nobody by an ACL (mode 660)", text)
        self.assertIn("72-baton-deny.rules", self.deny()["drm"]["fix"])

    def test_our_group_by_an_acl(self):
        """That it is let in by an ACL opens a file to nobody else."""
        gid = os.getgid() or grp.getgrnam(GROUP).gr_gid
        self.machine.write("etc/group", f"root:x:0:\nbaton-gpu:x:{gid}:\n")
        for path in ("dev/nvidia0", "dev/nvidiactl"):
            self.node(path, 0o660)
            os.setxattr(self.machine.root / path, "system.posix_acl_access",
                        acl((1, 6, 0xffffffff), (4, 0, 0xffffffff), (8, 6, gid), (16, 6, 0xffffffff),
                            (32, 0, 0xffffffff)))
        row = self.deny()["nodes"]
        self.assertIn("group baton-gpu by an ACL", row["text"])
        self.assertEqual(row["state"], "ok", row)

    def test_closed(self):
        """All of it done: nothing is left to do."""
        gid = os.getgid() or grp.getgrnam(GROUP).gr_gid
        self.machine.write("etc/group", f"root:x:0:\nbaton-gpu:x:{gid}:\n")
        self.machine.write("etc/udev/rules.d/72-baton-deny.rules", "")
        self.machine.write("proc/driver/nvidia/params",
                           f"DeviceFileUID: 0\nDeviceFileGID: {gid}\nDeviceFileMode: 432\n")
        for path in ("dev/nvidia0", "dev/nvidiactl", "dev/dri/renderD128"):
            self.node(path, 0o660, gid)
        rows = self.deny()
        self.assertEqual({name for name, row in rows.items() if row["state"] != "ok"}, {"jobs"}, rows)
        self.assertIn("group baton-gpu (mode 660)", rows["nodes"]["text"])
        self.machine.write("etc/group", f"baton-gpu:x:{gid}:alice,bob\n")
        self.assertEqual(self.deny()["group"]["state"], "warn")
        self.assertIn("are: alice,bob", self.deny()["group"]["text"])

    def test_who_would_lose_it(self):
        """Who has one open, but for root and the group; what else is open does not count."""
        self.machine.write("etc/group", "baton-gpu:x:777:\n")
        self.process(11, "train", "/dev/nvidia0")
        self.process(12, "Xorg", "/dev/nvidiactl", uid=0)
        self.process(13, "held", "/dev/nvidia0", groups="100 777")
        self.process(14, "shell", "/dev/null")
        self.process(15, "draws", "/dev/dri/renderD128", groups="77 7770")
        text = self.deny()["programs"]["text"]
        self.assertIn("2 would not open a GPU again once started anew: ", text)
        self.assertIn("train (11)", text)
        self.assertIn("draws (15)", text)

    def test_instances(self):
        """MIG's own files are counted and named where they are open, and are no way in by themselves."""
        self.node("dev/nvidia0", 0o600)
        self.node("dev/nvidiactl", 0o600)
        for number in (1, 2, 21):
            self.node(f"dev/nvidia-caps/nvidia-cap{number}", 0o444)
        self.process(11, "train", "/dev/nvidia-caps/nvidia-cap21")
        rows = self.deny()
        self.assertEqual(rows["nodes"]["state"], "ok", rows)
        self.assertIn("; 3 of MIG in /dev/nvidia-caps, with modes of the driver's own", rows["nodes"]["text"])
        self.assertIn("train (11)", rows["programs"]["text"])

    def test_for_people(self):
        said = self.doctor("--deny").stdout
        self.assertIn("everybody (mode 666)", said)
        self.assertIn("To mend it: groupadd", said)


class LettingIn(DaemonTest):
    def setUp(self):
        if os.getuid() != 0 or not shutil.which("setcap"):
            self.skipTest("only root may give a program a capability")
        self.d = self.daemon()
        self.d.dir.chmod(0o755)
        self.helper = self.d.dir / "baton-gpu-exec"
        shutil.copy(GPU_EXEC, self.helper)
        self.node = self.d.dir / "node"
        self.node.write_text("gpu\n", encoding="ascii")
        os.chown(self.node, 0, grp.getgrnam(GROUP).gr_gid)
        self.node.chmod(0o660)

    def allow(self):
        given = subprocess.run(["setcap", "cap_setgid=ep", self.helper], capture_output=True, check=False)
        if given.returncode:
            self.skipTest(f"no capabilities of files here: {given.stderr}")
        if without_rights(self.d.dir):
            self.skipTest(without_rights(self.d.dir))

    def as_nobody(self, *words, **env):
        return subprocess.run([str(word) for word in words], user=NOBODY, group=NOBODY, extra_groups=[], env=env,
                              cwd="/", capture_output=True, text=True, check=False)

    def test_it_lets_in(self):
        """What it starts may open the file, has no capability, keeps ids and the environment, can be looked at, and
        dies with its parent."""
        self.assertNotEqual(self.as_nobody("cat", self.node).returncode, 0)
        self.allow()
        code = "import os, json; print(json.dumps([open(%r).read(), os.getresgid(), os.getgroups(), " \
               "dict(os.environ).get('LD_LIBRARY_PATH'), open('/proc/self/status').read(), " \
               "os.stat('/proc/self/environ').st_uid, signo.value]))" % str(self.node)
        code = "import ctypes; signo = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(signo)); " + code
        result = self.as_nobody(self.helper, "--parent", os.getpid(), "LD_LIBRARY_PATH=/opt", "--", "/usr/bin/python3",
                                "-S", "-c", code)
        self.assertEqual(result.returncode, 0, result)
        text, gids, groups, libraries, status, owner, dies_by = json.loads(result.stdout)
        self.assertEqual((text, gids, libraries, owner), ("gpu\n", [NOBODY] * 3, "/opt", NOBODY))
        self.assertEqual(dies_by, signal.SIGKILL)
        self.assertEqual(groups, [grp.getgrnam(GROUP).gr_gid])
        for line in ("CapPrm", "CapEff", "CapAmb"):
            self.assertIn(f"{line}:\t0000000000000000\n", status)

    def test_it_may_not(self):
        """Without the capability it says so, and the program runs as it would have."""
        result = self.as_nobody(self.helper, "--", "cat", self.node)
        self.assertIn("may not join the group games: Operation not permitted", result.stderr)
        self.assertEqual(result.returncode, 1)
        for words, status in (((), 64), (("--",), 64), (("x", "--", "true"), 64), (("--", "/no/such"), 127)):
            self.assertEqual(self.as_nobody(self.helper, *words).returncode, status, words)

    def test_an_entry_without_a_value(self):
        """An environment may have a word without a value: the job begins nevertheless."""
        baton = self.d.dir / "baton"
        shutil.copy(BATON, baton)
        self.allow()
        code = "import ctypes, os, sys; strings = lambda words: (ctypes.c_char_p * (len(words) + 1))(*words, None); " \
               "ctypes.CDLL(None).execve(sys.argv[1].encode(), strings([w.encode() for w in sys.argv[1:]]), " \
               "strings([b'LD_BIND', *(k + b'=' + v for k, v in os.environb.items())]))"
        env = {**self.d.environment(), "BATON_SOCKET": self.d.socket, "LD_LIBRARY_PATH": "/opt/x"}
        result = subprocess.run([sys.executable, "-c", code, baton, "run", "-q", "--", "sh", "-c",
                                 "echo $LD_LIBRARY_PATH"], env=env, capture_output=True, text=True, timeout=60,
                                check=False)
        self.assertEqual((result.returncode, result.stdout), (0, "/opt/x\n"), result)

    def test_jobs_of_baton_run(self):
        """With the capability a job is in the group, and else as it was: pid, environment, death with its wrapper."""
        baton = self.d.dir / "baton"
        shutil.copy(BATON, baton)
        env = {**self.d.environment(), "BATON_SOCKET": self.d.socket, "LD_LIBRARY_PATH": "/opt/x"}
        command = [baton, "run", "-q", "--", "sh", "-c",
                   "id -G; echo $LD_LIBRARY_PATH; grep -c ^Sig /proc/$$/status; echo $$; read line; exit 3"]
        gid = str(grp.getgrnam(GROUP).gr_gid)
        for allowed in (False, True):
            if allowed:
                self.allow()
            job = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            groups, libraries = job.stdout.readline().split(), job.stdout.readline().strip()
            self.assertEqual((gid in groups, libraries), (allowed, "/opt/x"))
            job.stdout.readline()
            pid = int(job.stdout.readline())
            self.assertEqual(pathlib.Path(f"/proc/{pid}/stat").read_text().split()[3], str(job.pid))
            job.communicate("\n", timeout=20)
            self.assertEqual(job.returncode, 3)


if __name__ == "__main__":
    unittest.main()
