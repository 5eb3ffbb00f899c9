#!/usr/bin/env python3
"""Runs the benchmarks side by side in one go and prints tables with ratios.

usage: bench.py BUILD_DIR [--seconds S] [--clients 1,8,64] [--json]

Absolute figures drift with the machine; the ratios to the floor and to Redis, taken in turn in one run,
hold. Each server is started afresh for each row, on a port that the system picks, with its journal on.
"""
import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = [1, 8, 64, 256, 1000]


def wait_until(what, condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    sys.exit(f"bench: {what} did not come up")


class Server:
    """One server process with what a load needs to reach it."""

    def __init__(self, argv, **popen):
        self.dir = tempfile.mkdtemp(prefix="baton-bench-")
        self.process = subprocess.Popen(argv(self.dir), **popen)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Floor(Server):
    def __init__(self, build):
        super().__init__(lambda _: [f"{build}/bench/floor"], stdout=subprocess.PIPE, text=True)
        self.address = "127.0.0.1:" + self.process.stdout.readline().strip()


class Redis(Server):
    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        super().__init__(lambda where: ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                        "--appendonly", "no", "--dir", where], stdout=subprocess.DEVNULL)
        self.address = f"127.0.0.1:{port}"
        wait_until("redis", self.answers)

    def answers(self):
        try:
            socket.create_connection(self.address.split(":")).close()
            return True
        except OSError:
            return False


class Baton(Server):
    CONFIG = "connections: 2048\nqueue:\n  max: 20000\n  per_session_max: 12000\n  per_principal_max: 20000\n"

    def __init__(self, build, under=(), config=CONFIG):
        config_text = config

        def argv(where):
            config = f"{where}/bench.yaml"
            with open(config, "w", encoding="utf-8") as file:
                file.write(config_text)
            return [*under, f"{build}/baton", "serve", "--listen", "127.0.0.1:0", "--socket", f"{where}/baton.sock",
                    "--state", f"{where}/state", "--config", config, "--log-level", "warn"]
        self.log = tempfile.TemporaryFile("w+")
        super().__init__(argv, stdout=self.log, stderr=self.log)
        self.socket = f"{self.dir}/baton.sock"
        self.bearer = f"{self.dir}/state/token"
        self.address = wait_until("baton", self.port, 30)

    def port(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            sys.exit("bench: baton serve ended: " + self.log.read())
        self.log.seek(0)
        found = re.search(r"127\.0\.0\.1:[1-9]\d*", self.log.read())
        return found.group(0) if found and os.path.exists(self.socket) else None

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def load(build, protocol, address, clients, seconds, bearer=None):
    argv = [f"{build}/bench/load", protocol, address, str(clients), str(seconds)] + ([bearer] if bearer else [])
    out = subprocess.run(argv, capture_output=True, text=True, check=False)
    if out.returncode != 0:
        sys.exit(f"bench: {' '.join(argv[1:])} failed: {out.stderr or out.stdout}")
    row = json.loads(out.stdout)
    if row["errors"] or row["violations"]:
        sys.exit(f"bench: {row}")
    return row


def one_round(build, clients, seconds):
    """Each server once, in turn, so that a machine whose speed drifts slows all of them alike."""
    row = {}
    with Floor(build) as server:
        row["floor"] = load(build, "http", server.address, clients, seconds)
    with Baton(build) as server:
        row["baton http"] = load(build, "http", server.address, clients, seconds, server.bearer)
    if shutil.which("redis-server"):
        with Redis() as server:
            row["redis"] = load(build, "redis", server.address, clients, seconds)
    with Baton(build) as server:
        row["baton session"] = load(build, "session", server.socket, clients, seconds)
    return row


def locks(build, counts, seconds, rounds):
    """Per number of clients and server, the median of each figure over the rounds."""
    rows = []
    for clients in counts:
        taken = [one_round(build, clients, seconds) for _ in range(rounds)]
        row = {"clients": clients}
        for name, first in taken[0].items():
            row[name] = {key: statistics.median(one[name][key] for one in taken) if isinstance(value, (int, float))
                         else value for key, value in first.items()}
            row[name]["x_floor"] = statistics.median(
                one[name]["cycles_per_s"] / max(1, one["floor"]["cycles_per_s"]) for one in taken)
        rows.append(row)
        print(f"  {clients} clients done", file=sys.stderr)
    return rows


def print_locks(rows):
    print("Lock cycles per second, and hand-off (a release written -> the next grant read); medians of rounds\n"
          "in which the servers took turns; x floor is the median of each round's ratio:\n")
    print(f"{'clients':>7}  {'server':<14}{'cycles/s':>9}{'x floor':>9}{'p50 us':>9}{'p99 us':>9}{'offer p50':>11}")
    for row in rows:
        for name in ("floor", "baton http", "redis", "baton session"):
            if name not in row:
                continue
            cell = row[name]
            offer = f"{cell['offered_p50_us']:.0f}" if cell["offered_p50_us"] else "-"
            print(f"{row['clients']:>7}  {name:<14}{cell['cycles_per_s']:>9.0f}{cell['x_floor']:>9.2f}"
                  f"{cell['granted_p50_us']:>9.0f}{cell['granted_p99_us']:>9.0f}{offer:>11}")


def core_cost(build, rounds):
    """Per row the median over the rounds."""
    taken = []
    for _ in range(rounds):
        out = subprocess.run([f"{build}/bench/core_cost"], capture_output=True, text=True, check=True)
        taken.append([json.loads(line) for line in out.stdout.splitlines()])
    return [{key: statistics.median(one[at][key] for one in taken) for key in row} for at, row in enumerate(taken[0])]


def print_core_cost(rows):
    print("\nThe core alone: one leaves, the next is granted, one comes, with so many waiting:\n")
    base = {row.get("waiting"): row for row in rows}.get(1000, {}).get("ns_per_cycle")
    for row in rows:
        if "waiting" in row:
            print(f"{row['waiting']:>7} waiting {row['ns_per_cycle']:>8.0f} ns"
                  f"{row['ns_per_cycle'] / base:>7.2f} x 1,000's{row['bytes_per_waiter']:>7} bytes per waiter")
        elif "residents" in row:
            print(f"{row['residents']:>7} residents and one waiter: {row['ns_per_event'] / 1000:.2f} us an event")
        else:
            print(f"{row['grants']} grants leave {row['bytes_grown']} bytes more allocated")


def http_get(address, path, bearer, sink):
    """Seconds until the last byte of the answer."""
    host, port = address.split(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port))) as conn:
        conn.sendall(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {bearer}\r\n"
                     "Connection: close\r\n\r\n".encode())
        while chunk := conn.recv(1 << 16):
            sink.append(chunk)
    return time.monotonic() - began


def status_stall(build, waiters=10000):
    """The longest time for which another client had no answer while a status of 10,000 waiters was written."""
    with Baton(build) as server:
        with open(server.bearer, encoding="ascii") as file:
            bearer = file.read().strip()
        session = socket.socket(socket.AF_UNIX)
        session.connect(server.socket)
        lines = ['{"type":"hello","version":1,"id":"bench-waiters"}'] + [
            json.dumps({"type": "acquire", "ref": ref, "class": "background", "timeout_s": 3600})
            for ref in range(1, waiters + 2)]
        reader = threading.Thread(target=drain, args=(session,), daemon=True)
        reader.start()
        for at in range(0, len(lines), 100):
            session.sendall(("\n".join(lines[at:at + 100]) + "\n").encode())
            wait_until("the queue", lambda at=at: waiting_count(server, bearer) >= min(at + 99, waiters) - 1, 60)
        quiet, busy, done = [], [], threading.Event()
        for _ in range(50):
            quiet.append(http_get(server.address, "/health", bearer, []))
        body = []
        asker = threading.Thread(target=lambda: (http_get(server.address, "/v1/gpu/status", bearer, body), done.set()))
        asker.start()
        while not done.is_set():
            busy.append(http_get(server.address, "/health", bearer, []))
        session.shutdown(socket.SHUT_RDWR)
        reader.join()
        session.close()
        return {"waiters": waiters, "status_bytes": sum(map(len, body)), "rss_kib": server.rss_kib(),
                "health_ms_max_quiet": max(quiet) * 1e3, "health_ms_max_during_status": max(busy) * 1e3}


def drain(session):
    while session.recv(1 << 16):
        pass


def waiting_count(server, bearer):
    answer = []
    http_get(server.address, "/metrics", bearer, answer)
    found = re.search(rb"^baton_waiting(?:_claims)? (\d+)", b"".join(answer), re.M)
    return int(found.group(1)) if found else 0


def idle_rss(build):
    with Baton(build) as server:
        return server.rss_kib()


def machine():
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False).stdout.strip()
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"model name\s*:\s*(.*)", file.read())
        model = found.group(1) if found else model
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, commit {commit or 'unknown'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--seconds", type=float, default=2, help="per server, round and number of clients")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default=",".join(map(str, CLIENTS)))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = {"machine": machine()}
    result["core"] = core_cost(args.build, args.rounds)
    result["idle_rss_kib"] = idle_rss(args.build)
    result["status"] = status_stall(args.build)
    result["locks"] = locks(args.build, [int(c) for c in args.clients.split(",")], args.seconds, args.rounds)
    if args.json:
        print(json.dumps(result))
        return
    print(result["machine"], "\n")
    print_locks(result["locks"])
    print_core_cost(result["core"])
    status = result["status"]
    print(f"\nIdle: {result['idle_rss_kib']} KiB resident.")
    print(f"Status of {status['waiters']} waiters ({status['status_bytes']} bytes): another client's /health took "
          f"at most {status['health_ms_max_during_status']:.1f} ms meanwhile "
          f"({status['health_ms_max_quiet']:.1f} ms when quiet).")


if __name__ == "__main__":
    main()
