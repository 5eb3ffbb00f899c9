"""Goal: docs/python.md can be followed from top to bottom. Method: in an empty folder beside what a clone has each
block is saved or run as it stands, in its order; the broker listens at a port of its own. It prints a transcript.

A block of Python is saved under the name that stands before it, one of sh is run by one bash, as in one terminal.
Usage: follow_docs.py VENV; VENV has what tests/python/requirements.txt names, BATON_BIN names the daemon.
"""
import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "python.md"
MARK = "-- block --"

# What each block of sh must say, by its own words.
SAYS = {
    "pip wheel": [r"one file: \d+\.\d+"],
    "turn.py": [r"holding rtx3090 as lease \d+ with fence \d+"],
    "loop.py": [r"saved at \d+", "somebody speaks", r"going on at \d+ under fence \d+"],
    "train.py": [r"done: a 3\.00, b 1\.00"],
    "broker_away.py": ["holding", "told: stale", "not done: .*no connection to the broker for too long"],
    "children.py": [r"computing on rtx3090 under fence \d+"],
    "many.py": [rf"job {number} under fence \d+" for number in range(10)],
    "refused.py": ["never_fits - .* - a command would exit with 72"],
    "lock.sh": ["under a lease\n(.*\n)*under a lease"],
}


def blocks():
    """(language, its words before, code) of each, in their order."""
    text = GUIDE.read_text(encoding="utf-8")
    at = 0
    for match in re.finditer(r"^```([^\n]+)\n(.*?)^```$", text, re.M | re.S):
        yield match[1], text[at:match.start()], match[2]
        at = match.end()


class Follow(unittest.TestCase):
    venv = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        ignore = shutil.ignore_patterns("__pycache__", ".mypy_cache")
        shutil.copytree(ROOT / "clients", self.folder / "clients", ignore=ignore)
        shutil.copytree(ROOT / "contrib" / "examples", self.folder / "contrib" / "examples")
        (self.folder / "run").mkdir(mode=0o700)

    def script(self):
        """All of sh as one script, each block under its mark; Python blocks are saved."""
        lines = ["set -e"]
        for language, before, code in blocks():
            if language == "python":
                (self.folder / re.findall(r"`(\w+\.py)`", before)[-1]).write_text(code, encoding="utf-8")
            elif language == "python torch":
                ast.parse(code)
            else:
                self.assertEqual(language, "sh")
                served = code.replace("baton serve ", "baton serve --listen 127.0.0.1:0 ")
                lines += [f"echo '{MARK}'", served + ("until baton status >/dev/null 2>&1; do sleep 0.05; done"
                                                      if served != code else "")]
        return "\n".join(lines)

    def test_docs_python(self):
        packages = sysconfig.get_path("purelib", vars={"base": str(self.venv)})
        env = {**os.environ, "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder / "run"),
               "XDG_STATE_HOME": str(self.folder / "state"), "XDG_CONFIG_HOME": str(self.folder / "config"),
               "PATH": f"{pathlib.Path(os.environ['BATON_BIN']).parent}:{os.environ['PATH']}",
               # pip as it stands would fetch setuptools: it finds the pinned ones instead.
               "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
               "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("BATON_SOCKET", "BATON_LEASE", "BATON_RUN"):
            env.pop(name, None)
        with open(self.folder / "transcript", "w+", encoding="utf-8") as transcript:
            shell = subprocess.Popen(["bash", "-m", "-c", self.script()], cwd=self.folder, env=env, stdout=transcript,
                                     stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                status = shell.wait(100)
            finally:
                subprocess.run(["baton", "down", "--yes"], env=env, capture_output=True, check=False, timeout=20)
            transcript.seek(0)
            said = transcript.read()
        print(said)
        self.assertEqual(status, 0, said[-3000:])
        parts = said.split(MARK + "\n")[1:]
        codes = [code for language, _, code in blocks() if language == "sh"]
        self.assertEqual(len(parts), len(codes))
        for name, patterns in SAYS.items():
            part = next(part for part, code in zip(parts, codes) if name in code and f"cp -r {name}" not in code)
            for pattern in patterns:
                self.assertRegex(part, pattern, name)


if __name__ == "__main__":
    Follow.venv = pathlib.Path(os.path.abspath(sys.argv.pop(1)))
    if not (Follow.venv / "bin" / "pip").exists():
        print(f"follow_docs.py: there is no {Follow.venv}; make it with: tools/dev/deps.sh test")
        sys.exit(2)
    unittest.main()
