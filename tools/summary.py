#!/usr/bin/env python3
"""Sums up meson test logs (make-test.json of each build) in one last line: "N passed, N failed".

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
    if skipped:
        print(f"summary: {skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
