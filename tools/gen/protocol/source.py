"""source: reads protocol/ (one JSON Schema a message, body or answer, and the table of routes) and the tables
that C keeps as its source: errors and reasons. Nothing else of the generator opens a file of the protocol."""
import json
import pathlib
import re

SIDES = ("client", "broker", "worker", "gateway", "http")
LITERALS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'


def macro_rows(text, name, row):
    """Rows of an X-macro table of C."""
    body = text[text.index(f"#define {name}"):]
    body = body[:re.search(r"[^\\]\n", body).end()].replace("\\\n", "\n")
    return re.findall(row, body)


def joined(literals):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


def rewritten(schema, name_of, group=False):
    """The schema with each `$ref` replaced by name_of(ref, whether what it names is a part of this)."""
    if isinstance(schema, list):
        return [rewritten(item, name_of, group) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: name_of(value, group) if key == "$ref" else rewritten(value, name_of, key == "allOf")
            for key, value in schema.items()}


class Protocol:
    """`schemas` by key ("client/hello"), `types` by name, `routes` in their order."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.folder = self.root / "protocol"
        self.types = self.read("types")["$defs"]
        self.routes = self.read("routes")["routes"]
        self.schemas = {f"{side}/{path.stem}": self.read(f"{side}/{path.stem}")
                        for side in SIDES for path in sorted((self.folder / side).glob("*.json"))}

    def read(self, key):
        return json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))

    def messages(self, side):
        return {key: body for key, body in self.schemas.items() if key.startswith(f"{side}/")}

    def resolve(self, schema, home):
        """The definition that a `$ref` of `home` (a whole schema) names, and its name."""
        name = schema["$ref"].rpartition("/")[2]
        own = schema["$ref"].startswith("#") and name in home.get("$defs", {})
        return (home["$defs"] if own else self.types)[name], name

    def word(self, schema, home):
        """What kind of value it is, for people."""
        if "title" in schema:
            return schema["title"]
        if "$ref" in schema:
            return self.word(self.resolve(schema, home)[0], home)
        if schema.get("const") is True:
            return "true"
        if "const" in schema or "enum" in schema:
            return "text" if "enum" in schema or isinstance(schema["const"], str) else "number"
        return {"string": "text", "integer": "number", "number": "number", "boolean": "true, false",
                "array": "list", "object": "object"}[schema["type"]]

    def fields(self, schema, home=None):
        """(name, property, required, home) of each field, those of groups too. A group that is described in the
        place where it is used stands as (None, group, False, home)."""
        home = home or schema
        needed = schema.get("required", [])
        for name, prop in schema.get("properties", {}).items():
            yield name, prop, name in needed, home
        for group in schema.get("allOf", []):
            if "description" in group:
                yield None, group, False, home
            else:
                yield from self.fields(self.resolve(group, home)[0], {"$defs": {}})

    def names(self, schema, home=None):
        """Every field's name, whatever group it is of."""
        home = home or schema
        found = set(schema.get("properties", {}))
        for group in schema.get("allOf", []):
            found |= self.names(self.resolve(group, home)[0], {"$defs": {}})
        return found

    def errors(self):
        """(code, HTTP status, exit status, seconds until a retry or "", message)"""
        rows = macro_rows((self.root / "src/base/err.h").read_text(encoding="utf-8"), "ERR_TABLE",
                          r'X\(ERR_\w+,\s*"(\w+)",\s*(\d+),\s*(\d+),\s*(\d+),\s*' + LITERALS)
        return [(name, http, leaves, "" if retry == "0" else retry, joined(text))
                for name, http, leaves, retry, text in rows]

    def reasons(self):
        """(code, sentence) of why somebody waits"""
        rows = macro_rows((self.root / "src/core/view.h").read_text(encoding="utf-8"), "WHY_TABLE",
                          r'X\(WHY_\w+,\s*"([\w-]+)",\s*' + LITERALS)
        return [(name, joined(text)) for name, text in rows]

    def examples(self, key):
        """The golden files of a message, as they are on the wire."""
        folder = self.root / "tests/unit/wire/golden"
        found = [path.read_text(encoding="utf-8").strip()
                 for path in sorted(folder.glob(key.replace("/", "-") + "*.json"), key=lambda path: path.stem)]
        return [text for text in found if json.loads(text)["type"] == self.schemas[key]["title"]]
