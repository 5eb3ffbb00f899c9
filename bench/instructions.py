#!/usr/bin/env python3
"""Instructions of the daemon per lock cycle, counted by valgrind: the same on a quiet and a busy machine.

usage: instructions.py BUILD_DIR [--cycles N] [--profile FOLDER] [--json]

One client takes and gives one lock, N times and 2 N times; the difference by N is one cycle, without what a
start and an end cost. What the kernel does in system calls is not in it. Of some rounds the least is taken: a
loop that has just worked looks a few times more before it sleeps, and does so more often where others keep the
client waiting. --profile keeps callgrind's files.
"""
import argparse
import json
import os
import re
import shutil
import sys

import bench

CYCLES, ROUNDS = 1000, 3


class Counted(bench.Baton):
    """A daemon under callgrind; `stop` waits for its count."""

    def __init__(self, build, profile):
        self.profile = profile
        super().__init__(build, ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={profile}"])

    def instructions(self):
        self.stop()
        with open(self.profile, encoding="utf-8") as file:
            return int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.M).group(1))


def count(build, protocol, cycles, folder):
    server = Counted(build, os.path.join(folder, f"{protocol}.{cycles}"))
    address, bearer = (server.address, server.bearer) if protocol == "http" else (server.socket, None)
    bench.load(build, protocol, address, 1, f"{cycles}c", bearer)
    return server.instructions()


def least(build, protocol, cycles, folder):
    return min(count(build, protocol, cycles, folder) for _ in range(ROUNDS))


def per_cycle(build, cycles=CYCLES, folder=None):
    """{"http": instructions per cycle, "session": ..}, or None where there is no valgrind."""
    if not shutil.which("valgrind"):
        return None
    with bench.tempfile.TemporaryDirectory(prefix="baton-bench-") as own:
        where = folder or own
        os.makedirs(where, exist_ok=True)
        return {protocol: (least(build, protocol, 2 * cycles, where) - least(build, protocol, cycles, where)) / cycles
                for protocol in ("http", "session")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--profile")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = per_cycle(args.build, args.cycles, args.profile)
    if found is None:
        sys.exit("instructions: valgrind is not installed (tools/dev/deps.sh bench)")
    if args.json:
        print(json.dumps(found))
        return
    print("Instructions of the daemon per lock cycle, with one client:",
          ", ".join(f"{value:.0f} by {name}" for name, value in found.items()))


if __name__ == "__main__":
    main()
