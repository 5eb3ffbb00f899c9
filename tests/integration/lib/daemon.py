"""The real daemon in a folder of its own: started on port 0, killed and checked at the end."""
import ctypes
import faulthandler
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

from .http import Connection, request_bytes
from .session import LineTransport, Session, WebSocketTransport
from .wait import DEADLINE_S, wait_until

BATON = os.path.abspath(os.environ.get("BATON_BIN", "build-asan/baton"))
SUPPRESSIONS = pathlib.Path(__file__).parent / "lsan.supp"
REPORTS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion `")

# Short enough to wait for, long enough for a busy machine. Tests change what they are about.
FAST = {"grace_s": 0.3, "ack_s": 1, "min_run_s": 0, "tab_linger_s": 0.3, "native_linger_s": 0.3,
        "lock_delay_s": 0.3, "kill_wait_s": 2, "restart_linger_s": 5, "settle_s": 1}


LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec its lock may be another thread's
HUNG_S = 120


def die_with_parent():
    """In a child: when the test is killed, so is what it started."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def yaml_of(value, indent=0):
    """Nested dicts and lists as YAML (JSON is YAML; block style keeps error lines useful)."""
    import json
    pad = " " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", yaml_of(item, indent + 2)]
        else:
            lines.append(f"{pad}{key}: {json.dumps(item)}")
    return "\n".join(lines)


class Daemon:
    def __init__(self, timing=None, config=None, args=(), env=None, preexec=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
        self.socket = str(self.dir / "run" / "baton.sock")
        self.state = self.dir / "state"
        self.log_path = self.dir / "log"
        self.config_path = self.dir / "config.yaml"
        self.args, self.env, self.preexec = list(args), dict(env or {}), preexec
        self.process = None
        self.address = None
        self.expect_status = 0
        self.clients = []
        self.write_config({"timing": {**FAST, **(timing or {})}, **(config or {})})

    def write_config(self, config):
        self.config = config
        self.config_path.write_text(yaml_of(config) + "\n", encoding="utf-8")

    def command(self):
        return [BATON, "serve", "--listen", "127.0.0.1:0", "--socket", self.socket,
                "--state", str(self.state), "--config", str(self.config_path), *self.no_gpus(), *self.args]

    def no_gpus(self):
        """The GPUs of the machine that runs the tests are none of theirs."""
        if {"--nvml", "--fake-gpu"} & set(self.args):
            return []
        return ["--nvml", str(self.dir / "none.so"), "--sysfs", str(self.dir / "none")]

    def environment(self):
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
               "LSAN_OPTIONS": f"suppressions={SUPPRESSIONS}:print_suppressions=0",
               "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", **self.env}
        env.pop("BATON_SOCKET", None)
        return env

    def start(self):
        """Starts it and waits until it says where it listens."""
        (self.dir / "run").mkdir(mode=0o700, exist_ok=True)
        offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=self.environment(),
                                            preexec_fn=self.before_exec)

        def address():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log()}"
            with open(self.log_path, "rb") as log:
                log.seek(offset)
                found = re.search(rb"127\.0\.0\.1:(\d+)", log.read())
            return ("127.0.0.1", int(found[1])) if found and os.path.exists(self.socket) else None

        self.address = wait_until(address, "the daemon says where it listens")
        wait_until(self.answers, "the daemon answers")
        return self

    def before_exec(self):
        die_with_parent()
        if self.preexec:
            self.preexec()

    def answers(self):
        try:
            return self.http("GET", "/health", token=None).status is not None
        except OSError:
            return False

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def token(self):
        return (self.state / "token").read_text(encoding="ascii").strip()

    @property
    def host(self):
        return f"{self.address[0]}:{self.address[1]}"

    # -- doors

    def connect(self, unix=False):
        return Connection(str(self.dir / "run" / "http.sock") if unix else self.address)

    def http(self, method, path, body=None, headers=None, token="install", unix=False):
        """One exchange on a connection of its own."""
        with self.connect(unix) as connection:
            connection.send(self.request(method, path, body, headers, token, unix))
            return connection.read_answer()

    def request(self, method, path, body=None, headers=None, token="install", unix=False):
        fields = dict(headers or {})
        if token is not None and "Authorization" not in fields and not unix:
            fields["Authorization"] = f"Bearer {self.token if token == 'install' else token}"
        return request_bytes(method, path, self.host if not unix else "localhost", body, fields)

    def lock(self, name, **fields):
        return self.http("POST", "/v1/gpu/lock", {"id": name, **fields})

    def unlock(self, token, **fields):
        return self.http("POST", "/v1/gpu/unlock", {"token": token, **fields})

    def park(self, name, headers=None, unix=False, **fields):
        """Sends a lock request and leaves it waiting; the connection."""
        connection = self.connect(unix)
        self.clients.append(connection)
        connection.send(self.request("POST", "/v1/gpu/lock", {"id": name, **fields}, headers, unix=unix))
        return connection

    def parked(self, name, **fields):
        """The same, and waits until it has its place."""
        connection = self.park(name, **fields)
        wait_until(lambda: name in self.waiting(), f"{name} waits")
        return connection

    def session(self, name, **options):
        session = Session(LineTransport(self.socket), name, **options)
        self.clients.append(session)
        return session

    def websocket(self, name, headers=(), **options):
        transport = WebSocketTransport(self.address, headers)
        options.setdefault("token", self.token)
        session = Session(transport, name, **options)
        self.clients.append(session)
        return session

    # -- what it says of itself

    def status(self):
        answer = self.http("GET", "/v1/gpu/status")
        assert answer.status == 200, answer
        return answer.json()

    def status_by_socket(self):
        """Without the token: its file may be gone."""
        return self.http("GET", "/v1/gpu/status", unix=True).json()

    def waiting(self):
        """Names in the order in which they will be served."""
        return [row["id"] for row in self.status()["waiting"]]

    def holders(self):
        return [row["id"] for row in self.status()["leases"]]

    def names(self):
        """Who holds and who waits, by one look: between two, one may go from where it is not seen yet to where it was
        looked for before."""
        status = self.status()
        return [row["id"] for row in status["leases"] + status["waiting"]]

    # -- ends

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, deadline_s=DEADLINE_S):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(deadline_s)

    def leave(self):
        """All clients go. The daemon is told to end first: one that goes on stops a program whose session is gone,
        and the program of a session over the Unix socket is this one."""
        runs = self.process and self.process.poll() is None
        if runs:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
        for client in self.clients:
            (client.drop if isinstance(client, Session) else client.close)()
        return runs

    def cleanup(self):
        status = None
        if self.leave():
            try:
                status = self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill()
                status = "hung"
        log = self.log() if self.log_path.exists() else ""
        if os.environ.get("BATON_TEST_KEEP"):
            print(f"kept {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        for report in REPORTS:
            assert report not in log, log[-20000:]
        assert status in (None, self.expect_status), f"exit status {status}\n{log[-4000:]}"


class DaemonTest(unittest.TestCase):
    """A test with helpers that clean up after themselves. One that hangs says where."""

    def run(self, result=None):
        faulthandler.dump_traceback_later(HUNG_S)
        try:
            return super().run(result)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def daemon(self, start=True, **options):
        daemon = Daemon(**options)
        self.addCleanup(daemon.cleanup)
        return daemon.start() if start else daemon

    def run_cli(self, daemon, *args, deadline_s=30, **options):
        """One client command to its end."""
        return subprocess.run([BATON, *args], env={**daemon.environment(), "BATON_SOCKET": daemon.socket},
                              capture_output=True, text=True, timeout=deadline_s, check=False, **options)

    def start_cli(self, daemon, *args, **options):
        """One client command, left running; killed at the end."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("preexec_fn", die_with_parent)
        process = subprocess.Popen([BATON, *args], text=True,
                                   env={**daemon.environment(), "BATON_SOCKET": daemon.socket}, **options)
        self.addCleanup(end_process, process)
        return process

    def assertError(self, answer, status, code=None):
        self.assertEqual(answer.status, status, answer)
        if code:
            self.assertEqual(answer.json()["error"]["code"], code, answer)


def end_process(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def in_thread(function, *args):
    """Runs it beside; .result() waits for its value."""
    class Job(threading.Thread):
        def run(self):
            try:
                self.value, self.error = function(*args), None
            except BaseException as error:  # handed to result()
                self.value, self.error = None, error

        def result(self, deadline_s=DEADLINE_S):
            self.join(deadline_s)
            assert not self.is_alive(), "still running"
            if self.error:
                raise self.error
            return self.value

    job = Job(daemon=True)
    job.start()
    return job
