"""Goal: `baton run --notify` tells its user when a wait is over, and nothing of that holds up, fails or outlives the
run. Method: a notify-send of the test's own in PATH, an emulated terminal where there is none.
"""
import os
import pathlib
import shutil
import subprocess
import unittest

from lib.daemon import BATON, DaemonTest
from lib.terminal import Terminal, terminfo
from lib.wait import holds_for, wait_until

RECORD = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done >"$NOTICES.new"
mv "$NOTICES.new" "$NOTICES"
exit {status}
"""
HANG = """#!/bin/sh
echo $$ >"$NOTICES.new"
mv "$NOTICES.new" "$NOTICES"
exec sleep 600
"""


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Notify(DaemonTest):
    def setUp(self):
        self.d = self.daemon()
        self.folder = self.d.dir / "bin"
        self.folder.mkdir()
        self.notices = self.d.dir / "notices"
        self.path = f"{self.folder}:{os.environ['PATH']}"
        self.d.env.update(PATH=self.path, NOTICES=str(self.notices))

    def install(self, script):
        program = self.folder / "notify-send"
        program.write_text(script, encoding="ascii")
        program.chmod(0o755)

    def waiting_run(self, *args, **options):
        """A run that waits; and the token that ends its wait."""
        token = self.d.lock("holder").json()["token"]
        process = self.start_cli(self.d, "run", "--notify", *args, **options)
        wait_until(self.d.waiting, "it waits")
        return process, token

    def helpers(self):
        """Processes of baton that are neither the daemon nor a wrapper: those whose socket file is a socketpair."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environ = (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"NOTICES={self.notices}".encode() in environ and b"--notify" in command:
                found.append(int(folder.name))
        return found

    def test_your_turn(self):
        """Title and text, as words of their own, with the name escaped: no markup, nothing that steers a terminal."""
        self.install(RECORD.format(status=0))
        shutil.copy(shutil.which("true"), self.folder / "<b>&\x1b]0;x\x07y")
        process, token = self.waiting_run("--name", "odd", "--", "<b>&\x1b]0;x\x07y")
        self.assertFalse(self.notices.exists())
        self.d.unlock(token)
        self.assertEqual(process.wait(20), 0)
        wait_until(self.notices.exists, "the notice")
        words = self.notices.read_text(encoding="utf-8").split("\n")
        self.assertEqual(words[:3], ["--app-name=baton", "--", "Your turn on gpu0"])
        self.assertRegex(words[3], r"^&lt;b&gt;&amp;\?\]0;x\?y starts now, after [\d.]+s$")
        wait_until(lambda: not self.helpers(), "the helper ends")

    def test_no_wait_no_notice(self):
        """Who has the GPU at once is not told; nor is anybody without --notify."""
        self.install(RECORD.format(status=0))
        self.assertEqual(self.run_cli(self.d, "run", "--notify", "--", "true").returncode, 0)
        token = self.d.lock("holder").json()["token"]
        process = self.start_cli(self.d, "run", "--", "true")
        wait_until(self.d.waiting, "it waits")
        self.d.unlock(token)
        self.assertEqual(process.wait(20), 0)
        holds_for(lambda: not self.notices.exists(), "no notice", 0.3)

    def test_nothing_waits_for_it(self):
        """A notify-send that hangs: the job starts, ends and gives the GPU back at once, and it is killed."""
        self.install(HANG)
        process, token = self.waiting_run("--", "echo", "done")
        self.d.unlock(token)
        out, _ = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (0, "done\n"))
        self.assertEqual(self.d.holders(), [])
        wait_until(self.notices.exists, "it was started")
        pid = int(self.notices.read_text(encoding="ascii"))
        wait_until(lambda: not is_alive(pid), "it is killed")
        wait_until(lambda: not self.helpers(), "the helper ends")

    def test_not_part_of_the_job(self):
        """It is no process of the job: while it hangs the lease shows none of it, and a stop does not wait for it."""
        self.install(HANG)
        process, token = self.waiting_run("--", "sh", "-c", "echo ready; exec sleep 600")
        self.d.unlock(token)
        self.assertEqual(process.stdout.readline(), "ready\n")
        wait_until(self.notices.exists, "the notice")
        process.terminate()
        process.communicate(timeout=2)
        self.assertEqual(process.returncode, 143)
        wait_until(lambda: not self.d.holders(), "released")

    def test_killed_while_it_waits(self):
        """The helper ends with the wrapper, however that ends."""
        process, _ = self.waiting_run("--", "true")
        wait_until(lambda: len(self.helpers()) == 2, "the wrapper and its helper")
        process.kill()
        process.wait()
        wait_until(lambda: not self.helpers(), "the helper ends")

    def test_pipes_are_not_kept(self):
        """What reads the wrapper's output sees its end when the wrapper ends."""
        self.install(HANG)
        token = self.d.lock("holder").json()["token"]
        reader = subprocess.Popen(["sh", "-c", f"'{BATON}' run --notify -- echo said 2>&1 | cat"],
                                  stdout=subprocess.PIPE, text=True,
                                  env={**self.d.environment(), "BATON_SOCKET": self.d.socket})
        self.addCleanup(reader.kill)
        wait_until(self.d.waiting, "it waits")
        self.d.unlock(token)
        out, _ = reader.communicate(timeout=2.5)
        self.assertIn("said", out)

    def bell_of(self, term):
        folder = self.d.dir / f"ti-{term}"
        env = {**self.d.environment(), "BATON_SOCKET": self.d.socket, **terminfo(folder), "TERM": term}
        token = self.d.lock("holder").json()["token"]
        screen = Terminal(self, ["run", "--notify", "--", "sh", "-c", "echo it-runs; read line"], env)
        wait_until(self.d.waiting, "it waits")
        self.assertNotIn(b"\a", screen.raw)
        self.d.unlock(token)
        screen.wait("it-runs", "the job")
        wait_until(lambda: screen.read() and b"\a" in screen.raw, "the bell")
        screen.press("\n")
        self.assertEqual(screen.wait_end(), 0)
        return screen.raw

    def test_bell(self):
        """Without a desktop that takes it: the bell, and a notice for terminals that can; not on a plain console."""
        self.install(RECORD.format(status=1))
        raw = self.bell_of("xterm")
        self.assertRegex(raw, rb"\x1b\]9;Your turn on gpu0: sh starts now, after [\d.]+s\x07\x07")
        self.assertTrue(self.notices.exists())
        self.assertNotIn(b"\x1b]9", self.bell_of("linux"))


if __name__ == "__main__":
    unittest.main()
