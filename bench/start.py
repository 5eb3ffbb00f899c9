#!/usr/bin/env python3
"""What `baton run` adds to the start and end of a command: `true` under it and alone, in turns, on a broker of its own
with a free GPU. Usage: start.py BUILD [ROUNDS]; prints medians, their ratio, and what is added; 1 when the fastest
fifth of the rounds adds more than 15 ms, which a busy machine does not hide."""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

MOST_MS = 15


def start_broker(binary, folder):
    socket = f"{folder}/run/baton.sock"
    os.mkdir(f"{folder}/run", 0o700)
    read_fd, write_fd = os.pipe()
    broker = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", "--socket", socket, "--state",
                               f"{folder}/state", "--fake-gpu", "a:24576", "--ready-fd", str(write_fd)],
                              pass_fds=[write_fd], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write_fd)
    os.read(read_fd, 1)
    os.close(read_fd)
    return broker, {**os.environ, "BATON_SOCKET": socket}


def time_ms(command, env):
    begun = time.perf_counter()
    subprocess.run(command, env=env, check=True)
    return (time.perf_counter() - begun) * 1000


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve() / "baton")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as folder:
        broker, env = start_broker(binary, folder)
        try:
            under = [binary, "run", "-q", "--", "true"]
            pairs = [(time_ms(["true"], env), time_ms(under, env)) for _ in range(rounds)]
        finally:
            broker.terminate()
            broker.wait()

    alone, under = (statistics.median(column) for column in zip(*pairs))
    added = sorted(under - alone for alone, under in pairs)
    fast = statistics.median(added[:max(1, rounds // 5)])
    print(f"true alone {alone:.1f} ms, under baton run {under:.1f} ms, ratio {under / alone:.1f}")
    print(f"added: median {statistics.median(added):.1f} ms, fastest fifth {fast:.1f} ms (at most {MOST_MS})")
    return fast > MOST_MS


sys.exit(main())
