"""Both sides of the gateway at their worst at once: bodies that break while they pass through, answers that come before
the request has, fields that are about one connection alone, and what is cut into single bytes."""
import contextlib
import socket
import struct
import threading
import unittest

from lib.daemon import in_thread
from lib.gateway import CHAT, GatewayTest, upstream
from lib.listener import Listener
from lib.wait import wait_until

TRANSCRIBE = "/v1/audio/transcriptions"
FORM = {"Content-Type": "multipart/form-data; boundary=XX"}
PART = b'--XX\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
BEGUN = PART % b"model" + b"m\r\n" + PART % b'file"; filename="a.wav'


def send_what_it_takes(client, bytes_):
    """Until whoever reads it has enough."""
    with contextlib.suppress(OSError):
        client.send(bytes_)


class Answering(Listener):
    """A model server that gives each request to `answer`, but tells nobody of its models."""

    def __init__(self, answer):
        self.answer = answer
        super().__init__()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1) or b"\r\n\r\n"
            if head.startswith(b"POST"):
                self.answer(connection)


class Hanging(Listener):
    def serve(self, connection):
        threading.Event().wait(30)


class Edges(GatewayTest):
    def listen(self, serve, **options):
        server = Answering(serve)
        self.addCleanup(server.close)
        return self.behind({"name": "it", "kind": "openai", "url": server.url,
                            "models": [{"name": "m", "vram_mb": 1000}]}, **options)

    def raw(self, daemon, bytes_):
        connection = daemon.connect()
        self.addCleanup(connection.close)
        connection.send(bytes_)
        return connection

    def idle(self, daemon):
        wait_until(lambda: not self.models(daemon)["requests"], "no request is left")
        wait_until(lambda: all(row["slots"] == 0 for row in daemon.status()["leases"]), "no turn is held")


class Bodies(Edges):
    """Of forms, which pass through in pieces."""

    def setUp(self):
        super().setUp()
        self.came, self.ended = b"", threading.Event()

    def collect(self, connection):
        while piece := connection.recv(65536):
            self.came += piece
        self.ended.set()

    def begin_form(self, daemon, **headers):
        return self.raw(daemon, daemon.request("POST", TRANSCRIBE, None, {**FORM, **headers}))

    def test_a_chunk_that_is_none(self):
        """What was read of the body before is never made whole by somebody else."""
        for bad in (b"5;\n", b"+5\r\n", b"0x5\r\n", b"FFFFFFFFFFFFFFFF1\r\n", b"-1\r\n", b"5\r\nhelloX",
                    b"1;" + b"x" * (10 << 20) + b"\r\n"):
            with self.subTest(bad[:20]):
                self.came, self.ended = b"", threading.Event()
                daemon = self.listen(self.collect)
                client = self.begin_form(daemon, **{"Transfer-Encoding": "chunked", "Content-Length": None})
                audio = b"a" * 100000
                client.send(b"%x\r\n%s\r\n" % (len(BEGUN) + len(audio), BEGUN + audio))
                wait_until(lambda: len(self.came) > 100000, "the server has what came")
                sent = in_thread(send_what_it_takes, client, bad)
                self.assertTrue(self.ended.wait(10), "its connection is closed")
                self.assertFalse(self.came.endswith(b"0\r\n\r\n"), self.came[-20:])
                self.idle(daemon)
                client.close()
                sent.result()

    def test_a_client_that_leaves_in_it(self):
        daemon = self.listen(self.collect)
        client = self.begin_form(daemon, **{"Content-Length": "200000"})
        client.send(BEGUN + b"a" * 100000)
        wait_until(lambda: len(self.came) > 100000, "the server has what came")
        client.close()
        self.assertTrue(self.ended.wait(10), "its connection is closed")
        self.assertLess(len(self.came), 200000)
        self.idle(daemon)

    def test_a_client_that_stalls_in_it(self):
        """It has the turn, and gives nothing: others do not wait for it for ever."""
        daemon = self.listen(self.collect)
        client = self.begin_form(daemon, **{"Content-Length": "200000"})
        client.send(BEGUN + b"a" * 100000)
        wait_until(lambda: len(self.came) > 100000, "the server has what came")
        self.assertTrue(self.ended.wait(30), "its connection is closed")
        self.idle(daemon)

    def test_continue_comes_before_the_wait(self):
        """Who asks whether it may send is told so while it waits for its turn."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        token = daemon.lock("game").json()["token"]
        body = BEGUN + b"aaa\r\n--XX--\r\n"
        for path, headers, body in ((TRANSCRIBE, FORM, body), (CHAT, {}, b'{"model":"m"}')):
            client = self.raw(daemon, daemon.request("POST", path, body, {**headers, "Expect": "100-continue"})
                              .partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            self.assertEqual(client.read_head()[0], 100)
            client.send(body)
            wait_until(lambda: len(daemon.waiting()) == 1, "it waits")
            daemon.unlock(token)
            self.assertEqual(client.read_answer().status, 200)
            token = daemon.lock("game").json()["token"]


class Answers(Edges):
    def test_before_the_body_has_come(self):
        """A server that refuses by what it reads first, and resets: its client hears the refusal."""
        answer = (b"HTTP/1.1 413 Large\r\nContent-Type: application/json\r\nContent-Length: 17\r\n"
                  b"Connection: close\r\n\r\n")

        def refuse(connection):
            connection.sendall(answer + b'{"error":"large"}')
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def refuse_and_read_on(connection):
            connection.sendall(answer + b'{"error":"large"}')
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

        for serve in (refuse_and_read_on, refuse):
            for path, headers, body in ((TRANSCRIBE, FORM, BEGUN + b"a" * (8 << 20) + b"\r\n--XX--\r\n"),
                                        (CHAT, {}, b'{"model":"m","x":"%s"}' % (b"x" * (8 << 20))),
                                        (CHAT, {}, b'{"model":"m","x":"%s"}' % (b"x" * 1000))):
                with self.subTest(serve=serve.__name__, path=path, length=len(body)):
                    daemon = self.listen(serve)
                    client = daemon.connect()
                    self.addCleanup(client.close)
                    sent = in_thread(send_what_it_takes, client,
                                     daemon.request("POST", path, body, headers))
                    answered = client.read_answer()
                    if serve is refuse_and_read_on:
                        self.assertEqual((answered.status, answered.body), (413, b'{"error":"large"}'))
                    else:  # a reset may overtake what was said
                        self.assertIn(answered.status, (413, 502))
                    self.idle(daemon)
                    client.close()
                    sent.result()

    def test_byte_by_byte(self):
        """Whatever ends its lines, and wherever it is cut: the client has the very bytes."""
        texts = ("data: {\"a\":\"北京🙂\"}\r\n\r\n: note\r\ndata:{\"b\":1}\r\n\r\ndata: [DONE]\r\n\r\n",
                 "data:{\"a\":\"🙂\"}\r\rdata:1\r: between\rdata:2\r\rdata: [DONE]\r\r",
                 "event: x\ndata:{}\nid: 7\nretry: 3000\n\ndata: {\"é\":\"\u2028\"}\n\ndata: [DONE]\n\n")
        for text in texts:
            bytes_ = text.encode()

            def drip(connection, bytes_=bytes_):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                for i in range(len(bytes_)):
                    connection.sendall(bytes_[i:i + 1])
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # what is unread would make the close a reset
                    pass

            daemon = self.listen(drip, gateway={"quiet_s": 240})
            answer = self.ask(daemon, "m", stream=True)
            self.assertEqual((answer.status, answer.body), (200, bytes_))

    def test_left_after_its_last_word(self):
        """A client that has all it wants closes before `[DONE]`: that is no failure."""
        stop = threading.Event()

        def serve(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                               b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
                               b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
            stop.wait(30)
            connection.sendall(b"data: [DONE]\n\n")

        daemon = self.listen(serve)
        client = self.begin(daemon, "m", stream=True)
        self.assertEqual(client.read_head()[0], 200)
        got = b""
        for chunk in client.chunks():
            got += chunk
            if b'"stop"' in got:
                break
        client.close()
        wait_until(lambda: "outcome=" in daemon.log(), "it is over")
        stop.set()
        self.assertIn("outcome=ok", daemon.log())
        self.idle(daemon)


class Fields(Edges):
    def test_of_the_clients_connection(self):
        """What a client says of its connection to Baton, or of those before it, is not said to the server."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        gone = {"Connection": "keep-alive, X-Hop,x-hop-2", "X-Hop": "1", "x-HOP-2": "2", "X-Forwarded-For": "10.0.0.1",
                "X-Forwarded-Host": "evil.example", "X-Real-IP": "10.0.0.1", "Forwarded": "for=10.0.0.1",
                "Via": "1.1 x", "TE": "trailers", "Keep-Alive": "timeout=5", "X-Baton-Lease": "7"}
        answer = self.ask(daemon, "m", headers={**gone, "X-Stays": "1"})
        self.assertEqual(answer.status, 200)
        headers = plain.asked(CHAT)[0][2]
        self.assertEqual(headers["x-stays"], "1")
        self.assertEqual([name for name in gone if name.lower() in headers], [])

    def test_of_the_servers_connection(self):
        """.. and what a server says of its own not to the client."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), config={"origins": ["http://app.example"]})
        plain.answer = (200, [("Connection", "x-hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"),
                              ("Access-Control-Allow-Origin", ""), ("Access-Control-Allow-Origin", "*"),
                              ("X-Baton-Lease", "7"), ("X-Stays", "1")], {"ok": True})
        answer = self.ask(daemon, "m", headers={"Origin": "http://app.example"})
        self.assertEqual((answer.status, answer.headers["x-stays"]), (200, "1"))
        self.assertNotIn("x-hop", answer.headers)
        self.assertNotIn("keep-alive", answer.headers)
        self.assertEqual(answer.headers["access-control-allow-origin"], "http://app.example")
        self.assertNotEqual(answer.headers["x-baton-lease"], "7")

    def test_two_keys(self):
        """One that is shown twice is one; of two different ones nobody knows which is meant."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        body = {"model": "m", "messages": []}
        both = {"Authorization": f"Bearer {daemon.token}", "x-api-key": daemon.token}
        self.assertEqual(daemon.http("POST", "/v1/messages", body, both, token=None).status, 200)
        for wrong in ({**both, "x-api-key": "x" * 43}, {**both, "Authorization": "Bearer " + "x" * 43}):
            self.assertEqual(daemon.http("POST", "/v1/messages", body, wrong, token=None).status, 401)
        self.assertEqual(len(plain.asked("/v1/messages")), 1)


class Readers(Edges):
    def test_one_that_never_reads(self):
        """It has the turn for as long as nobody else wants it."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), gateway={"finish_s": 0.5},
                             config={"classes": {"chat": {"hold_max_s": 1}}})
        plain.pieces = [b"data: " + b"x" * 65530 + b"\n\n"] * 400 + [b"data: [DONE]\n\n"]
        stalled = self.begin(daemon, "m", stream=True)
        self.assertEqual(stalled.read_head()[0], 200)
        self.assertEqual(daemon.lock("game", timeout_s=20, **{"class": "chat"}).status, 200)
        self.assertIsNotNone(stalled)


class Lists(Edges):
    def test_asked_for_nothing_again_and_again(self):
        """Who asks for a model that there is not does not make Baton ask its servers as often."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        for _ in range(50):
            self.assertError(self.ask(daemon, "none"), 404, "model_not_found")
        self.assertLess(len(plain.asked("/v1/models")), 10)

    def test_one_that_hangs(self):
        """The list of all the others is there at once."""
        hung = Hanging()
        self.addCleanup(hung.close)
        plain = self.server("openai", ["m"])
        daemon = self.behind({"name": "hung", "kind": "openai", "url": hung.url},
                             upstream(plain, "plain", vram_mb=1000))
        listed = lambda: [row["id"] for row in daemon.http("GET", "/v1/models").json()["data"]]
        wait_until(lambda: listed() == ["m"], "it is listed")
        self.assertEqual(self.ask(daemon, "m").status, 200)


if __name__ == "__main__":
    unittest.main()
