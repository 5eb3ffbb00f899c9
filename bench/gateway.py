#!/usr/bin/env python3
"""The gateway beside nginx, other gateways and a direct connection, in one run: added latency, streams, a large upload.

usage: gateway.py BUILD_DIR [--seconds S] [--rounds N] [--upload-mib M] [--json]

The model server costs nothing (model_server.c), the client keeps its rate whatever the answers take
(requests.c). The ways take turns in every round, so that a machine whose speed drifts slows all of them alike.
"""
import argparse
import json
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

from bench import Baton, Server, machine

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "lib"))
import nginx  # noqa: E402
import rivals  # noqa: E402

RATES = (1, 100, 1000)
RIVALS_RATE_MAX = 100  # above it they have a queue without end
STREAMS, TOKENS = 200, 1000  # 100 tokens/s each
TURN = "  - {name: one, kind: openai, url: 'http://%s', vram_mb: 1000}\n"
NO_TURN = "  - {name: one, kind: openai, url: 'http://%s', gpu: none}\n"


class ModelServer(Server):
    def __init__(self, build):
        super().__init__(lambda _: [f"{build}/bench/model_server", str(TOKENS)], stdout=subprocess.PIPE, text=True)
        self.address = "127.0.0.1:" + self.process.stdout.readline().strip()


class Gateway(Baton):
    """Every request a claim with a turn; or, with NO_TURN, a server that is not on a GPU."""

    def __init__(self, build, upstream, row=TURN):
        super().__init__(build, config=self.CONFIG + "gpus:\n  - {name: gpu0, vram_mb: 8000, slots: 64}\n"
                         f"upstreams:\n{row % upstream}")
        with open(self.bearer, encoding="ascii") as file:
            self.key = file.read().strip()


def requests(build, mode, address, key, *numbers):
    argv = [f"{build}/bench/requests", mode, address, key, *map(str, numbers)]
    row = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout)
    if row["errors"] or row["open"]:
        print(f"gateway: {mode} {address}: {row['errors']} errors, {row['open']} not ended", file=sys.stderr)
    return row


def latency(build, server, rate, seconds, rounds):
    """Per way the median of each figure over the rounds."""
    taken = []
    for _ in range(rounds):
        row = {"direct": requests(build, "rate", server, "none", rate, seconds)}
        if nginx.installed():
            with nginx.Nginx(server) as proxy:
                row["nginx"] = requests(build, "rate", proxy.address, "none", rate, seconds)
        for rival in rivals.installed() if rate <= RIVALS_RATE_MAX else ():
            with rival(server) as proxy:
                row[rival.name] = requests(build, "rate", proxy.address, proxy.key, rate, seconds)
        for name, config in (("baton", TURN), ("baton, no turn", NO_TURN)):
            with Gateway(build, server, config) as gateway:
                row[name] = requests(build, "rate", gateway.address, gateway.key, rate, seconds)
        taken.append(row)
    return {name: {key: statistics.median(one[name][key] for one in taken) for key in first}
            for name, first in taken[0].items()}


def memory_kib(pid):
    """(now, at most so far)"""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    return tuple(int(re.search(rf"{name}:\s+(\d+)", text).group(1)) for name in ("VmRSS", "VmHWM"))


def sampled(server, work):
    """work() and what memory the server had each 0.2 s meanwhile."""
    samples, done = [], threading.Event()

    def sample():
        while not done.wait(0.2):
            samples.append(memory_kib(server.process.pid)[0])

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        result = work()
    finally:
        done.set()
        sampler.join()
    return result, samples


def streams(build, server):
    rows = {"direct": requests(build, "streams", server, "none", STREAMS, 60)}
    if nginx.installed():
        with nginx.Nginx(server) as proxy:
            rows["nginx"] = requests(build, "streams", proxy.address, "none", STREAMS, 60)
    with Gateway(build, server, NO_TURN) as gateway:
        rows["baton, no turn"], samples = sampled(gateway, lambda: requests(
            build, "streams", gateway.address, gateway.key, STREAMS, 60))
    middle = samples[len(samples) // 4:-5]  # all of them run
    return {"rows": rows, "rss_kib_from": min(middle), "rss_kib_to": max(middle)}


def upload(build, server, mib):
    """A form of that size with its model first, through a turn."""
    head = (b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--XX\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n')
    tail, piece = b"\r\n--XX--\r\n", bytes(1 << 20)
    with Gateway(build, server) as gateway:
        host, port = gateway.address.split(":")

        def send():
            began = time.monotonic()
            with socket.create_connection((host, int(port)), timeout=120) as connection:
                asked = (f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: "
                         f"Bearer {gateway.key}\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
                         f"Content-Length: {len(head) + mib * len(piece) + len(tail)}\r\n\r\n")
                connection.sendall(asked.encode() + head)
                for _ in range(mib):
                    connection.sendall(piece)
                connection.sendall(tail)
                status = connection.recv(4096).split(b" ")[1].decode()
            return {"status": status, "seconds": time.monotonic() - began}

        requests(build, "rate", gateway.address, gateway.key, 100, 1)  # its memory is that of one that has worked
        before = memory_kib(gateway.process.pid)[0]
        row = send()
        after, most = memory_kib(gateway.process.pid)
        return {**row, "mib": mib, "rss_kib_before": before, "rss_kib_after": after, "rss_kib_most": most}


def print_latency(rates):
    print("One request after the other at a fixed rate, microseconds; + is what the way adds to a direct connection:\n")
    print(f"{'rate/s':>6}  {'way':<16}{'first p50':>10}{'+':>8}{'first p99':>11}"
          f"{'whole p50':>11}{'+':>8}{'whole p99':>11}{'p99 x nginx':>13}")
    for rate, rows in rates.items():
        for name, row in rows.items():
            added = [row[key] - rows["direct"][key] for key in ("first_p50_us", "whole_p50_us")]
            ratio = f"{row['whole_p99_us'] / rows['nginx']['whole_p99_us']:.2f}" if "nginx" in rows else "-"
            print(f"{rate:>6}  {name:<16}{row['first_p50_us']:>10.0f}{added[0]:>8.0f}{row['first_p99_us']:>11.0f}"
                  f"{row['whole_p50_us']:>11.0f}{added[1]:>8.0f}{row['whole_p99_us']:>11.0f}{ratio:>13}")


def print_rest(result):
    found = result["streams"]
    print(f"\n{STREAMS} streams of 100 tokens/s for {TOKENS // 100} s, from the server's write to the client's read:\n")
    for name, row in found["rows"].items():
        print(f"  {name:<16}{row['done']:>4} ended, {row['tokens']} tokens, p50 {row['token_p50_us']:.0f} us, "
              f"p99 {row['token_p99_us']:.0f} us, longest gap {row['longest_gap_ms']:.0f} ms, {row['stalled']} stalled")
    print(f"  Baton's memory while they ran: {found['rss_kib_from']} to {found['rss_kib_to']} KiB")
    row = result["upload"]
    print(f"\n{row['mib']} MiB to /v1/audio/transcriptions: status {row['status']} in {row['seconds']:.1f} s, "
          f"resident {row['rss_kib_before']} KiB before, {row['rss_kib_most']} at most, {row['rss_kib_after']} after")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=3, help="per way, round and rate")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--upload-mib", type=int, default=1024)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = {"machine": machine(), "nginx": nginx.version() if nginx.installed() else None}
    with ModelServer(args.build) as server:
        result["latency"] = {rate: latency(args.build, server.address, rate, args.seconds, args.rounds)
                             for rate in RATES}
        result["streams"] = streams(args.build, server.address)
        result["upload"] = upload(args.build, server.address, args.upload_mib)
    if args.json:
        print(json.dumps(result))
        return
    print(result["machine"], f"nginx {result['nginx']}\n")
    print_latency(result["latency"])
    print_rest(result)


if __name__ == "__main__":
    main()
