"""Goal: the examples of contrib/examples do what they say. Method: those in C are compiled as a user does, by the
pkg-config file of an installed libbaton, shared and static; each one runs against the real daemon and gives way there.

Usage: test_examples.py BUILD ..; BATON_BIN names the daemon.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "contrib" / "examples"
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from lib.daemon import DaemonTest, die_with_parent, end_process  # noqa: E402
from lib.python_client import PYTHON  # noqa: E402
from lib.wait import wait_until  # noqa: E402


class Examples(DaemonTest):
    build = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-examples-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        install = ["meson", "install", "-C", str(cls.build), "--no-rebuild", "--quiet", "--tags", "devel,runtime",
                   "--destdir", str(cls.folder)]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        cls.description = next(cls.folder.rglob("libbaton.pc"))
        cls.libraries = cls.description.parent.parent

    def pkg_config(self, *words):
        env = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(self.folder),
               "PKG_CONFIG_LIBDIR": str(self.description.parent)}
        return subprocess.run(["pkg-config", *words, "libbaton"], env=env, capture_output=True, text=True,
                              check=True).stdout.split()

    def compile(self, name, static=False):
        library = self.pkg_config("--libs", *(["--static"] if static else []))
        if static:
            library = [str(self.libraries / "libbaton.a") if word == "-lbaton" else word for word in library]
        done = subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", str(EXAMPLES / f"{name}.c"), "-o",
                               str(self.folder / name), *self.pkg_config("--cflags"), *library],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(self.folder / name)

    def start(self, daemon, *command, **options):
        env = {**os.environ, "BATON_SOCKET": daemon.socket, "LD_LIBRARY_PATH": str(self.libraries),
               "PYTHONPATH": str(ROOT / "clients" / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   preexec_fn=die_with_parent, **options)
        self.addCleanup(end_process, process)
        return process

    def interrupt(self, daemon, process):
        """Voice comes and goes while it holds: it gives way. All that it says, and its status."""
        self.wait_held(daemon, process)
        voice = daemon.session("voice")
        voice.release(voice.hold(**{"class": "voice"})["lease"])
        return process.communicate(timeout=30)[0], process.returncode

    def wait_held(self, daemon, process):
        def held():
            if process.poll() is not None:
                self.fail(process.stdout.read())
            return daemon.holders()
        wait_until(held, "it holds")

    def test_blocking(self):
        for static in (False, True):
            daemon = self.daemon(timing={"grace_s": 5}, args=["--fake-gpu", "a:24000"])
            said, status = self.interrupt(daemon, self.start(daemon, self.compile("blocking", static), "60"))
            self.assertEqual(status, 0, said)
            self.assertRegex(said, r"holding a, fence 1\ngiving way, \d+ steps left\ngoing on, fence 3\ndone\n")

    def test_turns(self):
        daemon = self.daemon(timing={"grace_s": 5})
        said, status = self.interrupt(daemon, self.start(daemon, self.compile("turns"), "60"))
        self.assertEqual(status, 0, said)
        self.assertIn("asked to give way (preempted)", said)
        self.assertEqual(said.count("holding"), 2)

    def test_epoll(self):
        daemon = self.daemon(timing={"grace_s": 5})
        process = self.start(daemon, self.compile("epoll"), stdin=subprocess.PIPE)
        process.stdin.write("a\n" * 150)
        process.stdin.flush()
        self.wait_held(daemon, process)
        voice = daemon.session("voice")
        voice.release(voice.hold(**{"class": "voice"})["lease"])
        wait_until(lambda: not daemon.holders() and not daemon.waiting(), "nothing is left to do")
        said, _ = process.communicate("b\n", timeout=30)
        self.assertEqual(process.returncode, 0, said)
        self.assertEqual((said.count("job done"), said.count("over: released")), (151, 2), said)
        self.assertGreaterEqual(said.count("holding"), 3)

    def test_without_a_broker(self):
        env = {**os.environ, "BATON_SOCKET": "/nowhere/s", "LD_LIBRARY_PATH": str(self.libraries)}
        for name in ("blocking", "turns", "epoll"):
            program = self.compile(name)
            done = subprocess.run([program], env=env, capture_output=True, text=True, check=False, timeout=30)
            self.assertEqual((done.returncode, done.stderr),
                             (69, f"{name}: No broker answers; start it with: baton serve\n"))

    def test_train(self):
        """Saves and gives way when asked; killed, it goes on from what it saved; its result is that of one run."""
        daemon = self.daemon(timing={"grace_s": 5})
        save = str(self.folder / "checkpoint.json")
        train = [PYTHON, str(EXAMPLES / "train.py"), "--save", save]
        process = self.start(daemon, *train, "--steps", "400000")
        self.wait_held(daemon, process)
        voice = daemon.session("voice")
        lease = voice.hold(**{"class": "voice"})["lease"]
        saved = json.loads(pathlib.Path(save).read_text(encoding="ascii"))
        self.assertEqual(saved["fence"], 1)
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate(timeout=30)
        self.assertIn("giving way", said)
        voice.release(lease)
        process = self.start(daemon, *train, "--steps", str(saved["step"] + 200))
        said, _ = process.communicate(timeout=30)
        self.assertIn("done: a 3.00, b 1.00", said)
        self.assertEqual(json.loads(pathlib.Path(save).read_text(encoding="ascii"))["step"], saved["step"] + 200)

    def test_train_of_an_old_lease(self):
        """A run under an older fence does not overwrite what a later one has saved."""
        daemon = self.daemon()
        save = self.folder / "later.json"
        save.write_text(json.dumps({"step": 0, "fence": 99, "weights": {"a": 0, "b": 0}}), encoding="ascii")
        process = self.start(daemon, PYTHON, str(EXAMPLES / "train.py"), "--save", str(save), "--steps", "5")
        said, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        self.assertIn("a later lease (99) has written", said)

    def test_lock_sh(self):
        """curl alone: holds while the command runs, gives its status, passes a yield on as SIGTERM."""
        daemon = self.daemon(timing={"grace_s": 5})
        script = str(EXAMPLES / "lock.sh")
        done = self.start(daemon, script, "sh", "-c", "echo ran; exit 3")
        self.assertEqual((done.communicate(timeout=30)[0], done.returncode), ("ran\n", 3))
        wait_until(lambda: not daemon.holders(), "it is given back")
        ready = self.folder / "ready"
        long = self.start(daemon, "env", "CLASS=background", script, "sh", "-c",
                          f"trap 'echo saved; exit 0' TERM; : >{ready}; while :; do sleep 0.05; done")
        wait_until(lambda: daemon.holders() == ["sh"] and ready.exists(), "it holds, and would save")
        daemon.session("voice").hold(**{"class": "voice"})
        self.assertEqual((long.communicate(timeout=30)[0], long.returncode), ("saved\n", 0))
        late = self.start(daemon, "env", "WAIT=0.1", script, "true")
        late.communicate(timeout=30)
        self.assertEqual(late.returncode, 75)
        alone = self.start(daemon, "env", "BATON_SOCKET=/nowhere/s", script, "true")
        alone.communicate(timeout=30)
        self.assertEqual(alone.returncode, 69)


if __name__ == "__main__":
    Examples.build = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    unittest.main()
