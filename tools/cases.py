#!/usr/bin/env python3
"""Checks that each test that docs/cases.md names exists. Usage: cases.py [ROOT].

A test is named as `folder/file::name`, from tests/ on; the name must stand in that file as a function.
"""
import pathlib
import re
import sys

NAMED = re.compile(r"`([\w./-]+\.(?:py|c|mjs))::(\w+)`")


def main(root):
    text = (root / "docs" / "cases.md").read_text(encoding="utf-8")
    problems = count = 0
    for match in NAMED.finditer(text):
        count += 1
        line = text.count("\n", 0, match.start()) + 1
        path = root / "tests" / match[1]
        if not path.is_file():
            print(f"docs/cases.md:{line}: no file tests/{match[1]}")
            problems += 1
        elif not re.search(rf"\b{match[2]}\s*\(", path.read_text(encoding="utf-8")):
            print(f"docs/cases.md:{line}: tests/{match[1]} has no {match[2]}")
            problems += 1
    print(f"cases: {count} tests named, {problems} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parent.parent
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default))
