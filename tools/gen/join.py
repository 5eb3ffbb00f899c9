"""Joins what a page imports into one script, so that a browser asks for one file and not for forty. Each module
becomes a function that runs when it is first imported, in a scope of its own; only comments that are whole lines are
left out. What a page runs early stands in the page itself: it begins before anything else has come. The sources stay
as they are, and are what `--dev` serves. For embed.py, while Baton is built.
"""
import base64
import hashlib
import re

from preload import ENTRY, LINE, LINES, graph, imports, resolve, source_of

COMMENT = re.compile(r"^[ \t]*(?://[^\n]*|/\*(?:(?!\*/).)*\*/[ \t]*)\n", re.M | re.S)
FROM = re.compile(r'^(import|export)\s+([\w*{}$,\s]+?)\s+from\s+"([^"]+)";\n', re.M)
BARE = re.compile(r'^import\s+"([^"]+)";\n', re.M)
LATER = re.compile(r'(?<![{<|,])(?<!typeof )\bimport\((?:"([^"]+)")?')
LOCAL = re.compile(r"^export \{([^}]*)\};\n", re.M)
MADE = re.compile(r"^export ((?:async )?function\*?|class|const) (\w+)", re.M)
SCRIPT = re.compile(r'<script type="module"[^>]*></script>\n')
# Beside which a joined page finds the worker of its session, joined as well; and what that begins with.
HOMES = {"/sdk/home.js": "/sdk/joined/home.js"}
WORKER = ("/sdk/worker.js", "/sdk/joined/worker.js")

HEAD = """// Written when Baton was built (tools/gen/join.py): the modules of a page, each as a function. Their
// sources, with all comments, are served where their names say.
const $modules = {
"""
TAIL = """};
const $taken = TAKEN;
const $take = (url) => ($taken[url] ??= $modules[url]());
const $load = (url) => (url in $modules ? $take(url) : import(url));
"""
# Of a page, before anything that it asks for; the script that it asks for goes on with the same modules.
INLINE = ('<script>\n"use strict";\n{\n', "}\n</script>\n")
BEGUN = "globalThis.$begun"
PARSED = """if (document.readyState === "loading")
\tawait new Promise((done) => document.addEventListener("DOMContentLoaded", done));
"""


def pairs(names):
    """The names in braces, as (what it is called there, what here)."""
    parts = [part.strip().partition(" as ") for part in names.strip("{} \n").split(",") if part.strip()]
    return [(there, here or there) for there, _, here in parts]


def bound(names):
    """What an import binds, as the left side of a declaration."""
    if names.startswith("* as "):
        return names[len("* as "):]
    named = pairs(names) if names.startswith("{") else [("default", names)]
    return "{ " + ", ".join(f"{there}: {here}" for there, here in named) + " }"


class Module:
    """One source, as a function of the joined script."""

    def __init__(self, web, url):
        self.web, self.url = web, url
        self.needs, self.exported = [], {}
        text = COMMENT.sub("", source_of(web, url).read_text(encoding="utf-8"))
        text = FROM.sub(self.take, text)
        text = BARE.sub(lambda match: f"await {self.taken(match.group(1))};\n", text)
        text = LATER.sub(self.take_later, text)
        text = LOCAL.sub(self.give, text)
        text = MADE.sub(self.give_made, text)
        if re.search(r"^(?:export|import)\b", text, re.M):
            self.refuse()
        self.text = text.replace("import.meta.url", f'new URL("{HOMES.get(url, url)}", location.origin).href')

    def refuse(self):
        raise SystemExit(f"{self.url}: an import or export of a kind that tools/gen/join.py does not know")

    def need(self, name):
        """The address of what is imported by that name, and whether it is joined."""
        url = resolve(name, self.url)
        ours = source_of(self.web, url) is not None
        if ours:
            self.needs.append(url)
        return url, ours

    def taken(self, name):
        url, ours = self.need(name)
        return f'{"$take" if ours else "import"}("{url}")'

    def take(self, match):
        verb, names, name = match.groups()
        if verb == "import":
            return f"const {bound(names)} = await {self.taken(name)};\n"
        if not names.startswith("{"):
            self.refuse()
        passed_on = {here: f"${here}" for _, here in pairs(names)}
        self.exported.update(passed_on)
        there = ", ".join(f"{there}: ${here}" for there, here in pairs(names))
        return f"const {{ {there} }} = await {self.taken(name)};\n"

    def take_later(self, match):
        return f'$load("{self.need(match.group(1))[0]}"' if match.group(1) else "$load("

    def give(self, match):
        self.exported.update({here: inside for inside, here in pairs(match.group(1))})
        return ""

    def give_made(self, match):
        self.exported[match.group(2)] = match.group(2)
        return f"{match.group(1)} {match.group(2)}"

    def function(self):
        """As a property; the brackets tell V8 to compile it at once."""
        given = ", ".join(f"{name}: {inside}" for name, inside in self.exported.items())
        return f'"{self.url}": (async () => {{\n{self.text}return {{ {given} }};\n}}),\n'


def refuse_cycles(web, urls):
    """A module that imports itself, by way of others, would wait for ever."""
    for url in urls:
        if url in graph(web, imports(web, url)):
            raise SystemExit(f"{url}: imports itself by way of others, so it cannot be joined")


def joined_modules(web, entries, without=()):
    """What the entries import, at once or later."""
    found, left = {}, list(entries)
    while left:
        url = left.pop(0)
        if url not in found and url not in without:
            found[url] = Module(web, url)
            left += found[url].needs
    refuse_cycles(web, found)
    return found


def functions(modules, taken):
    """The modules, and how one takes another."""
    return HEAD + "".join(module.function() for module in modules.values()) + TAIL.replace("TAKEN", taken)


def join_script(web, entries, others=(), begun=()):
    """The script that runs the entries; the others run when they are imported. `begun` are in the page, and run."""
    script = functions(joined_modules(web, [*entries, *others], begun), BEGUN if begun else "{}")
    script += PARSED if begun else ""
    return script + "".join(f'await $take("{url}");\n' for url in entries)


def join_inline(web, entries):
    """The addresses of what the entries need, and the script that the page has in itself."""
    modules = joined_modules(web, entries)
    script = functions(modules, f"({BEGUN} = {{}})") + "".join(f'$take("{url}");\n' for url in entries)
    if re.search(r"<!--|</?script", script, re.I):
        raise SystemExit(f"{', '.join(entries)}: has what would end a script in a page")
    return list(modules), script.join(INLINE)


def join_worker(web):
    """The address of the session's worker, and the worker."""
    return WORKER[1], join_script(web, WORKER[:1])


def join_page(web, path):
    """The page with its one script in place of all, the script's address, and the script. Libraries are asked for as
    before."""
    page = path.read_text(encoding="utf-8")
    tags = [(match.group(), *ENTRY.match(match.group()).groups()) for match in SCRIPT.finditer(page)]
    early = [url for tag, url, _ in tags if " async" in tag]
    rest = [url for _, url, _ in tags if url not in early]
    others = [url for _, _, url in tags if url]

    libraries = [url for url in graph(web, early + rest + others) if source_of(web, url) is None]
    page = LINES.sub("".join(LINE.format(url) for url in libraries), page)
    begun, inline = join_inline(web, early) if early else ([], "")
    for tag, _, _ in tags[:-1]:
        page = page.replace(tag, inline)
        inline = ""
    tag, url, _ = tags[-1]
    address = f"/pages/{path.parent.name}/joined.js"
    one = tag.replace(f'src="{url}"', f'src="{address}"' + (" async" if early else ""))
    return page.replace(tag, one), address, join_script(web, rest, others, begun)


def inline_hashes(page):
    """What a content policy says of the scripts that a page has in itself."""
    return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in re.findall("<script>(.*?)</script>", page, re.S)]
