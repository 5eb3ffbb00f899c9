#!/usr/bin/env python3
"""Each header compiles alone; the public one also as C99, C11 and C++17 without extensions.

Usage: headers.py ROOT COMPILER [CXX]; 1 when a header needs another one first.
"""
import pathlib
import subprocess
import sys


def compile_alone(root, command, header):
    flags = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", str(root / "src"),
             "-I", str(root / "include")]
    source = f'#include "{header}"\n'
    result = subprocess.run(command + flags + ["-"], input=source, capture_output=True, text=True)
    if result.returncode:
        print(f"{header}: does not compile alone with {' '.join(command)}\n{result.stderr}")
    return result.returncode == 0


def main(root, compiler, cxx):
    internal = ["-x", "c", "-std=gnu17", "-D_GNU_SOURCE"]
    problems = count = 0
    for header in sorted((root / "src").rglob("*.h")):
        count += 1
        problems += not compile_alone(root, [compiler, *internal], header.relative_to(root / "src"))
    for header in sorted((root / "include").rglob("*.h")):
        name = header.relative_to(root / "include")
        for standard in ("c99", "c11"):
            count += 1
            command = [compiler, "-x", "c", f"-std={standard}", "-pedantic"]
            problems += not compile_alone(root, command, name)
        if cxx:
            count += 1
            problems += not compile_alone(root, [cxx, "-x", "c++", "-std=c++17", "-pedantic"], name)
    print(f"headers: {count} compiled, {problems} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
