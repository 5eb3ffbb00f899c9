"""Goal: tabs that answer requests: each answer reaches whoever asked and nobody else, a tab that dies, floods, lies,
stalls or talks out of turn harms its own requests at most, and its limits hold. Method: clients on raw sockets, the
real daemon, workers by hand."""
import base64
import contextlib
import json
import re
import struct
import unittest

from lib.daemon import in_thread
from lib.gateway import CHAT, GatewayTest, upstream
from lib.wait import holds_for, wait_until
from lib.worker import EMBEDDINGS, MESSAGES, TRANSCRIPTIONS, Worker, chunk, model

WINDOW = 256 * 1024


def texts(answer):
    """Of a stream that was read whole."""
    events = [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: {")]
    return "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events)


class WorkerTest(GatewayTest):
    def worker(self, daemon, *args, **options):
        worker = Worker(daemon, *args, **options)
        self.addCleanup(worker.close)
        return worker

    def running(self, daemon):
        return [row["state"] for row in self.models(daemon)["requests"]]

    def assertStream(self, connection, text):
        answer = connection.read_answer()
        self.assertEqual((answer.status, texts(answer)), (200, text), answer)
        self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"))
        return answer


class Answers(WorkerTest):
    def test_stream(self):
        daemon = self.daemon()
        worker = self.worker(daemon, "Root Console", [model(loaded=True, vram_mb=16)])
        client = self.begin(daemon, "m", stream=True, headers={"User-Agent": "curl/9 x"})
        number = worker.request()
        asked = worker.all("request")[0]
        self.assertEqual({key: asked[key] for key in ("path", "model", "class", "client", "stream", "content_type")},
                         {"path": CHAT, "model": "m", "class": "chat", "client": "curl/9", "stream": True,
                          "content_type": "application/json"})
        self.assertEqual(json.loads(worker.bodies[number])["stream"], True)
        worker.begin(number)
        worker.piece(number, chunk("gr")[:10])
        worker.piece(number, chunk("gr")[10:])
        worker.piece(number, chunk("üß🙂", "stop") + "data: [DONE]\n\n")
        worker.end(number)
        answer = self.assertStream(client, "grüß🙂")
        self.assertEqual(answer.headers["x-baton-served-by"], "tab:Root-Console")
        self.assertEqual(self.running(daemon), [])

    def test_seen(self):
        daemon = self.daemon()
        self.assertEqual(daemon.http("GET", "/v1/models").json()["data"], [])
        self.assertError(self.ask(daemon, "m"), 404, "model_not_found")
        worker = self.worker(daemon, models=[model("org/m:7b", loaded=True, vram_mb=700), model("cold")])
        listed = {row["id"]: row["owned_by"] for row in daemon.http("GET", "/v1/models").json()["data"]}
        self.assertEqual(listed, {"org/m:7b": "tab:tab", "cold": "tab:tab"})
        self.assertEqual(daemon.http("GET", "/v1/models/org/m:7b").json()["id"], "org/m:7b")
        self.assertEqual([self.state_of(daemon, "org/m:7b"), self.state_of(daemon, "cold")], ["ready", "not loaded"])
        shown = self.run_cli(daemon, "models").stdout
        self.assertRegex(shown, r"org/m:7b\s.*tab:tab")
        worker.say(type="models", models=[model("cold", loaded=True)])
        wait_until(lambda: len(self.models(daemon)["models"]) == 1, "it takes back what it offered")
        self.assertEqual(self.state_of(daemon, "cold"), "ready")
        worker.close()
        wait_until(lambda: self.models(daemon)["models"] == [], "its models go with it")

    def test_whole_answers(self):
        """In one piece, with a status and an error of the worker's own, and embeddings in base64."""
        daemon = self.daemon()
        worker = self.worker(daemon, concurrency=4)
        client = self.begin(daemon, "m")
        worker.begin(worker.request(0), "application/json", status=422)
        worker.piece(worker.request(0), '{"error":{"message":"no"}}')
        worker.end(worker.request(0))
        answer = client.read_answer()
        self.assertEqual((answer.status, answer.json()), (422, {"error": {"message": "no"}}))

        client = self.begin(daemon, "m")
        worker.end(worker.request(1), code="bad_field", message="field `n`: \u0001one")
        self.assertError(client.read_answer(), 400, "bad_field")
        client = self.begin(daemon, "m")
        worker.end(worker.request(2), code="unauthorized", message="not its to say")
        self.assertError(client.read_answer(), 502, "upstream_broken")
        client = self.begin(daemon, "m")
        worker.end(worker.request(3))
        self.assertError(client.read_answer(), 502, "upstream_broken")

        client = self.begin(daemon, "m", path=EMBEDDINGS, encoding_format="base64", input="x")
        number = worker.request(4)
        worker.begin(number, "application/json")
        worker.piece(number, '{"data":[{"embedding":[1,-0.')
        worker.piece(number, '5]}]}')
        worker.end(number)
        packed = client.read_answer().json()["data"][0]["embedding"]
        self.assertEqual(struct.unpack("<2f", base64.b64decode(packed)), (1, -0.5))

    def test_route_that_it_does_not_serve(self):
        daemon = self.daemon()
        self.worker(daemon, models=[model(paths=[CHAT, "/v1/not/known"])])
        answer = self.ask(daemon, "m", path=EMBEDDINGS, input="x")
        self.assertError(answer, 404, "model_not_found")
        self.assertIn(EMBEDDINGS, answer.json()["error"]["message"])

    def test_form_of_any_size(self):
        """Goes on as it comes, no faster than the worker takes it."""
        daemon = self.daemon()
        worker = self.worker(daemon, takes=False)
        audio = bytes(range(256)) * (16 << 10)
        part = b'--XX\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        form = part % (b"model", b"m") + part % (b'file"; filename="a.wav', audio) + b"--XX--\r\n"
        client = daemon.connect()
        self.addCleanup(client.close)
        sender = in_thread(client.send, daemon.request("POST", TRANSCRIPTIONS, form, {
            "Content-Type": "multipart/form-data; boundary=XX"}))
        wait_until(lambda: sum(map(len, worker.bodies.values())) >= 512 << 10, "it begins")
        holds_for(lambda: sum(map(len, worker.bodies.values())) < 640 << 10, "it waits for the worker", 0.3)
        worker.takes = True
        worker.say(type="took", bytes=len(worker.bodies[worker.all("request")[0]["request"]]))
        number = worker.request()
        sender.result()
        self.assertEqual(worker.bodies[number], form)
        worker.begin(number, "application/json")
        worker.piece(number, '{"text":"hi"}')
        worker.end(number)
        self.assertEqual(client.read_answer().json(), {"text": "hi"})

    def test_many_bodies_at_once(self):
        """What a tab has not taken has one limit for all its requests."""
        daemon = self.daemon()
        worker = self.worker(daemon, takes=False, concurrency=16)

        def came():
            return sum(map(len, worker.bodies.values()))

        clients = [self.begin(daemon, "m", prompt="x" * 200000) for _ in range(16)]
        wait_until(lambda: len(worker.all("request")) == 16 and came() == 512 << 10, "as much as may be is on its way")
        holds_for(lambda: came() == 512 << 10, "no more comes", 0.3)
        worker.takes = True
        worker.say(type="took", bytes=512 << 10)
        worker.request(15)
        self.assertEqual({len(body) // 1000 for body in worker.bodies.values()}, {200})
        self.assertEqual(len(clients), len(worker.bodies))


class Choice(WorkerTest):
    def test_waits_for_room_and_goes_where_it_is_first(self):
        daemon = self.daemon()
        one = self.worker(daemon, "one")
        first, second = self.begin(daemon, "m", stream=True), None
        number = one.request()
        second = self.begin(daemon, "m", stream=True)
        wait_until(lambda: self.running(daemon) == ["running", "waits for a tab"], "the second waits")
        two = self.worker(daemon, "two")
        two.answer(two.request(), "two")
        self.assertStream(second, "two")
        third = self.begin(daemon, "m", stream=True)
        two.answer(two.request(1), "two again")
        self.assertStream(third, "two again")
        one.answer(number, "one")
        self.assertStream(first, "one")

    def test_several_at_once_and_no_more(self):
        daemon = self.daemon()
        worker = self.worker(daemon, concurrency=2)
        clients = [self.begin(daemon, "m", stream=True) for _ in range(3)]
        numbers = [worker.request(0), worker.request(1)]
        holds_for(lambda: len(worker.all("request")) == 2, "the third waits", 0.2)
        for number, text in zip(reversed(numbers), "ba"):
            worker.answer(number, text)
        worker.answer(worker.request(2), "c")
        for client, text in zip(clients, "abc"):
            self.assertStream(client, text)

    def test_voice_goes_first(self):
        daemon = self.daemon()
        worker = self.worker(daemon)
        begun = self.begin(daemon, "m", stream=True)
        number = worker.request()
        chat = self.begin(daemon, "m", stream=True)
        wait_until(lambda: len(self.running(daemon)) == 2, "it waits")
        voice = self.begin(daemon, "m", stream=True, headers={"x-baton-class": "voice"})
        wait_until(lambda: len(self.running(daemon)) == 3, "it waits")
        for at, (client, text) in enumerate([(begun, "a"), (voice, "b"), (chat, "c")]):
            worker.answer(worker.request(at), text)
            self.assertStream(client, text)
        self.assertEqual(number, worker.all("request")[0]["request"])

    def test_what_is_in_memory_goes_before_what_must_be_loaded(self):
        daemon = self.daemon()
        cold = self.worker(daemon, "cold", concurrency=4)
        warm = self.worker(daemon, "warm", [model(loaded=True)], concurrency=1)
        clients = [self.begin(daemon, "m", stream=True)]
        warm.request()
        clients.append(self.begin(daemon, "m", stream=True))
        cold.answer(cold.request(), "cold")
        self.assertStream(clients[1], "cold")
        warm.answer(warm.request(), "warm")
        self.assertStream(clients[0], "warm")

    def test_beside_a_server(self):
        """A tab that has it loaded spares the server's load; the server is there when it is gone."""
        server = self.server("ollama", ["m"])
        daemon = self.behind(upstream(server, "ollama", models=[{"name": "m", "vram_mb": 1000}]))
        worker = self.worker(daemon, models=[model(loaded=True)])
        client = self.begin(daemon, "m", stream=True)
        worker.answer(worker.request(), "tab")
        self.assertStream(client, "tab")
        client = self.begin(daemon, "m", stream=True)
        worker.request(1)
        worker.close()
        answer = client.read_answer()
        self.assertEqual((answer.status, answer.headers["x-baton-served-by"]), (200, "ollama"))

    def test_one_that_declines(self):
        """Its lease was taken before it began: another one, or the same again, and then an error."""
        daemon = self.daemon()
        worker = self.worker(daemon)
        client = self.begin(daemon, "m", stream=True)
        worker.end(worker.request(0), code="outranked", message="revoked")
        worker.answer(worker.request(1), "ok")
        self.assertStream(client, "ok")
        client = self.begin(daemon, "m", stream=True)
        for at in (2, 3, 4):
            worker.end(worker.request(at), code="outranked", message="revoked")
        self.assertError(client.read_answer(), 503, "outranked")


class Deaths(WorkerTest):
    def test_before_the_first_byte(self):
        daemon = self.daemon()
        dies = self.worker(daemon, "dies", [model(loaded=True)])
        lives = self.worker(daemon, "lives")
        client = self.begin(daemon, "m", stream=True)
        dies.request()
        dies.close()
        lives.answer(lives.request(), "saved")
        self.assertStream(client, "saved")

    def test_the_one_that_was_named(self):
        """What was meant for one tab goes to no server that has a model of that name."""
        server = self.server("openai", ["m"])
        daemon = self.behind(upstream(server, "up", models=[{"name": "m", "vram_mb": 1000}]))
        worker = self.worker(daemon, "mine")
        client = self.begin(daemon, "tab:mine/m")
        worker.request()
        worker.close()
        self.assertError(client.read_answer(), 502, "upstream_unreachable")
        self.assertEqual(server.asked(CHAT), [])

    def test_http_1_0(self):
        """Where the end of the connection ends the body, a half one ends with a reset."""
        daemon = self.daemon()
        worker = self.worker(daemon)
        client = daemon.connect()
        self.addCleanup(client.close)
        request = daemon.request("POST", CHAT, {"model": "m", "messages": []})
        client.send(request.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        number = worker.request()
        worker.begin(number, "text/plain")
        worker.piece(number, "The dose is 10")
        worker.end(number, code="outranked", message="taken")
        with self.assertRaises(ConnectionResetError):
            while client.socket.recv(4096):
                pass

    def test_nobody_else(self):
        daemon = self.daemon()
        worker = self.worker(daemon)
        running, waits = self.begin(daemon, "m", stream=True), self.begin(daemon, "m")
        worker.request()
        wait_until(lambda: len(self.running(daemon)) == 2, "both are here")
        worker.close()
        self.assertError(running.read_answer(), 502, "upstream_unreachable")
        self.assertError(waits.read_answer(), 502, "upstream_unreachable")

    def test_after_the_first_byte(self):
        """An error in the client's shape, and never a half answer that looks whole."""
        shapes = {CHAT: (chunk("half"), b'data: {"error":{"message"'),
                  MESSAGES: ('event: message_start\ndata: {"type":"message_start"}\n\n', b"event: error\ndata: {")}
        daemon = self.daemon()
        for path, (piece, error) in shapes.items():
            with self.subTest(path=path):
                worker = self.worker(daemon, "dies")
                client = self.begin(daemon, "m", path=path, stream=True)
                worker.begin(worker.request())
                worker.piece(worker.request(), piece)
                status, headers = client.read_head()
                self.assertEqual(status, 200)
                chunks = client.chunks()
                self.assertEqual(next(chunks), piece.encode())
                worker.piece(worker.request(), "data: {\"torn")
                worker.close()
                rest = b"".join(chunks)
                self.assertIn(error, rest)
                self.assertIn(b"upstream_unreachable", rest)
                self.assertNotIn(b"torn", rest)
                self.assertNotIn(b"[DONE]", rest)

    def test_broker_stops(self):
        daemon = self.daemon()
        worker = self.worker(daemon)
        daemon.terminate()
        self.assertEqual(worker.close_code(), 4503)


class Cancels(WorkerTest):
    def left(self, worker, number):
        wait_until(lambda: {"type": "cancel", "request": number} in worker.heard, "the tab hears it")

    def test_reaches_the_tab_in_every_stage(self):
        daemon = self.daemon()
        worker = self.worker(daemon, concurrency=1)
        for at, stage in enumerate(["before its head", "after its head", "in mid-stream"]):
            with self.subTest(stage=stage):
                client = self.begin(daemon, "m", stream=True)
                number = worker.request(at)
                if at > 0:
                    worker.begin(number)
                if at > 1:
                    worker.piece(number, chunk("x"))
                    client.read_head()
                client.close()
                self.left(worker, number)
                wait_until(lambda: self.running(daemon) == [], "nothing of it is left")
                next_one = self.begin(daemon, "m", stream=True)
                wait_until(lambda: self.running(daemon) == ["waits for a tab"], "its place is taken until it stopped")
                if at == 0:
                    worker.begin(number)
                worker.piece(number, chunk("too late"))
                next_one.close()
                wait_until(lambda: self.running(daemon) == [], "it left as well")
                worker.end(number)
        self.assertEqual(len(worker.all("request")), 3)

    def test_before_it_has_room(self):
        daemon = self.daemon()
        worker = self.worker(daemon)
        first = self.begin(daemon, "m", stream=True)
        number = worker.request()
        second = self.begin(daemon, "m", stream=True)
        wait_until(lambda: len(self.running(daemon)) == 2, "it waits")
        second.close()
        wait_until(lambda: len(self.running(daemon)) == 1, "it is gone")
        worker.answer(number, "a")
        self.assertStream(first, "a")
        holds_for(lambda: len(worker.all("request")) == 1, "it never goes on", 0.2)

    def test_in_the_middle_of_its_form(self):
        daemon = self.daemon()
        worker = self.worker(daemon)
        client = daemon.connect()
        bytes_ = daemon.request("POST", TRANSCRIPTIONS, bytes(9 << 20), {
            "Content-Type": "multipart/form-data; boundary=XX"})
        head, _, body = bytes_.partition(b"\r\n\r\n")
        part = b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--XX\r\nA: b\r\n\r\n'
        client.send(head + b"\r\n\r\n" + part + body[:100000])
        wait_until(lambda: worker.all("request"), "it begins")
        client.close()
        self.left(worker, worker.all("request")[0]["request"])

    def test_client_that_does_not_read(self):
        """The tab stops at its window; what it may send on comes when the client reads on."""
        daemon = self.daemon()
        worker = self.worker(daemon)
        client = self.begin(daemon, "m", stream=True)
        number = worker.request()
        worker.begin(number)
        event = chunk("x" * 8000)
        sent = 0

        def left():
            return WINDOW - sent * len(event) + sum(row["bytes"] for row in worker.all("more"))

        def may_write():
            try:
                return wait_until(lambda: left() >= len(event), "more", 0.5)
            except AssertionError:
                return False

        while may_write():
            worker.piece(number, event)
            sent += 1
        given = len(worker.all("more"))
        self.assertLess(sent * len(event), 32 << 20)
        holds_for(lambda: not worker.ended, "it lives", 0.1)
        got = []
        client.read_head()
        chunks = client.chunks()
        while sum(map(len, got)) < sent * len(event):
            got.append(next(chunks))
        wait_until(lambda: len(worker.all("more")) > given, "it may go on")
        worker.piece(number, chunk("", "stop"))
        worker.end(number)
        self.assertTrue(b"".join(chunks).endswith(chunk("", "stop").encode()))


class Hostile(WorkerTest):
    def test_rules(self):
        """Who breaks one is closed, with the rule's words; its request goes to another."""
        begun = [{"type": "head", "request": 1, "content_type": "text/event-stream"}]
        piece = {"type": "piece", "request": 1, "text": "x" * 30000}
        breaks = {
            "a flood past the window": begun + [piece] * 600,
            "an answer before its head": [piece],
            "two heads": begun * 2,
            "an answer to nobody": [{"type": "end", "request": 99}],
            "an end twice": [{"type": "end", "request": 1, "code": "outranked"}] * 2,
            "taking what was not sent": [{"type": "took", "bytes": 1 << 40}],
            "hello twice": [{"type": "hello", "id": "x", "models": []}],
            "a type that is none": [{"type": "shell"}],
            "a content type of its own": [{"type": "head", "request": 1, "content_type": "text/html\r\nx: y"}],
            "half a character": '{"type":"piece","request":1,"text":"\\ud83d"}',
            "no JSON": "{",
            "deep JSON": '{"type":' * 200,
        }
        for what, said in breaks.items():
            with self.subTest(what=what):
                daemon = self.daemon()
                bad = self.worker(daemon, "bad", [model(loaded=True)])
                client = self.begin(daemon, "m", stream=True)
                self.assertEqual(bad.request(), 1)
                good = self.worker(daemon, "good")
                with contextlib.suppress(OSError):  # it is closed in the middle
                    for message in said if isinstance(said, list) else [said]:
                        text = message if isinstance(message, str) else json.dumps(message)
                        bad.raw(bad.transport.frame(1, text.encode()))
                self.assertEqual(bad.close_code(), 1008)
                self.assertTrue(bad.transport.reason)
                if begun[0] in (said if isinstance(said, list) else []):
                    answer = client.read_answer()
                    self.assertNotIn(b"[DONE]", answer.body)
                else:
                    good.answer(good.request(), "saved")
                    self.assertStream(client, "saved")

    def test_frames(self):
        daemon = self.daemon()
        large = self.worker(daemon, "large")
        large.raw(large.transport.frame(1, b'{"type":"pong","x":"' + b"x" * 70000 + b'"}'))
        self.assertEqual(large.close_code(), 1009)
        binary = self.worker(daemon, "binary")
        binary.raw(binary.transport.frame(2, b"x"))
        self.assertEqual(binary.close_code(), 1003)
        unmasked = self.worker(daemon, "unmasked")
        unmasked.raw(unmasked.transport.frame(1, b'{"type":"pong"}', masked=False))
        self.assertEqual(unmasked.close_code(), 1002)
        hasty = self.worker(daemon, "hasty")
        with contextlib.suppress(OSError):
            hasty.raw(hasty.transport.frame(1, b'{"type":"pong"}') * 20000)
        self.assertEqual(hasty.close_code(), 1008)
        wait_until(lambda: self.models(daemon)["models"] == [], "none of them is left")

    def test_too_many(self):
        daemon = self.daemon()
        workers = [self.worker(daemon, f"w{i}") for i in range(64)]
        self.assertEqual(self.worker(daemon, "one more").close_code(), 4429)
        workers[0].close()
        wait_until(lambda: len(self.models(daemon)["models"]) == 63, "one is gone")
        self.assertEqual(self.worker(daemon, "in its place").heard[0]["type"], "welcome")


class Access(WorkerTest):
    def test_who_may_serve(self):
        daemon = self.daemon()
        self.assertEqual(self.worker(daemon, token=None).close_code(), 4401)
        self.assertEqual(self.worker(daemon, token="wrong").close_code(), 4401)
        silent = self.worker(daemon, hello=False)
        self.assertEqual(silent.close_code(), 4401)
        early = self.worker(daemon, hello=False)
        early.say(type="pong")
        self.assertEqual(early.close_code(), 4401)
        old = self.worker(daemon, hello=False)
        old.say(type="hello", version=9, id="x", models=[])
        self.assertEqual(old.close_code(), 4409)
        own = {"Origin": f"http://{daemon.host}"}
        self.assertEqual(self.worker(daemon, headers=own).heard[0]["type"], "welcome")
        foreign = self.worker(daemon, headers={"Origin": "https://evil.example"}, hello=False)
        self.assertEqual(foreign.transport.status, 403)

    def test_key_serves_its_own_requests(self):
        """A prompt goes to nobody whom its sender does not know."""
        daemon = self.daemon(start=False)
        for name in ("mine", "other"):
            path = daemon.dir / name
            path.touch(0o600)
            path.write_text(name * 10)
        daemon.write_config({"keys": [{"name": name, "file": str(daemon.dir / name)} for name in ("mine", "other")]})
        daemon.start()
        shown = self.worker(daemon, token=None, headers={"Authorization": "Bearer " + "other" * 10},
                            models=[model("theirs")])
        self.assertEqual(shown.heard[0]["type"], "welcome")
        self.assertEqual(daemon.http("GET", "/v1/models").json()["data"], [], "a key in a header is one, too")
        shown.close()
        worker = self.worker(daemon, token="mine" * 10)
        self.assertEqual(worker.heard[0]["type"], "welcome")
        for token, status in ((daemon.token, 404), ("other" * 10, 404)):
            self.assertEqual(daemon.http("GET", "/v1/models", token=token).json()["data"], [])
            answer = daemon.http("POST", CHAT, {"model": "m", "messages": []}, token=token)
            self.assertError(answer, status, "model_not_found")
        self.assertEqual(len(daemon.http("GET", "/v1/models", token="mine" * 10).json()["data"]), 1)
        near = daemon.http("POST", CHAT, {"model": "mm", "messages": []}, token="other" * 10)
        self.assertNotIn("near", near.json()["error"]["message"], "nor does an error name it")
        client, waits = daemon.connect(), daemon.connect()
        for connection in (client, waits):
            self.addCleanup(connection.close)
            connection.send(daemon.request("POST", CHAT, {"model": "m", "messages": [], "stream": True},
                                           token="mine" * 10))
            wait_until(lambda: len(self.models(daemon)["requests"]) == (2 if connection is waits else 1), "it is there")
        number = worker.request()
        for token, unix, models, names in ((daemon.token, False, [], ["", ""]), ("other" * 10, False, [], ["", ""]),
                                           ("mine" * 10, False, ["m"], ["m", "m"]), (None, True, ["m"], ["m", "m"])):
            seen = daemon.http("GET", "/v1/gpu/models", token=token, unix=unix).json()
            self.assertEqual([row["model"] for row in seen["models"]], models)
            self.assertEqual([row["model"] for row in seen["requests"]], names)
        waits.close()
        worker.answer(number, "mine")
        self.assertStream(client, "mine")
        wait_until(lambda: "outcome=ok" in daemon.log(), "it is in the log")
        for token, shown in ((daemon.token, {"model=m "}), ("other" * 10, set())):
            log = json.dumps(daemon.http("GET", "/logs", token=token).json())
            self.assertEqual(set(re.findall(r"model=[^\" ]+ ", log)), shown)
            session = daemon.session("reader", token=token)
            session.send(type="logs", ref=1)
            wait_until(lambda: any("outcome=ok" in message["line"] for message in session.messages("log")),
                       "the session hears it")
            said = " ".join(message["line"] for message in session.messages("log"))
            self.assertEqual(set(re.findall(r"model=[^\" ]+ ", said)), shown)

    def test_key_that_is_replaced(self):
        """A tab that came by a key serves no longer than the key is good."""
        daemon = self.daemon(start=False)

        def write(name, secret):
            path = daemon.dir / name
            path.touch(0o600)
            path.write_text(secret)
            return {"name": name, "file": str(path)}

        keys = [write(name, name * 10) for name in ("mine", "other")]
        daemon.write_config({"keys": keys})
        daemon.start()
        stays, old = self.worker(daemon, token="other" * 10), self.worker(daemon, token="mine" * 10)
        early = self.worker(daemon, token=None, headers={"Authorization": "Bearer " + "mine" * 10}, hello=False)
        client = daemon.connect()
        self.addCleanup(client.close)
        client.send(daemon.request("POST", CHAT, {"model": "m", "messages": [], "stream": True}, token="mine" * 10))
        old.request()
        write("mine", "news" * 10)
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        self.assertEqual((old.close_code(), early.close_code()), (4401, 4401))
        self.assertEqual(client.read_answer().json()["error"]["code"], "unauthorized")
        new = self.worker(daemon, token="news" * 10)
        again = in_thread(daemon.http, "POST", CHAT, {"model": "m", "messages": [], "stream": True}, None, "news" * 10)
        new.answer(new.request(), "hello")
        self.assertEqual(again.result().status, 200)
        daemon.write_config({"keys": keys[1:]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        self.assertEqual(new.close_code(), 4401)
        self.assertFalse(stays.ended)


if __name__ == "__main__":
    unittest.main()
