"""What only a broker has: a queue, loads, leases. NoBroker stands for a proxy without them."""
import http.client
import json
import socket
import time
import urllib.parse

HOLDER = "cancel-matrix"


class NoBroker:
    is_broker = can_revoke = False

    def wait_until_idle(self, _since, _seconds):
        return None

    def close(self):
        pass


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Baton:
    """Baton, by its own routes. Leases are revoked over its Unix socket, where the user is the operator."""
    is_broker = True

    def __init__(self, base_url, key, socket_path):
        where = urllib.parse.urlsplit(base_url)
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=5)
        self.operator = UnixConnection(socket_path) if socket_path else None
        self.can_revoke = self.operator is not None
        self.key, self.token = key, None

    @staticmethod
    def found_at(base_url, key):
        asker = Baton(base_url, key, None)
        try:
            return "leases" in asker.ask("GET", "/v1/gpu/status")
        except (OSError, ValueError, http.client.HTTPException):
            return False
        finally:
            asker.close()

    def close(self):
        self.connection.close()
        if self.operator:
            self.operator.close()

    def ask(self, method, path, body=None, connection=None):
        connection = connection or self.connection
        fields = {"Content-Type": "application/json"}
        if connection is self.connection:
            fields["Authorization"] = f"Bearer {self.key}"
        connection.request(method, path, json.dumps(body) if body is not None else None, fields)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise ValueError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def occupy(self):
        """Takes the GPU, so that requests queue."""
        self.token = self.ask("POST", "/v1/gpu/lock", {"id": HOLDER, "class": "voice", "ttl_s": 60})["token"]

    def free(self):
        if self.token:
            self.ask("POST", "/v1/gpu/unlock", {"token": self.token})
        self.token = None

    def requests(self):
        return self.ask("GET", "/v1/gpu/models")["requests"]

    def turns(self):
        """Leases that compute, and claims that wait for one, but for the kit's own."""
        status = self.ask("GET", "/v1/gpu/status")
        held = [row for row in status["leases"] if row["slots"] > 0 and row["id"] != HOLDER]
        return held, status["waiting"]

    def is_idle(self):
        return not self.requests() and self.turns() == ([], [])

    def wait_until_idle(self, since, seconds):
        """Milliseconds from `since` until nothing of the request is left; None: not in time."""
        return wait(self.is_idle, since, seconds)

    def wait_until_queued(self, seconds):
        return wait(lambda: self.turns()[1], time.monotonic(), seconds) is not None

    def revoke(self, model):
        """The turn, or the model's own lease where there is no turn yet."""
        held, _ = self.turns()
        lease = held[0]["lease"] if held else next(
            row["lease"] for row in self.ask("GET", "/v1/gpu/models")["models"] if row["model"] == model)
        began = time.monotonic()
        self.ask("POST", f"/v1/gpu/leases/{lease}/revoke", {}, self.operator)
        return began


def wait(condition, since, seconds):
    while True:
        if condition():
            return (time.monotonic() - since) * 1e3
        if time.monotonic() > since + seconds:
            return None
        time.sleep(0.002)
