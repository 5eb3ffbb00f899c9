#!/usr/bin/env python3
"""How often models are exchanged on a card that fits one of them: the gateway, beside what the same requests would cost
in the order of their arrival, and by class alone.

usage: switches.py BUILD_DIR [--seconds S] [--rate R] [--answer S] [--models N] [--seed N] [--json]

Requests come at random (seeded), half of them as chat, the rest as background, a few as voice, for one of N models of a
model server by hand whose loads take 0.5 s and whose answers take --answer seconds (0.15). The two other counts are
reckoned from the times at which the requests came: one server that takes the oldest, or the oldest of the highest
class, and exchanges its model whenever the next request is for another.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import statistics
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))
from bench import machine  # noqa: E402

LOAD_S, PATIENCE_S = 0.5, 600
DEFAULTS = {"min_run_s": 2, "grace_s": 2, "ack_s": 2, "lock_delay_s": 2}  # where the tests have shorter ones
CLASSES = ("voice", "chat", "background")
SHARES = (1, 5, 4)


class Sleep:
    """In place of an event that a test clears."""

    @staticmethod
    def wait(_timeout=None):
        time.sleep(LOAD_S)

    @staticmethod
    def set():
        pass


def arrivals(seconds, rate, models, seed):
    """[(when, class, model)]"""
    rng, at, rows = random.Random(seed), 0.0, []
    while (at := at + rng.expovariate(rate)) < seconds:
        rows.append((at, rng.choices(CLASSES, SHARES)[0], f"m{rng.randrange(models)}"))
    return rows


def reckoned(rows, key, answer_s):
    """Exchanges and waits until the answer of a server that takes the smallest of those that are there."""
    left, now, loaded, switches, waits = sorted(rows), 0.0, None, 0, []
    while left:
        there = [row for row in left if row[0] <= now] or [left[0]]
        row = min(there, key=key)
        left.remove(row)
        now = max(now, row[0])
        if row[2] != loaded:
            loaded, switches, now = row[2], switches + 1, now + LOAD_S
        now += answer_s
        waits.append((row[1], now - row[0]))
    return switches, waits


def measured(build, rows, models, answer_s):
    os.environ["BATON_BIN"] = os.path.abspath(f"{build}/baton")
    from lib.gateway import CHAT, GatewayTest, upstream  # reads where the broker is
    from lib.http import Connection
    case = GatewayTest()
    case.setUp()
    try:
        server = case.server("ollama", [f"m{i}" for i in range(models)])
        server.load_delay, server.begins = Sleep, lambda: time.sleep(answer_s)
        daemon = case.behind(upstream(server, "it", models=[{"name": f"m{i}", "vram_mb": 6000} for i in range(models)]),
                             timing=DEFAULTS)
        waits, began = [], time.monotonic()

        def ask(when, cls, model):
            time.sleep(max(0, began + when - time.monotonic()))
            asked = time.monotonic()
            with contextlib.closing(Connection(daemon.address, PATIENCE_S)) as connection:
                connection.send(daemon.request("POST", CHAT, {"model": model, "messages": []}, {"x-baton-class": cls}))
                status = connection.read_answer().status
            waits.append((cls if status == 200 else "failed", time.monotonic() - asked))

        threads = [threading.Thread(target=ask, args=row) for row in rows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        loads = sum(b'"keep_alive":-1' in row[3] for row in server.asked("/api/generate"))
        return loads, waits
    finally:
        case.doCleanups()


def figures(switches, waits):
    row = {"switches": switches, "failed": sum(cls == "failed" for cls, _ in waits)}
    for cls in CLASSES:
        of_it = sorted(wait for name, wait in waits if name == cls)
        row[cls] = {"count": len(of_it), "p50_s": statistics.median(of_it) if of_it else None,
                    "most_s": of_it[-1] if of_it else None}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=2.0, help="requests per second")
    parser.add_argument("--answer", type=float, default=0.15, help="seconds that an answer takes")
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = arrivals(args.seconds, args.rate, args.models, args.seed)
    result = {"machine": machine(), "requests": len(rows),
              "baton": figures(*measured(args.build, rows, args.models, args.answer)),
              "by arrival": figures(*reckoned(rows, lambda row: row[0], args.answer)),
              "by class": figures(*reckoned(rows, lambda row: (CLASSES.index(row[1]), row[0]), args.answer))}
    if args.json:
        print(json.dumps(result))
        return
    print(f"{result['machine']}\n{len(rows)} requests for {args.models} models; seconds until answered, p50 / most:\n")
    for name in ("baton", "by arrival", "by class"):
        row = result[name]
        waits = "  ".join(f"{cls} {row[cls]['p50_s']:.1f} / {row[cls]['most_s']:.1f}"
                          for cls in CLASSES if row[cls]["count"])
        print(f"  {name:<12}{row['switches']:>4} switches   {waits}   {row['failed']} failed")


if __name__ == "__main__":
    main()
