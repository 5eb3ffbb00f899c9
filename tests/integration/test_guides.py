"""Goal: docs/observe.md and docs/native.md can be followed from top to bottom (docs/python.md: tests/python).

Method: each block of shell is run as it stands, in its order, by one shell in a home of its own; the broker listens at
a port of its own, its GPU is one that the test writes. What an administrator does is done in a copy of /etc, with
copies of the programs.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent
from lib.gpus import Nvml, card

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
MARK = "-- block --"
PROGRAMS = ("baton-gpu-exec", "baton-gpu-limit")
# It stays, in another terminal, and answers before the next line.
SERVED = r"(\1 --listen 127.0.0.1:0 >>serve.log 2>&1 &)" "\nuntil baton status >/dev/null 2>&1; do sleep 0.05; done\n"
# What stands for the reader's own program.
TRAIN = "import os, time\nprint('training on', os.environ['BATON_GPU'], flush=True)\ntime.sleep(0.1)\n"
# /etc as it is, where what is written is written for nobody else.
OWN_ETC = 'mount --make-rprivate / && cp -a /etc "$HOME/etc" && mount --bind "$HOME/etc" /etc\n'


class Guide(DaemonTest):
    NAME = ""

    def setUp(self):
        self.home = self.daemon(start=False).dir
        for name in ("bin", "run", "work"):
            (self.home / name).mkdir(mode=0o700)
        for path in (pathlib.Path(BATON), *(pathlib.Path(BATON).with_name(name) for name in PROGRAMS)):
            shutil.copy(path, self.home / "bin" / path.name)
        (self.home / "work/train.py").write_text(TRAIN, encoding="ascii")
        self.blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / self.NAME).read_text(encoding="utf-8"), re.M | re.S)

    def environment(self):
        env = {**self.daemon(start=False).environment(), "HOME": str(self.home),
               "XDG_RUNTIME_DIR": str(self.home / "run"), "SHELL": "/bin/sh",
               "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}"}
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "BATON_LEASE", "BATON_RUN"):
            env.pop(name, None)
        return env

    def follow(self, blocks, env, command=("bash",)):
        """What each block says."""
        script = "set -e\n" + "".join(f"echo '{MARK}'\n{block}" for block in blocks)
        script = re.sub(r"^(baton serve.*)$", SERVED, script, flags=re.M)
        try:
            result = subprocess.run([*command, "-c", script], cwd=self.home / "work", env=env, text=True, timeout=100,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    check=False, preexec_fn=die_with_parent)
        finally:
            subprocess.run(["baton", "down", "--yes"], env=env, capture_output=True, check=False, timeout=20)
        self.assertEqual(result.returncode, 0, result.stdout[-4000:])
        return result.stdout.split(MARK + "\n")[1:]


class Observe(Guide):
    NAME = "observe.md"

    def test_observe(self):
        """A week in a second: recorded, replayed under its own rules and others, and enforced without a restart."""
        env = self.environment()
        start, work, look, replay, other, enforce = self.follow(self.blocks, env)
        self.assertEqual((start, work.count("holding gpu0")), ("", 2), work)
        self.assertIn("observ", look.splitlines()[1])
        self.assertRegex(look, r"collides +\d+ .* on gpu0  beside \d+ ")
        self.assertRegex(look, r"sleep .*background")
        for said in (replay, other):
            for row in ("collisions", "time in collision", "switches between clients", "idle",
                        "fairness between users", "worst wait / promised"):
                self.assertIn(row, said)
        self.assertIn("<svg", (self.home / "work/week.svg").read_text(encoding="utf-8"))
        self.assertNotIn("observ", enforce)
        self.assertIn("mode: enforce", (self.home / ".config/baton/config.yaml").read_text(encoding="utf-8"))


class Native(Guide):
    NAME = "native.md"

    def setUp(self):
        super().setUp()
        (self.home / "card").mkdir()
        self.card = Nvml(self.home / "card")
        self.card.write(card("GPU-52a3b1c4", 1))
        self.card.pci("0000:01:00.0")

    def test_programs(self):
        """Each line that starts, attaches or opens something, one after the other."""
        run = next(block for block in self.blocks if "--on-yield checkpoint" in block)
        env = {**self.environment(), **self.card.env, "BATON_LIBCUDA": os.environ["CUDA_STANDIN"],
               "BATON_CUDA_STANDIN": str(self.home)}
        own, *_ = re.findall(r"^    (baton gpus)$", (DOCS / self.NAME).read_text(encoding="utf-8"), re.M)
        serve = f"baton serve {' '.join(self.card.args)}\n"
        run = run.replace(" PID ", " $(sh -c 'sleep 3 >/dev/null & echo $!') ")
        found, said, looked = self.follow([serve + own + "\n", run, "baton doctor --checkpoint $$\n"], env)
        self.assertRegex(found, "gpu0 +NVIDIA Stand-in")
        self.assertEqual(said.count("training on gpu0"), 3, said)
        self.assertIn("sleep", said)
        self.assertIn("processes uses CUDA now", looked)

    def test_administrator(self):
        """The two programs get their rights, and say so; nobody else's files are touched."""
        if os.getuid() != 0 or not shutil.which("setcap") or not shutil.which("groupadd"):
            self.skipTest("only root may do what an administrator does")
        blocks = [block for block in self.blocks if "setcap" in block or "chmod u+s" in block]
        self.assertEqual(len(blocks), 2)
        check = "baton doctor --deny --json; baton doctor --json || true\n"
        before = pathlib.Path("/etc/group").read_bytes()
        limit, deny = self.follow([OWN_ETC + blocks[0], blocks[1] + check], self.environment(),
                                  ("unshare", "--mount", "bash"))
        self.assertEqual(limit, "")
        self.assertEqual((self.home / "bin/baton-gpu-limit").stat().st_mode & 0o7777, 0o4755)
        self.assertIn("the group baton-gpu is there, with no members", deny)
        self.assertIn("baton-gpu-exec lets jobs of baton run into the group", deny)
        self.assertEqual(pathlib.Path("/etc/group").read_bytes(), before)


if __name__ == "__main__":
    sys.exit(unittest.main())
