"""driver_python: the Python client as a client of the conformance suite (docs/conformance.md): a small program that
uses "the GPU" when it may."""
import json
import os
import pathlib
import queue
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))
import baton  # noqa: E402


class Program:
    def __init__(self, program):
        self.stop_s, self.need_ms = program.get("stop_ms", 0) / 1000, program.get("need_ms", 0)
        self.hold_s = program.get("hold_ms", 0) / 1000 or None
        self.on_yield = program.get("on_yield", "ignore")
        self.news = queue.Queue()  # "yield", "lost", and what we are told
        timeout_ms = program.get("timeout_ms")
        self.lease = baton.lease(
            socket=os.environ["CONFORMANCE_SOCKET"], name="conformance", wait=not program.get("no_wait"),
            timeout=None if timeout_ms is None else timeout_ms / 1000,
            on_yield=lambda _: self.news.put("yield"), on_lost=lambda _: self.news.put("lost"))

    def read_orders(self):
        for line in sys.stdin:
            self.news.put(line.strip())
            if line.strip() in ("cancel", "exit") and not self.lease.held:
                self.lease.cancel()  # it may still wait

    def use_gpu(self):
        """Until something ends it. Returns what is to be done then."""
        with socket.socket(socket.AF_UNIX) as gpu:
            gpu.connect(os.environ["CONFORMANCE_GPU"])
            then = self.wait_for_the_end()
            threading.Event().wait(self.stop_s)  # the work of stopping
        return then

    def wait_for_the_end(self):
        while True:
            try:
                news = self.news.get(timeout=self.hold_s)
            except queue.Empty:
                return "release"
            if news == "yield" and self.need_ms:
                self.lease.need(self.need_ms / 1000)
            if news == "yield" and self.on_yield in ("release", "requeue"):
                return self.on_yield
            if news in ("release", "exit", "lost"):
                return news

    def run(self):
        self.lease.acquire()
        self.lease.processes(os.getpid())
        while (then := self.use_gpu()) == "requeue":
            self.lease.give_way()
        self.lease.release()
        return then


def main():
    program = Program(json.loads(os.environ["CONFORMANCE_PROGRAM"]))
    threading.Thread(target=program.read_orders, daemon=True).start()
    then = None
    try:
        then = program.run()
    except baton.BatonError as error:
        print(repr(error), file=sys.stderr, flush=True)
    while then != "exit":
        then = program.news.get()


if __name__ == "__main__":
    main()
