"""Goal: a WebSocket that breaks the protocol, floods or lies is closed with the code that says so; nobody
else notices (CASES C 8, 9, 33 to 38). Method: frames by hand against the real daemon.
"""
import json
import socket
import struct
import time
import unittest

from lib.daemon import DaemonTest
from lib.http import Connection
from lib.session import Session, WebSocketTransport
from lib.wait import DEADLINE_S, wait_until


class Frames(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def open(self, hello=True):
        transport = WebSocketTransport(self.d.address)
        self.addCleanup(transport.socket.close)
        self.assertEqual(transport.status, 101)
        transport.socket.settimeout(DEADLINE_S)
        if hello:
            transport.send('{"type":"hello","id":"raw","token":"%s"}' % self.d.token)
            self.assertIn("welcome", transport.receive())
        return transport

    def closes(self, data, codes, hello=True, what=""):
        """Sends raw bytes; the broker must close with one of the codes."""
        transport = self.open(hello)
        try:
            transport.socket.sendall(data)
        except OSError:
            pass  # closed in the middle
        self.ends(transport, codes, what)

    def ends(self, transport, codes, what=""):
        try:
            while transport.receive() is not None:
                pass
        except ConnectionResetError:
            pass
        self.assertIn(transport.close_code, codes, what)
        self.assertEqual(self.d.http("GET", "/health").status, 200)

    def frame(self, *args, **kwargs):
        return WebSocketTransport.frame(None, *args, **kwargs)

    def test_wrong_secret_learns_nothing(self):
        """A resume with a wrong secret and no token, questions sent right behind it: all are refused."""
        self.d.session("somebody").hold()
        transport = self.open(hello=False)
        ahead = ('{"type":"hello","id":"x","resume":"17-00112233445566778899aabbccddeeff"}',
                 '{"type":"logs","limit":100}', '{"type":"status"}',
                 '{"type":"subscribe","logs":true,"events":true}', '{"type":"acquire","ref":1}')
        transport.socket.sendall(b"".join(self.frame(1, text.encode()) for text in ahead))
        told = []
        while (text := transport.receive()) is not None:
            told.append(json.loads(text))
        self.assertEqual({message["type"] for message in told}, {"denied"}, told)
        self.assertEqual([message["code"] for message in told[:3]], ["unauthorized"] * 3)
        self.assertEqual(self.d.waiting(), [])

    def test_right_secret_may_ask(self):
        """A resume by the secret alone has the rights of a token once it is welcome."""
        first = self.d.websocket("tab")
        secret = first.welcome["session"]
        first.drop()
        again = Session(WebSocketTransport(self.d.address), name="tab", resume=secret)
        self.addCleanup(again.drop)
        self.assertTrue(again.welcome["resumed"])
        again.send(type="logs", limit=1)
        again.wait("ok")
        again.send(type="admin", act="pause")
        again.wait("denied", code="forbidden")

    def test_c33_malformed_frames(self):
        """C33: unmasked, RSV bits, reserved opcodes, fragmented or long control frames: 1002."""
        self.closes(self.frame(1, b"{}", masked=False), (1002,), what="unmasked")
        for rsv in (1, 2, 4):
            self.closes(self.frame(1, b"{}", rsv=rsv), (1002,), what=f"rsv {rsv}")
        for opcode in (3, 4, 7, 0xB, 0xF):
            self.closes(self.frame(opcode, b""), (1002,), what=f"opcode {opcode}")
        self.closes(self.frame(9, b"x", fin=False), (1002,), what="fragmented ping")
        self.closes(self.frame(9, b"x" * 126), (1002,), what="ping of 126")
        self.closes(self.frame(0, b"x"), (1002,), what="continuation of nothing")
        self.closes(self.frame(1, b"{", fin=False) + self.frame(1, b"}"), (1002,), what="text in text")

    def test_c33_binary(self):
        """Session messages are text; binary is refused in words or by close."""
        self.closes(self.frame(2, b"{}"), (1003, 1002, 1007, 1008))

    def test_c34_lengths(self):
        """C34: 2^63, more than 64 KiB, in one frame or many: 1009, and nothing is stored."""
        self.closes(self.frame(1, b"x", length=(1 << 63) + 1), (1002, 1009), what="2^63")
        self.closes(self.frame(1, b"x", length=1 << 40), (1009,), what="1 TB announced")
        self.closes(self.frame(1, b"x" * 70000), (1009,), what="70 KB")
        parts = self.frame(1, b"x" * 1000, fin=False) + self.frame(0, b"x" * 1000, fin=False) * 80
        self.closes(parts, (1009,), what="80 KB in fragments")

    def test_c34_tiny_fragments(self):
        """C34: a message in tens of thousands of 1-byte fragments does not grow memory without end."""
        before = rss_kib(self.d)
        transport = self.open()
        data = self.frame(1, b"x", fin=False) + self.frame(0, b"x", fin=False) * 20000
        try:
            transport.socket.sendall(data)
            for _ in range(9):
                transport.socket.sendall(self.frame(0, b"x", fin=False) * 20000)
        except OSError:
            pass
        self.ends(transport, (1009, 1008, 1002))
        self.assertLess(rss_kib(self.d) - before, 16 * 1024)

    def test_c35_utf8_and_close_codes(self):
        """C35: invalid UTF-8: 1007; close codes that may not be sent: 1002; data after close: nothing."""
        self.closes(self.frame(1, b"\xff\xfe"), (1007,), what="utf-8")
        for code in (1004, 1005, 1006, 1015, 999, 5000, 0):
            self.closes(self.frame(8, struct.pack(">H", code)), (1002,), what=f"close {code}")
        self.closes(self.frame(8, b"x"), (1002,), what="close of 1 byte")
        self.closes(self.frame(8, struct.pack(">H", 1000) + b"\xff"), (1002, 1007), what="reason")
        self.closes(self.frame(8, struct.pack(">H", 1000)) + self.frame(1, b'{"type":"alive"}'), (1000,))

    def test_c36_ping_flood(self):
        """C36: pings are answered, a flood of them is closed or slowed; others are served."""
        transport = self.open()
        try:
            for _ in range(200):
                transport.socket.sendall(self.frame(9, b"x") * 500)
        except OSError:
            pass
        self.assertEqual(self.d.http("GET", "/health").status, 200)
        self.assertLess(rss_kib(self.d), 400 * 1024)

    def test_c36_message_flood(self):
        """C36: thousands of tiny messages a second: 1008."""
        data = self.frame(1, b'{"type":"alive"}') * 2000
        self.closes(data, (1008, 4429))

    def test_c36_never_reads(self):
        """C36: a client that asks and never reads is closed when its buffer is full; memory stays bounded."""
        for i in range(40):
            self.d.park(f"long-name-{i:0100}")
        transport = self.open()
        ask = self.frame(1, b'{"type":"status"}')
        wait_until(lambda: self.d.status()["queue_depth"] == 39, "a long status")
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def asked_in_vain():
            try:
                transport.socket.sendall(ask)
            except OSError:
                return True
            return not self.d.answers()
        wait_until(asked_in_vain, "it is closed", 60)
        self.assertLess(rss_kib(self.d), 400 * 1024)

    def test_c37_deflate_is_not_negotiated(self):
        """C37: permessage-deflate is not taken, so a bomb is a protocol error."""
        transport = WebSocketTransport(self.d.address, {"Sec-WebSocket-Extensions": "permessage-deflate"})
        self.assertEqual(transport.status, 101)
        self.assertNotIn("sec-websocket-extensions", transport.headers)
        transport.socket.sendall(self.frame(1, b"\x00" * 100, rsv=4))
        self.ends(transport, (1002,))

    def test_c38_wrong_json_types(self):
        """C38, P31: JSON that is no message gets an answer, and the connection stays."""
        transport = self.open()
        for text in ("[]", "5", '"x"', "null", "{", "", '{"type":5}', '{"type":"no-such"}', "{}",
                     '{"type":"acquire"}', '{"type":"acquire","ref":0}', '{"type":"acquire","ref":"x"}',
                     '{"type":"release"}', '{"type":"hello","id":"again"}', '{"type":"accept","lease":-1}'):
            transport.send(text)
            self.assertIn('"denied"', transport.receive(), text)
        transport.send('{"type":"acquire","ref":7}')
        self.assertIn('"offered"', "".join(transport.receive() for _ in range(2)))

    def test_c8_foreign_origin(self):
        """C8, P42: a foreign Origin gets 403 before any upgrade, even with the right token."""
        for origin in ("https://evil.example", "null"):
            transport = WebSocketTransport(self.d.address, {"Origin": origin,
                                                            "Authorization": f"Bearer {self.d.token}"})
            self.assertEqual(transport.status, 403)
        transport = WebSocketTransport(self.d.address, {"Host": "attacker.example"})
        self.assertEqual(transport.status, 403)

    def test_c9_no_hello(self):
        """C9, P42: no hello within 2 s: close 4401."""
        transport = self.open(hello=False)
        started_at = time.monotonic()
        self.ends(transport, (4401,))
        self.assertGreater(time.monotonic() - started_at, 1.5)

    def test_c9_wrong_token(self):
        """C9, C10: a wrong token or none in hello: close 4401."""
        for hello in ('{"type":"hello","id":"x","token":"wrong"}', '{"type":"hello","id":"x"}'):
            self.closes(self.frame(1, hello.encode()), (4401,), hello=False)

    def test_version(self):
        """Another protocol version: close 4409."""
        hello = '{"type":"hello","id":"x","token":"%s","version":99}' % self.d.token
        self.closes(self.frame(1, hello.encode()), (4409,), hello=False)

    def test_first_message_must_be_hello(self):
        """Nothing is done for a client that did not say who it is."""
        transport = self.open(hello=False)
        transport.send('{"type":"acquire","ref":1}')
        self.ends(transport, (4401,))
        self.assertEqual(self.d.holders(), [])

    def test_handshakes(self):
        """A handshake that is none is refused: version, key, upgrade."""
        for headers in ({"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "short"},
                        {"Upgrade": "h2c"}, {"Connection": "close"}, {"Sec-WebSocket-Key": None}):
            with Connection(self.d.address) as connection:
                fields = {"Host": self.d.host, "Upgrade": "websocket", "Connection": "Upgrade",
                          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
                fields.update(headers)
                lines = [f"{k}: {v}" for k, v in fields.items() if v is not None]
                connection.send(("GET /v1/gpu/session HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
                self.assertIn(connection.read_head()[0], (400, 401, 403, 405, 426), headers)

    def test_ping_is_answered(self):
        """A ping gets its pong (though it proves nothing about the page)."""
        transport = self.open()
        transport.socket.sendall(self.frame(9, b"echo"))
        self.assertEqual(transport.read_frame(), (10, b"echo"))

    def test_fragmented_text_is_one_message(self):
        """Fragments with a ping between them make one message."""
        transport = self.open()
        transport.socket.sendall(self.frame(1, b'{"type":"acq', fin=False) + self.frame(9, b"")
                                 + self.frame(0, b'uire","ref":1}'))
        self.assertIn('"ref":1', transport.receive())

    def test_reset_while_holding(self):
        """A RST instead of a close frees the GPU after the linger, like any unclean end."""
        session = self.d.websocket("tab")
        session.hold()
        sock = session.transport.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        session.transport.reader.close()
        sock.close()
        wait_until(lambda: not self.d.holders(), "the lease ends")


class Pages(DaemonTest):
    def test_tab_resumes_within_its_linger(self):
        """S3: a closed tab that comes back in time has its lease and its place; later it has neither."""
        daemon = self.daemon(timing={"tab_linger_s": 2})
        tab = daemon.websocket("tab")
        held = tab.hold()
        tab.drop()
        wait_until(lambda: not daemon.status()["leases"][0]["attached"], "detached")
        back = daemon.websocket("tab", resume=tab.welcome["session"])
        self.assertTrue(back.welcome["resumed"])
        self.assertEqual(back.wait("claim")["lease"], held["lease"])
        back.drop()
        wait_until(lambda: not daemon.holders(), "the linger ends it")
        late = daemon.websocket("tab", resume=tab.welcome["session"])
        self.assertFalse(late.welcome["resumed"])

    def test_bye_ends_at_once(self):
        """A page that says bye leaves nothing behind, without linger."""
        daemon = self.daemon(timing={"tab_linger_s": 30})
        tab = daemon.websocket("tab")
        tab.hold()
        tab.bye()
        self.assertEqual(daemon.holders(), [])

    def test_resume_needs_the_secret(self):
        """A session is resumed by its secret only; a stranger with its number gets a new one or a refusal."""
        daemon = self.daemon()
        tab = daemon.websocket("tab")
        held = tab.hold()
        number, _, secret = tab.welcome["session"].partition("-")
        forged = f"{number}-{secret[:-1]}{'0' if secret[-1] != '0' else '1'}"
        transport = WebSocketTransport(daemon.address)
        thief = Session(transport)
        daemon.clients.append(thief)
        thief.send(type="hello", id="tab", token=daemon.token, resume=forged)
        wait_until(lambda: thief.messages() or thief.ended_at, "an answer")
        self.assertFalse(thief.messages("welcome", resumed=True))
        tab.send(type="renew", lease=held["lease"])
        tab.wait("renewed")

    def test_drain_closes_with_4503(self):
        """SIGTERM: sessions are closed with 4503, so that pages come back instead of giving up."""
        daemon = self.daemon()
        tab = daemon.websocket("tab")
        tab.hold()
        self.assertEqual(daemon.terminate(), 0)
        tab.wait_end()
        self.assertEqual(tab.transport.close_code, 4503)


def rss_kib(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1])


if __name__ == "__main__":
    unittest.main()
