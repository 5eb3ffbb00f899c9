"""document: the parts of docs/protocol.md that are made: contents, tables of routes, errors and reasons, and of
each message its description, fields and examples. They stand between `<!-- protocol: WHAT -->` and
`<!-- /protocol -->`; what is outside is written by hand and left as it is."""
import json
import re
import textwrap

BLOCK = re.compile(r"^(<!-- protocol: (\S+) -->\n)(.*?)^(<!-- /protocol -->)$", re.M | re.S)
HEADING = re.compile(r"^(#{2,3}) (.+)$", re.M)
COLUMNS = 120
DIRECTIONS = {"client": "Client to broker", "broker": "Broker to client",
              "worker": "Worker to broker", "gateway": "Broker to worker"}
SAID_BY_BROKER = ("broker", "gateway")


def anchor(title):
    """As the forges make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def contents(text):
    """A line for each chapter, with its sections behind it."""
    bare = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    chapters = []
    for level, title in HEADING.findall(bare):
        link = f"[{title}](#{anchor(title)})"
        if level == "##":
            chapters.append([f"- {link}"])
        else:
            chapters[-1].append(link)
    for chapter, *sections in chapters[1:]:
        head = chapter + (":" if sections else "")
        yield from packed([head, *[link + "," for link in sections[:-1]], *sections[-1:]], " ", "  ")


def prose(text):
    return textwrap.wrap(text, COLUMNS, break_on_hyphens=False, break_long_words=False)


def packed(parts, glue, indent):
    """The parts on as few lines as they take; none is broken."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(glue) + len(part) > COLUMNS:
            lines.append(indent + part)
        else:
            lines[-1] += glue + part
    return lines


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def limit(protocol, prop, home):
    """What bounds a value: words, the words that it may be, or a number."""
    if "x-limit" in prop:
        return prop["x-limit"]
    whole = {**protocol.resolve(prop, home)[0], **prop} if "$ref" in prop else prop
    if "enum" in whole and "title" not in prop and len(whole["enum"]) < 6:
        return ", ".join(f"`{word}`" for word in whole["enum"])
    if "maxLength" in whole:
        return f"{whole['maxLength']} bytes"
    if "maximum" not in prop:
        return str(whole["maxItems"]) if "maxItems" in prop else ""
    low, high = whole.get("minimum", 0), prop["maximum"]
    return f"{high}" if low == 0 else f"{low} to {high}"


def meaning(protocol, prop, home):
    """The description, behind the words that the value may be; not where it has them itself or says where they are."""
    whole = {**protocol.resolve(prop, home)[0], **prop} if "$ref" in prop else prop
    words, said = [f"`{word}`" for word in whole.get("enum", [])], prop["description"]
    told = said.startswith("`") or "as in `" in said or "](#" in said or all(word in said for word in words)
    return said if told or limit(protocol, prop, home) else f"{', '.join(words)}: {said}"


def default(prop, needed):
    if needed:
        return "required"
    if "x-default" in prop:
        return prop["x-default"]
    return json.dumps(prop["default"]) if "default" in prop else ""


def kind(protocol, side, prop, needed, home):
    word = protocol.word(prop, home)
    return word if needed or side not in SAID_BY_BROKER or word == "true" else word + ", optional"


def field_rows(protocol, side, schema, home):
    """A row for each field that is described, and the sentences for the groups that are not listed."""
    rows, sentences = [], []
    for name, prop, needed, at in protocol.fields(schema, home):
        if name is None:
            sentences.append(prop["description"])
        elif "description" in prop:
            bounds = (default(prop, needed), limit(protocol, prop, at)) if side not in SAID_BY_BROKER else ("", "")
            rows.append([f"`{name}`", kind(protocol, side, prop, needed, at), *bounds,
                         meaning(protocol, prop, at)])
    return rows, sentences


def field_table(protocol, side, schema, home):
    rows, sentences = field_rows(protocol, side, schema, home)
    if rows:
        head = ["field", "type", "default", "limit", "meaning"]
        kept = [at for at in range(5) if at not in (2, 3) or any(row[at] for row in rows)]
        yield ""
        yield from table([head[at] for at in kept], [[row[at] for at in kept] for row in rows])
    for sentence in sentences:
        yield from ["", *prose(sentence)]


def wrapped(text):
    """One JSON text, broken behind commas where it is longer than a line."""
    return packed(re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^",])+,?', text), "", " ")


def message(protocol, key):
    side, name = key.split("/")
    schema = protocol.schemas[key]
    said = f"{DIRECTIONS[side]}. {schema.get('description', '')}" if side in DIRECTIONS else ""
    yield from prose(said.strip())
    yield from field_table(protocol, side, schema, schema)
    for word, inner in schema.get("$defs", {}).items():
        yield from ["", f"Each {word}:"]
        yield from field_table(protocol, side, inner, schema)
    examples = protocol.examples(key) if side in DIRECTIONS else []
    if examples:
        yield from ["", "```json", *[line for text in examples for line in wrapped(text)], "```"]


def routes(protocol):
    rows = [[f"`{route['method']}`", f"`{route['path']}`", route["right"], route["purpose"], route.get("limits", ""),
             ", ".join(f"`{code}`" for code in route.get("errors", []))] for route in protocol.routes]
    yield from table(["method", "path", "right", "what it does", "limits", "errors of its own"], rows)


def errors(protocol):
    yield from table(["code", "HTTP", "exit", "retry after s", "message"],
                     [[f"`{row[0]}`", *row[1:]] for row in protocol.errors()])


def reasons(protocol):
    yield from table(["`why.code`", "`why.text`"], [[f"`{code}`", text] for code, text in protocol.reasons()])


def block(protocol, what, text):
    makers = {"contents": lambda: contents(text), "routes": lambda: routes(protocol),
              "errors": lambda: errors(protocol), "reasons": lambda: reasons(protocol)}
    if what in makers:
        return makers[what]()
    if what not in protocol.schemas:
        raise SystemExit(f"docs/protocol.md: there is no {what} in protocol/")
    return message(protocol, what)


def render(protocol, text):
    """The document with its made parts made anew."""
    return BLOCK.sub(lambda match: match[1] + "\n".join(block(protocol, match[2], text)).strip("\n") + "\n" + match[4],
                     text)


def missing(protocol, text):
    """Messages and tables that have no place in the document, or two."""
    found = [match[2] for match in BLOCK.finditer(text)]
    said = [key for side in DIRECTIONS for key in protocol.messages(side)]
    wanted = [*said, "contents", "routes", "errors", "reasons"]
    return [what for what in wanted if found.count(what) != 1]
