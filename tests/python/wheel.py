"""Goal: the wheel of the Python client is whole. Method: it is built from its pyproject.toml without a network, put
into an empty venv and used there against the real daemon; mypy reads the source, and a program that uses the wheel.

Usage: wheel.py VENV; VENV has what tests/python/requirements.txt names, BATON_BIN names the daemon.
"""
import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "clients" / "python"
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from lib.daemon import DaemonTest  # noqa: E402
from lib.python_client import Program  # noqa: E402

RIGHT = """
import baton
with baton.lease(vram="8G", klass="background", on_yield=lambda asked: print(asked.for_whom)) as lease:
    fence: int = lease.fence
    if lease.should_yield():
        lease.give_way()
async def turn() -> str:
    async with baton.lease_async(2 << 30) as lease:
        return (await lease.until_yield()).reason
"""
WRONG = ["lease.chekc()", "baton.lease(vram=1.5)", "baton.lease(clas='voice')", "lease.fence + 'a'"]


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)


class Wheel(DaemonTest):
    venv = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-wheel-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        shutil.copytree(SOURCE, cls.folder / "source", ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
        built = run(cls.venv / "bin" / "pip", "wheel", "--no-index", "--no-build-isolation", "--no-deps",
                    "-w", cls.folder, cls.folder / "source")
        assert built.returncode == 0, built.stderr
        cls.wheel = next(cls.folder.glob("*.whl"))
        made = run(sys.executable, "-m", "venv", cls.folder / "venv")
        assert made.returncode == 0, made.stderr
        cls.python = cls.folder / "venv" / "bin" / "python"
        installed = run(cls.python, "-m", "pip", "install", "--no-index", "--disable-pip-version-check", cls.wheel)
        assert installed.returncode == 0, installed.stderr

    def mypy(self, *words, code=None):
        if code:
            (self.folder / "program.py").write_text(code, encoding="utf-8")
            words = ["program.py"]
        return run(self.venv / "bin" / "mypy", "--strict", "--python-executable", self.python, *words,
                   cwd=self.folder)

    def test_wheel_takes_turns(self):
        daemon = self.daemon(args=["--fake-gpu", "a:24000"])
        program = Program(self, daemon, """
with baton.lease(vram="1G") as lease: say("held", lease.gpus[0].name)
say("from", baton.__file__)
""", python=str(self.python), path=None)
        program.wait("held a")
        self.assertIn(str(self.folder), program.wait("from"))

    def test_wheel_has_its_types_and_the_version_of_the_project(self):
        names = zipfile.ZipFile(self.wheel).namelist()
        self.assertIn("baton/py.typed", names)
        version = re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
        self.assertEqual(self.wheel.name.split("-")[1], version)

    def test_source_is_typed(self):
        checked = self.mypy(self.folder / "source" / "baton")
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_programs_are_checked(self):
        """mypy takes a right program that uses the wheel, and sees what is wrong in another."""
        checked = self.mypy(code=RIGHT)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        checked = self.mypy(code="import baton\nlease = baton.lease()\n" + "\n".join(WRONG))
        lines = sorted({int(line) for line in re.findall(r"^program\.py:(\d+): error", checked.stdout, re.M)})
        self.assertEqual(lines, list(range(3, 3 + len(WRONG))), checked.stdout)

    def test_syntax_is_that_of_python_3_9(self):
        for path in SOURCE.rglob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


if __name__ == "__main__":
    Wheel.venv = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    if not (Wheel.venv / "bin" / "mypy").exists():
        print(f"wheel.py: there is no mypy in {Wheel.venv}; install it with: tools/dev/deps.sh test")
        sys.exit(2)
    unittest.main()
