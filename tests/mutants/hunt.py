#!/usr/bin/env python3
"""Every planted bug of the policy must be seen: by a unit test of the core, by the exhaustive search of small
worlds, or by the simulator. Usage: hunt.py ROOT BUILD [--by unit,exhaust,sim] [--every N] [--all] [--table FILE]
[--jobs N] [NAME..]

BUILD is a plain build folder of Meson, whose objects are linked again around the one that was edited. --every N takes
each Nth mutant only, and all that are stale; --all does not stop at the first who sees it; --table writes who saw
what."""
import argparse
import functools
import json
import os
import pathlib
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

MUTANT = re.compile(r"^## (\S+): (.*)\n((?:<<<<\n(?:.*\n)*?>>>>\n)+)", re.M)
PART = re.compile(r"<<<<\n(.*?)\n====\n(.*?)\n?>>>>\n", re.S)
NO_LTO = "-fno-lto"  # the objects would take it, and it takes long
WRAP = [f"-Wl,--wrap={name}" for name in ("malloc", "calloc", "realloc", "free")]
CPU_S = 90  # what a mutant may take at most in one program; one that never ends is seen as well
FIRST = ("wait_bound", "lags", "turns", "queue", "shares", "placement", "change", "plain")  # they see most
SLOW = ("scale", "random_events")  # they measure time, or take much of it
STATES = 40000
SEEDS = 2000
BATCH = 50


class Mutant:
    def __init__(self, group, match):
        self.group, self.name, self.what = group, match[1], match[2]
        self.parts = PART.findall(match[3])


def read_mutants(folder):
    mutants = []
    for path in sorted(folder.glob("*.mutants")):
        text = path.read_text(encoding="utf-8")
        found = [Mutant(path.stem, match) for match in MUTANT.finditer(text)]
        if len(found) != text.count("\n## ") + text.startswith("## "):
            raise ValueError(f"{path.name}: malformed after {found[-1].name if found else 'the beginning'}")
        mutants += found
    names = [mutant.name for mutant in mutants]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"there twice: {', '.join(twice)}")
    return mutants


def find(mutant, root, texts, old):
    """Where the passage is: exactly once in all of the core, however it is wrapped."""
    pattern = re.compile(r"\s+".join(map(re.escape, old.split())))
    found = []
    for path in sorted((root / "src/core").glob("*.c")):
        name = str(path.relative_to(root))
        text = texts.get(name) or path.read_text(encoding="utf-8")
        found += [(name, text, pattern)] * len(pattern.findall(text))
    if len(found) != 1:
        raise ValueError(f"{mutant.name}: the core holds the text {len(found)} times, not once:\n{old}")
    return found[0]


def edit(mutant, root):
    """The edited texts: {file: text}."""
    texts = {}
    for old, new in mutant.parts:
        name, text, pattern = find(mutant, root, texts, old)
        texts[name] = pattern.sub(lambda _, new=new: new, text)
    return texts


def is_stale(mutant, root):
    try:
        edit(mutant, root)
    except ValueError:
        return True
    return False


class Workshop:
    """The objects of a build. The core is linked as a shared library, so that the tests are linked but once; the search
    of small worlds, which wraps malloc, is linked each time."""

    def __init__(self, root, build, folder):
        self.root, self.build, self.folder = root, build, folder
        commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
        self.commands = {(pathlib.Path(entry["directory"]) / entry["file"]).resolve(): entry for entry in commands}
        # What Meson builds now: a folder of older builds also has the objects of files that are gone.
        built = sorted(build / entry["output"] for entry in commands)
        self.core = [path for path in built if path.parent.name in ("libcore.a.p", "libcoretypes.a.p")]
        self.base = [build / "src/base/libbase.a"]
        self.fixture = [build / "tests/unit/core/libcore_fixture.a"]
        folders = {path.parent.name for path in built}
        self.names = sorted(name[10:-2] for name in folders if name.startswith("test_core_"))
        self.names = [name for name in self.names if name not in SLOW]
        self.names.sort(key=lambda name: name not in FIRST)
        self.link_all()

    def link_all(self):
        sound = self.folder / "sound"
        sound.mkdir()
        self.share(self.core, sound)
        for name in self.names:
            objects = sorted((self.build / f"tests/unit/core/test_core_{name}.p").glob("*.o"))
            self.link([*objects, *self.fixture, *self.base, "-lcmocka"], self.folder / name, sound)
        self.link([*sorted((self.build / "tests/sim/sim.p").glob("*.o")), *self.base], self.folder / "sim", sound)
        self.link_exhaust([], self.folder / "exhaust")

    def share(self, objects, folder):
        base = ["-Wl,--whole-archive", *map(str, self.base), "-Wl,--no-whole-archive"]
        command = ["cc", "-shared", NO_LTO, "-o", str(folder / "libbatoncore.so"), *map(str, objects), *base]
        subprocess.run(command, check=True)

    def link(self, objects, target, sound):
        command = ["cc", NO_LTO, "-o", str(target), *map(str, objects), f"-L{sound}", "-lbatoncore", "-lm"]
        subprocess.run(command, check=True)

    def link_exhaust(self, edited, target):
        objects = [*sorted((self.build / "tests/exhaust/exhaust.p").glob("*.o")), *self.changed(edited), *self.base]
        subprocess.run(["cc", NO_LTO, "-o", str(target), *map(str, objects), *WRAP], check=True)

    def changed(self, edited):
        """The objects of the core, the edited ones in the place of their fellows."""
        names = {f"{path.stem}.c.o": path for path in edited}
        return [names.get(path.name, path) for path in self.core]

    def compile(self, name, text, folder):
        entry = self.commands[(self.root / name).resolve()]
        source = folder / pathlib.Path(name).name
        source.write_text(text, encoding="utf-8")
        target = source.with_suffix(".o")
        words = [word for word in shlex.split(entry["command"]) if word not in ("-MD", "-Werror", "-g", "ccache")]
        for flag in ("-MQ", "-MF", "-o", "-c"):
            if flag in words:
                at = words.index(flag)
                del words[at:at + 2]
        subprocess.run(words + ["-O1", "-w", "-c", str(source), "-o", str(target)], cwd=entry["directory"], check=True)
        return target


def run(command, core):
    """None: it ended well; else what it said, in a line."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    result = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", preexec_fn=limit,
                            env={**os.environ, "LD_LIBRARY_PATH": str(core)})
    if result.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "it does not end"
    if result.returncode == 0:
        return None
    return result.stderr + result.stdout or f"exit {result.returncode}"


@functools.cache
def is_sound(shop, program, *told):
    """The same with nothing edited: who fails there as well has seen nothing."""
    return run([str(shop.folder / program), *told], shop.folder / "sound") is None


def ask_units(shop, folder, _edited):
    for name in shop.names:
        said = run([str(shop.folder / name)], folder)
        if said and is_sound(shop, name):
            failed = re.findall(r"\[  FAILED  \] (?:\S+: )?([a-z]\w+)$", said, re.M)
            failed = failed or re.findall(r"\[ RUN      \] (\w+)", said)
            return f"{name}: {failed[-1] if failed else said.splitlines()[0][:60]}"
    return None


def ask_exhaust(shop, folder, edited):
    told = ("--states", str(STATES))
    shop.link_exhaust(edited, folder / "exhaust")
    said = run([str(folder / "exhaust"), *told], folder)
    if not said or not is_sound(shop, "exhaust", *told):
        return None
    seen = re.search(r"exhaust: scene (.*)", said)
    return seen[1][:90] if seen else said.splitlines()[0][:90]


def ask_sim(shop, folder, _edited):
    for first in range(1, SEEDS + 1, BATCH):
        told = ("--first", str(first), "--seeds", str(BATCH))
        said = run([str(shop.folder / "sim"), *told], folder)
        if said and is_sound(shop, "sim", *told):
            lines = [line for line in said.splitlines() if line.strip()]
            seed = re.search(r"sim: seed (\d+) fails", said)
            return f"seed {seed[1] if seed else first}: {lines[1][:80] if len(lines) > 1 else said[:80]}"
    return None


HUNTERS = {"unit": ask_units, "exhaust": ask_exhaust, "sim": ask_sim}


def hunt(shop, mutant, hunters, ask_all):
    """Who saw it: {hunter: what it said}."""
    seen = {}
    with tempfile.TemporaryDirectory() as out:
        folder = pathlib.Path(out)
        edited = [shop.compile(name, text, folder) for name, text in edit(mutant, shop.root).items()]
        shop.share(shop.changed(edited), folder)
        for name in hunters:
            said = HUNTERS[name](shop, folder, edited)
            if said:
                seen[name] = said
                if not ask_all:
                    break
    return seen


def write_table(path, rows, hunters):
    lines = [f"| mutant | what it does | {' | '.join(hunters)} |", f"|---|---|{'---|' * len(hunters)}"]
    for mutant, seen in sorted(rows, key=lambda row: (row[0].group, row[0].name)):
        cells = [seen.get(name, "-").replace("|", "/") for name in hunters]
        lines.append(f"| {mutant.name} | {mutant.what} | {' | '.join(cells)} |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def report(mutant, seen, seconds):
    words = "; ".join(f"{name}: {said}" for name, said in seen.items()) or mutant.what
    state = "STALE" if "stale" in seen else "caught" if seen else "SURVIVED"
    print(f"{state} {mutant.name} in {seconds:.1f} s: {words}", flush=True)


def judge(shop, mutant, options):
    began = time.monotonic()
    try:
        seen = hunt(shop, mutant, options.by, options.all or options.table)
    except (ValueError, subprocess.CalledProcessError) as error:
        seen = {"stale": str(error)}
    report(mutant, seen, time.monotonic() - began)
    return mutant, seen


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--by", type=lambda text: text.split(","), default=list(HUNTERS), help="unit,exhaust,sim")
    return parser.parse_intermixed_args()


def main():
    options = arguments()
    mutants = read_mutants(pathlib.Path(__file__).resolve().parent / "policy")
    mutants = [m for m in mutants if not options.names or m.name in options.names]
    mutants = [m for at, m in enumerate(mutants) if at % options.every == 0 or is_stale(m, options.root)]

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        shop = Workshop(options.root.resolve(), options.build.resolve(), pathlib.Path(folder))
        rows = list(pool.map(lambda mutant: judge(shop, mutant, options), mutants))
    survived = [mutant.name for mutant, seen in rows if not seen or "stale" in seen]
    if options.table:
        write_table(options.table, rows, options.by)
    print(f"{len(rows) - len(survived)} of {len(rows)} mutants caught")
    return 1 if survived or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
