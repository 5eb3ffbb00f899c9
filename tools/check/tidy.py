#!/usr/bin/env python3
"""The size and habit rules of HACKING.md as a test. Usage: tidy.py [ROOT]; 1 when a rule is broken.

Rules: at most 100 columns in C (a tab is 8), 120 in Python and JavaScript (a tab is 4); 70 lines a
function, 800 lines a file; a comment at the top of each .c; in src a blank line or a comment in each body
of 15 lines, static functions of two words or more, no comment that names a C file which is not there, no
open() that a FIFO could keep waiting; no banned names; no effect inside assert(); no common.h or utils.c;
at least 31 asserts per 1000 code lines in src/core; no leftovers; no address of a package registry, no path
of somebody's home.
"""
import pathlib
import re
import sys

COLUMNS_MAX = {".c": 100, ".h": 100, ".py": 120, ".js": 120, ".mjs": 120}  # JavaScript: 100 by prettier, texts apart
TAB_COLUMNS = {".js": 4, ".mjs": 4}  # else 8
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
ASSERTS_PER_KLOC_MIN = 31
PARAGRAPH_LINES_MAX = 15
STEPS_MAX = 3

ASSERT = r"(?:assert|PRE|POST|INVARIANT)"  # base/contracts.h
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|alloca|rand|srand|strtok|system)\s*\(")
CLOCKS = re.compile(r"(?<![\w.>])(time|clock|clock_gettime|gettimeofday)\s*\(")
OPENS = re.compile(r"(?<![\w.>])(open|openat|fopen|json_load_file)\s*\(")
NEVER_WAITS = re.compile(r'O_NONBLOCK|O_DIRECTORY|O_PATH|O_EXCL|"/dev/|"/proc/')
OPENS_KERNEL_FILES = {"src/process/proc.c", "src/process/cgroup.c", "src/process/job_cgroup.c", "src/server/taken.c",
                      "src/server/restore.c", "src/cli/doctor/check.c"}
OPENS_ANYTHING = {"src/replay/replay.c",  # what a person names at a terminal, who may mean a FIFO
                  "src/server/pages/open_beneath.c"}  # without waiting: the flags are in a variable
BAD_FILE_NAMES = {"common.h", "common.c", "utils.h", "utils.c", "util.h", "util.c", "misc.c", "misc.h"}
LEFTOVERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b(?!\.)")
REGISTRIES = re.compile(
    r"registry\.npmjs\.org|registry\.yarnpkg\.com|pypi\.org|pythonhosted\.org|crates\.io"
    r"|proxy\.golang\.org|rubygems\.org|deb\.debian\.org|archive\.ubuntu\.com")
HOMES = re.compile(r"(?<![\w.$}~])/(?:home|root|Users)/\w")
TEXT_SUFFIXES = {".c", ".h", ".py", ".sh", ".md", ".scd", ".build", ".txt", ".yaml", ".yml", ".json",
                 ".jsonl", ".service", ".socket", ".svg", ".js", ".mjs", ".html", ".css", ""}
SKIPPED_FOLDERS = {".git", "node_modules", "__pycache__", "corpus"}


def strip_code(text):
    """The C text with comments and literals blanked out, same length and lines."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_functions(code):
    """Functions open with a brace at column 0 (clang-format sees to it)."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > FUNCTION_LINES_MAX:
                yield start, f"function of {number - start + 1} lines, at most {FUNCTION_LINES_MAX}"
            start = None


def check_paragraphs(text):
    """A body is read in steps: a blank line or a comment parts them. A switch or a table is one step."""
    lines = text.split("\n")
    start = None
    for at, line in enumerate(lines):
        if line == "{":
            start = at
        elif line == "}" and start is not None:
            body = lines[start + 1:at]
            steps = sum(1 for row in body if re.match(r"\t(?!case |default:)[a-z*]", row))
            if len(body) >= PARAGRAPH_LINES_MAX and steps > STEPS_MAX and not any(
                    not row.strip() or row.lstrip().startswith("/*") for row in body):
                yield start + 1, f"a body of {len(body)} lines in one piece: part its steps"
            start = None


ONE_WORD = re.compile(r"^static (?:inline )?[\w \*]*?\b\*?([a-z]+)\(", re.M)


def check_statics(code):
    for match in ONE_WORD.finditer(code):
        yield line_of(code, match.start()), f"static {match[1]}: say what it does to what, in two words or more"


COMMENT = re.compile(r"/\*.*?\*/", re.S)
C_FILE = re.compile(r"(?<![\w<./-])[\w/-]*?([\w-]+\.[ch])\b(?!>)")


def check_mentions(text, names):
    for comment in COMMENT.finditer(text):
        for match in C_FILE.finditer(comment[0]):
            if match[1] not in names:
                line = line_of(text, comment.start() + match.start())
                yield line, f"the comment names {match[1]}, which is not there"


def assert_arguments(code):
    for match in re.finditer(rf"(?<!\w){ASSERT}\s*\(", code):
        depth = 1
        end = match.end()
        while depth and end < len(code):
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        yield match.start(), code[match.end():end - 1]


def check_asserts(code):
    for offset, argument in assert_arguments(code):
        if re.search(r"\+\+|--|(?<![=!<>])=(?!=)", argument):
            yield line_of(code, offset), "assert with an effect inside"


def check_opens(text, code):
    """Of the text of the call: the code has no literals."""
    for match in OPENS.finditer(code):
        if not NEVER_WAITS.search(text[match.start():code.find(";", match.start())]):
            yield line_of(code, match.start()), f"{match[1]} waits where a FIFO is: base/regular_file.h"


def check_c(path, text, relative, names):
    code = strip_code(text)
    in_core = relative.parts[:2] == ("src", "core")
    if path.suffix == ".c" and not text.lstrip().startswith("/*"):
        yield 1, "begins without a comment that says what it does, does not do, and who calls it"
    if path.name in BAD_FILE_NAMES:
        yield 1, "a name that says nothing; name what it holds"
    yield from check_functions(code)
    yield from check_asserts(code)
    if relative.parts[0] == "src":
        yield from check_paragraphs(text)
        yield from check_statics(code)
        yield from check_mentions(text, names)
        if relative.as_posix() not in OPENS_KERNEL_FILES | OPENS_ANYTHING:
            yield from check_opens(text, code)
    for match in BANNED.finditer(code):
        yield line_of(code, match.start()), f"{match[1]} is banned"
    if in_core:
        for match in CLOCKS.finditer(code):
            yield line_of(code, match.start()), f"{match[1]}: the core reads no clock"


def check_text(text):
    for pattern, words in ((LEFTOVERS, "leftover"), (REGISTRIES, "address of a package registry"),
                           (HOMES, "path of somebody's home")):
        for match in pattern.finditer(text):
            yield line_of(text, match.start()), f"{words}: {match[0]}"


def check_width(text, columns_max, tab_columns):
    for number, line in enumerate(text.split("\n"), 1):
        columns = len(line.expandtabs(tab_columns))
        if columns > columns_max:
            yield number, f"{columns} columns, at most {columns_max}"


def files_of(root):
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(p in SKIPPED_FOLDERS or (i == 0 and p.startswith("build")) for i, p in enumerate(parts)):
            continue
        if path.is_file() and not path.is_symlink() and path.suffix in TEXT_SUFFIXES:
            yield path


def check_density(root):
    """Asserts per 1000 code lines of src/core, (density, lines). What only names other files and structs is no code."""
    names = re.compile(r"#include|struct \w+;$")
    lines = asserts = 0
    for path in (root / "src" / "core").glob("*.[ch]"):
        code = strip_code(path.read_text(encoding="utf-8"))
        lines += sum(1 for line in code.split("\n") if line.strip() and not names.match(line))
        asserts += len(re.findall(rf"(?<!\w)(?:static_assert|{ASSERT})\s*\(", code))
    return (1000 * asserts / lines if lines else 0), lines


def problems_of(root, path, names):
    relative = path.relative_to(root)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        if path.suffix in (".c", ".h", ".py", ".sh", ".md"):
            yield 1, "not UTF-8"
        return
    is_c = path.suffix in (".c", ".h")
    if path.suffix in COLUMNS_MAX:
        yield from check_width(text, COLUMNS_MAX[path.suffix], TAB_COLUMNS.get(path.suffix, 8))
        if text.count("\n") > FILE_LINES_MAX:
            yield FILE_LINES_MAX, f"{text.count(chr(10))} lines, at most {FILE_LINES_MAX}"
    if is_c:
        yield from check_c(path, text, relative, names)
    if path.name != "LICENSE":
        yield from check_text(text)


def main(root):
    problems = count = 0
    paths = list(files_of(root))
    names = {path.name for path in paths} | {"sysexits.h"}
    for path in paths:
        count += 1
        for line, words in problems_of(root, path, names):
            print(f"{path.relative_to(root)}:{line}: {words}")
            problems += 1
    density, lines = check_density(root)
    if lines and density < ASSERTS_PER_KLOC_MIN:
        print(f"src/core: {density:.0f} asserts per 1000 lines, at least {ASSERTS_PER_KLOC_MIN}")
        problems += 1
    print(f"tidy: {count} files, {problems} problems, {density:.0f} asserts per 1000 lines in core")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parents[2]
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default))
