"""real: plays a scenario with a real client, over real sockets, in real time.

The client is any program. It finds in its environment:

    CONFORMANCE_SOCKET    the Unix socket to connect to (native), or
    CONFORMANCE_URL       the ws: address of the session, and CONFORMANCE_TOKEN (tab)
    CONFORMANCE_GPU       a Unix socket that stands for the GPU: who has a connection to it uses it
    CONFORMANCE_PROGRAM   what to do, as JSON: see docs/conformance.md

and reads what it is told meanwhile as lines from its standard input. The kernel says when it stops
using the GPU, however it ends; so nothing here believes what a client says of itself.
"""
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import time

from lines import LineStream, WebSocketStream
from play import Play

SLACK_MS = 500
GONE_MS = 8000  # after the scenario everything that the client started ends within this
HERE = pathlib.Path(__file__).resolve().parent


class Real:
    slack_ms = SLACK_MS

    def __init__(self, command, scenario, binding, run):
        self.command, self.scenario, self.binding, self.is_run = command, scenario, binding, run
        self.folder = tempfile.TemporaryDirectory(prefix="baton-conformance-")
        self.gpu_path = os.path.join(self.folder.name, "gpu.sock")
        self.gpu_listener = self.listen_at(self.gpu_path)
        self.users = []
        self.listener, self.port, self.stalled = None, 0, False
        self.stream, self.process, self.pidfd = None, None, -1
        self.guests = []  # connections that have said nothing yet
        self.start = time.monotonic()
        self.play = Play(scenario, self, binding)

    def now(self):
        return int((time.monotonic() - self.start) * 1000)

    # ---- doors ----

    @staticmethod
    def listen_at(path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(16)
        return listener

    def open_door(self):
        if self.listener:
            return
        if self.binding == "native":
            self.listener = self.listen_at(os.path.join(self.folder.name, "baton.sock"))
            return
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]

    def close_door(self):
        if self.listener:
            self.listener.close()
            self.listener = None
        if self.binding == "native":
            pathlib.Path(self.folder.name, "baton.sock").unlink(missing_ok=True)

    # ---- the play's wishes ----

    def say(self, text):
        if self.stream:
            self.stream.say(text)

    def close(self, code, reason):
        if not self.stream:
            return
        self.stream.close(code, reason)
        self.stream = None
        self.play.event(self.now(), "closed", by="broker")

    def net(self, how):
        if how == "break":
            self.close(1006, "")
        elif how == "refuse":
            self.close_door()
        else:
            self.open_door()
            self.stalled = how == "stall"

    def tell(self, what):
        if self.is_run:
            self.process.send_signal(signal.SIGTERM)
        else:
            self.process.stdin.write(what + "\n")
            self.process.stdin.flush()

    # ---- the client ----

    def run_arguments(self):
        program = self.scenario.get("program", {})
        arguments = ["run", "--quiet", "--name", "conformance"]
        if program.get("timeout_ms") is not None:
            arguments += ["--wait", f"{program['timeout_ms']}ms"]
        if program.get("no_wait"):
            arguments += ["--no-wait"]
        if program.get("on_yield") == "requeue":
            arguments += ["--requeue"]
        return arguments + ["--", "python3", "-S", "-E", str(HERE / "job.py")]

    def start_client(self):
        program = self.scenario.get("program", {})
        env = {**os.environ, "CONFORMANCE_GPU": self.gpu_path, "CONFORMANCE_PROGRAM": json.dumps(program)}
        for name in ("BATON_LEASE", "BATON_RUN"):
            env.pop(name, None)
        if self.binding == "native":
            env["CONFORMANCE_SOCKET"] = env["BATON_SOCKET"] = os.path.join(self.folder.name, "baton.sock")
        else:
            env["CONFORMANCE_URL"] = f"ws://127.0.0.1:{self.port}/v1/gpu/session"
            env["CONFORMANCE_TOKEN"] = "conformance"
        command = self.command + (self.run_arguments() if self.is_run else [])
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=None if os.environ.get("CONFORMANCE_STDERR") else subprocess.DEVNULL,
                                        text=True, start_new_session=True)
        self.pidfd = os.pidfd_open(self.process.pid)

    def end_client(self):
        """Orderly first, so that `baton run` and its like take their job with them."""
        if self.process.poll() is None:
            self.process.terminate()
        limit = self.now() + GONE_MS
        while self.now() < limit and (self.users or self.process.poll() is None):
            waiting = self.users + [self.gpu_listener] + ([self.pidfd] if self.process.poll() is None else [])
            select.select(waiting, [], [], 0.1)
            self.look_at_gpu(tell=False)
            if self.now() > limit - GONE_MS / 2 and self.process.poll() is None:
                self.process.kill()
        self.process.stdin.close()
        os.close(self.pidfd)

    # ---- what happens ----

    def look_at_gpu(self, tell=True):
        """Before any message is read: who stopped and then said so is seen in that order."""
        ready = select.select([self.gpu_listener] + self.users, [], [], 0)[0]
        for user in ready:
            if user is self.gpu_listener:
                self.users.append(user.accept()[0])
                what = "using"
            elif not user.recv(4096):
                self.users.remove(user)
                user.close()
                what = "stopped"
            else:
                continue
            if tell:
                self.play.event(self.now(), what)

    def welcome_client(self):
        sock = self.listener.accept()[0]
        self.guests.append(LineStream(sock) if self.binding == "native" else WebSocketStream(sock))

    def take_guest(self, guest):
        """Somebody who only looks whether a broker listens here is no client: it says nothing."""
        self.guests.remove(guest)
        if self.stream:
            self.close(1000, "resumed on another connection")
        self.stream = guest
        if self.binding == "native":
            self.play.event(self.now(), "connect")

    def read_stream(self, stream):
        for text in stream.read():
            if stream in self.guests:
                self.take_guest(stream)
            self.look_at_gpu()
            if text is None:
                self.play.event(self.now(), "connect")
            else:
                self.play.event(self.now(), "heard", msg=json.loads(text))
        if stream.over and stream in self.guests:
            self.guests.remove(stream)
            stream.sock.close()
        if stream.over and self.stream is stream:
            self.stream = None
            self.look_at_gpu()
            self.play.event(self.now(), "closed", by="client")

    def wait(self, limit):
        watched = [self.gpu_listener] + self.users
        watched += [self.listener] if self.listener and not self.stalled else []
        watched += [stream.sock for stream in self.streams()]
        watched += [self.pidfd] if self.process.returncode is None else []
        left = min(limit, self.play.next_at() or limit) - self.now()
        return select.select(watched, [], [], max(0, left) / 1000)[0]

    def streams(self):
        return ([self.stream] if self.stream else []) + self.guests

    def turn(self, limit):
        ready = self.wait(limit)
        said = [stream for stream in self.streams() if stream.sock in ready]
        self.look_at_gpu()
        if self.listener in ready:
            self.welcome_client()
        elif said:
            self.read_stream(said[0])
        elif self.pidfd in ready and self.process.poll() is not None:
            self.play.event(self.now(), "exited", status=self.process.returncode)
        self.play.go_on(self.now())

    def run(self):
        try:
            self.open_door()
            self.start_client()
            self.play.go_on(self.now())
            while not self.play.is_over():
                self.turn(60_000)
            self.play.log.append({"t": self.now(), "what": "end"})
        finally:
            if self.process:
                self.end_client()
            self.close_door()
            for stream in self.streams():
                stream.sock.close()
            self.gpu_listener.close()
            self.folder.cleanup()
        return self.play
