#!/usr/bin/env python3
"""Installs what the pages need besides the executable: the libraries and demo models that the build has
laid out. Usage: install-web.py BUILT_WEB_DIR WEB_DIR; run by `meson install`, respects DESTDIR.
"""
import os
import pathlib
import shutil
import sys

FOLDERS = ("vendor", "models", "sdk")


def main(built, target):
    # WEB_DIR is a whole path; below DESTDIR it is one from there.
    destination = pathlib.Path(os.environ.get("DESTDIR", "/")) / target.lstrip("/")
    for name in FOLDERS:
        if not (pathlib.Path(built) / name).is_dir():
            print(f"install-web: {name} is not there; until `make pages` has laid it and this was run again, "
                  "pages that need it say so")
            continue
        shutil.rmtree(destination / name, ignore_errors=True)
        shutil.copytree(pathlib.Path(built) / name, destination / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
