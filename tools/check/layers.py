#!/usr/bin/env python3
"""Holds the folder table of docs/architecture.md: reads every #include of src/ and include/, and every
import of web/, and names each one that its folder may not use. Usage: layers.py [ROOT]; exit status 1
when something is wrong.
"""
import posixpath
import pathlib
import re
import sys

# What a folder may include of the project, beside itself. "core/x.h" allows one header, "core" all.
CORE_VALUES = {"core/types.h", "core/record.h", "core/binding.h", "core/party.h"}
CORE_CONTRACT = CORE_VALUES | {"core/event.h", "core/effect.h", "core/effects.h", "core/send.h", "core/trace.h",
                               "core/view.h", "core/config.h", "core/estimate.h"}
PROJECT = {
    "base": set(),
    "http": {"base"},
    "json": {"base"},
    "core": {"base"},
    "wire": {"base", "json"} | CORE_CONTRACT,
    "store": {"base"} | CORE_VALUES,
    "gpu": {"base"},
    "process": {"base"},
    "net": {"base", "process", "http"},
    "gateway": {"base", "json", "process", "http", "net", "wire", "core/send.h", "core/types.h"},
    "yaml": {"base"},
    "config": {"base", "wire", "yaml"} | CORE_CONTRACT,
    "import": {"base", "yaml", "config/settings.h"},
    "replay": {"base", "config", "core", "store/store.h", "wire/display_name.h"},
    "server": {"base", "json", "core", "http", "wire", "store", "gpu", "process", "net", "gateway", "config"},
    "client": {"base", "json", "wire", "core/types.h", "baton"},
    "cli": {"base", "process", "http", "import/llama_swap.h", "baton"},
    "gpu_exec.c": set(),  # runs with a capability: libc only
    "gpu_limit.c": set(),  # runs as root: libc only
    "main.c": {"base", "cli", "config", "replay", "server"},
    "baton": set(),  # the public header: libc only
}

# The rooms of the server, and what each may include of it beside its own ("server/access/": all of that
# room): never server/server.h, so that a part can be read and tested with the few things that it borrows.
ROOMS = {
    "server/access": {"server/random_pool.h"},
    "server/gpus": {"server/access/credentials.h", "server/event_queue.h", "server/queued_event.h"},
    "server/inference": {"server/access/", "server/session/", "server/endpoint_ops.h", "server/event_queue.h",
                         "server/gpus/gpu_board.h", "server/message_context.h", "server/queued_event.h",
                         "server/respond.h", "server/run_state.h"},
    "server/http": {"server/access/", "server/inference/", "server/monitor/", "server/pages/", "server/session/",
                    "server/broker.h", "server/endpoint_ops.h", "server/endpoints.h", "server/message_context.h",
                    "server/queued_event.h",
                    "server/reload.h",
                    "server/respond.h", "server/run_state.h"},
    "server/monitor": {"server/broker.h", "server/endpoint_ops.h", "server/endpoints.h", "server/gpus/gpu_board.h",
                       "server/message_context.h",
                       "server/respond.h", "server/run_state.h"},
    "server/pages": {"server/access/", "server/random_pool.h", "server/respond.h"},
    "server/session": {"server/access/", "server/monitor/", "server/active_config.h", "server/broker.h",
                       "server/endpoint_ops.h", "server/endpoints.h", "server/event_queue.h", "server/queued_event.h",
                       "server/message_context.h", "server/process_tracker.h", "server/reload.h", "server/respond.h",
                       "server/run_state.h"},
}

# Who sees the whole server: it is put together, and its loop runs over it.
WHOLE = {"server/startup.c", "server/serve.c"}

# Libraries by the folders that may know them; libc and Linux headers are free but for base and core.
LIBRARIES = [
    (re.compile(r"^(event2/|event\.h|evhttp\.h)"), {"net"}),
    (re.compile(r"^jansson\.h"), {"cli", "replay", "gateway"}),
    (re.compile(r"^sqlite3\.h"), {"store"}),
    (re.compile(r"^(cyaml/|yaml\.h)"), {"config", "yaml"}),
    (re.compile(r"^(ncurses|curses|ncursesw)"), {"cli"}),
    (re.compile(r"^openssl/"), {"http", "server"}),
    (re.compile(r"^curl/"), {"net"}),
]
# The core is pure: nothing of the system beyond values and strings (signal.h: the numbers, for effects).
# tools/check/purity.py checks what is called.
PURE = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "signal.h", "stdalign.h", "stdarg.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "stdnoreturn.h",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# The pages: by folder of web/ the URL prefixes that its modules may import. The SDK depends on nothing.
WEB = {
    "sdk": ("/sdk/",),
    "compat": ("/sdk/", "/modules/"),
    "storage": ("/storage/", "/vendor/idb.js"),
    "inference": ("/inference/", "/sdk/index.js", "/vendor/"),
    "ui": ("/ui/", "/inference/profiles.js", "/sdk/index.js", "/modules/logger.js", "/vendor/"),
    "pages": ("/pages/", "/ui/", "/inference/", "/storage/", "/sdk/index.js", "/sdk/serve.js", "/vendor/"),
}
WEB_URLS = {folder: f"/{folder}/" for folder in WEB} | {"compat": "/modules/"}
IMPORT = re.compile(
    r'^\s*(?:import|export)\b[^"\';]*?\bfrom\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"',
    re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def folder_of(relative):
    """The row of PROJECT for a path below src/ or include/."""
    return relative.parts[0]


def is_project(name):
    first = name.split("/", 1)[0]
    return "/" in name and first in PROJECT


def check_include(folder, bracket, name):
    """The reason why `folder` may not include `name`, or None."""
    if bracket == '"' and "/" not in name:
        return "write the folder: \"folder/header.h\""
    if is_project(name):
        first = name.split("/", 1)[0]
        if first == folder or first in PROJECT[folder] or name in PROJECT[folder]:
            return None
        return f"{folder} may not use {first}"
    for pattern, folders in LIBRARIES:
        if pattern.match(name):
            return None if folder in folders else f"{folder} may not use this library"
    if folder == "core" and name not in PURE:
        return "core is pure: no system header beyond values and strings"
    return None


def check_room(path, name):
    """The reason why the file may not include `name` of the server, or None."""
    room = posixpath.dirname(path)
    if name == "server/server.h" and path.startswith("server/") and path not in WHOLE:
        return "take the part that it works on, not the whole"
    if room not in ROOMS or not name.startswith("server/"):
        return None
    if name.startswith(room + "/") or name in ROOMS[room] or posixpath.dirname(name) + "/" in ROOMS[room]:
        return None
    return f"{room} may not use it"


def check_web(root):
    """(path, line, reason) of each import of web/ that its folder may not have."""
    for folder, allowed in WEB.items():
        for path in sorted((root / "web" / folder).rglob("*.js")):
            url = WEB_URLS[folder] + path.relative_to(root / "web" / folder).as_posix()
            text = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), path.read_text(encoding="utf-8"))
            for match in IMPORT.finditer(text):
                name = match[1] or match[2] or match[3]
                target = posixpath.normpath(posixpath.join(posixpath.dirname(url), name))
                own = allowed
                if folder == "pages":  # no page imports another one's modules
                    own = tuple(row for row in allowed if row != "/pages/") + (posixpath.dirname(url) + "/",)
                if not (name.startswith(("./", "../", "/")) and target.startswith(own)):
                    line = text.count("\n", 0, match.start()) + 1
                    yield path, line, f"imports {name}: {folder} may not"


def main(root):
    problems = 0
    count = 0
    for path, line, reason in check_web(root):
        print(f"{path.relative_to(root)}:{line}: {reason}")
        problems += 1
    for top in ("src", "include"):
        for path in sorted((root / top).rglob("*.[ch]")):
            relative = path.relative_to(root / top)
            folder = folder_of(relative)
            count += 1
            if folder not in PROJECT:
                print(f"{path.relative_to(root)}: folder {folder} is not in the table of tools/check/layers.py")
                problems += 1
                continue
            text = path.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                reason = check_include(folder, match[1], match[2]) or check_room(relative.as_posix(), match[2])
                if reason:
                    line = text.count("\n", 0, match.start(2)) + 1
                    print(f"{path.relative_to(root)}:{line}: includes {match[2]}: {reason}")
                    problems += 1
    print(f"layers: {count} files, {problems} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parents[2]
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default))
