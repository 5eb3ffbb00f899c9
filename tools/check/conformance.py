#!/usr/bin/env python3
"""Plays the conformance scenarios with clients, and says which of them conform.

    tools/check/conformance.py                         libbaton, `baton run`, the web SDK and the Python client
    tools/check/conformance.py --client 'CMD' --binding native|tab    yours (docs/conformance.md)
"""
import argparse
import concurrent.futures
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))
sys.dont_write_bytecode = True

import clients  # noqa: E402
from canary import Canary  # noqa: E402
from judge import judge  # noqa: E402
from play import load  # noqa: E402


PLAYS_MAX = 4
LATE_MS = 100  # of the canary: what it takes a busy machine to use up the slack, which covers several steps
LOGS = {}  # what happened, by client and scenario: printed of what failed


def play_fairly(client, scenario, canary):
    """A play in real time that the machine itself spoiled is void, and played again."""
    for left in reversed(range(PLAYS_MAX)):
        begun = time.monotonic()
        play = client.play(scenario)
        faults = judge(play, play.world.slack_ms)
        late_ms = canary.late_ms(begun, time.monotonic()) if client.in_real_time else 0
        if not faults or late_ms < LATE_MS or not left:
            return play, faults
        print(f"{client.label}: {scenario['name']}: void, the machine was {late_ms} ms late: {'; '.join(faults)}",
              flush=True)
    raise AssertionError("not reached")


def play_one(client, scenario, trace, canary):
    """The faults, or None: this client cannot be asked that."""
    if client.cannot(scenario):
        return None
    play, faults = play_fairly(client, scenario, canary)
    LOGS.setdefault(client.label, {})[scenario["name"]] = play.log
    if trace:
        for entry in play.log:
            print(entry)
    return faults


def play_all(client, scenarios, trace, canary):
    workers = 1 if trace else client.workers
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = {name: pool.submit(play_one, client, scenario, trace, canary) for name, scenario in scenarios.items()}
        return {name: future.result() for name, future in futures.items()}


def print_table(scenarios, results):
    width = max(map(len, scenarios))
    print(f"{'scenario':{width}}  " + "  ".join(results))
    for name in scenarios:
        words = {True: "-", False: "ok"}
        cells = []
        for label, faults in results.items():
            found = faults[name]
            cells.append(f"{'FAILS' if found else words[found is None]:{len(label)}}")
        print(f"{name:{width}}  " + "  ".join(cells).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", action="append", help="libbaton, run, sdk, python, or a command of yours")
    parser.add_argument("--binding", choices=["native", "tab"], default="native", help="how your client connects")
    parser.add_argument("--build", default=str(ROOT / "build"), help="where Baton was built")
    parser.add_argument("--scenario", action="append", help="only this one")
    parser.add_argument("--trace", action="store_true", help="print everything that happened")
    args = parser.parse_args()
    scenarios = load(ROOT / "tests" / "conformance" / "scenarios")
    if args.scenario:
        scenarios = {name: scenarios[name] for name in args.scenario}
    wanted = args.client or ["libbaton", "run", "sdk", "python"]
    chosen = [clients.find(name, args.binding, os.path.abspath(args.build)) for name in wanted]
    canary = Canary()
    try:
        results = {client.label: play_all(client, scenarios, args.trace, canary) for client in chosen}
    finally:
        canary.end()
    print_table(scenarios, results)
    failed = 0
    for label, faults in results.items():
        for name, found in faults.items():
            failed += bool(found)
            for fault in found or []:
                print(f"{label}: {name}: {fault}")
            if found and name in LOGS.get(label, {}):
                print("\n".join(f"    {entry}" for entry in LOGS[label][name]))
    played = sum(found is not None for faults in results.values() for found in faults.values())
    print(f"{played - failed} conform, {failed} do not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
