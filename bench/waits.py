#!/usr/bin/env python3
"""Does what a waiter is told come true? Twenty loops of real `baton run` (3 of voice, 5 of chat, 6 of normal, 6 of
background; commands of 0.3 to 8 s) on a broker of their own; each wait is compared with the estimate, the number that
nine of ten such waits are to stay under, and the guarantee that were told first.
Usage: waits.py BUILD [SECONDS [WARM_UP]]; SECONDS: how long new commands are begun (150). What was asked in the first
WARM_UP seconds (0) is not counted. 1 when the 9-of-10 number covers less than 85 or more than 95 % of the waits, the
estimate's median error is 30 % or more, or a guarantee was broken."""
import http.client
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

KINDS = [("voice", .3, 1.5)] * 3 + [("chat", .5, 4)] * 5 + [("normal", 1, 6)] * 6 + [("background", 2, 8)] * 6
THINK_S, LOOK_S = 8, .2


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Broker:
    def __init__(self, build, folder):
        self.binary = str(pathlib.Path(build) / "baton")
        self.socket = f"{folder}/baton.sock"
        self.http = f"{folder}/http.sock"
        self.env = dict(os.environ, BATON_SOCKET=self.socket)
        self.log = open(f"{folder}/log", "wb")
        self.process = subprocess.Popen(
            [self.binary, "serve", "--socket", self.socket, "--state", f"{folder}/state", "--listen", "127.0.0.1:0",
             "--fake-gpu", "gpu0:24G"], env=self.env, stdout=self.log, stderr=self.log)
        for _ in range(100):
            if os.path.exists(self.http):
                return
            time.sleep(.05)
        raise SystemExit("waits: the broker did not start")

    def status(self):
        connection = UnixHTTP(self.http)
        connection.request("GET", "/v1/gpu/status")
        status = json.load(connection.getresponse())
        connection.close()
        return status

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Watch:
    """First word and grant of each wait, by looking at the status five times a second."""
    def __init__(self, broker, stop):
        self.broker, self.stop, self.told, self.granted = broker, stop, {}, {}

    def run(self):
        while True:
            status, now = self.broker.status(), time.monotonic()
            for row in status["waiting"]:
                self.told.setdefault(row["id"], dict(row, seen=now))
            for row in status["leases"]:
                if row["state"] in ("held", "yielding"):
                    self.granted.setdefault(row["id"], now - row["held_s"])
            if now > self.stop and not status["waiting"] and not status["leases"]:
                return
            time.sleep(LOOK_S)


def loop(broker, number, kind, stop, ended):
    name, low, high = kind
    rnd, turn = random.Random(number), 0
    while time.monotonic() < stop:
        turn += 1
        r = subprocess.run([broker.binary, "run", "--name", f"{name}-{number}-{turn}", "--class", name, "--",
                            "sleep", f"{rnd.uniform(low, high):.2f}"], env=broker.env, capture_output=True)
        ended.append(r.returncode)
        time.sleep(rnd.expovariate(1 / THINK_S))


def quantile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))] if values else float("nan")


def judge(who, rows):
    waits = [wait for wait, _ in rows]
    known = [(wait, row) for wait, row in rows if row["eta_s"] is not None]
    covered = sum(wait <= row["eta_p90_s"] for wait, row in known) / max(1, len(known))
    error = quantile([abs(wait - row["eta_s"]) / max(wait, .1) for wait, row in known], .5)
    bounds = [wait / row["bound_s"] for wait, row in rows if row["bound_s"]]
    print(f"{who:10} {len(rows):4} waits, median {quantile(waits, .5):6.1f} s, 9 of 10 under "
          f"{quantile(waits, .9):6.1f} s")
    print(f"           {len(known):4} were told an estimate: {100 * covered:.0f} % under its 9-of-10, median error "
          f"{100 * error:.0f} %; {len(bounds)} a guarantee, of which the most used up {max(bounds, default=0):.2f}")
    return covered, error, max(bounds, default=0)


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 150
    warm_up = float(sys.argv[3]) if len(sys.argv) > 3 else 0
    with tempfile.TemporaryDirectory() as folder:
        broker, ended = Broker(sys.argv[1], folder), []
        begin = time.monotonic()
        watch = Watch(broker, begin + seconds)
        threads = [threading.Thread(target=loop, args=(broker, number, kind, begin + seconds, ended))
                   for number, kind in enumerate(KINDS)] + [threading.Thread(target=watch.run)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        waits = broker.status().get("waits")
        broker.stop()
    print("commands", len(ended), {code: ended.count(code) for code in sorted(set(ended))})
    rows = [(watch.granted[name] - row["seen"], row) for name, row in watch.told.items()
            if name in watch.granted and row["seen"] - row["waited_s"] - begin >= warm_up]
    for kind in dict.fromkeys(name for name, _, _ in KINDS):
        judge(kind, [(wait, row) for wait, row in rows if row["class"] == kind])
    covered, error, used = judge("all", rows)
    print("the broker's own quantiles:", json.dumps(waits))
    return not (.85 <= covered <= .95 and error < .3 and used <= 1)


if __name__ == "__main__":
    sys.exit(main())
