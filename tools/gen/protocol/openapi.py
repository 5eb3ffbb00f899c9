"""openapi: the routes as an OpenAPI 3.1 document, whose schemas are those of protocol/ as they are: both speak JSON
Schema 2020-12. WebSocket sessions are beyond OpenAPI; docs/protocol.md has them."""
import copy
import json
import re

from source import rewritten

ABOUT = """A GPU lease broker on one machine. Whoever holds the install token claims a GPU (`/v1/gpu/lock`), keeps it
(`renew`) and gives it back (`unlock`); sessions over WebSocket and a Unix socket do the same and more, see
docs/protocol.md. Fields that are not listed are ignored, and `null` reads as absent."""
TAGS = {"claims": "Claim a GPU, keep it, give it back.", "watching": "Who holds, who waits, what happened.",
        "operating": "Acts of an operator; they are kept in the audit.",
        "sites": "Pages of other origins that ask to queue.", "pages": "The pages, and what they are made of."}
# What the checks before the route may answer, whatever the route.
COMMON = ["bad_request", "bad_host", "bad_origin", "method_not_allowed", "not_found", "too_slow", "too_large",
          "headers_too_large", "too_many_connections", "no_memory", "internal"]
BY_RIGHT = {"none": [], "token": ["unauthorized", "rate_limited"],
            "admin": ["unauthorized", "rate_limited", "forbidden"]}
WITH_BODY = ["bad_json", "bad_field", "unsupported_media_type"]


def tag(route):
    path = route["path"]
    if path in ("/v1/gpu/lock", "/v1/gpu/unlock", "/v1/gpu/renew", "/v1/gpu/session"):
        return "claims"
    if path.startswith("/v1/sites") or path == "/v1/pair":
        return "sites"
    if route["right"] == "admin":
        return "operating"
    return "watching" if route["right"] == "token" or path in ("/health", "/logs") else "pages"


def operation_id(route):
    if "operation" in route:  # the path's words are another route's too
        return route["operation"]
    words = [word for word in re.findall(r"[a-z]+", route["path"].replace("/v1/", "/")) if word not in ("gpu", "json")]
    return route["method"].lower() + "".join(word.capitalize() for word in words or ["dashboard"])


def reference(key):
    return {"$ref": f"#/components/schemas/{key.replace('http/', '')}"}


def content(answer):
    if answer.startswith("http/"):
        return {"application/json": {"schema": reference(answer)}}
    if answer == "file":
        return {"*/*": {"schema": {"description": "The file's bytes."}}}
    if answer == "application/json":
        return {answer: {"schema": {"type": "object"}}}
    return {answer: {"schema": {"type": "string"}}} if "/" in answer else None


def answers(protocol, route):
    """{status: response} of what a route answers, refusals too."""
    found = {}
    for status, answer in route["answers"].items():
        held = content(answer)
        words = protocol.schemas.get(answer, {}).get("description") or (route["purpose"] if held else answer)
        found[status] = {"description": words, **({"content": held} if held else {})}
    if "stream" in route:
        found["200"]["content"]["text/event-stream"] = {"schema": {"type": "string", "description": route["stream"]}}
    for status, codes in refusals(protocol, route).items():
        if status in found:
            held = found[status]["content"]["application/json"]
            held["schema"] = {"anyOf": [held["schema"], error_of(route, codes)]}
        else:
            found[status] = {"$ref": f"#/components/responses/{refusal_name(route, status, codes)}"}
    return found


def refusals(protocol, route):
    """{HTTP status: the codes of the table of errors with it} of a route."""
    codes = [*COMMON, *BY_RIGHT[route["right"]], *(WITH_BODY if "body" in route else []), *route.get("errors", [])]
    found = {}
    for code, status, *_ in protocol.errors():
        if code in codes:
            found.setdefault(status, []).append(code)
    return found


def error_with(codes):
    """The form of a refusal that has one of these codes."""
    code = {"properties": {"code": {"enum": codes}}}
    return {"allOf": [reference("http/error")], "type": "object", "properties": {"error": code}}


def is_forwarded(route):
    """Another's API, whose bodies are not ours to describe; errors have the shape that its clients read."""
    return route["answers"].get("200") == "application/json"


def error_of(route, codes):
    return {"type": "object"} if is_forwarded(route) else error_with(codes)


def refusal_name(route, status, codes):
    return f"{status}.{'.'.join(codes)}{'.forwarded' if is_forwarded(route) else ''}"


def refusal_responses(protocol):
    """Each set of codes of one status, once."""
    texts = {code: text for code, _, _, _, text in protocol.errors()}
    found = {}
    for route in protocol.routes:
        for status, codes in refusals(protocol, route).items():
            if status not in route["answers"]:
                found[refusal_name(route, status, codes)] = {
                    "description": "\n".join(f"- `{code}`: {texts[code]}" for code in codes),
                    "content": {"application/json": {"schema": error_of(route, codes)}}}
    return dict(sorted(found.items()))


def parameters(route):
    for name in re.findall(r"\{(\w+)\}", route["path"]):
        schema = {"type": "string"} if name == "path" else {"type": "integer", "minimum": 1, "maximum": 10 ** 18}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for query in route.get("query", []):
        yield {"in": "query", **query}


def operation(protocol, route):
    right = {"none": [], "token": [{"token": []}], "admin": [{"admin": []}]}[route["right"]]
    summary = route["purpose"][0].upper() + route["purpose"][1:]
    made = {"operationId": operation_id(route), "tags": [tag(route)], "summary": summary.replace("`", ""),
            "security": right}
    if "limits" in route or "stream" in route:
        said = [f"Limit: {route['limits']}." if "limits" in route else "", route.get("stream", "")]
        made["description"] = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", " ".join(said).strip())
    listed = list(parameters(route))
    if listed:
        made["parameters"] = listed
    if "body" in route:
        made["requestBody"] = {"required": route.get("body_required", False), "content": content(route["body"])}
    made["responses"] = answers(protocol, route)
    return made


def paths(protocol):
    """Two routes of one path and method differ by what the client accepts: one operation."""
    found = {}
    for route in protocol.routes:
        made, method = operation(protocol, route), route["method"].lower()
        have = found.setdefault(route["path"], {}).setdefault(method, made)
        if have is not made:
            made["responses"]["200"]["content"].update(have["responses"]["200"]["content"])
            made["security"] = [{}, *made["security"]]
            found[route["path"]][method] = made
    return found


def with_null(schema):
    """A body's schema: null reads as absent, so what need not be there may be null."""
    schema = copy.deepcopy(schema)
    needed = schema.get("required", []) + [name for option in schema.get("anyOf", []) for name in option["required"]]
    for name, prop in schema.get("properties", {}).items():
        if name not in needed:
            schema["properties"][name] = {"anyOf": [prop, {"type": "null"}]}
    return schema


def references(schema):
    return re.findall(r'"\$ref": "[^"]*/(\w+)"', json.dumps(schema))


def components(protocol):
    """The schemas of bodies and answers, and the definitions that they use."""
    found = {key.removeprefix("http/"): body for key, body in protocol.messages("http").items()}
    bodies = {route["body"].removeprefix("http/") for route in protocol.routes if "body" in route}
    bodies |= {name for key in bodies for group in found[key].get("allOf", []) for name in references(group)}
    clash = set(found) & set(protocol.types)
    assert not clash, f"protocol/http and protocol/types.json both have {sorted(clash)}"
    waiting = [name for body in found.values() for name in references(body)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = protocol.types[name]
            waiting += references(found[name])
    shown = {name: with_null(body) if name in bodies else body for name, body in found.items()}
    return {name: rewritten({key: value for key, value in body.items() if key not in ("$schema", "title")},
                            lambda ref, group: f"#/components/schemas/{ref.rpartition('/')[2]}")
            for name, body in sorted(shown.items())}


def without_hints(value):
    """Without what only the tables of docs/protocol.md look at."""
    if isinstance(value, list):
        return [without_hints(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without_hints(item) for key, item in value.items() if not key.startswith("x-")}


def render(protocol):
    version = re.search(r"version: '([^']+)'", (protocol.root / "meson.build").read_text(encoding="utf-8"))[1]
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Baton", "version": version, "summary": "A fair lease of the GPU",
                 "description": ABOUT.replace("\n", " "),
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "http://127.0.0.1:8470",
                     "description": "Where a broker listens unless it is told otherwise"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths(protocol),
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "The install token of the state folder."},
                "admin": {"type": "http", "scheme": "bearer",
                          "description": "The admin token of the state folder; over the Unix socket none is needed."}},
            "responses": refusal_responses(protocol),
            "schemas": without_hints(components(protocol))},
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
