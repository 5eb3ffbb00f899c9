"""Joins what a page imports into one script, so that a browser asks for one file and not for forty. Each module
becomes a function that runs when it is first imported, in a scope of its own; only comments that are whole lines are
left out. Stylesheets stand in the page itself. So does, in a page that runs something early, all that it runs at
once: nothing that one looks at first waits for another answer, and only what is imported later is a script to ask
for. The sources stay as they are, and are what `--dev` serves. For embed.py, while Baton is built.
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

STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">\n')
INDENT = re.compile(r"^\t+", re.M)

HEAD = """// Written when Baton was built (tools/gen/join.py): the modules of a page, each as a function. Their
// sources, with all comments, are served where their names say.
const { modules: $modules, taken: $taken } = (globalThis.$joined ??= { modules: {}, taken: {} });
const $take = (url) => ($taken[url] ??= $modules[url]());
const $load = (url) => (url in $modules ? $take(url) : import(url));
Object.assign($modules, {
"""
TAIL = "});\n"
# A script of the page itself, in a scope of its own.
INLINE = ('<script>\n"use strict";\n{\n', "}\n</script>\n")
# What is imported later is in a script of its own, which puts it in the place of this.
LATER_ON = '"{url}": () => import("{script}").then(() => $modules["{url}"]()),\n'


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
        return f'"{self.url}": (async function () {{\n{self.text}return {{ {given} }};\n}}),\n'


def refuse_cycles(web, urls):
    """A module that imports itself, by way of others, would wait for ever."""
    for url in urls:
        if url in graph(web, imports(web, url)):
            raise SystemExit(f"{url}: imports itself by way of others, so it cannot be joined")


def at_once(web, entries):
    """What the entries import when they run."""
    return [url for url in graph(web, entries) if source_of(web, url)]


def joined_modules(web, entries):
    """What the entries import, at once or later."""
    found, left = {}, list(entries)
    while left:
        url = left.pop(0)
        if url not in found:
            found[url] = Module(web, url)
            left += found[url].needs
    refuse_cycles(web, found)
    return found


def functions(modules, runs="", stubs=""):
    """A script's modules, beside those of the page's other scripts, and what it runs."""
    given = "".join(module.function() for module in modules)
    return f"{HEAD}{given}{stubs}{TAIL}{runs}"


def taken(entries, word=""):
    """Runs the entries, one after the other if the word is await."""
    return "".join(f'{word}$take("{url}");\n' for url in entries)


def join_script(web, entries, others=()):
    """The script that runs the entries; the others run when they are imported."""
    return functions(joined_modules(web, [*entries, *others]).values(), taken(entries, "await "))


def join_worker(web):
    """The address of the session's worker, and the worker."""
    return WORKER[1], join_script(web, WORKER[:1])


def join_styles(web, page):
    """The page with its stylesheets in itself."""
    links = list(STYLE.finditer(page))
    if not links:
        return page
    texts = [COMMENT.sub("", source_of(web, match.group(1)).read_text(encoding="utf-8")) for match in links]
    text = INDENT.sub("", "".join(texts))
    if re.search(r"</?style", text, re.I) or re.search(r'url\("?(?!"?data:)', text):
        raise SystemExit(f"{links[0].group(1)}: has what does not stand in a page")
    first = links[0].group()
    return STYLE.sub("", page.replace(first, f"<style>\n{text}</style>\n", 1))


def inline(script, names):
    """A script that stands in a page."""
    if re.search(r"</?script", script, re.I):
        raise SystemExit(f"{', '.join(names)}: has what would end a script in a page")
    return script.join(INLINE)


def join_whole(web, page, entries, early, address):
    """The page with all that it runs at once, the early before its stylesheets; and a script of all that comes
    later. That script is put in the place of what asks for it."""
    modules = joined_modules(web, entries)
    first = at_once(web, early)
    then = [url for url in at_once(web, entries) if url not in first]
    later = [url for url in modules if url not in first + then]
    stubs = "".join(LATER_ON.format(url=url, script=address) for url in later)

    begin = functions([modules[url] for url in first], taken(early))
    go_on = functions([modules[url] for url in then], taken(entries), stubs)
    page = page.replace("<style>", inline(begin, early) + "<style>", 1)
    page = page.replace("<noscript", inline(go_on, entries) + "<noscript", 1)
    return page, functions([modules[url] for url in later])


def join_page(web, path):
    """The page with its stylesheets in itself and one script in place of all, or, where something is run early, with
    all that it runs at once in itself; the script's address; and the script. Libraries are asked for as before."""
    page = path.read_text(encoding="utf-8")
    tags = [(match.group(), *ENTRY.match(match.group()).groups()) for match in SCRIPT.finditer(page)]
    entries = [url for _, url, _ in tags]
    others = [url for _, _, url in tags if url]
    early = [url for tag, url, _ in tags if " async" in tag]
    address = f"/pages/{path.parent.name}/joined.js"

    libraries = [url for url in graph(web, entries + others) if source_of(web, url) is None]
    page = join_styles(web, LINES.sub("".join(LINE.format(url) for url in libraries), page))
    one = "" if early else tags[-1][0].replace(f'src="{entries[-1]}"', f'src="{address}"')
    for tag, url, _ in tags:
        page = page.replace(tag, one if url == entries[-1] else "")
    if early:
        page, script = join_whole(web, page, entries, early, address)
        return page, address, script
    return page, address, join_script(web, entries, others)


def inline_hashes(page, tag="script"):
    """What a content policy says of the scripts, or the styles, that a page has in itself."""
    return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in re.findall(f"<{tag}>(.*?)</{tag}>", page, re.S)]
