#!/usr/bin/env python3
"""Each page names in its head every module that it will import, so that a browser asks for all of them
at once and not for one layer after the other. Checks that; --fix writes the lines.
Usage: preload.py [--fix] [WEB_DIR]; exit status 1 when a page names too many or too few.
"""
import pathlib
import re
import sys

FOLDERS = {"/pages/": "pages", "/ui/": "ui", "/inference/": "inference", "/storage/": "storage", "/sdk/": "sdk",
           "/modules/": "compat"}
IMPORT = re.compile(r'^(?:import|(?:import|export)\s+[\w*{}$,\s]+?\s+from)\s+"([^"]+)";', re.M)
ENTRY = re.compile(r'<script type="module"\s+src="([^"]+)"(?:\s+async)?(?:\s+data-page="([^"]+)")?')
LINE = '<link rel="modulepreload" href="{}">\n'
LINES = re.compile(r'(?:<link rel="modulepreload" href="[^"]+">\n)+')


def resolve(url, base):
    """A module's address, as the module at `base` names it."""
    if url.startswith("/"):
        return url
    parts = base.split("/")[:-1]
    for part in url.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def source_of(web, url):
    """The file that is served there; None: it is no source of ours, such as a library."""
    for prefix, folder in FOLDERS.items():
        if url.startswith(prefix):
            return web / folder / url[len(prefix):]
    return None


def imports(web, url):
    """What a module imports in any case; of a library nothing is asked."""
    source = source_of(web, url)
    if not source:
        return []
    return [resolve(name, url) for name in IMPORT.findall(source.read_text(encoding="utf-8"))]


def graph(web, entries):
    """All modules below the entries, in the order in which they are met, level by level."""
    found = list(dict.fromkeys(entries))
    for url in found:
        found += [name for name in dict.fromkeys(imports(web, url)) if name not in found]
    return found


def wanted(web, page):
    """The lines that a page must have: all but the scripts that it names itself."""
    entries, named = [], set()
    for script, data_page in ENTRY.findall(page):
        entries += [script] + ([data_page] if data_page else [])
        named.add(script)
    return "".join(LINE.format(url) for url in graph(web, entries) if url not in named)


def main(arguments):
    fix = "--fix" in arguments
    folders = [name for name in arguments if name != "--fix"]
    web = pathlib.Path(folders[0] if folders else pathlib.Path(__file__).resolve().parents[2] / "web")
    wrong = 0
    for path in sorted(web.glob("pages/*/index.html")):
        page = path.read_text(encoding="utf-8")
        lines, found = wanted(web, page), LINES.search(page)
        if found and found.group() == lines and len(LINES.findall(page)) == 1:
            continue
        wrong += 1
        if fix:
            rest = LINES.sub("", page)
            at = rest.index("<script")
            path.write_text(rest[:at] + lines + rest[at:], encoding="utf-8")
        else:
            print(f"{path}: preloads not what it imports; run: tools/gen/preload.py --fix")
    return 1 if wrong and not fix else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
