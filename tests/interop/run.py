#!/usr/bin/env python3
"""`make interop`: each part with real programs of others, one after the other, and a table at the end. What cannot be
installed here is skipped, with its reason.

Usage: run.py BUILD [PART..], a part being a file test_PART.py beside this one."""
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PART_S = 2700  # with its installation


def run_part(name, env):
    """(outcome, seconds); what it printed has been shown."""
    begun = time.monotonic()
    print(f"== {name}", flush=True)
    command = [sys.executable, str(HERE / f"test_{name}.py"), "-v"]
    try:
        done = subprocess.run(command, env=env, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True,
                              timeout=PART_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not within {PART_S} s", time.monotonic() - begun

    print(done.stdout, flush=True)
    skipped = re.search(r"skipped '(.*)'", done.stdout) or re.search(r'skipped "(.*)"', done.stdout)
    if done.returncode:
        outcome = "failed"
    elif skipped:
        outcome = f"skipped: {skipped[1]}"
    else:
        outcome = "ok, " + re.search(r"Ran (\d+ tests?)", done.stdout)[1]
    return outcome, time.monotonic() - begun


def main():
    env = {**os.environ, "BATON_BIN": str(pathlib.Path(sys.argv[1]).resolve() / "baton"),
           "PYTHONDONTWRITEBYTECODE": "1"}
    names = sys.argv[2:] or sorted(file.stem.removeprefix("test_") for file in HERE.glob("test_*.py"))
    rows = [(name, *run_part(name, env)) for name in names]
    for name, outcome, seconds in rows:
        print(f"{name:18} {seconds:6.0f} s  {outcome}")
    return any(not outcome.startswith(("ok", "skipped")) for _, outcome, _ in rows)


if __name__ == "__main__":
    sys.exit(main())
