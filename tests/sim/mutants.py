#!/usr/bin/env python3
"""Every planted bug of mutants/ must be seen by the simulator. Usage: mutants.py ROOT [--every N] [NAME..]
--every N takes each Nth only."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import build

PART = re.compile(r"^file: (\S+)\n<<<<\n(.*?)\n====\n(.*?)\n?>>>>\n", re.M | re.S)
# A mutant's name, and how many seeds a shot takes: first few, for most are seen at once.
BATCH = 20


class Mutant:
    def __init__(self, path):
        text = path.read_text(encoding="utf-8")
        self.name = path.stem
        self.what = text.splitlines()[0]
        self.seeds = int(re.search(r"^seeds: (\d+)$", text, re.M)[1])
        options = re.search(r"^options: (.*)$", text, re.M)
        self.options = options[1].split() if options else []
        self.parts = PART.findall(text)
        if not self.parts or text.count("<<<<\n") != len(self.parts):
            raise ValueError(f"{path.name}: malformed")


def edit(mutant, root, folder):
    """Writes the edited sources below `folder` and returns {name: path}."""
    texts = {}
    for name, old, new in mutant.parts:
        text = texts.get(name) or (root / name).read_text(encoding="utf-8")
        pattern = re.compile(r"\s+".join(map(re.escape, old.split())))  # however it is wrapped
        count = len(pattern.findall(text))
        if count != 1:
            raise ValueError(f"{mutant.name}: {name} holds the text {count} times, not once:\n{old}")
        texts[name] = pattern.sub(lambda _: new, text)
    paths = {}
    for name, text in texts.items():
        path = folder / pathlib.Path(name).name
        path.write_text(text, encoding="utf-8")
        paths[name] = path
    return paths


def hunt(sim, mutant):
    """The first seeds batch that fails: (seeds run, what the simulator said), or None."""
    for first in range(1, mutant.seeds + 1, BATCH):
        command = [str(sim), "--first", str(first), "--seeds", str(BATCH), *mutant.options]
        result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if result.returncode:
            seed = re.search(r"sim: seed (\d+) fails", result.stderr)
            lines = result.stderr.splitlines()
            return int(seed[1]) if seed else first, lines[1] if len(lines) > 1 else result.stderr
    return None


def build_mutant(mutant, root, parts, folder):
    edited = edit(mutant, root, folder)
    changed = {root / name: path for name, path in edited.items()}
    replaced = [changed[source] for source, _ in parts if source in changed]
    kept = [target for source, target in parts if source not in changed]
    return build.link("cc", kept + build.objects("cc", replaced, folder, root / "src"), folder / "simulator")


def main(arguments):
    root = pathlib.Path(arguments.root).resolve()
    mutants = [Mutant(p) for p in sorted((root / "tests/sim/mutants").glob("*.mutant"))]
    mutants = [m for m in mutants if not arguments.names or m.name in arguments.names][::arguments.every]
    survived = []
    with tempfile.TemporaryDirectory() as out:
        out = pathlib.Path(out)
        parts = []
        for name, paths in build.sources(root).items():
            parts += zip(paths, build.objects("cc", paths, out / name, root / "src"))
        for mutant in mutants:
            began = time.monotonic()
            folder = out / mutant.name
            folder.mkdir()
            seen = hunt(build_mutant(mutant, root, parts, folder), mutant)
            took = time.monotonic() - began
            if not seen:
                survived.append(mutant.name)
                print(f"SURVIVED {mutant.name}: {mutant.what} ({mutant.seeds} seeds, {took:.0f} s)", flush=True)
                continue
            print(f"caught {mutant.name} by seed {seen[0]} in {took:.1f} s: {seen[1]}", flush=True)
    print(f"{len(mutants) - len(survived)} of {len(mutants)} mutants caught")
    return 1 if survived or not mutants else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--every", type=int, default=1)
    sys.exit(main(parser.parse_args()))
