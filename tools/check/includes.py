#!/usr/bin/env python3
"""How much of the project a file of src/ sees, and whether a function is declared where one looks for it.
Usage: includes.py [ROOT] [-v]; 1 when one of the ceilings below is exceeded. -v names the files and functions.

Seen: the project's headers that a .c includes, and those that these include, and so on. At most 25 is the
aim; a header that only passes pointers on declares `struct name;` and includes nothing for them.

Declared: a function that is not static stands in the header of its file's name. `part_step.c` may also have
it in `part.h`, and in `part_impl.h` or `part_private.h`, which only part*.c include: a part that is one contract
with several files behind it. Functions of include/ are apart: there the header is the library's.

The ceilings are what was reached; who gets below one lowers it, and nobody raises one.
"""
import pathlib
import re
import statistics
import sys

SEEN_MEDIAN_MAX = 8
SEEN_MAX = 103
SEEN_AIM = 25
BEYOND_AIM_MAX = 73  # .c files that see more
ELSEWHERE_MAX = 0  # functions declared in a header of another name

INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.M)
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:.*\\\n)*.*$", re.M)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)+", re.S)
NAMED = re.compile(r"[\w\s*]*?[\s*](\w+)\s*\(")


def code_of(path):
    """The C text without comments, literals and lines of the preprocessor."""
    text = TOKEN.sub(" ", path.read_text(encoding="utf-8"))
    return ATTRIBUTE.sub(" ", DIRECTIVE.sub("", text))


def headers_seen(root):
    """{.c below src/: the project's headers that it sees}."""
    includes = {}
    for top in ("src", "include"):
        for path in (root / top).rglob("*.[ch]"):
            name = path.relative_to(root / top).as_posix()
            includes[name] = INCLUDE.findall(path.read_text(encoding="utf-8"))
    seen = {}
    for name in includes:
        if name.endswith(".c"):
            found, rest = set(), list(includes[name])
            while rest:
                header = rest.pop()
                if header in includes and header not in found:
                    found.add(header)
                    rest += includes[header]
            seen[name] = found
    return seen


def name_of(statement):
    """The function that a statement declares or a definition's head names, or None."""
    match = NAMED.match(statement)
    words = statement.split("(")[0].split()
    return match[1] if match and not {"static", "typedef", "extern"} & set(words) else None


def declarations(root):
    """{function: stems of the headers below src/ and include/ that declare it}."""
    declared = {}
    for top in ("src", "include"):
        for path in (root / top).rglob("*.h"):
            code, before = code_of(path), None
            while code != before:
                before, code = code, re.sub(r"\{[^{}]*\}", ";", code)
            for statement in code.split(";"):
                name = name_of(" " + statement.strip())
                if name:
                    declared.setdefault(name, set()).add((top, path.stem))
    return declared


def definitions(root):
    """(.c, function) of each that is not static. A body opens with a brace at column 0."""
    for path in sorted((root / "src").rglob("*.c")):
        lines = code_of(path).split("\n")
        for at, line in enumerate(lines):
            if line != "{":
                continue
            start = at
            while start > 0 and lines[start - 1].strip() and not lines[start - 1].rstrip().endswith((";", "}")):
                start -= 1
            name = name_of(" " + " ".join(lines[start:at]))
            if name and name != "main":
                yield path.relative_to(root).as_posix(), name


def is_home(stem, header):
    """Whether header.h is where one looks for what stem.c defines."""
    part = re.sub(r"_(impl|private)$", "", header)
    return stem == header or stem == part or stem.startswith(part + "_")


def declared_elsewhere(root):
    """(.c, function, header's stem)."""
    declared = declarations(root)
    for path, name in definitions(root):
        homes = declared.get(name, set())
        stem = pathlib.PurePosixPath(path).stem
        if homes and not any(top == "include" or is_home(stem, header) for top, header in homes):
            yield path, name, sorted(homes)[0][1]


def main(root, verbose):
    seen = headers_seen(root)
    counts = {name: len(headers) for name, headers in seen.items()}
    elsewhere = list(declared_elsewhere(root))
    beyond = sorted((name for name in counts if counts[name] > SEEN_AIM), key=lambda name: (-counts[name], name))
    measures = [
        ("headers that one .c sees, median", statistics.median(counts.values() or [0]), SEEN_MEDIAN_MAX),
        ("headers that one .c sees, most", max(counts.values(), default=0), SEEN_MAX),
        (f".c files that see more than {SEEN_AIM}", len(beyond), BEYOND_AIM_MAX),
        ("functions declared in a header of another name", len(elsewhere), ELSEWHERE_MAX),
    ]
    problems = sum(value > most for _, value, most in measures)
    if verbose or any(value > most for _, value, most in measures[:3]):
        for name in beyond:
            print(f"src/{name}: sees {counts[name]} headers, at most {SEEN_AIM}")
    if verbose or len(elsewhere) > ELSEWHERE_MAX:
        for path, name, header in elsewhere:
            print(f"{path}: {name} is declared in {header}.h")
    for words, value, most in measures:
        print(f"includes: {words}: {value:g}, ceiling {most}" + (" exceeded" if value > most else ""))
    return 1 if problems or not counts else 0


if __name__ == "__main__":
    arguments = [word for word in sys.argv[1:] if word != "-v"]
    default = pathlib.Path(__file__).resolve().parents[2]
    sys.exit(main(pathlib.Path(arguments[0]) if arguments else default, "-v" in sys.argv))
