#!/usr/bin/env python3
"""Keeps the documentation true where a program can. Usage: docs.py [ROOT]; 1 when something is wrong.

- Each module of the core and the server stands in docs/architecture.md.
- Each key of the configuration stands in docs/operations.md and in the man page.
- Each relative link of a Markdown file leads to a file.
- docs/conformance.md has a row for each scenario of tests/conformance, in the scenario's own words.
- A heading of a man page stands there once, and baton(1) and the help have each exit status of the table of errors.
"""
import json
import pathlib
import re
import sys

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
KEYS = [("src/config/settings_schema.c", re.compile(r'(?:CYAML_FIELD_\w+\(|\.key = )"(\w+)"')),
        ("src/config/settings_impl.h", re.compile(r"^\tX\((\w+_s), ", re.M))]
MODULE_FOLDERS = ("src/core", "src/server")
KEY_PAGES = ("docs/operations.md", "man/baton-config.5.scd")


def read(path):
    return path.read_text(encoding="utf-8")


def check_modules(root):
    """docs/architecture.md has each module of the core and of the server's own folder."""
    said = set(re.findall(r"`(\w+)`", read(root / "docs" / "architecture.md")))
    for folder in MODULE_FOLDERS:
        for module in sorted({path.stem for path in (root / folder).glob("*.[ch]")} - said):
            yield f"docs/architecture.md: has no line for {folder}/{module}"


def check_keys(root):
    keys = {key for source, pattern in KEYS for key in pattern.findall(read(root / source))}
    if not keys:
        yield "no configuration key was found in the source"
    for page in KEY_PAGES:
        text = read(root / page)
        for key in sorted(keys):
            if not re.search(rf"\b{key}\b", text):
                yield f"{page}: says nothing of the configuration key {key}"


def check_links(root):
    for path in [*root.glob("*.md"), *root.glob("[a-z]*/**/*.md")]:
        parts = path.relative_to(root).parts
        if parts[0].startswith("build") or "node_modules" in parts:
            continue
        text = read(path)
        for match in LINK.finditer(text):
            if re.match(r"\w+:", match[1]) or (path.parent / match[1]).exists():
                continue
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(root)}:{line}: no file {match[1]}"


def check_scenarios(root):
    """Each conformance scenario has its row, in its own words, and no row is of one that is gone."""
    text = read(root / "docs" / "conformance.md")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*?) \| (?:ok|–) \|", text, re.M))
    scenarios = {path.stem: json.loads(read(path))["about"]
                 for path in (root / "tests" / "conformance" / "scenarios").glob("*.json")}
    for name in sorted(rows.keys() | scenarios.keys()):
        if rows.get(name) != scenarios.get(name):
            yield f"docs/conformance.md: the row of {name} and its scenario do not say the same"


def check_man(root):
    for path in sorted((root / "man").glob("*.scd")):
        headings = re.findall(r"(?m)^# (.+)$", read(path))
        for heading in sorted({heading for heading in headings if headings.count(heading) > 1}):
            yield f"{path.relative_to(root)}: {heading} stands there twice"


def check_statuses(root):
    table = re.findall(r'X\(ERR_\w+, "\w+", \d+, (\d+),', read(root / "src" / "base" / "err.h"))
    if not table:
        yield "src/base/err.h: no exit status was found"
    section = read(root / "man" / "baton.1.scd").partition("# EXIT STATUS\n")[2].partition("\n# ")[0]
    overview = re.search(r'"Exit status: .*?",', read(root / "src" / "cli" / "cli.c"), re.S)
    for status in sorted({*table, "64"}):
        if not re.search(rf"(?m)^\*{status}\*$", section):
            yield f"man/baton.1.scd: EXIT STATUS has no {status}"
        if not overview or not re.search(rf"\b{status} ", overview[0]):
            yield f"src/cli/cli.c: the overview has no exit status {status}"


def main(root):
    problems = [*check_modules(root), *check_keys(root), *check_links(root), *check_scenarios(root), *check_man(root),
                *check_statuses(root)]
    for problem in problems:
        print(problem)
    print(f"docs: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parents[2]
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default))
