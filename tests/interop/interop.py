"""What the tests with others' programs have in common: models of real llama.cpp behind the daemon, and a program of
somebody's with a home of its own, told of Baton by nothing but what `baton connect` prints."""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("gateway", "integration"):
    sys.path.insert(0, str(HERE.parent / folder))
from lib import daemon as daemon_module  # noqa: E402
from lib.daemon import die_with_parent, end_process  # noqa: E402
from llama_test import LlamaTest  # noqa: E402

daemon_module.HUNG_S = 900  # a coding agent's prompt takes a processor minutes
PROGRAM_S = 600


class InteropTest(LlamaTest):
    SHAPES = {"m": {}, "other": {"words": "another model says other words ."}, "endless": {"endless": True}}

    def home(self, daemon):
        """A folder where a user's state is this daemon's."""
        home = tempfile.TemporaryDirectory(prefix="bt-home-")
        self.addCleanup(home.cleanup)
        state = pathlib.Path(home.name, ".local", "state")
        state.mkdir(parents=True)
        (state / "baton").symlink_to(daemon.state)
        return pathlib.Path(home.name)

    def environment(self, home, **more):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TERM") if name in os.environ}
        return {**kept, "HOME": str(home), "NO_PROXY": "*", **more}

    def start(self, script, home, *words, log=None, **more):
        """`script` is for a shell, `words` its arguments."""
        output = open(log, "wb") if log else subprocess.PIPE
        process = subprocess.Popen(["sh", "-c", script, "sh", *map(str, words)], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, text=True, cwd=home, preexec_fn=die_with_parent,
                                   env=self.environment(home, **more))
        self.addCleanup(end_process, process)
        if log:
            output.close()
        return process

    def turns(self, daemon):
        """Leases with a turn: what computes now."""
        return [row.get("label") or row["id"] for row in daemon.status()["leases"] if row["slots"]]
