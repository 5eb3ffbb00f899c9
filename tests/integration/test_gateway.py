"""Model servers behind Baton: one GPU, one model in memory, requests of any client as claims in the queue."""
import json
import re
import threading
import unittest

from lib.daemon import in_thread
from lib.gateway import CHAT, GPU, GatewayTest, upstream
from lib.model_server import Computing
from lib.wait import wait_until


class First(GatewayTest):
    def test_one_answer(self):
        ollama = self.server("ollama", ["a", "b"])
        daemon = self.behind(upstream(ollama, "ollama"))
        answer = self.ask(daemon, "a", temperature=0)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["choices"][0]["message"]["content"], "hello")
        self.assertEqual(answer.headers["x-baton-served-by"], "ollama")
        self.assertGreater(int(answer.headers["x-baton-fence"]), 0)
        self.assertIn("x-baton-wait-ms", answer.headers)
        # It stays in memory, by a lease of its own; its turn is over.
        self.assertEqual(self.state_of(daemon, "a"), "ready")
        wait_until(lambda: [row["slots"] for row in daemon.status()["leases"]] == [0], "only the model is held")
        self.assertEqual(daemon.status()["leases"][0]["label"], "a")

    def test_bytes_are_the_clients(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        body = b'{ "model":"m",\t"x":1.0, "x2":[1e5,-0],"messages":[{"content":"\xc3\xa9 \\u00e9"}] }'
        answer = daemon.http("POST", CHAT, body)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(plain.asked(CHAT)[0][3], body)
        headers = plain.asked(CHAT)[0][2]
        self.assertEqual(headers["accept-encoding"], "identity")
        self.assertNotIn("authorization", headers)
        self.assertEqual(headers["content-length"], str(len(body)))

    def test_alias(self):
        plain = self.server("openai", ["org/m:7b"])
        daemon = self.behind(upstream(plain, "plain", models=[{"name": "org/m:7b", "alias": "gpt-4o", "vram_mb": 500}]))
        body = b'{"stream" : false,"model" : "gpt-4o" , "a":1}'
        self.assertEqual(daemon.http("POST", CHAT, body).status, 200)
        self.assertEqual(plain.asked(CHAT)[0][3], b'{"stream" : false,"model" : "org/m:7b" , "a":1}')
        for name in ("org/m:7b", "plain/org/m:7b"):
            self.assertEqual(self.ask(daemon, name).status, 200)
            self.assertEqual(json.loads(plain.asked(CHAT)[-1][3])["model"], "org/m:7b")
        ids = [row["id"] for row in daemon.http("GET", "/v1/models").json()["data"]]
        self.assertEqual(ids, ["gpt-4o"])
        for path in ("/v1/models/gpt-4o", "/v1/models/org/m:7b", "/v1/models/org%2Fm%3A7b"):
            self.assertEqual(daemon.http("GET", path).status, 200, path)

    def test_stream(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        answer = self.ask(daemon, "m", stream=True)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/event-stream")
        self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"))

    def test_upstream_key_and_no_gpu(self):
        plain = self.server("openai", ["m"])
        daemon = self.daemon(start=False)
        key = daemon.dir / "key"
        key.write_text("upstream-secret-0123456789\n", encoding="ascii")
        key.chmod(0o600)
        daemon.write_config({**daemon.config, "gpus": GPU,
                             "upstreams": [upstream(plain, "far", gpu="none", key_file=str(key))]})
        daemon.start()
        holder = daemon.lock("somebody")
        self.assertEqual(holder.status, 200)
        self.assertEqual(self.ask(daemon, "m").status, 200)  # it needs no turn
        self.assertEqual(plain.asked(CHAT)[0][2]["authorization"], "Bearer upstream-secret-0123456789")
        self.assertNotIn("upstream-secret", daemon.log())


class Turns(GatewayTest):
    def test_one_at_a_time(self):
        one, two = self.server("openai", ["a"]), self.server("openai", ["b"])
        daemon = self.behind(upstream(one, "one", vram_mb=1000), upstream(two, "two", vram_mb=1000))
        computing = Computing(one, two)
        jobs = [in_thread(self.ask, daemon, "ab"[i % 2]) for i in range(12)]
        self.assertEqual([job.result().status for job in jobs], [200] * 12)
        self.assertEqual(computing.most, 1)

    def test_voice_goes_first(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.gate.clear()
        first = self.begin(daemon, "m")
        wait_until(lambda: plain.running == 1, "the first one runs")
        later = [self.begin(daemon, "m", headers={"x-baton-class": cls, "User-Agent": cls})
                 for cls in ("background", "normal", "voice")]
        # The voice asks the first one to make room: it has not answered, and comes back later.
        wait_until(lambda: any(row[2].get("user-agent") == "voice" for row in plain.asked(CHAT)), "the voice is served")
        wait_until(lambda: plain.cut == 1, "the first one is taken back")
        plain.gate.set()
        self.assertEqual([c.read_answer().status for c in [first, *later]], [200] * 4)
        order = [row[2].get("user-agent", "") for row in plain.asked(CHAT)]
        self.assertEqual(order[1], "voice")
        self.assertEqual(order.count("background"), 1)
        self.assertLess(order.index("normal"), order.index("background"))

    def test_waits_for_a_holder(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        holder = daemon.lock("game").json()["token"]
        waiting = self.begin(daemon, "m")
        wait_until(lambda: daemon.waiting(), "it stands in the queue")
        self.assertEqual(plain.asked(CHAT), [])
        daemon.unlock(holder)
        self.assertEqual(waiting.read_answer().status, 200)

    def test_queue_shows_it(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        daemon.lock("game")
        self.begin(daemon, "m", headers={"User-Agent": "OpenAI/JS 6.49", "x-baton-class": "voice"})
        wait_until(lambda: daemon.waiting() == ["OpenAI/JS"], "it is named")
        row = daemon.status()["waiting"][0]
        self.assertEqual((row["class"], row["label"]), ("voice", "m"))
        self.assertEqual(self.models(daemon)["requests"][0]["state"], "waits for its turn")


class Memory(GatewayTest):
    def test_switch(self):
        ollama = self.server("ollama", ["a", "b"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(ollama.loaded, {"a"})
        self.assertEqual(self.ask(daemon, "b").status, 200)
        self.assertEqual(ollama.loaded, {"b"})
        self.assertEqual(self.state_of(daemon, "a"), "not loaded")
        self.assertEqual(self.state_of(daemon, "b"), "ready")

    def test_makes_room_for_a_program(self):
        ollama = self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        answer = daemon.lock("training", vram_mb=7000, timeout_s=10)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(ollama.loaded, set())

    def test_running_is_finished_first(self):
        ollama = self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        done = threading.Event()
        ollama.pieces = [b'data: {"delta":"x"}\n\n', done.is_set, b"data: [DONE]\n\n"]
        running = self.begin(daemon, "a", stream=True)
        self.assertEqual(running.read_head()[0], 200)
        training = daemon.park("training", vram_mb=7000, slots=0, timeout_s=20)
        wait_until(lambda: self.state_of(daemon, "a") == "leaving", "it is asked to leave")
        self.assertEqual(ollama.loaded, {"a"})
        done.set()
        self.assertTrue(b"".join(running.chunks()).endswith(b"data: [DONE]\n\n"))
        self.assertEqual(training.read_answer().status, 200)
        self.assertEqual(ollama.loaded, set())

    def test_one_load_for_all_who_wait(self):
        ollama = self.server("ollama", ["a"])
        daemon = self.behind(upstream(ollama, "ollama"))
        self.ask(daemon, "none")  # its list is known
        ollama.load_delay.clear()
        waiting = [self.begin(daemon, "a") for _ in range(3)]
        wait_until(lambda: self.state_of(daemon, "a") == "loading", "it loads")
        waiting[0].close()
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "one has left")
        ollama.load_delay.set()
        self.assertEqual([c.read_answer().status for c in waiting[1:]], [200, 200])
        loads = [row for row in ollama.asked("/api/generate") if b'"keep_alive":-1' in row[3]]
        self.assertEqual(len(loads), 1)

    def test_all_leave_a_load(self):
        ollama = self.server("ollama", ["a"])
        daemon = self.behind(upstream(ollama, "ollama"))
        self.ask(daemon, "none")  # its list is known
        ollama.load_delay.clear()
        waiting = [self.begin(daemon, "a") for _ in range(2)]
        wait_until(lambda: self.state_of(daemon, "a") == "loading", "it loads")
        for connection in waiting:
            connection.close()
        wait_until(lambda: not self.models(daemon)["requests"], "all have left")
        ollama.load_delay.set()
        self.assertEqual(self.ask(daemon, "a").status, 200)
        loads = [row for row in ollama.asked("/api/generate") if b'"keep_alive":-1' in row[3]]
        self.assertEqual(len(loads), 1)

    def test_a_load_that_ends_after_its_unload(self):
        ollama = self.server("ollama", ["a"])
        daemon = self.behind(upstream(ollama, "ollama"))
        self.ask(daemon, "none")  # its list is known
        ollama.load_delay.clear()
        waiting = self.begin(daemon, "a")
        wait_until(lambda: self.state_of(daemon, "a") == "loading", "it loads")
        ollama.loaded.add("a")
        ollama.unloads_lost = 1
        lease = daemon.status()["leases"][0]["lease"]
        self.assertEqual(daemon.http("POST", f"/v1/gpu/leases/{lease}/revoke", {}, unix=True).status, 200)
        wait_until(lambda: "a" not in ollama.loaded, "it is unloaded once more", 5)
        ollama.load_delay.set()
        self.assertEqual(waiting.read_answer().status, 200)

    def test_load_fails(self):
        ollama = self.server("ollama", ["a", "b"])
        daemon = self.behind(upstream(ollama, "ollama"))
        ollama.load_status = 500
        answer = self.ask(daemon, "a")
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual(answer.json()["error"]["code"], "model_failed")
        self.assertIn("status 500", answer.json()["error"]["message"])
        self.assertLessEqual(int(answer.headers["retry-after"]), 15)
        wait_until(lambda: not daemon.status()["leases"], "what the load may have left behind is unloaded")
        loads = len(ollama.asked("/api/generate"))
        self.assertEqual(self.ask(daemon, "a").status, 503)  # at once, and nobody is asked
        self.assertEqual(len(ollama.asked("/api/generate")), loads)
        ollama.load_status = 200
        self.assertEqual(self.ask(daemon, "b").status, 200)
        self.assertEqual(daemon.http("POST", "/v1/gpu/lock", {"id": "x", "vram_mb": 6000}).status, 200)

    def test_no_room_ever(self):
        ollama = self.server("ollama", ["huge"], size_mb=20000)
        daemon = self.behind(upstream(ollama, "ollama"))
        for _ in range(2):  # then within the time in which a failed one is not tried again
            answer = self.ask(daemon, "huge")
            self.assertError(answer, 409, "never_fits")
            self.assertEqual((answer.headers.get("x-should-retry"), answer.headers.get("retry-after")), ("false", None))
        self.assertTrue(answer.json()["error"]["message"].endswith(
            " failed: it asks for 24.9 GiB of VRAM, and gpu0 has 7.8 of 7.8 GiB."), answer)
        ollama.size = 2 ** 62  # no size that there is
        other = self.behind(upstream(ollama, "ollama"))
        self.assertRegex(self.ask(other, "huge").json()["error"]["message"], r"failed: [^.]+\.$")

    def test_unknown_size(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain"))
        answer = self.ask(daemon, "m")
        self.assertEqual(answer.status, 503)
        self.assertIn("vram_mb", answer.json()["error"]["message"])


class Leaving(GatewayTest):
    """The client goes away, at each moment."""

    def ready(self, kind="openai"):
        server = self.server(kind, ["m"])
        daemon = self.behind(upstream(server, "s", vram_mb=1000))
        return server, daemon

    def idle(self, daemon):
        wait_until(lambda: not self.models(daemon)["requests"], "no request is left")
        wait_until(lambda: all(row["slots"] == 0 for row in daemon.status()["leases"]), "no turn is held")
        self.assertEqual(daemon.waiting(), [])

    def test_while_queued(self):
        server, daemon = self.ready()
        token = daemon.lock("game").json()["token"]
        waiting = self.begin(daemon, "m")
        wait_until(lambda: len(self.models(daemon)["requests"]) == 1 and daemon.waiting(), "it waits")
        waiting.close()
        wait_until(lambda: not self.models(daemon)["requests"], "it is gone")
        daemon.unlock(token)
        self.idle(daemon)
        self.assertEqual(server.asked(CHAT), [])

    def test_before_headers(self):
        server, daemon = self.ready()
        server.gate.clear()
        running = self.begin(daemon, "m")
        wait_until(lambda: server.running == 1, "it runs")
        running.close()
        wait_until(lambda: server.cut == 1, "the server hears of it")
        self.idle(daemon)

    def test_mid_stream(self):
        server, daemon = self.ready()
        server.pieces = [b"data: {}\n\n", lambda: False]
        running = self.begin(daemon, "m", stream=True)
        self.assertEqual(running.read_head()[0], 200)
        running.close()
        wait_until(lambda: server.cut == 1, "the server hears of it")
        self.idle(daemon)

    def test_the_turn_is_kept_while_it_works(self):
        server, daemon = self.ready("llama-server")
        server.gate.clear()
        server.slots_busy = True
        running = self.begin(daemon, "m")
        wait_until(lambda: server.running == 1, "it runs")
        running.close()
        wait_until(lambda: server.asked("/slots"), "the server is asked")
        self.assertEqual([row["slots"] for row in daemon.status()["leases"]].count(1), 1)
        self.assertEqual(self.models(daemon)["requests"][0]["state"], "left")
        server.slots_busy = False
        self.idle(daemon)
        wait_until(
            lambda: "outcome=\"left\"" in daemon.log().replace("outcome=left", "outcome=\"left\""), "the log says so")


class Errors(GatewayTest):
    def test_unknown_model(self):
        ollama = self.server("ollama", ["qwen3:8b", "llama3.2:3b"])
        daemon = self.behind(upstream(ollama, "ollama"))
        answer = self.ask(daemon, "qwen3:7b")
        self.assertEqual(answer.status, 404)
        error = answer.json()["error"]
        self.assertEqual((error["code"], error["param"]), ("model_not_found", "model"))
        self.assertIn("`qwen3:8b`", error["message"])
        self.assertNotIn("llama3.2", error["message"])
        self.assertEqual(answer.headers["x-should-retry"], "false")
        shapes = {"/v1/messages": ["error", "type"], "/api/chat": ["error"], "/v1/responses": ["error", "code"]}
        for path, keys in shapes.items():
            value = self.ask(daemon, "none", path).json()
            for key in keys:
                value = value[key]
            self.assertIsInstance(value, str)

    def test_no_realtime(self):
        daemon = self.daemon()
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "realtime"}
        for method, headers in (("GET", {}), ("GET", upgrade), ("POST", {"Content-Type": "application/sdp"})):
            for token in (daemon.token, None):
                answer = daemon.http(method, "/v1/realtime?model=gpt-realtime", b"v=0" if method == "POST" else None,
                                     headers, token=token)
                self.assertError(answer, 404, "not_found")
                self.assertIn("/v1/audio/speech", answer.json()["error"]["message"])

    def test_bad_bodies(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        for body, code in ((b"", "bad_json"), (b"[]", "bad_json"), (b'{"model":"m"', "bad_json"), (b"{}", "bad_field"),
                           (b'{"model":"m","model":"n"}', "bad_json"), (b'{"model":7}', "bad_json"),
                           (b'{"mod\\u0065l":"m"}', "bad_json")):
            answer = daemon.http("POST", CHAT, body)
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, code), body)
        answer = self.ask(daemon, "m", headers={"x-baton-class": "royal"})
        self.assertError(answer, 400, "bad_field")
        self.assertEqual(plain.asked(CHAT), [])

    def test_the_servers_own_refusal_passes(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.answer = (429, [("Retry-After", "7"), ("Access-Control-Allow-Origin", "*"), ("Set-Cookie", "a=b")],
                        {"error": {"message": "slow down"}})
        answer = self.ask(daemon, "m")
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "7"))
        self.assertEqual(answer.json(), {"error": {"message": "slow down"}})
        self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertNotIn("set-cookie", answer.headers)

    def test_server_down(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", models=[{"name": "m", "vram_mb": 1000}]))
        plain.close()
        answer = self.ask(daemon, "m")
        self.assertError(answer, 502, "upstream_unreachable")
        self.assertIn("`plain`", answer.json()["error"]["message"])

    def test_breaks_off(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.pieces = [b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"cho', None]
        for path, mark in ((CHAT, b'data: {"error":{'), ("/v1/messages", b"event: error\ndata: "),
                           ("/v1/responses", b"event: response.failed\ndata: "), ("/api/chat", b'{"error":"')):
            answer = self.ask(daemon, "m", path, stream=True)
            self.assertEqual(answer.status, 200)
            head, _, tail = answer.body.partition(mark)
            self.assertTrue(tail, (path, answer.body))
            self.assertTrue(head.endswith(b"\n"), head)
            self.assertNotIn(b"[DONE]", tail)
            self.assertIn(b"upstream_broken", tail)

    def test_revoked(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.pieces = [b"data: {}\n\n", lambda: False]
        running = self.begin(daemon, "m", stream=True)
        self.assertEqual(running.read_head()[0], 200)
        lease = next(row["lease"] for row in daemon.status()["leases"] if row["slots"] == 1)
        self.assertEqual(daemon.http("POST", f"/v1/gpu/leases/{lease}/revoke", {}, unix=True).status, 200)
        self.assertIn(b'"code":"outranked"', b"".join(running.chunks()))
        wait_until(lambda: plain.cut == 1, "the server hears of it")

    def test_no_model_server(self):
        daemon = self.daemon()
        self.assertError(self.ask(daemon, "m"), 404, "model_not_found")
        self.assertEqual(daemon.http("GET", "/v1/gpu/models").json(),
                         {"models": [], "pages": [], "requests": [], "switches": []})

    def test_token_is_asked_for(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        for token in (None, "wrong"):
            answer = daemon.http("POST", CHAT, {"model": "m"}, token=token)
            self.assertEqual(answer.status, 401)
        self.assertEqual(plain.asked(CHAT), [])

    def test_configuration(self):
        for row, word in (({"name": "a", "kind": "bard", "url": "http://h"}, "kind"),
                          ({"name": "a", "kind": "openai", "url": "http://h/v1"}, "path"),
                          ({"name": "a", "kind": "openai", "url": "ftp://h"}, "http://"),
                          ({"name": "a b", "kind": "openai", "url": "http://h"}, "name"),
                          ({"name": "a", "kind": "openai", "url": "http://h", "key_file": "rel"}, "whole path"),
                          ({"name": "a", "kind": "openai", "url": "http://h", "silence_s": 0}, "silence_s"),
                          ({"name": "a", "kind": "openai", "url": "http://h", "silence_s": 86401}, "silence_s"),
                          ({"name": "a", "kind": "whisper.cpp", "url": "http://h"}, "has not one model")):
            daemon = self.daemon(start=False, config={"upstreams": [row]})
            answer = self.run_cli(daemon, "serve", "--check", "--config", str(daemon.config_path))
            self.assertNotEqual(answer.returncode, 0)
            self.assertIn("upstreams/0", answer.stderr)
            self.assertIn(word, answer.stderr)


class Waiting(GatewayTest):
    """What a client hears before its answer."""

    def waits(self, path=CHAT, **fields):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), gateway={"quiet_s": 0.1, "whole_wait_s": 1})
        token = daemon.lock("game").json()["token"]
        return plain, daemon, token, self.begin(daemon, "m", path, **fields)

    def test_comments(self):
        plain, daemon, token, waiting = self.waits(stream=True)
        self.assertEqual(waiting.read_head()[0], 200)
        chunks = waiting.chunks()
        why = 0
        while why < 3:
            sign = next(chunks)
            self.assertRegex(sign, rb"^: [^\n]+\n$")  # one newline: no empty event
            # Place, who is in the way, and since when it waits.
            why += re.match(rb"^: Next[^\n]*: game holds gpu0[^\n]* \(\d+ s so far\)\n$", sign) is not None
        daemon.unlock(token)
        rest = b"".join(chunks)
        self.assertTrue(rest.endswith(b"data: [DONE]\n\n"), rest)
        self.assertNotIn(b"id:", rest)
        # What the headers could not say any more: one line, one newline, before the answer.
        self.assertRegex(rest, rb"^: baton lease=\d+ fence=[1-9]\d* wait_ms=[1-9]\d* served_by=plain\ndata: ")
        self.assertEqual(rest.count(b": baton"), 1)

    def test_pings(self):
        plain, daemon, token, waiting = self.waits("/v1/messages", stream=True)
        self.assertEqual(waiting.read_head()[0], 200)
        chunks = waiting.chunks()
        for sign in chunks:
            self.assertRegex(sign, rb'^: [^\n]+\nevent: ping\ndata: {"type":"ping"}\n\n$')
            if b"game holds gpu0" in sign:
                break
        daemon.unlock(token)
        self.assertRegex(b"".join(chunks), rb"\n\n: baton lease=\d+ [^\n]+\nevent: message_start\n|^: baton")

    def test_whole_answers_get_nothing_early(self):
        plain, daemon, token, waiting = self.waits()
        answer = waiting.read_answer()
        self.assertError(answer, 503, "timeout")
        self.assertIn("game holds gpu0", answer.json()["error"]["message"])
        self.assertIn("retry-after", answer.headers)
        wait_until(lambda: not daemon.waiting(), "its place is gone")
        self.assertEqual(plain.asked(CHAT), [])

    def test_refused_after_a_comment(self):
        ollama = self.server("ollama", ["a"])
        daemon = self.behind(upstream(ollama, "ollama"), gateway={"quiet_s": 0.1})
        ollama.load_delay.clear()
        ollama.load_status = 500
        waiting = self.begin(daemon, "a", stream=True)
        self.assertEqual(waiting.read_head()[0], 200)
        chunks = waiting.chunks()
        self.assertTrue(next(chunks).startswith(b": "))
        ollama.load_delay.set()
        self.assertIn(b'"code":"model_failed"', b"".join(chunks))

    def test_said_once(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        answer = self.ask(daemon, "m", stream=True)
        self.assertIn("x-baton-lease", answer.headers)
        self.assertNotIn(b": baton", answer.body)

    def test_nothing_inside_a_line(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), gateway={"quiet_s": 0.05})
        stop = threading.Event()
        texts = [b"data: {\"a", b"\":\"\xe5", b"\x8c\x97\"}\r", b"\n\r\n", b"data: [DONE]\n\n"]
        plain.pieces = [texts[0], lambda: stop.wait(0.3) or True, texts[1], lambda: stop.wait(0.3) or True, *texts[2:]]
        answer = self.ask(daemon, "m", stream=True)
        signs, texts = re.sub(rb"(?m)^: [a-z][^\n]*\n", b"", answer.body), b"".join(texts)
        self.assertEqual(signs, texts)

    def test_nothing_inside_an_event(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), gateway={"quiet_s": 0.05})
        stop = threading.Event()
        event = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
        plain.pieces = [event[:20], lambda: stop.wait(0.3) or True, event[20:]]
        answer = self.ask(daemon, "m", "/v1/messages", stream=True)
        self.assertTrue(answer.body.endswith(event), answer.body)
        self.assertIn(b"event: ping\n", answer.body)

    def test_nothing_in_what_is_no_stream(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), gateway={"quiet_s": 0.05})
        stop = threading.Event()
        sound = bytes(range(256))
        plain.pieces = [lambda: stop.wait(0.3) or True, sound, lambda: stop.wait(0.3) or True, b"\n"]
        for head in ("Content-Type: audio/wav\r\n", "Content-Type: application/json\r\n",
                     "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"):
            plain.stream_head = head
            with self.subTest(head):
                answer = self.ask(daemon, "m", stream=True)
                self.assertEqual((answer.status, answer.body), (200, sound + b"\n"))

    def test_an_event_of_any_length(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        long = b"data: {" + b" " * 300000 + b"}\n\n"
        plain.pieces = [long, long[:200000], None]
        answer = self.ask(daemon, "m", stream=True)
        head, _, tail = answer.body.partition(b'\n\ndata: {"error":{')
        self.assertEqual(head, long + long[:200000])
        self.assertIn(b"upstream_broken", tail)

    def test_signs_while_it_works(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), gateway={"quiet_s": 0.05})
        go_on = threading.Event()
        plain.pieces = [b"data: {}\n\n", go_on.is_set, b"data: [DONE]\n\n"]
        running = self.begin(daemon, "m", stream=True)
        self.assertEqual(running.read_head()[0], 200)
        chunks = running.chunks()
        while b"data: {}\n\n" not in next(chunks):
            pass  # of a slow machine: it waited long enough for a sign
        self.assertEqual(next(chunks), b": working\n")
        go_on.set()
        self.assertTrue(b"".join(chunks).endswith(b"data: [DONE]\n\n"))


class Embeddings(GatewayTest):
    def test_refused_base64_is_asked_in_numbers(self):
        plain = self.server("openai", ["real"])
        daemon = self.behind(upstream(plain, "plain", models=[{"name": "real", "alias": "e", "vram_mb": 500}]))
        plain.base64_status = 400
        for body, second in ((b'{"model":"e", "encoding_format" : "base64","input":"a"}',
                              b'{"model":"real", "encoding_format" : "float","input":"a"}'),
                             (b'{"encoding_format":"base64","input":["a"],"model":"e"}',
                              b'{"encoding_format":"float","input":["a"],"model":"real"}')):
            answer = daemon.http("POST", "/v1/embeddings", body)
            self.assertEqual(answer.status, 200, answer)
            self.assertIsInstance(answer.json()["data"][0]["embedding"], str)
            self.assertEqual(plain.asked("/v1/embeddings")[-1][3], second)
        answer = daemon.http("POST", "/v1/embeddings", {"model": "e", "input": "a"})
        self.assertIsInstance(answer.json()["data"][0]["embedding"], list)

    def test_other_refusals_pass(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.answer = (400, [], {"error": {"message": "too long"}})
        body = {"model": "m", "input": "a", "encoding_format": "base64"}
        answer = daemon.http("POST", "/v1/embeddings", body)
        self.assertEqual((answer.status, answer.json()), (400, plain.answer[2]))
        self.assertEqual(len(plain.asked("/v1/embeddings")), 2)
        self.assertEqual(self.ask(daemon, "m", encoding_format="base64").status, 400)  # of another route
        self.assertEqual(len(plain.asked(CHAT)), 1)


class Doors(GatewayTest):
    def test_api_key(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        answer = daemon.http("POST", "/v1/messages", {"model": "m"}, {"x-api-key": daemon.token}, token=None)
        self.assertEqual(answer.status, 200)
        self.assertNotIn("x-api-key", plain.asked("/v1/messages")[0][2])
        answer = daemon.http("POST", "/v1/messages", {"model": "m"}, {"x-api-key": "wrong-wrong-wrong"}, token=None)
        self.assertEqual(answer.status, 401)

    def test_preflight(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), config={"origins": ["http://app.example"]})
        asked = "authorization,content-type,x-stainless-os,http-referer,x-title"
        headers = {"Origin": "http://app.example", "Access-Control-Request-Method": "POST",
                   "Access-Control-Request-Headers": asked}
        answer = daemon.http("OPTIONS", CHAT, headers=headers, token=None)
        self.assertEqual((answer.status, answer.headers["access-control-allow-headers"]), (204, asked))
        answer = daemon.http("OPTIONS", "/v1/gpu/lock", headers=headers, token=None)
        self.assertNotIn("x-title", answer.headers["access-control-allow-headers"])
        answer = daemon.http("OPTIONS", CHAT, headers={**headers, "Origin": "http://evil.example"}, token=None)
        self.assertEqual(answer.status, 403)
        self.assertNotIn("access-control-allow-headers", answer.headers)
        plain.answer = (200, [("Access-Control-Allow-Origin", "*")], {"ok": True})
        answer = self.ask(daemon, "m", headers={"Origin": "http://app.example"})
        self.assertEqual(answer.headers["access-control-allow-origin"], "http://app.example")

    def test_principal_and_class(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000),
                             config={"principals": [{"match": "token", "classes": ["normal", "background"]}]})
        answer = self.ask(daemon, "m", headers={"x-baton-class": "voice"})
        self.assertError(answer, 403, "class_not_allowed")
        self.assertEqual(self.ask(daemon, "m", headers={"x-baton-class": "normal"}).status, 200)


class Seeing(GatewayTest):
    def test_models(self):
        ollama = self.server("ollama", ["a", "b"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        shown = self.run_cli(daemon, "models")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual(self.ask(daemon, "a").status, 200)
        ollama.load_status = 500
        self.assertEqual(self.ask(daemon, "b").status, 503)
        text = self.run_cli(daemon, "models").stdout
        self.assertRegex(text, r"a +- +ollama +not loaded|a +- +ollama +ready")
        self.assertRegex(text, r"failed: the server answered its load with status 500; tried again in \d+")
        rows = json.loads(self.run_cli(daemon, "models", "--json").stdout)["models"]
        self.assertEqual([row["model"] for row in rows], ["a", "b"])

    def test_what_a_switch_cost(self):
        """One model comes in place of another: for whom, how long it waited and loaded, and who left for how long."""
        ollama = self.server("ollama", ["a", "b"], size_mb=6000)
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": name, "vram_mb": 6000} for name in "ab"]))
        agent = lambda name: {"User-Agent": f"{name}/1.0 (x)"}
        self.assertEqual(self.models(daemon)["switches"], [])
        self.assertEqual(self.ask(daemon, "a", headers=agent("first")).status, 200)
        ollama.load_delay.clear()
        ollama.unload_gate.clear()
        waits = self.begin(daemon, "b", headers={**agent("second"), "x-baton-class": "normal"})
        newest = lambda: self.models(daemon)["switches"][0]
        wait_until(lambda: newest()["left"], "a must leave")
        seen = newest()
        self.assertEqual((seen["model"], seen["state"], seen["gpu"]), ("b", "waiting for memory", None))
        self.assertEqual((seen["waited_s"], seen["load_s"]), (None, None))
        self.assertEqual(seen["left"], [{"model": "a", "server": "ollama", "took_s": None}])
        claim = self.models(daemon)["requests"][0]["claim"]
        self.assertEqual([row["lease"] for row in daemon.status()["waiting"]], [claim])
        ollama.unload_gate.set()
        wait_until(lambda: newest()["state"] == "loading", "b loads")
        self.assertIsNone(newest()["load_s"])
        ollama.load_delay.set()
        self.assertEqual(waits.read_answer().status, 200)

        b, a = self.models(daemon)["switches"]
        self.assertEqual((a["model"], a["client"], a["class"], a["left"]), ("a", "first/1.0", "chat", []))
        self.assertEqual((b["model"], b["client"], b["class"]), ("b", "second/1.0", "normal"))
        for row in (a, b):
            self.assertEqual((row["server"], row["state"], row["gpu"]), ("ollama", "ready", "gpu0"))
            self.assertLessEqual(row["waited_s"] + row["load_s"], row["since_s"])
        self.assertGreaterEqual(b["waited_s"], b["left"][0]["took_s"])
        self.assertGreater(b["left"][0]["took_s"], 0)
        self.assertEqual({row["model"]: row["gpu"] for row in self.models(daemon)["models"]}, {"a": None, "b": "gpu0"})
        loaded = (r"model loaded model=b .*client=second/1.0 class=normal .*left=1|"
                  r'model loaded model="b" .*client="second/1.0" class="normal" .*left=1')
        wait_until(lambda: re.search(loaded, daemon.log()), "the log says so")
        text = self.run_cli(daemon, "models").stdout
        self.assertRegex(text, r"AGO +SWITCHED TO +GPU +FOR +WAITED +LOAD +STATE +LEFT FOR IT")
        self.assertRegex(text, r"b +gpu0 +second/1.0 \(normal\) .* ready +a in \d")
        for count in range(4):
            self.assertEqual(self.ask(daemon, "ab"[count % 2]).status, 200)
        rows = lambda *words: self.run_cli(daemon, "models", *words).stdout.split("SWITCHED TO")[1].count(" ready")
        self.assertEqual((rows(), rows("--switches")), (5, 6))
        self.assertEqual(len(json.loads(self.run_cli(daemon, "models", "--json").stdout)["switches"]), 6)

    def test_a_switch_that_fails(self):
        """It failed, or was broken off; a wait that was given up is none."""
        ollama = self.server("ollama", ["a", "b"], size_mb=6000)
        daemon = self.behind(upstream(ollama, "ollama", models=[{"name": name, "vram_mb": 6000} for name in "ab"]))
        switches = lambda: [(row["model"], row["state"]) for row in self.models(daemon)["switches"]]
        ollama.load_status = 500
        self.assertEqual(self.ask(daemon, "a").status, 503)
        self.assertEqual(switches(), [("a", "failed")])
        ollama.load_status = 200
        held = daemon.lock("training", vram_mb=7000, slots=0).json()
        waits = self.begin(daemon, "b")
        wait_until(lambda: switches() == [("b", "waiting for memory"), ("a", "failed")], "b waits")
        waits.close()
        wait_until(lambda: switches() == [("a", "failed")], "b is not wanted any more")
        daemon.unlock(held["token"])
        ollama.load_delay.clear()
        self.begin(daemon, "b")
        wait_until(lambda: switches()[0] == ("b", "loading"), "b loads")
        daemon.write_config({**daemon.config, "upstreams": []})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        ollama.load_delay.set()
        wait_until(lambda: switches()[0] == ("b", "ready"), "it is over")
        wait_until(lambda: self.models(daemon)["models"] == [], "b is forgotten")
        self.assertEqual(switches(), [("b", "ready"), ("a", "failed")])

    def test_nothing_configured(self):
        daemon = self.daemon()
        self.assertIn("name model servers under upstreams", self.run_cli(daemon, "models").stdout)

    def test_release_unloads(self):
        ollama = self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(upstream(ollama, "ollama"))
        self.assertEqual(self.ask(daemon, "a").status, 200)
        lease = self.models(daemon)["models"][0]["lease"]
        self.assertEqual(self.run_cli(daemon, "release", str(lease)).returncode, 0)
        wait_until(lambda: self.state_of(daemon, "a") == "not loaded", "it is unloaded")
        self.assertEqual(ollama.loaded, set())
        self.assertEqual(self.ask(daemon, "a").status, 200)

    def test_log(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.ask(daemon, "m", messages=[{"role": "user", "content": "a secret prompt"}])
        wait_until(lambda: "outcome=" in daemon.log(), "it is logged")
        line = next(line for line in daemon.log().splitlines() if "outcome=" in line)
        for word in ("model=m", "class=chat", "outcome=ok", "status=200", "waited_ms=", "first_byte_ms="):
            self.assertIn(word, line)
        self.assertNotIn("secret prompt", daemon.log())
        self.assertNotIn(daemon.token, daemon.log())


class Forms(GatewayTest):
    def form(self, *parts, end=True):
        body = b""
        for name, value in parts:
            extra = b'; filename="a.wav"\r\nContent-Type: audio/wav' if name == "file" else b""
            body += b'--XX\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name.encode(), extra, value)
        return body + (b"--XX--\r\n" if end else b"")

    def transcribe(self, daemon, body, path="/v1/audio/transcriptions"):
        return daemon.http("POST", path, body, {"Content-Type": "multipart/form-data; boundary=XX"})

    def test_either_order(self):
        whisper = self.server("openai", ["whisper-1"])
        daemon = self.behind(upstream(whisper, "whisper", vram_mb=1000))
        audio = b"RIFF" + bytes(range(256)) * 4000
        for parts in ((("model", b"whisper-1"), ("file", audio)), (("file", audio), ("model", b"whisper-1"))):
            body = self.form(*parts)
            answer = self.transcribe(daemon, body)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(whisper.asked("/v1/audio/transcriptions")[-1][3], body)
        answer = self.transcribe(daemon, self.form(("file", audio)), "/v1/audio/transcriptions?model=whisper-1")
        self.assertEqual(answer.status, 200)
        self.assertError(self.transcribe(daemon, self.form(("file", audio))), 400, "bad_field")
        self.assertError(daemon.http("POST", "/v1/audio/transcriptions", b"{}"), 415)

    def test_a_server_with_a_path_of_its_own(self):
        whisper = self.server("whisper.cpp", ["m"])
        daemon = self.behind(upstream(whisper, "whisper", models=[{"name": "whisper-1", "vram_mb": 1000}]))
        self.assertEqual([row["id"] for row in daemon.http("GET", "/v1/models").json()["data"]], ["whisper-1"])
        body = self.form(("model", b"whisper-1"), ("file", b"RIFF"))
        self.assertEqual(self.transcribe(daemon, body).status, 200)
        self.assertEqual([row[1] for row in whisper.requests if row[0] == "POST"], ["/inference"])
        self.assertEqual(whisper.requests[-1][3], body)

    def test_another_model(self):
        """Said beside the form, or in it a second time, even behind all that went on already: no server reads it."""
        whisper = self.server("openai", ["ok", "secret"])
        daemon = self.behind(upstream(whisper, "whisper", vram_mb=1000))
        path = "/v1/audio/transcriptions"
        audio = ("file", bytes(range(256)) * 4000)
        for headers, query, parts in (
                ({}, "?model=ok", (audio, ("model", b"secret"))),
                ({"x-baton-model": "ok"}, "", (audio, ("model", b"secret"))),
                ({}, "", (("model", b"ok"), audio, ("model", b"secret"))),
                ({}, "?model=ok", (audio, ("model", b"ok"), ("model", b"ok"))),
                ({}, "", (("model", b"ok"), audio, ("Model", b"secret"))),
                ({}, "?model=ok&model=secret", (audio,)),
                ({}, "?model=ok&mod%65l=secret", (audio,)),
                ({}, "?model=secret", (("model", b"ok"), audio))):
            with self.subTest(query=query, names=[part[0] for part in parts]):
                answer = daemon.http("POST", path + query, self.form(*parts),
                                     {"Content-Type": "multipart/form-data; boundary=XX", **headers})
                self.assertEqual(answer.status, 400, answer)
        for query in ("?model=secret", "?model=ok&MODEL=secret"):
            answer = daemon.http("POST", CHAT + query, {"model": "ok", "messages": []})
            self.assertError(answer, 400, "bad_field")
        for body in (b'{"model":"ok","Model":"secret"}', b'{"MODEL":"ok"}', b'{"model":"ok","Stream":true}'):
            self.assertError(daemon.http("POST", CHAT, body, {"Content-Type": "application/json"}), 400, "bad_json")
        wait_until(lambda: not daemon.status()["leases"] or daemon.status()["leases"][0]["label"], "turns are over")
        self.assertNotIn(b"--XX--", b"".join(row[3] for row in whisper.asked(path)))
        self.assertEqual(whisper.asked(CHAT), [])

    def test_limited_key_says_its_model(self):
        """A server that is told no model takes the one that it likes, which may not be one of the key's."""
        whisper = self.server("openai", ["ok", "secret"])
        daemon = self.behind(upstream(whisper, "whisper", vram_mb=1000))
        key = self.run_cli(daemon, "keys", "new", "alice", "--models", "ok").stdout.strip()
        headers = {"Content-Type": "multipart/form-data; boundary=XX", "Authorization": f"Bearer {key}"}
        path = "/v1/audio/transcriptions"
        for parts, status in (([("file", b"a")], 400), ([("file", b"a"), ("model", b"secret")], 400),
                              ([("file", b"a"), ("model", b"ok")], 200)):
            answer = daemon.http("POST", path + "?model=ok", self.form(*parts), headers, token=None)
            self.assertEqual(answer.status, status, answer)
        answer = daemon.http("POST", path + "?model=ok", self.form(("file", b"a"), end=False), headers, token=None)
        self.assertError(answer, 400, "bad_request")
        self.assertEqual(len(whisper.asked(path)), 1)


if __name__ == "__main__":
    unittest.main()
