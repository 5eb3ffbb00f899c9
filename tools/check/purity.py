#!/usr/bin/env python3
"""Proves that the core does no I/O: what its library leaves unresolved must be on an allow-list.

Usage: purity.py LIBRARY.. ; the first is the one to check, the others are what it may be linked with
(libbase: only those of its objects that the core really pulls in are checked too). Skipped (77) when
the library was built with sanitizers or coverage, which add symbols of their own.
"""
import subprocess
import sys

ALLOWED = {
    # memory and strings
    "malloc", "calloc", "realloc", "reallocarray", "free", "abort",
    "memcpy", "memmove", "memset", "memcmp", "memchr", "strlen", "strnlen", "strcmp", "strncmp",
    "strchr", "strrchr", "strstr", "strndup", "strdup", "strspn", "strcspn", "stpcpy",
    # formatting into memory, sorting, asserts
    "snprintf", "vsnprintf", "qsort", "bsearch", "__assert_fail", "__ctype_b_loc",
    # what the compiler adds: fortify and stack protector
    "__memcpy_chk", "__memmove_chk", "__memset_chk", "__snprintf_chk", "__vsnprintf_chk",
    "__stack_chk_fail", "__strcpy_chk", "__strcat_chk", "_GLOBAL_OFFSET_TABLE_",
}
INSTRUMENTED = ("__asan", "__ubsan", "__tsan", "__msan", "__sanitizer", "__gcov", "__llvm_profile")


def read_objects(library):
    """{object: (defined, undefined)} of a static library."""
    output = subprocess.run(["nm", "-A", "-g", library], capture_output=True, text=True, check=True)
    objects = {}
    for line in output.stdout.splitlines():
        place, _, rest = line.rpartition(":")
        fields = rest.split()
        if len(fields) < 2:
            continue
        kind, symbol = fields[-2], fields[-1]
        defined, undefined = objects.setdefault(place, (set(), set()))
        (undefined if kind in "Uw" else defined).add(symbol)
    return objects


def main(libraries):
    checked = read_objects(libraries[0])
    helpers = {}
    for library in libraries[1:]:
        helpers.update(read_objects(library))
    if any(s.startswith(INSTRUMENTED) for _, undefined in checked.values() for s in undefined):
        print("purity: instrumented build, skipped")
        return 77
    if not checked:
        print(f"purity: {libraries[0]} holds no object")
        return 1

    reached = dict(checked)
    while True:
        defined = set().union(*(d for d, _ in reached.values()))
        wanted = set().union(*(u for _, u in reached.values())) - defined
        found = {name: pair for name, pair in helpers.items()
                 if name not in reached and pair[0] & wanted}
        if not found:
            break
        reached.update(found)

    problems = 0
    for name, (_, undefined) in sorted(reached.items()):
        for symbol in sorted(undefined - defined - ALLOWED):
            print(f"{name}: uses {symbol}: the core may not")
            problems += 1
    print(f"purity: {len(reached)} objects, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
