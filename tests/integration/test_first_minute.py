"""Goal: `make run` and `make pages` on a machine that has little: the broker runs without Node, the pages' libraries
follow once it answers, whoever is interrupted leaves nothing running and goes on later. Method: the real scripts and
broker in a copy of what they need; Node, npm, dpkg and apt are played by scripts that fetch and install nothing.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent
from lib.wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEEDED = ("bash", "cat", "cut", "date", "dirname", "du", "flock", "grep", "id", "ls", "mkdir", "mv", "rm", "sha256sum",
          "sleep", "tail", "env")
# `fetch` hangs, fails or is quick; what is laid is a line.
NODE = """#!/bin/bash
case $1 in
web/fetch.mjs)
	echo "1 of 2: one 1.0"
	[ -f fetch-hangs ] && { echo $$ >hanging; exec tail -f /dev/null; }
	[ -f fetch-fails ] && exit 1
	echo "2 of 2: two 2.0" ;;
web/demo_models/build.mjs) mkdir -p "$2" ;;
web/vendor.mjs) rm -rf "$2"; mkdir "$2"; echo x >"$2/web-llm.js"; echo '{"ready":true}' >"$2/state.json" ;;
esac
"""


def alive(pid):
    try:
        return "zombie" not in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


class FirstMinute(DaemonTest):
    def setUp(self):
        super().setUp()
        self.broker = self.daemon(start=False)
        self.broker.dir.joinpath("run").mkdir(mode=0o700)
        self.tree = self.broker.dir / "tree"
        self.bin = self.broker.dir / "bin"
        for folder in ("tools/dev", "web/demo_models", "web/sdk", "build"):
            (self.tree / folder).mkdir(parents=True)
        for name in ("tools/dev/run.sh", "tools/dev/pages.sh", "tools/dev/deps.sh", "web/package-lock.json",
                     "web/vendor.mjs", "web/sdk_package.mjs", "web/sdk/package.json"):
            shutil.copy(ROOT / name, self.tree / name)
        (self.tree / "web/demo_models/build.mjs").write_text("", encoding="utf-8")
        (self.tree / "build/baton").symlink_to(BATON)
        self.bin.mkdir()
        for name in NEEDED:
            (self.bin / name).symlink_to(shutil.which(name))
        self.program("node", NODE)
        self.program("npm", "#!/bin/bash\n")
        self.program("dpkg-query", "#!/bin/bash\necho not-installed\n")
        for name in ("apt-get", "sudo"):
            self.program(name, "#!/bin/bash\necho \"$0: not here\" >&2\nexit 1\n")

    def program(self, name, text):
        path = self.bin / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def environment(self, **more):
        return {**self.broker.environment(), "PATH": str(self.bin), **more}

    def output(self):
        path = self.broker.dir / "output"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def state(self):
        return json.loads((self.tree / "build/web/vendor/state.json").read_text(encoding="utf-8"))

    def start(self, **more):
        """run.sh in a process group of its own, as a terminal would have it."""
        with open(self.broker.dir / "output", "wb") as out:
            process = subprocess.Popen(
                [self.tree / "tools/dev/run.sh", "build", *self.broker.command()[2:]], stdout=out, stderr=out,
                env=self.environment(**more), process_group=0, preexec_fn=die_with_parent)
        self.addCleanup(self.end, process)
        wait_until(lambda: "listens on" in self.output(), "the broker listens")
        return process

    def end(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.hanging() and alive(int(self.hanging())):
            os.kill(int(self.hanging()), signal.SIGKILL)

    def hanging(self):
        """The number of the download that hangs, once it is written."""
        path = self.tree / "hanging"
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""

    def pages(self):
        return subprocess.run([self.tree / "tools/dev/pages.sh", "build"], capture_output=True, text=True,
                              env=self.environment(), timeout=60, check=False)

    def test_libraries_follow(self):
        """The broker answers first; each step is said, and where a page can see it; Ctrl-C ends it as without."""
        process = self.start()
        wait_until(lambda: "pages: ready" in self.output(), "the libraries are laid")
        lines = self.output()
        self.assertLess(lines.index("listens on"), lines.index("pages: 1 of 14"))
        self.assertIn("pages: 2 of 14: one 1.0\npages: 3 of 14: two 2.0\n", lines)
        self.assertEqual(self.state(), {"ready": True})
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(20), 0)

    def test_both_end(self):
        """Ctrl-C, and a SIGTERM to the broker alone, while a download hangs: nothing is left running."""
        (self.tree / "fetch-hangs").touch()
        for target in ("group", "broker"):
            (self.tree / "hanging").unlink(missing_ok=True)
            process = self.start()
            pid = int(wait_until(self.hanging, "it fetches"))
            wait_until(lambda: self.state()["text"] == "one 1.0", "a page can see it")
            self.assertFalse(self.state()["ready"])
            if target == "group":
                os.killpg(process.pid, signal.SIGINT)
            else:
                process.terminate()
            self.assertEqual(process.wait(20), 0)
            wait_until(lambda pid=pid: not alive(pid), "the download has ended")
            wait_until(lambda: self.state().get("failed"), "the page is told")
        (self.tree / "fetch-hangs").unlink()
        self.assertEqual(self.pages().returncode, 0)
        self.assertEqual(self.state(), {"ready": True})

    def test_without_node(self):
        """No Node, and no way to install it: that is said, and the broker goes on."""
        (self.bin / "node").unlink()
        process = self.start()
        wait_until(lambda: "pages: not done" in self.output(), "it says so")
        self.assertIn("make pages", self.output())
        self.assertTrue(self.state()["failed"])
        self.assertEqual(self.run_cli(self.broker, "status").returncode, 0)
        process.terminate()
        self.assertEqual(process.wait(20), 0)

    def test_not_wanted(self):
        """WEB=no: the broker alone."""
        process = self.start(WEB="no")
        self.assertEqual(self.run_cli(self.broker, "status").returncode, 0)
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertNotIn("pages:", self.output())
        self.assertFalse((self.tree / "build/web").exists())

    def test_once(self):
        """What is there is not fetched again, unless what it is made of has changed; a failure leaves the old ones."""
        self.assertEqual(self.pages().returncode, 0)
        self.assertEqual(self.pages().stdout, "pages: their libraries are there\n")
        with open(self.tree / "web/package-lock.json", "a", encoding="utf-8") as file:
            file.write("\n")
        (self.tree / "fetch-fails").touch()
        failed = self.pages()
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("goes on from there", failed.stderr)
        self.assertEqual((self.state()["ready"], self.state()["failed"]), (True, True))
        self.assertTrue((self.tree / "build/web/vendor/web-llm.js").exists())
        (self.tree / "fetch-fails").unlink()
        self.assertIn("pages: ready", self.pages().stdout)


if __name__ == "__main__":
    unittest.main()
