"""Sessions of the real protocol, over the Unix socket (lines) and over WebSocket (frames).

A thread reads what the broker says, answers heartbeats and accepts offers unless told not to; tests
wait for messages by type and fields.
"""
import base64
import json
import os
import socket
import struct
import threading
import time

from .wait import DEADLINE_S


class LineTransport:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.reader = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def receive(self):
        """One message, or None at the end."""
        line = self.reader.readline()
        return line.decode() if line else None


class WebSocketTransport:
    """RFC 6455 by hand, so that tests can also send what no library would."""

    def __init__(self, address, headers=(), path="/v1/gpu/session", sock=None):
        self.close_code = None
        self.socket = sock or socket.create_connection(address, timeout=DEADLINE_S)
        host = f"{address[0]}:{address[1]}"
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        given = dict(headers)
        given.setdefault("Host", host)
        lines += [f"{name}: {value}" for name, value in given.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.reader = self.socket.makefile("rb")
        self.status = int(self.reader.readline().split(b" ")[1])
        self.headers = {}
        while (line := self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self.socket.settimeout(None)

    def frame(self, opcode, payload=b"", fin=True, rsv=0, masked=True, length=None):
        """One frame; `length` lies about the payload's length."""
        size = len(payload) if length is None else length
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if masked else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 1 << 16:
            head += bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", size)
        if not masked:
            return head + payload
        mask = b"\x01\x02\x03\x04"
        return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))

    def send(self, text):
        self.socket.sendall(self.frame(1, text.encode()))

    def read_frame(self):
        """(opcode, payload), or None at the end."""
        head = self.reader.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.reader.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.reader.read(8))[0]
        return head[0] & 0x0F, self.reader.read(size)

    def receive(self):
        while True:
            frame = self.read_frame()
            if frame is None:
                return None
            opcode, payload = frame
            if opcode == 1:
                return payload.decode()
            if opcode == 8:
                self.close_code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
            if opcode == 9:
                self.socket.sendall(self.frame(10, payload))


class Session:
    """One client. `accept`: answer offers; `alive`: answer heartbeats.

    Over the Unix socket the client is this process: whoever lets such a session be revoked is killed
    by the broker, as it should be. Tests of revocation use WebSockets or lib/holder.py.
    """

    def __init__(self, transport, name=None, token=None, resume=None, accept=True, alive=True):
        self.transport = transport
        self.accept, self.alive = accept, alive
        self.inbox = []
        self.ended_at = None
        self.next_ref = 1
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        if name:
            hello = {"type": "hello", "id": name}
            if token:
                hello["token"] = token
            if resume:
                hello["resume"] = resume
            self.send(**hello)
            self.welcome = self.wait("welcome")

    def _read(self):
        try:
            while (text := self.transport.receive()) is not None:
                message = json.loads(text)
                message["at"] = time.monotonic()
                with self.changed:
                    self.inbox.append(message)
                    self.changed.notify_all()
                if message["type"] == "heartbeat" and self.alive:
                    self.send(type="alive")
                if message["type"] == "offered" and self.accept:
                    self.send(type="accept", lease=message["lease"])
        except (OSError, ValueError):
            pass
        with self.changed:
            self.ended_at = time.monotonic()
            self.changed.notify_all()

    def send(self, **message):
        self.transport.send(json.dumps(message))

    def messages(self, kind=None, **fields):
        with self.changed:
            return [m for m in self.inbox if (kind is None or m["type"] == kind)
                    and all(m.get(k) == v for k, v in fields.items())]

    def wait(self, kind, deadline_s=DEADLINE_S, count=1, **fields):
        """The count-th message of that type with those fields."""
        end = time.monotonic() + deadline_s
        with self.changed:
            while True:
                found = [m for m in self.inbox if m["type"] == kind
                         and all(m.get(k) == v for k, v in fields.items())]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0 or self.ended_at:
                    why = "connection ended" if self.ended_at else f"not within {deadline_s} s"
                    raise AssertionError(f"{why}: {kind} {fields}; got {self.inbox[-6:]}")
                self.changed.wait(left)

    def wait_end(self, deadline_s=DEADLINE_S):
        """Until the broker closes."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.ended_at, deadline_s):
                raise AssertionError(f"still connected after {deadline_s} s; got {self.inbox[-6:]}")

    def acquire(self, **fields):
        """Asks; returns the ref."""
        ref = fields.pop("ref", self.next_ref)
        self.next_ref = max(self.next_ref, ref) + 1
        self.send(type="acquire", ref=ref, **fields)
        return ref

    def hold(self, **fields):
        """Asks and waits for the grant."""
        return self.wait("granted", ref=self.acquire(**fields))

    def queue(self, **fields):
        """Asks and waits for the place in the queue."""
        return self.wait("queued", ref=self.acquire(**fields))

    def release(self, lease, **fields):
        self.send(type="release", lease=lease, **fields)

    def bye(self):
        """Ends the session and all it has, and waits until the broker agreed."""
        self.send(type="bye")
        self.wait_end()

    def drop(self):
        """Ends the connection without a word."""
        try:
            self.transport.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(DEADLINE_S)
        self.transport.reader.close()
        self.transport.socket.close()
