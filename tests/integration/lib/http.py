"""HTTP by hand: exact bytes out, the answer as it came in."""
import json
import socket

from .wait import DEADLINE_S


class Answer:
    def __init__(self, status, headers, body, closed):
        self.status, self.headers, self.body, self.closed = status, headers, body, closed

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r} closed={self.closed}>"


class Connection:
    def __init__(self, address, deadline_s=DEADLINE_S):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(deadline_s)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=deadline_s)
        self.reader = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def read_head(self):
        """(status, headers), or (None, {}) when the connection ended instead."""
        try:
            line = self.reader.readline()
        except ConnectionError:
            line = b""
        if not line:
            return None, {}
        headers = {}
        while (field := self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split(b" ")[1]), headers

    def read_answer(self, head_only=False):
        status, headers = self.read_head()
        if status is None:
            return Answer(None, {}, b"", True)
        body = b""
        if head_only or status in (204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(self.chunks())
        elif "content-length" in headers:
            body = self.reader.read(int(headers["content-length"]))
        else:
            body = self.reader.read()
        return Answer(status, headers, body, self.is_closed(headers))

    def chunks(self):
        while (size := int(self.reader.readline().split(b";")[0], 16)) > 0:
            yield self.reader.read(size)
            self.reader.readline()
        self.reader.readline()

    def is_closed(self, headers):
        """Whether the broker ended the connection, where it said that it would."""
        if headers.get("connection", "").lower() != "close":
            return False
        try:
            return self.reader.read(1) == b""
        except ConnectionError:
            return True

    def at_end(self):
        """Waits for the broker to end the connection; False when it says something more."""
        try:
            return self.reader.read(1) == b""
        except ConnectionError:
            return True

    def close(self):
        self.reader.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request_bytes(method, path, host, body=None, headers=None):
    """A well-formed request; `headers` overrides what it would say, None leaves one out."""
    fields = {"Host": host}
    data = b""
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields["Content-Type"] = "application/json"
    if body is not None or method in ("POST", "PUT"):
        fields["Content-Length"] = str(len(data))
    fields.update(headers or {})
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data
