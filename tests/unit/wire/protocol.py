"""Goal: docs/protocol.md says what the source does. Method: the tables of errors, reasons, events,
routes and close codes are compared with the source, each message and each field of its golden files must have a
place in the document, and each example must be a golden file. Usage: protocol.py ROOT
"""
import json
import pathlib
import re
import sys

TEXTS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'


def joined(literals):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


def macro(text, name, row):
    """Rows of an X-macro table."""
    body = text[text.index(f"#define {name}"):]
    body = body[:re.search(r"[^\\]\n", body).end()].replace("\\\n", "\n")
    return re.findall(row, body)


def table(document, head):
    """Rows of the table that begins with `head`, cells stripped."""
    rows = document[document.index(head):].split("\n")[2:]
    for row in rows:
        if not row.startswith("|"):
            return
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def section(document, title):
    begin = document.index(f"\n## {title}\n")
    end = document.find("\n## ", begin + 4)
    return document[begin:end if end > 0 else len(document)]


def check_errors(root, document):
    source = [(name, http, exit_code, retry if retry != "0" else "", joined(text)) for
              name, http, exit_code, retry, text in
              macro((root / "src/base/err.h").read_text(), "ERR_TABLE",
                    r'X\(ERR_\w+,\s*"(\w+)",\s*(\d+),\s*(\d+),\s*(\d+),\s*' + TEXTS)]
    shown = [(row[0].strip("`"), *row[1:]) for row in table(document, "| code | HTTP |")]
    yield len(source) > 30, "the error table of base/err.h was not read"
    yield source == shown, f"errors: differ in {sorted(set(source) ^ set(shown))[:4]}, or in their order"


def check_reasons(root, document):
    source = [(name, joined(text)) for name, text in
              macro((root / "src/core/view.h").read_text(), "WHY_TABLE", r'X\(WHY_\w+,\s*"([\w-]+)",\s*' + TEXTS)]
    shown = [(row[0].strip("`"), row[1]) for row in table(document, "| `why.code` |")]
    yield len(source) > 10, "the table of core/view.h was not read"
    yield source == shown, f"reasons: differ in {sorted(set(source) ^ set(shown))[:4]}, or in their order"


def check_traces(root, document):
    source = macro((root / "src/core/trace.h").read_text(), "TRACE_TABLE", r'X\(TRACE_\w+,\s*"([\w-]+)"\)')
    shown = re.findall(r"`([\w-]+)`", re.search(r"^\| `what` \| text \| (of a claim.*)", document, re.M)[1])
    yield len(source) > 20, "the table of core/trace.h was not read"
    yield sorted(source) == sorted(shown), f"events: differ in {sorted(set(source) ^ set(shown))}, or one comes twice"


def check_routes(root, document):
    source = [(method, path, right.lower()) for method, path, right in
              re.findall(r'\{ROUTE_\w+, "(\w+)", "([^"]+)", ACCESS_(\w+)',
                         (root / "src/wire/route.c").read_text())]
    shown = [(row[0].strip("`"), row[1].strip("`"), row[2]) for row in table(document, "| method | path |")]
    yield len(source) > 15, "the table of wire/route.c was not read"
    yield source == shown, f"routes: differ in {sorted(set(source) ^ set(shown))[:4]}, or in their order"


def check_close_codes(root, document):
    shown = {code for row in table(document, "| code | why |") for code in row[0].split(", ")}
    for code in re.findall(r"CLOSE_\w+ = (\d+)", (root / "src/wire/session_decode.h").read_text()):
        yield code in shown, f"close code {code} is not listed"


def check_messages(root, document, side, title):
    """Messages of one side: their parts of the document, golden files and examples agree."""
    part = section(document, title)
    names = re.findall(r"^### `([\w-]+)`$", part, re.M)
    yield len(names) == len(set(names)), f"{title}: a message comes twice"
    files = {path.name: path.read_text().rstrip("\n")
             for path in sorted((root / "tests/unit/wire/golden").glob(f"{side}-*.json"))}
    types = {json.loads(text)["type"] for text in files.values()}
    if side == "broker":
        types.add("status")  # its golden files are those of GET /v1/gpu/status
    yield types == set(names), f"{title}: without file or description: {sorted(types ^ set(names))}"
    for name in names:
        text = re.search(rf"^### `{name}`$(.*?)(?=^#+ |\Z)", part, re.M | re.S)[1]
        known = set(re.findall(r"`([\w-]+)`", text.split("```json")[0]))
        common = {"type", "ref", "lease"} | (set(re.findall(r"^\| `([^|]*)` \|", document, re.M))
                                             if name == "acquire" else set())
        for example in (json.loads(value) for value in files.values()):
            if example["type"] == name:
                missing = set(example) - known - common
                yield not missing, f"{title}: `{name}` has {sorted(missing)}, which are not described"
        for block in re.findall(r"```json\n(.*?)```", text, re.S):
            for line in block.splitlines():
                yield line in files.values(), f"{title}: an example of `{name}` is no golden file: {line[:60]}"


def main(root):
    document = (root / "docs/protocol.md").read_text()
    problems = []
    checks = [check_errors(root, document), check_reasons(root, document), check_traces(root, document),
              check_routes(root, document), check_close_codes(root, document),
              check_messages(root, document, "client", "Client to broker"),
              check_messages(root, document, "broker", "Broker to client")]
    count = 0
    for check in checks:
        for good, words in check:
            count += 1
            if not good:
                problems.append(words)
    for words in problems:
        print(f"docs/protocol.md: {words}")
    print(f"protocol: {count} checks, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
