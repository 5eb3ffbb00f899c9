"""Makes of protocol/ what others read: the tables of docs/protocol.md, web/sdk/protocol.d.ts, the error codes of
clients/python, and the OpenAPI document that the daemon serves. Usage: protocol [--root ROOT] WHAT, where WHAT is
  --check        1 when one that is kept in the tree is older than its source
  --fix          writes them
  --openapi OUT  writes the OpenAPI document; with --depfile FILE also what it was made of, for the build
"""
import argparse
import pathlib
import sys

import document
import openapi
import python
import typescript
from source import Protocol

ROOT = pathlib.Path(__file__).resolve().parents[3]
DOCUMENT, TYPES = "docs/protocol.md", "web/sdk/protocol.d.ts"
PYTHON = "clients/python/baton/_errors.py"


def made(protocol, root):
    """(path, text) of each file that is made and kept in the tree."""
    yield root / DOCUMENT, document.render(protocol, (root / DOCUMENT).read_text(encoding="utf-8"))
    yield root / TYPES, typescript.render(protocol)
    yield root / PYTHON, python.render(protocol, (root / PYTHON).read_text(encoding="utf-8"))


def sources(root):
    """The files that all is made of, and their folders: a new one is not missed."""
    here = pathlib.Path(__file__).parent
    tables = [root / path for path in ("src/base/err.h", "src/core/view.h", "meson.build")]
    return [root / "protocol", *sorted((root / "protocol").rglob("*")), *tables, *sorted(here.glob("*.py"))]


def fix(protocol, root):
    for path, text in made(protocol, root):
        path.write_text(text, encoding="utf-8")
    return 0


def check(protocol, root):
    problems = [f"{DOCUMENT}: has no place for {what}, or two"
                for what in document.missing(protocol, (root / DOCUMENT).read_text(encoding="utf-8"))]
    for path, text in made(protocol, root):
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            problems.append(f"{path.relative_to(root)}: is older than protocol/; "
                            "write it with: python3 tools/gen/protocol --fix")
    for problem in problems:
        print(problem)
    print(f"protocol: {len(protocol.schemas)} schemas, {len(protocol.routes)} routes, {len(problems)} problems")
    return 1 if problems else 0


def main(argv):
    parser = argparse.ArgumentParser(prog="protocol", description=__doc__.split(".")[0])
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--fix", action="store_true")
    what.add_argument("--openapi", type=pathlib.Path, metavar="OUT")
    parser.add_argument("--depfile", type=pathlib.Path)
    options = parser.parse_args(argv)
    protocol = Protocol(options.root)
    if options.openapi:
        options.openapi.write_text(openapi.render(protocol), encoding="utf-8")
        if options.depfile:
            options.depfile.write_text(f"{options.openapi}: {' '.join(map(str, sources(options.root)))}\n",
                                       encoding="utf-8")
        return 0
    return (fix if options.fix else check)(protocol, options.root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
