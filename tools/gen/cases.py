#!/usr/bin/env python3
"""Writes the tables of docs/cases.md from tests/cases/*.json. Usage: cases.py [--root ROOT] --check | --fix

A file is a table: a list of cases, each {"id", "case", "must", "tests", "untested"}. `must` is what has to happen; a
table of defects has none, for those must not happen. A test is `file::name` from tests/ on, a whole `file`, or
`make TARGET`; {"shows", "by"} says what some of them show. A case has a test, or `untested` says why not.

--check fails when a test is not there, a case has neither test nor reason, or the tables are older than the data.
"""
import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT, DATA = "docs/cases.md", "tests/cases"
BLOCK = re.compile(r"^(<!-- cases: (\w+) -->\n)(.*?)^(<!-- /cases -->)$", re.M | re.S)
FIELDS = {"id", "case", "must", "tests", "untested"}
DEFINED = {
    ".py": r"^\s*(?:async )?def {}\(",
    ".c": r"^static \w[\w *]*\b{}\(",
    ".mjs": r"\b(?:test|it)\(\s*[\"`]{}[\"`]",
}


def read(path):
    return path.read_text(encoding="utf-8")


def tables(root):
    return {path.stem: json.loads(read(path)) for path in sorted((root / DATA).glob("*.json"))}


def groups(case):
    """(what they show, the tests), those without words first."""
    tests = case.get("tests", [])
    yield "", [test for test in tests if isinstance(test, str)]
    for test in tests:
        if isinstance(test, dict):
            yield test["shows"], test["by"]


def located(root, file):
    """A test's file; a check of the source tree stands outside of tests/."""
    return next((path for path in (root / "tests" / file, root / file) if path.is_file()), None)


def missing_test(root, test):
    """What is wrong with a test's name; None: nothing."""
    if test.startswith("make "):
        target = rf"^{re.escape(test[5:])}:"
        return None if re.search(target, read(root / "Makefile"), re.M) else f"no target {test}"
    file, _, name = test.partition("::")
    path = located(root, file)
    if not path:
        return f"no file tests/{file}"
    pattern = DEFINED.get(path.suffix, "").format(re.escape(name))
    return None if not name or re.search(pattern, read(path), re.M) else f"{file} has no {name}"


def problems_of_case(root, case, with_must):
    tests = [test for _, by in groups(case) for test in by]
    if case.keys() - FIELDS or not case.get("case"):
        yield f"has no text, or a field that is none of {', '.join(sorted(FIELDS))}"
    if ("must" in case) != with_must:
        yield "says what must happen, or does not, unlike the others of its table"
    if not tests and not case.get("untested"):
        yield "has no test and does not say why"
    if any(not by for shows, by in groups(case) if shows):
        yield "says what no test shows"
    for test in tests:
        if wrong := missing_test(root, test):
            yield wrong


def problems(root):
    for name, cases in tables(root).items():
        with_must = any("must" in case for case in cases)
        for case in cases:
            for problem in problems_of_case(root, case, with_must):
                yield f"{DATA}/{name}.json: {case.get('id') or case.get('case')}: {problem}"


def shown_tests(root, tests):
    """Each file once, as a link, with the names of its tests behind it."""
    files = {}
    for test in tests:
        file, _, name = test.partition("::")
        files.setdefault(file, []).append(name)
    for file, names in files.items():
        path = located(root, file)
        shown = f"[{file}](../{path.relative_to(root)})" if path else f"`{file}`"
        names = ", ".join(f"`{name}`" for name in names if name)
        yield f"{shown}: {names}" if names else shown


def proof(root, case):
    lines = []
    for shows, tests in groups(case):
        found = list(shown_tests(root, tests))
        if found and shows:
            found[0] = f"*{shows}*: {found[0]}"
        lines += found
    if "untested" in case:
        lines.append(f"not tested: {case['untested']}")
    return "<br>".join(lines)


def table(root, cases):
    fields = [field for field in ("id", "case", "must") if any(field in case for case in cases)]
    titles = {"id": "#", "case": "case" if "must" in fields else "what went wrong", "must": "what must happen"}
    yield "| " + " | ".join([*(titles[field] for field in fields), "tests"]) + " |"
    yield "|" + "---|" * (len(fields) + 1)
    for case in cases:
        yield "| " + " | ".join([*(case.get(field, "") for field in fields), proof(root, case)]) + " |"


def render(root, text):
    made = {name: "".join(line + "\n" for line in table(root, cases)) for name, cases in tables(root).items()}
    return BLOCK.sub(lambda block: block[1] + made.get(block[2], block[3]) + block[4], text)


def unplaced(root, text):
    """Tables that the document has no place for, and places without a table."""
    return sorted(set(tables(root)) ^ {name for _, name, _, _ in BLOCK.findall(text)})


def check(root):
    path = root / DOCUMENT
    found = [*problems(root), *(f"{DOCUMENT}: no table, or no place for {name}" for name in unplaced(root, read(path)))]
    if render(root, read(path)) != read(path):
        found.append(f"{DOCUMENT}: is older than {DATA}; write it with: python3 tools/gen/cases.py --fix")
    for problem in found:
        print(problem)
    print(f"cases: {sum(map(len, tables(root).values()))} cases, {len(found)} problems")
    return 1 if found else 0


def fix(root):
    path = root / DOCUMENT
    path.write_text(render(root, read(path)), encoding="utf-8")
    return 0


def main(argv):
    parser = argparse.ArgumentParser(prog="cases.py", description=__doc__.split(".")[0])
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--fix", action="store_true")
    options = parser.parse_args(argv)
    return (fix if options.fix else check)(options.root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
