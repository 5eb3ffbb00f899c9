"""What a proxy does when a client leaves, a lease is revoked or a model server dies: every case, one table.

usage: python3 tests/cancel-matrix --base-url URL --model M [--key K] --upstream-port P

The kit listens on port P of the loopback as a model server (Ollama's and OpenAI's routes) that misbehaves;
point the proxy at it first. README.md beside this file says how. Exit 1: a cell failed.
"""
import argparse
import json
import sys

import table
from cell import EVENTS
from kit import Kit, model_names
from routes import PATHS
from upstream import STAGES, Upstream


def arguments():
    parser = argparse.ArgumentParser(prog="cancel-matrix", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--base-url", required=True, help="of the proxy, without /v1; http only")
    parser.add_argument("--model", required=True, help="as clients ask the proxy for it")
    parser.add_argument("--key", help="shown as a bearer token")
    parser.add_argument("--upstream-port", type=int, required=True, help="where the proxy looks for its model server")
    parser.add_argument("--baton-socket", help="Baton's http.sock, for the cells where a lease is revoked")
    parser.add_argument("--limit-ms", type=float, default=100)
    parser.add_argument("--stages", default=",".join(STAGES), help="default: %(default)s")
    parser.add_argument("--routes", default=",".join(PATHS), help="default: %(default)s")
    parser.add_argument("--events", default=",".join(EVENTS), help="default: %(default)s")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    args = arguments()
    upstream = Upstream(args.upstream_port, models=model_names(args.model))
    kit = Kit(upstream, args.base_url, args.model, args.key, args.baton_socket, args.limit_ms)
    cells = kit.run(stages=args.stages.split(","), names=args.routes.split(","), events=args.events.split(","))
    if args.json:
        print(json.dumps({"base_url": kit.base_url, "limit_ms": kit.limit_ms, "repeated": kit.repeated,
                          "cells": table.as_values(cells)}))
    else:
        print(table.as_text(cells), table.EXPLAINED, *table.failures(cells), sep="\n")
        print(f"{table.summary(cells)}; {kit.repeated} late ones repeated")
    sys.exit(0 if all(cell.none or cell.passed for cell in cells) else 1)


if __name__ == "__main__":
    main()
