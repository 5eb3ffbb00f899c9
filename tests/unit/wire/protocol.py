"""Goal: protocol/ says what the source does, and docs/protocol.md shows nothing that is not so. Method: the
golden files and the document's dialogues must be valid by their schemas, which here allow no other field; the
fields that the C source reads and writes for a message, function by function, must be the schema's; words, routes
and close codes are compared with the source's tables. Usage: protocol.py ROOT
"""
import json
import pathlib
import re
import sys

import fields

try:
    import jsonschema
except ImportError:
    sys.exit("protocol.py: needs python3-jsonschema; install it with: tools/dev/deps.sh test")

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
sys.path.insert(0, str(ROOT / "tools" / "gen" / "protocol"))
from source import Protocol, rewritten  # noqa: E402
from typescript import comment  # noqa: E402

# What a function reads or writes that the message never has: who calls it sees to that.
SHARED = {"client/acquire": {"ttl_s"},  # read with a lock's fields, and not heeded: a session has no TTL
          "broker/offered": {"token", "expires_in_s"}}  # written like a grant's, whose values an offer has not
NOT_READ = {"client/renew": {"progress"}}  # for brokers to come

READ_BY = {"client/hello": "parse_hello", "client/acquire": "parse_acquire", "client/admin": "parse_admin",
           "worker/hello": "decode_hello", "worker/models": "decode_offer", "worker/head": "decode_head",
           "worker/piece": "decode_piece", "worker/took": "decode_took", "worker/end": "decode_end",
           "worker/pong": "decode_nothing",
           "http/lock": "http_decode_lock", "http/unlock": "http_decode_unlock", "http/renew": "http_decode_renew",
           "http/alive": "http_decode_alive",
           "http/reason": "http_decode_admin", "http/pair": "route_pair", "http/key_new": "read_new",
           "http/key_revoke": "read_name"}
WRITTEN_BY = {("broker/ok",): ["session_encode_ok"], ("broker/log",): ["session_encode_log"],
              **{(f"gateway/{name}",): [f"worker_encode_{name}"]
                 for name in ("welcome", "request", "body_end", "more", "cancel", "ping")},
              ("broker/denied",): ["session_encode_denied"],
              ("broker/link",): ["session_encode_link"], ("broker/reload",): ["session_encode_reload"],
              ("broker/reloaded",): ["session_encode_reloaded"], ("broker/event",): ["event_encode"],
              ("broker/clients",): ["encode_clients_begin", "encode_clients_add", "encode_clients_end"],
              ("broker/samples",): ["encode_samples_begin", "encode_samples_add", "encode_samples_end"],
              ("http/acquired", "http/renewed", "http/count", "http/released"): ["answer_done"],
              ("http/error",): ["http_encode_error"], ("http/done",): ["http_encode_ok"],
              ("http/history",): ["history_encode_row", "route_history"], ("http/health",): ["route_health"],
              ("http/logs",): ["route_logs"], ("http/reloaded",): ["route_reload"], ("http/paired",): ["answer_ask"],
              ("http/sites",): ["route_sites"], ("http/site",): ["route_site_act"],
              ("http/models",): ["gateway_status", "proxies_status", "proxied_status"],
              ("http/keys",): ["route_keys"], ("http/key_made",): ["make_key"], ("http/key",): ["route_key_revoke"],
              ("http/status", "broker/status"): ["status_encode_begin", "status_encode_gpu",
                                                 "gpu_encode_measured",
                                                 "status_encode_lease", "status_encode_waiter"]}
# Their parts have tables, or are words of the core as keys.
BY_TABLE = {"http/status": {"queued", "request_start_times", "gpus", "leases", "waiting", "voice", "chat", "normal",
                            "background"}}


def is_object(schema):
    return isinstance(schema, dict) and bool({"properties", "allOf"} & set(schema)) and "type" in schema


def shut(schema):
    """The schema with no field beside its own, also in what a field holds."""
    if isinstance(schema, list):
        return [shut(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: {name: shut(prop) for name, prop in value.items()} if key == "properties" else shut(value)
           for key, value in schema.items()}
    return {**out, "unevaluatedProperties": False} if is_object(schema) else out


class Judge:
    """All schemas in one, so that no reference leaves it: each definition as a value, which is shut, and as a
    group, which is a part of what uses it and leaves open what else there is."""

    def __init__(self, protocol):
        self.protocol, self.defs = protocol, {}
        for name, body in protocol.types.items():
            self.add(f"types.{name}", body, {})
        for key, body in protocol.schemas.items():
            for name, inner in body.get("$defs", {}).items():
                self.add(f"{key}.{name}".replace("/", "."), inner, {})
            self.add(key.replace("/", "."), {word: part for word, part in body.items() if word != "$defs"},
                     {name: f"{key}.{name}".replace("/", ".") for name in body.get("$defs", {})})

    def add(self, name, body, own):
        def name_of(ref, group):
            word = ref.rpartition("/")[2]
            inner = own.get(word) if ref.startswith("#") else None
            return f"#/$defs/{'group.' if group else ''}{inner or 'types.' + word}"

        body = rewritten(body, name_of)
        self.defs[name], self.defs[f"group.{name}"] = shut(body), {**shut(body)}
        self.defs[f"group.{name}"].pop("unevaluatedProperties", None)

    def problems(self, key, value):
        whole = {"$defs": self.defs, "$ref": f"#/$defs/{key.replace('/', '.')}"}
        return [f"{'.'.join(map(str, error.absolute_path)) or 'it'}: {error.message}"
                for error in jsonschema.Draft202012Validator(whole).iter_errors(value)]


def check_schemas(judge):
    for key, body in judge.defs.items():
        try:
            jsonschema.Draft202012Validator.check_schema(body)
        except jsonschema.SchemaError as error:
            yield False, f"{key} is no schema: {error.message}"
    known = json.dumps([*judge.protocol.types.values(), *judge.protocol.schemas.values()])
    for name in judge.protocol.types:
        yield f"#/$defs/{name}\"" in known, f"protocol/types.json: nobody uses {name}"


def golden_key(path, value):
    if path.name.startswith("status-"):
        return "http/status"
    return f"{path.name.split('-')[0]}/{value['type']}"


def check_golden(judge):
    """Each golden file is as its schema says, and each message has one."""
    seen = set()
    for path in sorted((ROOT / "tests/unit/wire/golden").glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        key = golden_key(path, value)
        seen.add(key)
        if key not in judge.protocol.schemas:
            yield False, f"{path.name}: there is no protocol/{key}.json"
            continue
        problems = judge.problems(key, value)
        yield not problems, f"{path.name} is not as protocol/{key}.json says: {problems[:2]}"
    said = {key for side in ("client", "broker", "worker", "gateway") for key in judge.protocol.messages(side)}
    missing = said - seen
    # One is the status of HTTP with another first field, the other is a line that net writes.
    yield missing == {"broker/status", "broker/close"}, f"no golden file shows {sorted(missing)}"


def spoken(text):
    """(sign, JSON) of each message in the dialogues: `> {..}` with the lines that continue it."""
    for block in re.findall(r"```\n(.*?)```", text[text.index("\n## Dialogues"):], re.S):
        for sign, said in re.findall(r"^([<>]) (?:data: )?(\{.*(?:\n +.*)*)", block, re.M):
            yield sign, re.sub(r"\n +", "", said).split("\n")[0]


def check_dialogues(judge):
    count = 0
    for sign, said in spoken((ROOT / "docs/protocol.md").read_text(encoding="utf-8")):
        value = json.loads(re.sub(r"<[^>]*>", "x", said))
        key = f"{'client' if sign == '>' else 'broker'}/{value['type']}"
        problems = judge.problems(key, value) if key in judge.protocol.schemas else ["no such message"]
        count += 1
        yield not problems, f"docs/protocol.md: a dialogue's {said[:50]}: {problems[:2]}"
    yield count > 15, "docs/protocol.md: the dialogues were not read"


def deep(protocol, schema, home):
    """Names of all fields, those of what a field holds too."""
    if isinstance(schema, list):
        return set().union(*(deep(protocol, item, home) for item in schema), set())
    if not isinstance(schema, dict) or not schema:
        return set()
    found = set(schema.get("properties", {}))
    if "$ref" in schema:
        target, name = protocol.resolve(schema, home)
        found |= deep(protocol, target, home if name in home.get("$defs", {}) else {})
    for key in ("properties", "items", "allOf", "anyOf", "oneOf", "additionalProperties"):
        value = schema.get(key, {})
        found |= deep(protocol, list(value.values()) if key == "properties" else value, home)
    return found


def differ(key, source, schema):
    more, less = sorted(source - schema), sorted(schema - source)
    return not more and not less, f"{key}: the source has {more}, protocol/ alone has {less}"


def check_reading(protocol, source):
    """What the broker reads of a message or body."""
    rows = source.names("^wire/", r'\{"([\w-]+)",\s+(parse_\w+)\}')
    plain = [name for name, _ in source.names("^wire/", r'\{"([\w-]+)",\s+(REQUEST_\w+),')]
    yield len(rows) > 10 and len(plain) > 4, "the tables of messages in src/wire were not read"
    readers = {**{f"client/{name}": function for name, function in rows}, **READ_BY}
    for key in [*protocol.messages("client"), *(key for key in READ_BY if not key.startswith("client/"))]:
        wanted = deep(protocol, protocol.schemas[key], protocol.schemas[key]) - {"type"} - NOT_READ.get(key, set())
        read = source.read_by(readers[key]) - {"type"} if key in readers else set()
        yield key in readers or key[7:] in plain, f"{key}: the source does not read it"
        yield differ(key, read - SHARED.get(key, set()), wanted)
    for name in [*(name for name, _ in rows), *plain]:
        yield f"client/{name}" in protocol.schemas, f"there is no protocol/client/{name}.json"


def check_sending(protocol, source):
    """What the core's messages are written with."""
    names = dict(source.names("^wire/", r'\[(SEND_\w+)\] = "([\w-]+)"'))
    cases = source.cases("add_body")
    file = source.key_of("add_body")[0]
    numbers = source.of_text(file, source.bodies[file, "add_numbers"], True)  # beside it
    for label, name in names.items():
        key, own = f"broker/{name}", cases.get(label, set())
        yield key in protocol.schemas and label in cases, f"{label}: no protocol/{key}.json, or no case in add_body"
        if key in protocol.schemas:
            wanted = deep(protocol, protocol.schemas[key], protocol.schemas[key]) - {"type"}
            yield differ(key, (own | numbers if wanted & numbers else own) - SHARED.get(key, set()), wanted)


def check_writing(protocol, source):
    """What is written by a function of its own."""
    for keys, functions in WRITTEN_BY.items():
        wanted = set().union(*(deep(protocol, protocol.schemas[key], protocol.schemas[key]) for key in keys))
        wanted |= {"type"} if keys == ("http/status", "broker/status") else set()
        if keys == ("broker/denied",):
            wanted -= {"lease"}  # only add_numbers knows it
        if keys[0] in BY_TABLE:
            wanted -= BY_TABLE[keys[0]] - {"gpus"}
            wanted -= {word for word in protocol.types["end_reason"]["enum"]} - {"timeout", "revoked"}
        yield differ(" ".join(keys), source.written_by(*functions), wanted)
    rest = set(protocol.schemas) - {key for keys in WRITTEN_BY for key in keys} - set(READ_BY)
    rest -= {*protocol.messages("client"), *protocol.messages("broker"), "http/empty"}
    yield not rest, f"nobody compares {sorted(rest)} with the source"


def check_client(protocol, source):
    """What libbaton says and understands."""
    said = {}
    for (file, name), body in source.bodies.items():
        kind = re.search(r'_message\(out, "([\w-]+)"', body)
        if file.startswith("wire/") and kind:
            said[f"client/{kind[1]}"] = source.of_text(file, body, True)
    yield len(said) > 15, "what libbaton says was not read"
    for key, written in said.items():
        strange = written - {"type"} - deep(protocol, protocol.schemas[key], protocol.schemas[key])
        yield not strange, f"{key}: libbaton says {sorted(strange)}, which protocol/ does not know"
    known = set().union(*(deep(protocol, body, body) for body in protocol.messages("broker").values()))
    strange = source.read_by("client_decode") - known
    yield not strange, f"libbaton reads {sorted(strange)}, which protocol/ does not know"


def words_of(path, pattern):
    return re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"))


def check_words(protocol):
    """Enumerations against the tables of names in C."""
    types = "src/core/types.c"
    tables = {"error_code": [row[0] for row in protocol.errors()], "why_code": [row[0] for row in protocol.reasons()],
              "bound_code": words_of("src/core/view.h", r'X\(BOUND_(?!GIVEN)\w+,\s*"([\w-]+)"'),
              "grants_code": words_of("src/core/view.h", r'X\(GRANTS_(?!ALLOWED)\w+,\s*"([\w-]+)"'),
              "event_what": words_of("src/core/trace.h", r'X\(TRACE_\w+,\s*"([\w-]+)"'),
              "class": words_of(types, r'\[LEASE_\w+\] = "([\w-]+)"'),
              "claim_state": [*words_of(types, r'\[CLAIM_\w+\] = "([\w-]+)"'), "stopping"],  # of wire/status_encode.c
              "end_reason": words_of(types, r'\[END_(?!NONE)\w+\] = "([\w-]+)"'),
              "yield_reason": words_of(types, r'\[YIELD_\w+\] = "([\w-]+)"'),
              "residence": words_of("src/gateway/model.c", r'\[RESIDENCE_\w+\] = "([\w -]+)"'),
              "switch_state": words_of("src/gateway/switch_log.c", r'\[SWITCH_(?!NONE)\w+\] = "([\w -]+)"'),
              "binding": words_of("src/core/binding.c", r'\[BIND_\w+\] = \{\.name = "([\w-]+)"'),
              "admin_act": words_of("src/wire/session_decode.c", r'\[ADMIN_\w+\] = "([\w-]+)"')}
    for name, words in tables.items():
        shown = protocol.types[name]["enum"]
        yield len(words) > 2 and sorted(words) == sorted(shown), \
            f"types.json: {name} differs from the source in {sorted(set(words) ^ set(shown))}"
    text = protocol.schemas["broker/event"]["properties"]["what"]["description"]
    shown = re.findall(r"`([\w-]+)`", text)
    yield sorted(shown) == sorted(tables["event_what"]), \
        f"broker/event: `what` describes others than there are: {sorted(set(shown) ^ set(tables['event_what']))}"


def check_routes(protocol):
    source = [(method, path, right.lower(), "ROUTE_JSON" in flags, about) for method, path, right, flags, about in
              words_of("src/wire/route_table.h",
                       r'X\(ROUTE_\w+, "(\w+)", "([^"]+)", ACCESS_(\w+),([^"]*)"([^"]+)"\)')]
    shown = [(route["method"], route["path"], route["right"], "body" in route, route["purpose"])
             for route in protocol.routes]
    yield len(source) > 15, "the table of wire/route_table.h was not read"
    yield source == shown, f"routes: differ in {sorted(set(source) ^ set(shown))[:4]}, or in their order"
    codes = {row[0] for row in protocol.errors()}
    for route in protocol.routes:
        strange = set(route.get("errors", [])) - codes
        yield not strange, f"{route['path']}: there is no error {sorted(strange)}"
        for answer in [*route["answers"].values(), *([route["body"]] if "body" in route else [])]:
            yield not answer.startswith("http/") or answer in protocol.schemas, f"{route['path']}: there is no {answer}"


def check_close_codes():
    document = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \|", document[document.index("| code | why |"):], re.M)
    shown = {code for row in rows for code in row.split(", ")}
    for code in words_of("src/wire/session_decode.h", r"CLOSE_\w+ = (\d+)"):
        yield code in shown, f"docs/protocol.md: close code {code} is not listed"


def check_comments():
    """A comment of web/sdk/protocol.d.ts, of any length, says each word once and fits its lines."""
    for length in range(1, 250):
        text = ("Ten words " * 30)[:length].strip()
        lines = comment({"description": text}, "\t")
        said = " ".join(re.findall(r"\w+", " ".join(lines)))
        yield said == text and max(map(len, lines)) + 3 <= 100, f"protocol.d.ts: a comment of {length} characters"


def main():
    protocol, source = Protocol(ROOT), fields.Source(ROOT)
    judge = Judge(protocol)
    checks = [check_schemas(judge), check_golden(judge), check_dialogues(judge), check_reading(protocol, source),
              check_sending(protocol, source), check_writing(protocol, source), check_client(protocol, source),
              check_words(protocol), check_routes(protocol), check_close_codes(), check_comments()]
    results = [result for check in checks for result in check]
    problems = [words for good, words in results if not good]
    for words in problems:
        print(words)
    print(f"protocol: {len(results)} checks, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
