"""A client by hand, so that it can leave in every way in which clients leave."""
import select
import socket
import struct
import time
import urllib.parse

import routes


class Caller:
    def __init__(self, base_url, key, route, model, marker, stream):
        where = urllib.parse.urlsplit(base_url)
        self.socket = socket.create_connection((where.hostname, where.port or 80), timeout=5)
        self.got, self.ended, self.reset = b"", False, False
        kind, body = routes.question(route, model, marker, stream)
        head = (f"POST {where.path.rstrip('/')}{routes.PATHS[route]} HTTP/1.1\r\nHost: {where.netloc}\r\n"
                f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nAccept: */*\r\n")
        if key:
            head += f"Authorization: Bearer {key}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + body)

    # -- ways to leave

    def close(self):
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def abort(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # -- what it hears

    def read_until(self, condition, seconds):
        """Reads until condition() or the end; False when the time is over."""
        deadline = time.monotonic() + seconds
        while not self.ended and not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return False
            self.read_once()
        return True

    def read_once(self):
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionError:
            piece, self.reset = b"", True
        self.got += piece
        self.ended = not piece

    @property
    def status(self):
        return int(self.got.split(b" ", 2)[1]) if b"\r\n\r\n" in self.got else None

    def is_complete(self):
        """Whether its own framing says that the answer has ended."""
        head, mark, body = self.got.partition(b"\r\n\r\n")
        fields = head.decode("latin-1").lower().split("\r\n")
        if not mark:
            return False
        if "transfer-encoding: chunked" in fields:
            return body.endswith(b"0\r\n\r\n")
        length = next((int(field[15:]) for field in fields if field.startswith("content-length:")), None)
        return self.ended and not self.reset if length is None else len(body) >= length

    def verdict(self, seconds):
        """What a client's program learns of how its request ended. Waits for that."""
        self.read_until(self.is_complete, seconds)
        if self.status and self.status >= 400:
            return f"status {self.status}"
        if self.is_complete():
            return "error event" if b'"error"' in self.got or b"response.failed" in self.got else "complete"
        return ("cut off" if self.got else "no answer") if self.ended else "silence"
