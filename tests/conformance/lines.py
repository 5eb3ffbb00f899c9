"""lines: the two ways in which session messages travel: lines of a Unix socket, frames of a WebSocket."""
import base64
import hashlib
import json
import struct

ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class LineStream:
    def __init__(self, sock):
        self.sock, self.bytes, self.over = sock, b"", False

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # it hung up; what follows shows it

    def say(self, text):
        self.send(text.encode() + b"\n")

    def close(self, code, reason):
        if code != 1006:
            self.say(json.dumps({"type": "close", "code": code, "reason": reason}))
        self.sock.close()

    def fill(self):
        try:
            got = self.sock.recv(65536)
        except OSError:
            got = b""
        self.over = not got
        self.bytes += got

    def read(self):
        """The messages that have come."""
        self.fill()
        while b"\n" in self.bytes:
            line, self.bytes = self.bytes.split(b"\n", 1)
            yield line.decode()


class WebSocketStream(LineStream):
    """RFC 6455, as far as a session needs it."""

    def __init__(self, sock):
        super().__init__(sock)
        self.shaken = False

    def frame(self, opcode, payload):
        size = len(payload)
        head = bytes([0x80 | opcode]) + (bytes([size]) if size < 126 else struct.pack("!BH", 126, size))
        self.send(head + payload)

    def say(self, text):
        self.frame(TEXT, text.encode())

    def close(self, code, reason):
        if code != 1006:
            self.frame(CLOSE, struct.pack("!H", code) + reason.encode())
        self.sock.close()

    def shake(self):
        if b"\r\n\r\n" not in self.bytes:
            return False
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        key = next(value for name, value in fields.items() if name.lower() == b"sec-websocket-key")
        proof = base64.b64encode(hashlib.sha1(key.strip() + ACCEPT_KEY).digest())
        self.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n")
        self.shaken = True
        return True

    def take_frame(self):
        """(opcode, payload), or None: not all of it is here."""
        data = self.bytes
        if len(data) < 6:
            return None
        size, at = data[1] & 0x7F, 2
        if size == 126:
            size, at = struct.unpack_from("!H", data, 2)[0], 4
        if len(data) < at + 4 + size:
            return None
        mask, body = data[at:at + 4], data[at + 4:at + 4 + size]
        self.bytes = data[at + 4 + size:]
        return data[0] & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))

    def read(self):
        """The messages that have come; None: the connection is open from here on."""
        self.fill()
        if not self.shaken:
            if not self.shake():
                return
            yield None
        while frame := self.take_frame():
            opcode, payload = frame
            if opcode == TEXT:
                yield payload.decode()
            elif opcode == PING:
                self.frame(PONG, payload)
            elif opcode == CLOSE:
                self.frame(CLOSE, payload[:2])
                self.over = True
