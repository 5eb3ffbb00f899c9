"""clients: who can be tested, and how each is started."""
import os
import pathlib
import shlex
import sys

from real import Real
from virtual import Virtual

HERE = pathlib.Path(__file__).resolve().parent
DEBIAN_PYTHON = "/usr/bin/python3"


class Client:
    """`can`: what a scenario may need of it besides the plain things."""

    def __init__(self, label, binding, can, workers, start, in_real_time=False):
        self.label, self.binding, self.can, self.workers, self.start = label, binding, set(can), workers, start
        self.in_real_time = in_real_time

    def cannot(self, scenario):
        bindings = scenario.get("clients", ["native", "tab"])
        return self.binding not in bindings or not set(scenario.get("needs", [])) <= self.can

    def play(self, scenario):
        return self.start(scenario).run()


def libbaton(build):
    command = [f"{build}/tests/conformance/conformance-libbaton"]
    return Client("libbaton", "native", {"tell", "cancel", "requeue", "timeout", "need", "ignore-yield"}, 4,
                  lambda scenario: Virtual(command, scenario, "native"))


def sdk(_build):
    command = ["node", str(HERE / "driver_sdk.mjs")]
    return Client("sdk", "tab", {"tell", "cancel", "requeue", "timeout", "need", "ignore-yield"}, 2,
                  lambda scenario: Virtual(command, scenario, "tab"))


def run(build):
    command = [f"{build}/baton"]
    return Client("run", "native", {"tell", "cancel", "timeout", "processes", "requeue"}, 8,
                  lambda scenario: Real(command, scenario, "native", run=True), in_real_time=True)


def python(_build):
    command = [DEBIAN_PYTHON if os.path.exists(DEBIAN_PYTHON) else sys.executable, str(HERE / "driver_python.py")]
    can = {"tell", "cancel", "requeue", "timeout", "need", "ignore-yield", "processes"}
    return Client("python", "native", can, 8,
                  lambda scenario: Real(command, scenario, "native", run=False), in_real_time=True)


def find(name, binding, build):
    known = {"libbaton": libbaton, "sdk": sdk, "run": run, "python": python}
    if name in known:
        return known[name](build)
    return Client("yours", binding, {"tell", "cancel", "requeue", "timeout", "need", "ignore-yield"}, 8,
                  lambda scenario: Real(shlex.split(name), scenario, binding, run=False), in_real_time=True)
