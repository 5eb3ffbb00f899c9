#!/usr/bin/env python3
"""Writes the C table of the files that are compiled into the daemon (src/server/pages/embedded_assets.h): the sources
of the pages, the SDK and the kernel, and what the build makes. Libraries and models are not: they lie on the disk.
Usage: embed.py OUT.c DEPFILE WEB_DIR [URL=FILE..]; runs while Baton is built.
"""
import gzip
import hashlib
import pathlib
import sys

from join import inline_hashes, join_page, join_worker

SERVED = {".html", ".js", ".mjs", ".css", ".json", ".svg", ".png", ".txt"}
FOLDERS = (("pages", "/pages"), ("ui", "/ui"), ("inference", "/inference"), ("storage", "/storage"), ("sdk", "/sdk"),
           ("compat", "/modules"))


def served_files(folder):
    """The files below a folder, and the folders themselves: a new file changes its folder."""
    files, folders = [], [folder]
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") or part == "node_modules" for part in path.relative_to(folder).parts):
            continue
        if path.is_dir():
            folders.append(path)
        elif path.is_file() and path.suffix in SERVED:
            files.append(path)
    return files, folders


def collect(web):
    """(URL, path) of everything to embed, and the paths whose change makes the table old."""
    found, watched = [], [web]
    for name, prefix in FOLDERS:
        if not (web / name).is_dir():
            continue
        files, folders = served_files(web / name)
        found += [(f"{prefix}/{path.relative_to(web / name).as_posix()}", path) for path in files]
        watched += files + folders
    return found, watched


def contents(web, found):
    """(URL, bytes) of all of it; each page has one script in place of many, and those scripts are there, too."""
    address, worker = join_worker(web)
    files = [(address, worker.encode())]
    for url, path in found:
        if path.name != "index.html" or path.parent.parent != web / "pages":
            files.append((url, path.read_bytes()))
            continue
        page, address, script = join_page(web, path)
        files += [(url, page.encode()), (address, script.encode())]
    return sorted(files, key=lambda item: item[0].encode())


def c_bytes(data):
    """The bytes as a C string literal, a line each 40 bytes; octal needs no care for what follows."""
    lines = ("".join(f"\\{byte:03o}" for byte in data[at:at + 40]) for at in range(0, len(data), 40))
    return "\n\t".join(f'"{line}"' for line in lines) or '""'


def write_table(out, files):
    rows = []
    out.write("/* Written by tools/gen/embed.py when Baton was built. */\n"
              "#include \"server/pages/embedded_assets.h\"\n\n")
    pages = [data.decode() for url, data in files if url.endswith(".html")]
    for tag in ("script", "style"):
        hashes = sorted({name for page in pages for name in inline_hashes(page, tag)})
        out.write(f'const char embedded_{tag}_hashes[] = "{"".join(f" {name}" for name in hashes)}";\n\n')
    for number, (url, data) in enumerate(files):
        packed = gzip.compress(data, compresslevel=9, mtime=0)
        tag = hashlib.sha256(data).hexdigest()[:24]
        out.write(f"/* {url} */\nstatic const char raw_{number}[] =\n\t{c_bytes(data)};\n")
        out.write(f"static const char gzip_{number}[] =\n\t{c_bytes(packed)};\n")
        rows.append(f'\t{{"{url}", "\\"{tag}\\"", (const unsigned char *)raw_{number}, '
                    f"(const unsigned char *)gzip_{number}, {len(data)}, {len(packed)}}},\n")
    # An array of nothing is no C; the row is not counted.
    out.write("\nconst struct embedded_asset embedded_assets[] = {\n" + "".join(rows) + "\t{0},\n};\n")
    out.write(f"const size_t embedded_asset_count = {len(rows)};\n")


def main(out, depfile, web, *made):
    found, watched = collect(pathlib.Path(web))
    found += [(url, pathlib.Path(path)) for url, path in (pair.split("=", 1) for pair in made)]
    with open(out, "w", encoding="ascii") as file:
        write_table(file, contents(pathlib.Path(web), found))
    names = " ".join(str(path).replace(" ", "\\ ") for path in watched)
    pathlib.Path(depfile).write_text(f"{out}: {names}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
