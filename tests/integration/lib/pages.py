"""Signing in as a browser does, and the sources of the pages."""
import pathlib
import re
import subprocess
import sys

from .daemon import BATON

ROOT = pathlib.Path(__file__).resolve().parents[3]
WEB = ROOT / "web"
sys.path.insert(0, str(ROOT / "tools" / "gen"))
from join import inline_hashes, join_page, join_worker  # noqa: E402 (by the path above)

# Address -> folder below web/pages.
PAGES = {"/": "dashboard", "/console": "console", "/mic": "mic", "/dreamer": "dreamer", "/models": "models",
         "/logs": "logs"}
# What a browser says when it opens an address.
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "none"}


def open_link(daemon):
    """The path of a fresh one-time link."""
    result = subprocess.run([BATON, "open", "--print"], capture_output=True, text=True, timeout=30, check=True,
                            env={**daemon.environment(), "BATON_SOCKET": daemon.socket})
    return re.search(r"http://[^/\s]+(/\S*)", result.stdout)[1]


def sign_in(daemon):
    """Headers of a browser that came by the link."""
    answer = daemon.http("GET", open_link(daemon), headers=BROWSER, token=None)
    assert answer.status == 200, answer
    return {**BROWSER, "Cookie": answer.headers["set-cookie"].split(";")[0],
            "Authorization": "Bearer " + key_of(answer)}


def key_of(answer):
    """The key that a link's answer gives to the page."""
    return re.search(rb'data-key="([0-9a-f]{64})"', answer.body)[1].decode()


def page_of(folder):
    """The page that is made of web/pages/FOLDER/index.html: it asks for one script."""
    return join_page(WEB, WEB / "pages" / folder / "index.html")[0].encode()


def inline_of(tag):
    """What a policy says of the scripts, or the styles, that stand in pages."""
    return sorted({name for folder in PAGES.values() for name in inline_hashes(page_of(folder).decode(), tag)})


def sources():
    """(URL, type, bytes) of each file that the executable should hold: the sources, and the joined scripts."""
    yield join_worker(WEB)[0], ".js", join_worker(WEB)[1].encode()
    for folder, prefix in (("pages", "/pages"), ("ui", "/ui"), ("inference", "/inference"), ("storage", "/storage"),
                           ("sdk", "/sdk"), ("compat", "/modules")):
        for path in sorted((WEB / folder).rglob("*")):
            if path.suffix in (".html", ".js", ".css", ".json", ".svg"):
                url = f"{prefix}/{path.relative_to(WEB / folder).as_posix()}"
                if path.name != "index.html":
                    yield url, path.suffix, path.read_bytes()
                    continue
                page, address, script = join_page(WEB, path)
                yield url, path.suffix, page.encode()
                yield address, ".js", script.encode()
