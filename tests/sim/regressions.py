#!/usr/bin/env python3
"""Runs the seeds that once showed a bug. Usage: regressions.py SIM SEEDS_FILE"""
import subprocess
import sys


def main(sim, path):
    failed = count = 0
    for line in open(path, encoding="utf-8"):
        text, _, why = line.partition("#")
        if not text.strip():
            continue
        seed, minutes = text.split()
        count += 1
        command = [sim, "--seed", seed, "--minutes", minutes]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            failed += 1
            print(f"seed {seed} fails again: {why.strip()}")
    print(f"{count} seeds, {failed} fail")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
