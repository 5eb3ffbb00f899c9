"""Goal: what the documents show can be copied. Method: each example of baton.h and libbaton(3), and the
programs of contrib/examples, are compiled as C99 and as C++, strictly. Usage: examples.py ROOT CC CXX
"""
import pathlib
import re
import subprocess
import sys

FRAME = """#include <baton/baton.h>
#include <stdio.h>
int example(int steps_left);
void train(struct baton *session, struct baton_claim *claim);
int example(int steps_left)
{
	(void)steps_left;
%s
	return 0;
}
"""
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def of_comments(header):
    """Blocks of comment lines that are indented by a tab."""
    for block in re.findall(r"(?:^ \*(?:\t.*)?\n)+", header, re.M):
        code = re.sub(r"^ \*", "", block, flags=re.M)
        if code.strip():
            yield code


def of_manual(manual):
    for block in re.findall(r"^```\n(.*?)^```", manual, re.M | re.S):
        yield block.replace("\\\\", "\\")


def compiles(compiler, include, code):
    result = subprocess.run([*compiler, *STRICT, "-I", str(include), "-"], input=code, capture_output=True,
                            text=True, check=False)
    return result.stderr if result.returncode else None


def main():
    root, compilers = pathlib.Path(sys.argv[1]), sys.argv[2:]
    include = root / "include"
    found = {
        "baton.h": [FRAME % code for code in of_comments((include / "baton/baton.h").read_text())],
        "libbaton.3": [FRAME % code for code in of_manual((root / "man/libbaton.3.scd").read_text())],
        "contrib/examples": [path.read_text() for path in sorted((root / "contrib/examples").glob("*.c"))],
    }
    problems = 0
    for place, examples in found.items():
        if not examples:
            problems += 1
            print(f"{place}: no example was found")
        for number, code in enumerate(examples, 1):
            for name in compilers:
                is_cxx = "++" in name
                flags = ["-x", "c++", "-std=c++11"] if is_cxx else ["-x", "c", "-std=c99", "-D_POSIX_C_SOURCE=200809L"]
                error = None if is_cxx and place.startswith("contrib") else compiles([name, *flags], include, code)
                if error:
                    problems += 1
                    print(f"{place}, example {number}, {name}:\n{error}")
    print(f"examples: {sum(map(len, found.values()))}, {problems} problems")
    return 1 if problems else 0


sys.exit(main())
