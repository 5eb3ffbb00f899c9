"""typescript: web/sdk/protocol.d.ts, the messages as types that tell themselves apart by `type`."""
import json
import re
import textwrap

SPACES = {"client": ("ToBroker", "What a client says in a session."),
          "broker": ("FromBroker", "What the broker says in a session."),
          "worker": ("ToGateway", "What a worker says, which answers requests."),
          "gateway": ("FromGateway", "What a worker hears."),
          "http": ("Http", "Bodies and answers of the HTTP routes.")}
HEAD = """// protocol: what goes over the wire. Written by `python3 tools/gen/protocol --fix` from protocol/;
// docs/protocol.md says what it means.
"""


def pascal(name):
    return "".join(part.capitalize() for part in re.split(r"[_-]", name))


def is_named(schema):
    """Whether a definition is a named type; the others are plain numbers and texts."""
    return "enum" in schema or "oneOf" in schema or schema.get("type") == "object"


def union(options):
    return " | ".join(dict.fromkeys(options))


def of_type(word, schema, protocol, home):
    if word == "array":
        inner = of(schema["items"], protocol, home)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if word == "object":
        return of_object(schema, protocol, home)
    return {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}[word]


def of_object(schema, protocol, home):
    if "properties" in schema:
        return "{ " + " ".join(members(schema, protocol, home)) + " }"
    value = of(schema["additionalProperties"], protocol, home) if "additionalProperties" in schema else "unknown"
    if "propertyNames" in schema:
        return f"Partial<Record<{of(schema['propertyNames'], protocol, home)}, {value}>>"
    return f"Record<string, {value}>"


def of(schema, protocol, home):
    """The type of a value."""
    if "$ref" in schema and "type" not in schema:
        target, name = protocol.resolve(schema, home)
        return pascal(name) if is_named(target) else of(target, protocol, home)
    if not {"type", "const", "enum", "anyOf", "oneOf"} & set(schema):
        return "unknown"
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return union(json.dumps(word) for word in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema and "type" not in schema:
            return union(of(option, protocol, home) for option in schema[key])
    words = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return union(of_type(word, schema, protocol, home) for word in words)


def members(schema, protocol, home):
    needed = schema.get("required", [])
    for name, prop in schema.get("properties", {}).items():
        yield f"{name}{'' if name in needed else '?'}: {of(prop, protocol, home)};"


def comment(schema, indent):
    text = re.sub(r"\[(.*?)\]\([^)]*\)", r"\1", schema.get("description", ""))
    if not text:
        return []
    text = text[0].upper() + text[1:]
    lines = textwrap.wrap(text, 100 - len(indent) * 4 - len("/**  */"))
    return [f"{indent}{'/**' if at == 0 else ' *'} {line}{' */' if at == len(lines) - 1 else ''}"
            for at, line in enumerate(lines)]


def alias(name, text, indent):
    """Its lines; a word of several parts stays in one."""
    whole = re.sub(r'"[^"]*"', lambda word: word[0].replace(" ", "\u00a0"), text)
    return [line.replace("\u00a0", " ") for line in
            textwrap.wrap(f"export type {name} = {whole};", 92, initial_indent=indent, subsequent_indent=indent + "\t",
                          break_on_hyphens=False)]


def promised(schema, protocol, home):
    """Fields that a group may have, and this that uses it always has."""
    found = {}
    for group in schema.get("allOf", []):
        target = protocol.resolve(group, home)[0]
        found.update({name: prop for name, prop in target.get("properties", {}).items()
                      if name in schema.get("required", []) and name not in target.get("required", [])})
    return found


def declaration(name, schema, protocol, home, indent):
    yield from comment(schema, indent)
    if not {"properties", "allOf"} & set(schema):
        yield from alias(name, of(schema, protocol, home), indent)
        return
    groups = ", ".join(pascal(protocol.resolve(group, home)[1]) for group in schema.get("allOf", []))
    yield f"{indent}export interface {name}{' extends ' + groups if groups else ''} {{"
    needed = schema.get("required", [])
    for field, prop in {**promised(schema, protocol, home), **schema.get("properties", {})}.items():
        yield from comment(prop, indent + "\t")
        yield f"{indent}\t{field}{'' if field in needed else '?'}: {of(prop, protocol, home)};"
    yield f"{indent}}}"


def space(protocol, side):
    name, about = SPACES[side]
    schemas = protocol.messages(side)
    yield from ["", f"/** {about} */", f"export namespace {name} {{"]
    for key, schema in schemas.items():
        for inner, body in schema.get("$defs", {}).items():
            yield from [*declaration(pascal(inner), body, protocol, schema, "\t"), ""]
        yield from [*declaration(pascal(key.split("/")[1]), schema, protocol, schema, "\t"), ""]
    if side != "http":
        yield from alias("Message", " | ".join(pascal(key.split("/")[1]) for key in schemas), "\t")
    yield "}"


def render(protocol):
    lines = [HEAD]
    for name, schema in protocol.types.items():
        if is_named(schema):
            lines += [*declaration(pascal(name), schema, protocol, {"$defs": {}}, ""), ""]
    lines.pop()
    for side in SPACES:
        lines += space(protocol, side)
    return "\n".join(lines) + "\n"
