#!/usr/bin/env python3
"""Same seed, same trace hash with gcc and with clang (T2). Usage: compilers.py ROOT [SEEDS]
Skipped (77) when one of them is missing."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

import build


def hashes(root, compiler, seeds, out):
    parts = []
    for name, paths in build.sources(root).items():
        parts += build.objects(compiler, paths, out / name, root / "src")
    sim = build.link(compiler, parts, out / "simulator")
    command = [str(sim), "--seeds", str(seeds), "--hashes"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return sorted(result.stdout.splitlines())


def main(root, seeds):
    root = pathlib.Path(root)
    compilers = ["gcc", "clang"]
    missing = [c for c in compilers if not shutil.which(c)]
    if missing:
        print("skipped, no", *missing)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        first, second = (hashes(root, c, seeds, pathlib.Path(folder) / c) for c in compilers)
    different = [a for a, b in zip(first, second) if a != b]
    print(f"{len(first)} seeds, {len(different)} differ", *different[:3])
    return 1 if different or len(first) != seeds or len(second) != seeds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50))
