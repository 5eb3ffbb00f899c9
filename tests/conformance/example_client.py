#!/usr/bin/env python3
"""example_client: the smallest native client that conforms, in Python's standard library.

    tools/check/conformance.py --client 'python3 tests/conformance/example_client.py'

Read it as an example of the protocol. `--fault NAME` makes one mistake, by which the suite's own test
(sees.py) knows that it would be seen.
"""
import argparse
import json
import os
import selectors
import socket
import sys
import time

RETRY_S = 0.2


class Client:
    def __init__(self, fault):
        self.fault = fault
        self.program = json.loads(os.environ["CONFORMANCE_PROGRAM"])
        self.watch = selectors.DefaultSelector()
        self.watch.register(sys.stdin, selectors.EVENT_READ)
        self.sock, self.gpu, self.unread = None, None, b""
        self.session, self.linger_s = None, 0.0
        self.state, self.lease, self.fence = "new", 0, 0  # new, waiting, held, stopping, over
        self.after = None  # what is said once the work has stopped
        self.stop_at = self.lost_at = self.done_at = self.retry_at = float("inf")

    # ---- the GPU ----

    def start_work(self):
        self.state = "held"
        self.gpu = socket.socket(socket.AF_UNIX)
        self.gpu.connect(os.environ["CONFORMANCE_GPU"])
        if self.program.get("hold_ms"):
            self.done_at = time.monotonic() + self.program["hold_ms"] / 1000

    def stop_work(self, after):
        """Stops first, which may take a while, and says so then."""
        if self.state != "held":
            return
        self.state, self.after, self.done_at = "stopping", after, float("inf")
        self.stop_at = time.monotonic() + self.program.get("stop_ms", 0) / 1000
        if self.fault == "says-before-it-stops":
            self.say(type="release", lease=self.lease)

    def has_stopped(self):
        self.gpu.close()
        self.gpu, self.stop_at, self.state = None, float("inf"), "over"
        if self.after == "bye":
            self.leave()
        elif self.after == "requeue":
            self.state = "waiting"
            self.say(type="release", lease=self.lease, requeue=True)
        else:
            self.say(type="release", lease=self.lease)

    def leave(self):
        self.say(type="bye")
        sys.exit(0)

    # ---- the connection ----

    def say(self, **message):
        if self.sock:
            try:
                self.sock.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                pass  # the next read shows it

    def connect(self):
        self.retry_at = float("inf")
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(os.environ["CONFORMANCE_SOCKET"])
        except OSError:
            self.sock = None
            self.retry_at = time.monotonic() + RETRY_S
            return
        self.watch.register(self.sock, selectors.EVENT_READ)
        resume = {"resume": self.session} if self.session else {}
        self.say(type="hello", version=1, id="example", **resume)

    def broken(self):
        self.watch.unregister(self.sock)
        self.sock.close()
        self.sock, self.unread = None, b""
        if not self.session:
            sys.exit(1)
        share = 1.5 if self.fault == "waits-too-long" else 0.5  # two to one: clocks may run apart
        self.lost_at = min(self.lost_at, time.monotonic() + self.linger_s * share)
        self.retry_at = time.monotonic() + RETRY_S

    def read(self):
        try:
            got = self.sock.recv(65536)
        except OSError:
            got = b""
        self.unread += got
        while b"\n" in self.unread:
            line, self.unread = self.unread.split(b"\n", 1)
            self.hear(json.loads(line))
        if not got and self.sock:
            self.broken()

    # ---- what the broker says ----

    def hear(self, message):
        handler = getattr(self, "on_" + message["type"].replace("-", "_"), None)
        if handler:  # a type of a newer broker: ignored
            handler(message)

    def on_welcome(self, m):
        self.session = m["session"]
        self.linger_s = m.get("linger_s", m["session_ttl_s"])
        self.lost_at = float("inf")
        if not m["resumed"] and self.state == "held" and self.fault != "believes-what-it-had":
            self.stop_work("release")
        elif self.state in ("new", "waiting"):
            self.acquire()  # the same request_id is the same place
        if m["resumed"] and self.state == "held":
            self.say(type="renew", lease=self.lease)  # denied if it is not ours any more

    def acquire(self):
        self.state = "waiting"
        timeout_ms = self.program.get("timeout_ms")
        timeout_s = None if timeout_ms is None else timeout_ms / 1000
        request_id = os.urandom(8).hex() if self.fault == "asks-twice" else "example-1"
        wait = {"wait": False} if self.program.get("no_wait") else {}
        self.say(type="acquire", ref=1, request_id=request_id, timeout_s=timeout_s, **wait)
        if self.fault == "starts-unasked":
            self.start_work()

    def on_heartbeat(self, _):
        if self.fault != "is-mute":
            self.say(type="alive")

    def on_offered(self, m):
        if self.state == "waiting":
            self.say(type="accept", lease=m["lease"])

    def on_granted(self, m):
        if self.state == "held" and m["fence"] == self.fence:
            return
        fresh = m["fence"] > self.fence or self.fault == "takes-any-fence"
        if self.state != "waiting" or not fresh:
            self.say(type="release", lease=m["lease"])
            return
        self.lease, self.fence = m["lease"], m["fence"]
        self.start_work()

    def on_claim(self, m):
        if m["state"] == "queued" and self.state == "held":
            self.stop_work("release")
        elif m["state"] == "offered":
            self.on_offered(m)
        elif m["state"] in ("held", "yielding") and self.state == "over":
            self.say(type="release", lease=m["lease"])
        elif m["state"] in ("held", "yielding") and self.state == "waiting":
            self.on_granted(m)

    def on_yield(self, _):
        if self.program.get("need_ms"):
            self.say(type="yielding", lease=self.lease, need_ms=self.program["need_ms"])
        if self.program.get("on_yield") in ("release", "requeue"):
            self.stop_work(self.program["on_yield"])

    def on_revoked(self, _):
        self.stop_work("release")

    def on_released(self, m):
        if self.state == "held":
            self.stop_work("release")
        elif m.get("reason"):
            self.state = "over"

    def on_timeout(self, _):
        self.state = "over"

    def on_denied(self, m):
        if m["code"] == "stale" and self.state == "held":
            self.stop_work("release")
        elif m["code"] == "stale" and m.get("ref") is None:
            self.session = None  # of the session itself
        elif self.state == "waiting" and m["code"] != "stale":
            self.state = "over"

    def on_close(self, m):
        if m["code"] in (4401, 4403, 4409):
            self.session = None

    # ---- the loop ----

    def obey(self, what):
        if what == "exit":
            self.stop_work("bye") if self.state == "held" else self.leave()
        elif what == "cancel" and self.state == "waiting":
            self.state = "over"
            self.say(type="cancel", ref=1)
        elif what == "release":
            self.stop_work("release")

    def run(self):
        self.connect()
        while True:
            due = min(self.stop_at, self.lost_at, self.done_at, self.retry_at)
            ready = self.watch.select(None if due == float("inf") else max(0, due - time.monotonic()))
            now = time.monotonic()
            if now >= self.done_at or now >= self.lost_at:
                self.lost_at = float("inf")
                self.stop_work("release")
            if now >= self.stop_at:
                self.has_stopped()
            if now >= self.retry_at:
                self.connect()
            for key, _ in ready:
                if key.fileobj is sys.stdin:
                    line = sys.stdin.readline()
                    self.obey(line.strip()) if line else self.watch.unregister(sys.stdin)
                elif key.fileobj is self.sock:
                    self.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault")
    Client(parser.parse_args().fault).run()
