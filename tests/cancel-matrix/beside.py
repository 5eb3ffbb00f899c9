#!/usr/bin/env python3
"""The cancel matrix against Baton and, where it is installed, nginx: one upstream, one run, a table each.

usage: beside.py BUILD_DIR. Exit 1: a cell of Baton's failed; nginx is only shown.
"""
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
os.environ["BATON_BIN"] = str(pathlib.Path(sys.argv[1]).resolve() / "baton")
sys.path += [str(HERE), str(HERE.parent / "lib"), str(HERE.parent / "integration")]
import nginx  # noqa: E402
import table  # noqa: E402
from kit import Kit, model_names  # noqa: E402
from lib.daemon import Daemon  # noqa: E402
from upstream import Upstream  # noqa: E402


def show(name, kit):
    cells = kit.run()
    print(f"\n{name}\n", table.as_text(cells), "", *table.failures(cells), sep="\n")
    print(f"{table.summary(cells)}; {kit.repeated} late ones repeated")
    kit.close()
    return cells


def through_baton(upstream):
    daemon = Daemon(config={"gpus": [{"name": "gpu0", "vram_mb": 64000}], "vram_headroom_mb": 0,
                            "upstreams": [{"name": "kit", "kind": "ollama", "url": upstream.url}]})
    try:
        daemon.start()
        return show("Baton", Kit(upstream, f"http://{daemon.host}", "m", daemon.token,
                                 str(daemon.dir / "run" / "http.sock")))
    finally:
        daemon.cleanup()


def through_nginx(upstream):
    with nginx.Nginx(f"{upstream.host}:{upstream.port}") as proxy:
        return show(f"nginx {nginx.version()}", Kit(upstream, f"http://{proxy.address}", "m"))


def main():
    upstream = Upstream(models=model_names("m"))
    print(table.EXPLAINED)
    found = {"Baton": through_baton(upstream)}
    if nginx.installed():
        found[f"nginx {nginx.version()}"] = through_nginx(upstream)
    else:
        print("\nnginx is not installed: nothing beside")
    print("\nIn short, the longest of all routes in milliseconds:\n", table.as_markdown(found), sep="\n")
    sys.exit(0 if all(cell.none or cell.passed for cell in found["Baton"]) else 1)


if __name__ == "__main__":
    main()
