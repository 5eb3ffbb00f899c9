"""Compiles the simulator from sources, outside of Meson: one compiler, one folder of the core.
Used by compilers.py and mutants.py."""
import os
import pathlib
import subprocess
from concurrent.futures import ThreadPoolExecutor

FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-fno-strict-aliasing", "-O1", "-w"]


def compile_one(compiler, source, target, include):
    ours = include.parent / "tests/sim"  # an edited copy lies elsewhere
    command = [compiler, *FLAGS, "-I", str(include), "-iquote", str(ours), "-c", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    return target


def sources(root):
    """What the simulator consists of, by part; base only as far as the core needs it."""
    root = pathlib.Path(root)
    names = ("buf", "err", "fields", "hash", "heap", "list", "rank_tree", "spread", "token")
    base = [root / f"src/base/{name}.c" for name in names]
    return {
        "base": base,
        "core": sorted((root / "src/core").glob("*.c")),
        "store": [root / "src/store/codec.c", root / "src/store/crc32.c"],
        "sim": sorted((root / "tests/sim").glob("*.c")),
    }


def objects(compiler, paths, out, include):
    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compile_one, compiler, p, out / (p.stem + ".o"), include) for p in paths]
        return [job.result() for job in jobs]


def link(compiler, parts, target):
    subprocess.run([compiler, "-o", str(target), *map(str, parts)], check=True)
    return target
