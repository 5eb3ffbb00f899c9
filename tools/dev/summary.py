#!/usr/bin/env python3
"""Sums up meson test logs (make-test.json of each build) in one last line: "N passed, N failed". Before it
each test case that failed has a line: where, what, and the command that repeats it.

Counts test cases where the program says how many it ran (cmocka, unittest, node:test), else the program as one.
"""
import json
import re
import sys

CMOCKA = re.compile(r"^\[  (PASSED|FAILED)  \] (\d+) test\(s\)", re.M)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_BAD = re.compile(r"^FAILED \(([^)]*)\)", re.M)
# node --test, in its forms for terminals and for pipes; the last of each is the whole run's
NODE = re.compile(r"^(?:#|\N{INFORMATION SOURCE}) (pass|fail|skipped) (\d+)$", re.M)
UNITTEST_SKIPPED = re.compile(r"^(?:OK|FAILED) \([^)]*skipped=(\d+)", re.M)

# What failed, by program: (where or name, error or "").
NODE_BAD = re.compile(r"^ *not ok \d+ - (.*)\n(?: .*\n)*? +location: '(?:.*/)?(tests/web/[^']*)'"
                      r"(?:\n .*)*?\n +error: (?:'(.*)'|\|-\n +(.*))", re.M)
UNITTEST_CASE = re.compile(r"^(?:FAIL|ERROR): (\w+) \(([\w.]+)\)(?:.*\n)*?"
                           r"^(?:  \| )?([\w.]+(?:Error|Exception|Group|Expired|Timeout)\b.*)$", re.M)
CMOCKA_CASE = re.compile(r"^\[  ERROR   \] --- (.*)\n\[   LINE   \] --- (\S+):", re.M)


def failed_cases(test):
    """A line for each case of one program that failed, with the command that repeats it."""
    output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    name = test["name"].split(" / ")[-1]
    for title, where, short, long in NODE_BAD.findall(output):
        yield f"{where}: {title}: {short or long} (again: make web FILES={where.split(':')[0]})"
    for case, whole, error in UNITTEST_CASE.findall(output):
        yield f"{whole}: {error} (again: {repeat_command(test, case)})"
    for error, where in CMOCKA_CASE.findall(output):
        yield f"{name}: {where}: {error}"


def repeat_command(test, case):
    script = next((word for word in test.get("command", []) if word.endswith(".py")), "")
    script = re.sub(r"^.*?(tests/)", r"\1", script)
    return f"BATON_BIN=$PWD/build/baton python3 {script} -k {case}"


def count_cases(test):
    """(passed, failed, skipped) of one program's run."""
    output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    ok = test["result"] in ("OK", "EXPECTEDFAIL")
    if test["result"] == "SKIP":
        return 0, 0, 1
    passed = failed = skipped = 0
    for word, count in CMOCKA.findall(output):
        passed += int(count) if word == "PASSED" else 0
        failed += int(count) if word == "FAILED" else 0
    for count in UNITTEST_RAN.findall(output):
        passed += int(count)
    for detail in UNITTEST_BAD.findall(output):
        bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", detail))
        failed += bad
        passed -= bad
    for count in UNITTEST_SKIPPED.findall(output):
        skipped += int(count)
        passed -= int(count)
    node = {word: int(count) for word, count in NODE.findall(output)}
    passed += node.get("pass", 0)
    failed += node.get("fail", 0)
    skipped += node.get("skipped", 0)
    if ok:
        return max(passed, 1) if skipped == 0 else passed, failed, skipped
    return passed, max(failed, 1), skipped


def main(paths):
    passed = failed = skipped = 0
    for path in paths:
        try:
            with open(path, encoding="utf-8") as log:
                tests = [json.loads(line) for line in log if line.strip()]
        except OSError as error:
            print(f"summary: {error}")
            failed += 1
            continue
        for test in tests:
            p, f, s = count_cases(test)
            passed, failed, skipped = passed + p, failed + f, skipped + s
            if f:
                print(f"summary: failed: {test['name']} ({path})")
                for line in sorted(set(failed_cases(test))):
                    print(f"summary:   {line[:300]}")
    if skipped:
        print(f"summary: {skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
