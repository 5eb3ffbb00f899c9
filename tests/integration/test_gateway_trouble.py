"""What goes wrong around the gateway: servers that stall, die, forget and lie, and clients at their worst."""
import contextlib
import json
import re
import socket
import threading
import unittest

from lib.daemon import in_thread
from lib.gateway import CHAT, GatewayTest, upstream
from lib.listener import Listener
from lib.model_server import Computing
from lib.wait import holds_for, wait_until

TRANSCRIBE = "/v1/audio/transcriptions"


def form(audio, model=b"m"):
    part = b'--XX\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return part % (b"model", model) + part % (b'file"; filename="a.wav', audio) + b"--XX--\r\n"


class Resets(GatewayTest):
    def test_what_was_read_is_not_asked_twice(self):
        """On a connection that is used again: a reset does not say whether its server had begun."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        plain.resets = 1
        self.assertError(self.ask(daemon, "m"), 502, "upstream_broken")
        self.assertEqual(len(plain.asked("/v1/chat/completions")), 2)
        self.assertEqual(self.ask(daemon, "m").status, 200)


class Uploads(GatewayTest):
    def begin_form(self, daemon, audio, **headers):
        connection = daemon.connect()
        self.addCleanup(connection.close)
        bytes_ = daemon.request("POST", TRANSCRIBE, form(audio),
                                {"Content-Type": "multipart/form-data; boundary=XX", **headers})
        connection.sender = in_thread(connection.send, bytes_)
        return connection

    def test_server_that_reads_slowly(self):
        """The client is slowed down to the server; the broker holds little of it."""
        whisper = self.server("openai", ["m"])
        daemon = self.behind(upstream(whisper, "whisper", vram_mb=1000))
        whisper.read_gate.clear()
        audio = bytes(range(256)) * (16 << 12)
        upload = self.begin_form(daemon, audio)
        wait_until(lambda: [row["state"] for row in self.models(daemon)["requests"]] == ["running"], "it runs")
        holds_for(lambda: upload.sender.is_alive() and self.models(daemon)["requests"], "it waits for its server", 0.5)
        whisper.read_gate.set()
        answer = upload.read_answer()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(whisper.asked(TRANSCRIBE)[0][3], form(audio))

    def test_what_is_not_kept_is_not_asked_again(self):
        """A body that went through in pieces cannot be sent a second time."""
        whisper = self.server("openai", ["m"])
        daemon = self.behind(upstream(whisper, "whisper", vram_mb=1000), gateway={"finish_s": 600})
        whisper.gate.clear()
        audio = bytes(4 << 20)
        upload = self.begin_form(daemon, audio, **{"x-baton-class": "background"})
        wait_until(lambda: whisper.running == 1, "the server has it")
        voice = self.begin(daemon, "m", headers={"x-baton-class": "voice"})
        wait_until(lambda: daemon.waiting(), "the voice waits")
        holds_for(lambda: whisper.cut == 0, "it is let go on", 0.2)
        whisper.gate.set()
        self.assertEqual(upload.read_answer().status, 200)
        self.assertEqual(voice.read_answer().status, 200)
        self.assertEqual([len(row[3]) for row in whisper.asked(TRANSCRIBE)], [len(form(audio))])


class Connections(GatewayTest):
    """To servers they are kept: a new one for each request takes as long as all else that Baton does for it."""

    def setUp(self):
        self.vllm = self.server("openai", ["m"])
        self.daemon_ = self.behind(upstream(self.vllm, "vllm", vram_mb=1000))
        self.assertEqual(self.ask(self.daemon_, "m").status, 200)

    def test_used_again(self):
        before = self.vllm.accepted
        answers = [self.ask(self.daemon_, "m") for _ in range(5)]
        self.assertEqual([answer.status for answer in answers], [200] * 5)
        self.assertEqual(self.vllm.accepted, before)
        self.assertEqual([answer.headers["content-length"] for answer in answers],
                         [str(len(answer.body)) for answer in answers])

    def test_closed_meanwhile(self):
        """What found its connection closed goes by another."""
        for _ in range(5):
            self.vllm.hang_up()
            self.assertEqual(self.ask(self.daemon_, "m").status, 200)
        self.assertEqual(len(self.vllm.asked(CHAT)), 6)

    def test_what_comes_after_an_answer_is_nobodys(self):
        """A second answer, whenever it comes, is not what the next client hears."""
        theirs = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n"theirs"'
        for _ in range(5):
            for connection in list(self.vllm.connections):
                connection.sendall(theirs)
            answer = self.ask(self.daemon_, "m")
            self.assertEqual(answer.status, 200)
            self.assertIn("choices", answer.json())
        self.assertEqual(len(self.vllm.asked(CHAT)), 6)

    def test_an_answer_that_is_late_stays_with_its_key(self):
        """A server that says its last answer again when it is asked for the next: no key hears another's."""
        behind = self.server("openai", ["b"])
        said, plain = {}, behind.send

        def send(handler, status, body, headers=()):
            if "choices" in body:
                body["for"] = behind.requests[-1][2]["x-who"]
                before, said[handler] = said.get(handler), body
                if before:
                    plain(handler, status, before, headers)
            return plain(handler, status, body, headers)

        behind.send = send
        daemon = self.behind(upstream(behind, "behind", vram_mb=1000))
        keys = {name: daemon.http("POST", "/v1/keys", {"name": name}, unix=True).json()["key"] for name in ("a", "b")}
        for name in "ababbaab":
            asked = daemon.http("POST", CHAT, {"model": "b", "messages": []},
                                {"Authorization": f"Bearer {keys[name]}", "x-who": name}, token=None)
            self.assertEqual((asked.status, asked.json()["for"]), (200, name))

    def test_what_ended_a_server_is_not_sent_again(self):
        """Once it has read a request it may have begun, however soon it ends."""
        self.vllm.gate.clear()
        running = self.begin(self.daemon_, "m")
        wait_until(lambda: self.vllm.running == 1, "it works")
        self.vllm.hang_up()
        answer = running.read_answer()
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (502, "upstream_broken"), answer)
        self.assertEqual(len(self.vllm.asked(CHAT)), 2)


class Evicted(GatewayTest):
    def test_taken_back_and_out_at_once(self):
        """One who has not answered gives way: nothing runs any more, and the model leaves at once."""
        ollama = self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"), gateway={"finish_s": 600})
        ollama.gate.clear()
        running = self.begin(daemon, "a")
        wait_until(lambda: ollama.running == 1, "it runs")
        answer = daemon.http("POST", "/v1/gpu/lock", {"id": "talk", "vram_mb": 7000, "class": "voice", "timeout_s": 10})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(ollama.loaded, set())
        daemon.unlock(answer.json()["token"])
        ollama.gate.set()
        self.assertEqual(running.read_answer().status, 200)

    def test_no_turn_while_it_is_unloaded(self):
        """Whoever gets a turn for a model on its way out does not bring it back past the queue."""
        ollama = self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        game = daemon.lock("game").json()["token"]
        waiting = self.begin(daemon, "a")
        wait_until(lambda: len(daemon.waiting()) == 1, "it waits for its turn")
        ollama.unload_gate.clear()
        training = daemon.park("training", vram_mb=7000, slots=0, timeout_s=30)
        wait_until(lambda: self.state_of(daemon, "a") == "unloading", "it goes")
        before = len(ollama.asked(CHAT))
        daemon.unlock(game)
        holds_for(lambda: len(ollama.asked(CHAT)) == before, "nobody asks it", 0.3)
        ollama.unload_gate.set()
        answer = training.read_answer()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(len(ollama.asked(CHAT)), before)
        daemon.unlock(answer.json()["token"])
        self.assertEqual(waiting.read_answer().status, 200)

    def test_the_highest_class_asks_for_the_memory(self):
        """Who waits for a model that was put out asks for all who wait, not for the first."""
        ollama = self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        ollama.unload_gate.clear()
        training = daemon.park("training", vram_mb=7000, slots=0, timeout_s=30)
        wait_until(lambda: self.state_of(daemon, "a") == "unloading", "it goes")
        both = [self.begin(daemon, "a", headers={"x-baton-class": cls}) for cls in ("background", "voice")]
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "both wait")
        ollama.unload_gate.set()
        self.assertEqual(training.read_answer().status, 200)
        row = wait_until(lambda: daemon.status()["waiting"], "the model waits for its memory")[0]
        self.assertEqual((row["id"], row["class"]), ("ollama", "voice"))
        self.assertEqual(len(both), 2)


class ToAndFro(GatewayTest):
    """What two want at once is not taken from one to the other before it was used."""

    def loads(self, server):
        return [row for row in server.asked("/api/generate") if b'"keep_alive":-1' in row[3]]

    def test_models(self):
        ollama = self.server("ollama", ["a", "b"], size_mb=5000)
        daemon = self.behind(upstream(ollama, "ollama"))
        self.ask(daemon, "none")  # its list is known
        voice = {"x-baton-class": "voice"}
        jobs = [in_thread(self.ask, daemon, "ab"[i % 2], CHAT, voice) for i in range(12)]
        self.assertEqual([job.result(30).status for job in jobs], [200] * 12)
        self.assertLessEqual(len(self.loads(ollama)), 3)

    def test_turns(self):
        """Whoever gave way once and is asked again at once goes on, for its grace."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.gate.clear()
        all_ = [self.begin(daemon, "m", headers={"x-baton-class": cls})
                for _ in range(4) for cls in ("background", "normal", "chat", "voice")]
        wait_until(lambda: len(self.models(daemon)["requests"]) == 16, "all are there")
        holds_for(lambda: len(plain.asked(CHAT)) < 40, "it is asked a few times", 0.5)
        plain.gate.set()
        self.assertEqual({c.read_answer().status for c in all_}, {200})


class Loads(GatewayTest):
    def test_one_that_is_never_answered(self):
        ollama = self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"), timing={"load_max_s": 1, "unload_max_s": 2})
        ollama.load_delay.clear()
        answer = self.ask(daemon, "a")
        self.assertError(answer, 503, "model_failed")
        self.assertLessEqual(int(answer.headers["retry-after"]), 15)
        loads = [row for row in ollama.asked("/api/generate") if b'"keep_alive":-1' in row[3]]
        self.assertEqual(len(loads), 1)
        self.assertError(self.ask(daemon, "a"), 503, "model_failed")
        self.assertEqual(daemon.lock("training", vram_mb=7000, timeout_s=10).status, 200)

    def test_tag_that_is_not_said(self):
        """Ollama lists `a` as `a:latest`: one model, and it is gone only when that is."""
        ollama = self.server("ollama", ["a"], size_mb=4000)
        ollama.default_tag = ":latest"
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": "a", "vram_mb": 4000}]))
        for name in ("a", "a:latest", "ollama/a", "ollama/a:latest"):
            self.assertEqual(self.ask(daemon, name).status, 200, name)
        self.assertEqual(len(daemon.http("GET", "/v1/models").json()["data"]), 1)
        self.assertEqual(len(daemon.status()["leases"]), 1)

    def test_limits_of_people_are_not_the_gateways(self):
        """A model's own claim is not counted as somebody's."""
        ollama = self.server("ollama", ["a", "b"], size_mb=1000)
        daemon = self.behind(upstream(ollama, "ollama"),
                             config={"principals": [{"match": "*", "held": 1, "classes": ["chat"]}]})
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(self.ask(daemon, "b").status, 200)
        self.assertEqual(ollama.loaded, {"a", "b"})

    def test_class_one_may_ask_for(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000),
                             config={"principals": [{"match": "token", "classes": ["voice"]}]})
        daemon.http("POST", "/v1/gpu/lock", {"id": "game", "class": "voice"})
        self.begin(daemon, "m")
        row = wait_until(lambda: daemon.status()["waiting"], "it waits")[0]
        self.assertEqual(row["class"], "voice")


class Silence(GatewayTest):
    """A server that takes a request and says nothing is not waited for without limit."""

    def silent(self, kind="openai", silence_s=1, **options):
        server = self.server(kind, ["m"])
        return server, self.behind(upstream(server, "it", vram_mb=1000, silence_s=silence_s), **options)

    def turns(self, daemon):
        return [row for row in daemon.status()["leases"] if row["slots"]]

    def test_no_answer(self):
        server, daemon = self.silent()
        server.gate.clear()
        for path in (CHAT, "/v1/messages", "/api/chat"):
            answer = self.ask(daemon, "m", path, stream=False)
            self.assertEqual(answer.status, 504, answer)
            self.assertIn(b"`it`", answer.body)
            self.assertIn(b'"code":"upstream_slow"', answer.body)
        self.assertEqual(self.turns(daemon), [])
        wait_until(lambda: server.cut == 3, "its server hears that nobody waits")
        server.gate.set()
        self.assertEqual(self.ask(daemon, "m").status, 200)

    def test_answer_that_stops(self):
        server, daemon = self.silent()
        server.pieces = [b"data: {}\n\n", lambda: False]
        answer = self.ask(daemon, "m", stream=True)
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.body.startswith(b"data: {}\n\n"), answer.body)
        self.assertIn(b'"code":"upstream_slow"', answer.body)
        self.assertEqual(self.turns(daemon), [])

    def test_body_that_is_not_read(self):
        server, daemon = self.silent()
        server.read_gate.clear()
        self.assertError(self.ask(daemon, "m", prompt="x" * (32 << 20)), 504, "upstream_slow")
        self.assertEqual(self.turns(daemon), [])

    def test_slow_is_not_silent(self):
        """Every byte counts, and a client that does not read is not the server's silence."""
        server, daemon = self.silent(silence_s=3)
        go_on = threading.Event()
        server.pieces = [*[b"data: {}\n\n", lambda: go_on.wait(0.8) or True] * 5, b"data: [DONE]\n\n"]
        self.assertTrue(self.ask(daemon, "m", stream=True).body.endswith(b"data: [DONE]\n\n"))
        server.pieces = [b"data: " + b"x" * 65530 + b"\n\n"] * 300 + [b"data: [DONE]\n\n"]
        slow = self.begin(daemon, "m", stream=True)
        self.assertEqual(slow.read_head()[0], 200)
        holds_for(lambda: self.turns(daemon), "it waits for its client", 3.5)
        self.assertEqual(sum(len(chunk) for chunk in slow.chunks()), 300 * 65538 + 14)

    def test_one_that_still_works(self):
        """Where the server can be asked, the turn is kept until it is idle, as when a client leaves."""
        server, daemon = self.silent("llama-server")
        server.gate.clear()
        server.slots_busy = True
        self.assertError(self.ask(daemon, "m"), 504, "upstream_slow")
        holds_for(lambda: self.turns(daemon), "it works on", 0.3)
        server.slots_busy = False
        wait_until(lambda: not self.turns(daemon), "it is idle")

    def test_reloaded(self):
        """Another limit counts for the next request."""
        server, daemon = self.silent(silence_s=600)
        server.gate.clear()
        old = self.begin(daemon, "m")
        wait_until(lambda: server.running == 1, "it runs")
        row = {**daemon.config["upstreams"][0], "silence_s": 0.2}
        daemon.write_config({**daemon.config, "upstreams": [row]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        server.gate.set()
        self.assertEqual(old.read_answer().status, 200)
        server.gate.clear()
        self.assertError(self.ask(daemon, "m"), 504, "upstream_slow")


class Drips(GatewayTest):
    def test_list(self):
        """What a server is asked about its models has a time for all of it, not for each byte."""
        slow, plain = self.server("openai", ["a"]), self.server("openai", ["b"])
        slow.drips = ("/v1/models",)
        daemon = self.behind(upstream(slow, "slow", vram_mb=1000), upstream(plain, "plain", vram_mb=1000))
        self.assertError(self.ask(daemon, "none"), 404, "model_not_found")
        self.assertEqual(self.ask(daemon, "b").status, 200)


class Halves(GatewayTest):
    """A stream that was cut between two events, whatever it said before."""

    def check(self, *pieces, path=CHAT, kind="openai", **fields):
        server = self.server(kind, ["m"])
        server.pieces = pieces
        daemon = self.behind(upstream(server, "it", vram_mb=1000))
        answer = self.ask(daemon, "m", path, stream=True, **fields)
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.body.startswith(b"".join(pieces)), "what came was passed on")
        self.assertIn(b"upstream_broken", answer.body[-1000:])
        wait_until(lambda: "outcome=upstream_broken" in daemon.log(), "it is told in the log")

    def test_after_a_long_event(self):
        long = b"x" * 70000
        self.check(b'data: {"choices":[{"index":0,"delta":{"content":"' + long + b'"},"finish_reason":null}]}\n\n',
                   b'data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]}\n\n')

    def test_one_of_two_choices(self):
        half = b'data: {"choices":[{"index":1,"delta":{"content":"half"},"finish_reason":null}]}\n\n'
        whole = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        self.check(half, whole, half)
        self.check(whole, n=2)

    def test_after_a_comment(self):
        self.check(b': "finish_reason":"stop" "error":{}\n\n',
                   b'data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]}\n\n')

    def test_a_tools_arguments(self):
        call = b'"tool_calls":[{"function":{"name":"todo","arguments":{"item":3,"done":true,"error":"none"}}}]'
        self.check(b'{"model":"m","message":{"role":"assistant","content":"",' + call + b'},"done":false}\n',
                   b'{"model":"m","message":{"role":"assistant","content":"half"},"done":false}\n', path="/api/chat",
                   kind="ollama")

    def test_an_item_that_failed(self):
        self.check(b'data: {"type":"response.output_item.done","item":{"type":"error"},"sequence_number":3}\n\n',
                   b'data: {"type":"response.output_text.delta","delta":"half","sequence_number":4}\n\n',
                   path="/v1/responses")


class Believed(GatewayTest):
    """What is said to be in memory, and is not."""

    def test_server_that_is_gone(self):
        """Its memory is nobody's: what cannot be evicted is not held for ever."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=4000))
        self.assertEqual(self.ask(daemon, "m").status, 200)
        plain.close()
        self.assertError(self.ask(daemon, "m"), 502, "upstream_unreachable")
        self.assertEqual(daemon.lock("training", vram_mb=7000, timeout_s=5).status, 200)

    def test_long_names(self):
        """Names longer than a label are cut between characters."""
        name = "x" + "é" * 60
        plain = self.server("openai", [name])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.answer = (200, [], {"ok": True})
        self.assertEqual(self.ask(daemon, name).status, 200)
        label = daemon.status()["leases"][0]["label"]
        self.assertTrue(name.startswith(label) and label, label)
        daemon.terminate()
        daemon.start()
        self.assertEqual(self.ask(daemon, name).status, 200)

    def test_long_name_in_an_error(self):
        name = "x" + "é" * 60
        ollama = self.server("ollama", [name])
        daemon = self.behind(upstream(ollama, "ollama"))
        ollama.load_status = 500
        self.assertError(self.ask(daemon, name), 503, "model_failed")

    def test_hostile_names(self):
        names = ['a"b', "a\r\nX: y", "50%s%n", "a/../b", "x" * 500, "北京", "\x7f", "a b\\"]
        ollama = self.server("ollama", names)
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": names[0], "alias": "one"}]))
        for name in [*names, "one"]:
            self.assertEqual(self.ask(daemon, name).status, 200, name)
            self.assertIn(json.loads(ollama.asked(CHAT)[-1][3])["model"], (name, names[0]))
        self.models(daemon)
        self.assertEqual(len(daemon.http("GET", "/v1/models").json()["data"]), len(names))


class Sockets(GatewayTest):
    def ready(self, **options):
        plain = self.server("openai", ["m"])
        return plain, self.behind(upstream(plain, "plain", vram_mb=1000), **options)

    def raw(self, daemon, bytes_):
        connection = daemon.connect()
        self.addCleanup(connection.close)
        connection.send(bytes_)
        return connection

    def test_no_body_and_half_a_body(self):
        plain, daemon = self.ready(timing={})
        whole = daemon.request("POST", CHAT, {"model": "m"})
        for cut in (1, 8):
            self.raw(daemon, whole[:-cut])
        self.raw(daemon, whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        wait_until(lambda: [r["state"] for r in self.models(daemon)["requests"]] == ["receiving"] * 3, "they are seen")
        self.assertEqual(self.ask(daemon, "m").status, 200)

    def test_one_connection(self):
        """Errors in between, a chunked body, Expect: each answer in its turn on one connection."""
        plain, daemon = self.ready()
        good = daemon.request("POST", CHAT, {"model": "m"})
        unknown = daemon.request("POST", CHAT, {"model": "none"})
        broken = daemon.request("POST", CHAT, b"{")
        connection = self.raw(daemon, good + unknown + broken + good)
        self.assertEqual([connection.read_answer().status for _ in range(4)], [200, 404, 400, 200])
        chunked = daemon.request("POST", CHAT, None, {"Transfer-Encoding": "chunked", "Content-Length": None,
                                                      "Content-Type": "application/json"})
        connection.send(chunked + b'5\r\n{"mod\r\n7;x=y\r\nel":"m"\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n')
        self.assertEqual(connection.read_answer().status, 200)
        self.assertEqual(plain.asked(CHAT)[-1][3], b'{"model":"m"}')
        expects = daemon.request("POST", CHAT, {"model": "m"}, {"Expect": "100-continue"})
        head, _, body = expects.partition(b"\r\n\r\n")
        connection.send(head + b"\r\n\r\n")
        self.assertEqual(connection.read_head()[0], 100)
        connection.send(body)
        self.assertEqual(connection.read_answer().status, 200)

    def test_answers_that_break(self):
        """Each way in which an answer is no answer ends as one error, and nothing is held."""
        plain, daemon = self.ready()
        bad = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
               b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
               b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200000 + b"\r\n\r\n",
               b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyyyyyyyyyyyy\r\n" * 5000 + b"\r\n",
               b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
               b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]
        for text in bad:
            server = RawServer(text)
            self.addCleanup(server.close)
            other = self.behind({"name": "raw", "kind": "openai", "url": server.url,
                                 "models": [{"name": "m", "vram_mb": 100}]})
            answer = self.ask(other, "m")
            self.assertIn(answer.status, (502, 504), (text[:60], answer))
            wait_until(lambda: not self.models(other)["requests"], "nothing is left")

    def test_answers_that_are_odd(self):
        cases = ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore than that", 200, b"ok"),
                 (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
                 (b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", 302, b""),
                 (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
                 (b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, b"to the end"),
                 (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", 200,
                  b"\x1f\x8b\x08"))
        for text, status, body in cases:
            server = RawServer(text)
            self.addCleanup(server.close)
            daemon = self.behind({"name": "raw", "kind": "openai", "url": server.url,
                                  "models": [{"name": "m", "vram_mb": 100}]})
            connection = self.raw(daemon, daemon.request("POST", CHAT, {"model": "m"}))
            answer = connection.read_answer()
            self.assertEqual((answer.status, answer.body), (status, body), text)
            self.assertNotIn("location", answer.headers)
            connection.send(daemon.request("GET", "/health"))
            self.assertEqual(connection.read_answer().status, 200, "the connection is good for more")

    def test_answer_before_the_whole_body(self):
        """A server may begin its answer while it still reads: it gets the rest of the body all the same."""
        server = EarlyServer(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        self.addCleanup(server.close)
        daemon = self.behind({"name": "early", "kind": "openai", "url": server.url,
                              "models": [{"name": "m", "vram_mb": 100}]})
        body = b'{"model":"m","x":"%s"}' % (b"x" * (16 << 20))  # more than sockets hold
        connection = self.raw(daemon, daemon.request("POST", CHAT, body))
        self.assertEqual(connection.read_head()[0], 200)
        server.read_on.set()
        self.assertEqual(connection.reader.read(8), b"%d" % len(body))

    def test_slow_reader_of_a_fast_server(self):
        """The server is read only as fast as its client reads."""
        plain, daemon = self.ready()
        sent = [0]

        def count():
            sent[0] += 1
            return True

        plain.pieces = [piece for _ in range(400) for piece in (b"data: " + b"x" * 65530 + b"\n\n", count)]
        plain.pieces.append(b"data: [DONE]\n\n")
        slow = self.begin(daemon, "m", stream=True)
        self.assertEqual(slow.read_head()[0], 200)
        wait_until(lambda: sent[0] > 10, "it flows")
        wait_until(lambda: sent[0] == (holds_for(lambda: True, "", 0.2), sent[0])[1] or None, "it stalls")
        self.assertLess(sent[0], 400)
        self.assertEqual(sum(len(chunk) for chunk in slow.chunks()), 400 * 65538 + 14)

    def test_stopped_mid_stream(self):
        plain, daemon = self.ready()
        plain.pieces = [b"data: {}\n\n", lambda: False]
        running = self.begin(daemon, "m", stream=True)
        self.assertEqual(running.read_head()[0], 200)
        queued = self.begin(daemon, "m")
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "one waits")
        self.assertEqual(daemon.terminate(), 0)
        daemon.start()
        self.assertIsNotNone(queued)
        plain.pieces = None
        self.assertEqual(self.ask(daemon, "m").status, 200)

    def test_stopped_while_it_waits(self):
        """Wherever a request is, its client hears that the broker stops, in the shape that it reads."""
        plain, ollama = self.server("openai", ["m"]), self.server("ollama", ["a"], size_mb=1000)
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), upstream(ollama, "ollama"),
                             gateway={"quiet_s": 0.1})
        ollama.load_delay.clear()
        plain.pieces = [b"data: {}\n\n", lambda: False]
        running = self.begin(daemon, "m", stream=True)
        self.assertEqual(running.read_head()[0], 200)
        half = daemon.connect()
        self.addCleanup(half.close)
        half.send(daemon.request("POST", CHAT, {"model": "m"})[:-2])
        loads = self.begin(daemon, "a", "/api/chat", stream=False)
        turns = self.begin(daemon, "m", "/v1/messages")
        warm = self.begin(daemon, "m", "/v1/responses", stream=True)
        self.assertEqual(warm.read_head()[0], 200)
        states = ["running", "receiving", "waits for its model", "waits for its turn", "waits for its turn"]
        wait_until(lambda: sorted(row["state"] for row in self.models(daemon)["requests"]) == sorted(states), "all are")

        stop = in_thread(daemon.terminate)
        for connection in (half, loads, turns):
            self.assertEqual(connection.read_answer().status, 503)
        for connection, mark in ((running, b'data: {"error":{'), (warm, b"event: response.failed\ndata: ")):
            told = b"".join(connection.chunks())
            self.assertIn(mark, told)
            self.assertIn(b'"code":"draining"', told)
        self.assertEqual(stop.result(), 0)
        wait_until(lambda: daemon.log().count("outcome=draining") == 5, "all are in the log")

    def test_fifty_in_the_queue(self):
        plain, daemon = self.ready()
        computing = Computing(plain)
        jobs = [in_thread(self.ask, daemon, "m") for _ in range(50)]
        self.assertEqual([a.body for a in (job.result(60) for job in jobs) if a.status != 200], [])
        self.assertEqual(computing.most, 1)

    def test_nothing_secret_in_the_log(self):
        plain, daemon = self.ready(args=["--log-level", "debug"])
        self.ask(daemon, "m", prompt="the-prompt-itself")
        self.ask(daemon, "none", prompt="the-prompt-itself")
        log = daemon.log()
        self.assertNotIn("the-prompt-itself", log)
        self.assertNotIn(daemon.token, log)


class RawServer(Listener):
    """Says the same bytes to everybody who sent a request, and closes."""

    def __init__(self, text):
        self.text = text
        super().__init__()

    def serve(self, connection):
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(self.text)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass


class EarlyServer(RawServer):
    """Says its head to a request of which it has read the beginning, then how long the whole body was."""

    def __init__(self, text):
        self.read_on = threading.Event()
        super().__init__(text)

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if not length:
                return  # it is asked for its list
            connection.sendall(self.text)
            self.read_on.wait(30)
            came = len(body)
            while came < int(length[1]) and (piece := connection.recv(65536)):
                came += len(piece)
            connection.sendall(b"%d" % came)


if __name__ == "__main__":
    unittest.main()
