#!/usr/bin/env python3
"""Each member of a struct that is exported or journalled has a row in its table, or is named there as
one that is made anew; pointers to structs and nodes of lists, trees and tables always are.
Usage: fields.py [ROOT]; 1 when a struct grew and its table did not.

A table is what stands between `#define T struct NAME` and `#undef T` in src/core/*.c. Its rows are
ROW..(T, tag, .. member ..); a comment "Made anew: a, b." names the members that need none, "Apart: a."
those that are written elsewhere.
"""
import pathlib
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
TABLE = re.compile(r"^#define T struct (\w+)\n(.*?)^#undef T", re.S | re.M)
ROW = re.compile(r"ROW\w*\(T,\s*(\d+),\s*([^)]*)")
ANEW = re.compile(r"(?:Made anew|Apart):(.*?)\.", re.S)
KNOTS = "list|hash|hash_node|heap|heap_node|rank_tree|rank_node|effects?"
LINKS = re.compile(rf"^\s*(?:const )?struct (?:(?:{KNOTS})\s|\w+ \*)")
KINDS = re.compile(r"^FIELD_\w+$")


def body_of(text, name):
    """The text between the braces of `struct name {`, or None."""
    start = re.search(rf"\bstruct {name} \{{", text)
    if not start:
        return None
    depth, at = 1, start.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return text[start.end():at - 1]


def members_of(body):
    """{name: whether it is a link} of a struct's members; what is nested counts as one."""
    while (flat := re.sub(r"\{[^{}]*\}", "", body)) != body:
        body = flat
    members = {}
    for declaration in body.split(";"):
        for part in re.sub(r"\[[^\]]*\]", "", declaration).split(","):
            words = re.findall(r"\w+", part)
            if words:
                members[words[-1]] = bool(LINKS.match(declaration))
    return members


def check_table(name, table, headers):
    rows = ROW.findall(table)
    tags = [int(tag) for tag, _ in rows]
    carried = set()
    for _, arguments in rows:
        words = [w.strip() for w in arguments.split(",")]
        carried.add((words[1] if KINDS.match(words[0]) else words[0]).split(".")[0])
    anew = {word for text in ANEW.findall(table) for word in re.findall(r"\w+", text)}
    body = next((b for text in headers if (b := body_of(text, name)) is not None), None)
    if body is None:
        yield f"struct {name} is in no header of src/core and src/base"
        return
    members = members_of(body)
    for member, link in members.items():
        if not link and member not in carried | anew:
            yield f"struct {name}: `{member}` has no row and is not made anew"
    for member in sorted((carried | anew) - set(members)):
        yield f"struct {name}: there is no `{member}`"
    for member in sorted(carried & anew):
        yield f"struct {name}: `{member}` has a row, and is made anew"
    if tags != sorted(set(tags)):
        yield f"struct {name}: its tags do not rise"


def main(root):
    core = root / "src" / "core"
    paths = sorted(core.glob("*.h")) + sorted((root / "src" / "base").glob("*.h"))
    headers = [COMMENT.sub(" ", path.read_text(encoding="utf-8")) for path in paths]
    problems = count = 0
    for path in sorted(core.glob("*.c")):
        for name, table in TABLE.findall(path.read_text(encoding="utf-8")):
            count += 1
            for problem in check_table(name, table, headers):
                print(f"{path.relative_to(root)}: {problem}")
                problems += 1
    print(f"fields: {count} tables, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
