"""Goal: `baton run --scope` puts itself and its command into a scope of the user's systemd, keeps its pid, words and
status, and where there can be no scope says why and goes on. Method: the real broker, and a stand-in for systemd-run on
PATH; the real one where the user has a manager.
"""
import os
import shutil
import subprocess
import unittest

from lib.daemon import DaemonTest

# As systemd-run does: it becomes the command, within its process.
STAND_IN = """#!/bin/sh
echo "$$ $*" >>"{log}"
{act}
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
MAKES = ["--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes"]


class Scope(DaemonTest):
    def setUp(self):
        self.d = self.daemon()
        self.bin, self.log = self.d.dir / "bin", self.d.dir / "calls"
        self.bin.mkdir()
        for name in ("sh", "env", "true", "sleep"):
            (self.bin / name).symlink_to(shutil.which(name))
        self.d.env["PATH"] = str(self.bin)

    def stand_in(self, act=""):
        path = self.bin / "systemd-run"
        path.write_text(STAND_IN.format(log=self.log, act=act), encoding="ascii")
        path.chmod(0o755)

    def calls(self):
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def run_scoped(self, *words):
        return self.run_cli(self.d, *words)

    def test_in_a_scope(self):
        """Tried once, then entered: the same words, one lease, the command's status, no trace in its environment."""
        self.stand_in()
        result = self.run_scoped("run", "--name", "a job", "--scope", "--", "sh", "-c",
                                 'env; echo "two  words"; exit 3')
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("two  words", result.stdout)
        self.assertNotIn("BATON_IN_SCOPE", result.stdout)
        trial, entered = self.calls()
        self.assertEqual(trial[1:], [*MAKES, "--", "true"])
        self.assertEqual(entered[1:8], [*MAKES, f"--unit=baton-run-{entered[0]}", "--"])
        self.assertEqual(entered[9:15], ["run", "--name", "a", "job", "--scope", "--"])
        self.assertEqual([row["id"] for row in self.d.http("GET", "/v1/gpu/history").json()["history"]], ["a job"])
        self.assertNotIn("no scope", result.stderr)

    def test_nested(self):
        """What runs inside may ask for a scope of its own."""
        self.stand_in()
        result = self.run_scoped("run", "--scope", "--", "sh", "-c", f"exec {os.environ['BATON_BIN']} shell --help; :")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(self.calls()), 2)

    def test_no_manager(self):
        """systemd-run fails: its words are the reason, and the command runs all the same."""
        self.stand_in('echo "Failed to connect to bus: No medium found" >&2; exit 1')
        result = self.run_scoped("run", "-q", "--scope", "--", "sh", "-c", "exit 5")
        self.assertEqual(result.returncode, 5)
        self.assertIn("baton: run: no scope of its own: Failed to connect to bus: No medium found; it goes on without",
                      result.stderr)
        self.assertEqual(len(self.calls()), 1)

    def test_no_systemd(self):
        result = self.run_scoped("run", "-q", "--scope", "--", "true")
        self.assertEqual(result.returncode, 0)
        self.assertIn("no scope of its own: there is no systemd-run here", result.stderr)

    def test_hangs(self):
        """It is given up after its time."""
        self.stand_in("exec sleep 600")
        result = self.run_scoped("run", "-q", "--scope", "--", "true")
        self.assertEqual(result.returncode, 0)
        self.assertIn("systemd-run does not end", result.stderr)

    def test_real_manager(self):
        """Where this user has one: the command's cgroup lies below the scope."""
        del self.d.env["PATH"]
        trial = shutil.which("systemd-run") and subprocess.run(
            ["systemd-run", *MAKES, "true"], capture_output=True, text=True, check=False)
        if not trial or trial.returncode != 0:
            self.skipTest(f"no user manager: {trial.stderr.strip() if trial else 'no systemd-run'}")
        result = self.run_scoped("run", "--scope", "--", "cat", "/proc/self/cgroup")
        self.assertRegex(result.stdout, r"/baton-run-\d+\.scope/baton-run-\d+")


if __name__ == "__main__":
    unittest.main()
