"""Goal: tabs that speak as the predecessor's did answer requests on /ws/chat and /ws/embed: with a token only, each
request in a turn that Baton takes for it, and never a half answer that looks whole. Method: such tabs by hand on raw
sockets, the frames as the predecessor's bridge and pages had them, the real daemon."""
import base64
import json
import struct
import unittest

from lib.bridge_tab import BridgeTab, delta
from lib.daemon import in_thread
from lib.gateway import GPU, GatewayTest
from lib.wait import holds_for, wait_until

EMBEDDINGS = "/v1/embeddings"
CHAT, EMBED = "webgpu-chat", "webgpu-embedding"


def texts(answer):
    events = [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: {")]
    return "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events)


class BridgeTest(GatewayTest):
    def tab(self, daemon, *args, **options):
        host, port = daemon.host.split(":")
        tab = BridgeTab((host, int(port)), *args, **{"token": daemon.token, **options})
        self.addCleanup(tab.close)
        if options.get("hello", True):
            wait_until(lambda: tab.ended or self.models(daemon, unix=True)["models"], "it is let in, or not")
        return tab

    def on_a_gpu(self, gpus=GPU):
        return self.daemon(config={"gpus": gpus, "vram_headroom_mb": 0})

    def models(self, daemon, **options):
        return daemon.http("GET", "/v1/gpu/models", **options).json()

    def running(self, daemon):
        return [row["state"] for row in self.models(daemon)["requests"]]


class Answers(BridgeTest):
    def test_stream(self):
        daemon = self.on_a_gpu()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT, stream=True, temperature=0.5)
        asked = tab.request()
        self.assertEqual((asked["type"], asked["data"]),
                         ("chat", {"model": None, "messages": [], "stream": True, "temperature": 0.5}))
        self.assertIsInstance(asked["id"], str, "its pages cut it like a text")
        tab.say(type="engine_ready")
        tab.say(id="7e8f-not-asked-here", chunk=delta("no"))
        tab.answer(0, "gr", "üß🙂")
        answer = client.read_answer()
        self.assertEqual((answer.status, texts(answer)), (200, "grüß🙂"), answer)
        self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"))
        self.assertEqual(answer.headers["x-baton-served-by"], "tab:webgpu-chat")
        self.assertIn("x-baton-lease", answer.headers, "in a turn that Baton took for it")
        self.assertEqual(self.running(daemon), [])

    def test_in_one_piece(self):
        """Put together from its chunks: text, tool calls, why it ended, and what it used."""
        daemon = self.on_a_gpu()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT)
        tab.chunk(0, "gr\n")
        tab.chunk(0, "ün")
        tab.chunk(0, None, "length")
        tab.say(id=tab.request(0)["id"], chunk={"choices": [], "usage": {"total_tokens": 7}})
        tab.done(0)
        answer = client.read_answer().json()
        self.assertEqual(answer, {"id": "chatcmpl-7", "object": "chat.completion", "created": 1764000000, "model": CHAT,
                                  "choices": [{"index": 0, "message": {"role": "assistant", "content": "gr\nün"},
                                               "finish_reason": "length"}],
                                  "usage": {"total_tokens": 7}})
        calls = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]
        client = self.begin(daemon, CHAT)
        tab.chunk(1, None, "tool_calls", tool_calls=calls)
        tab.done(1)
        choice = client.read_answer().json()["choices"][0]
        self.assertEqual((choice["message"], choice["finish_reason"]),
                         ({"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"))
        whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "all"}}]}
        client = self.begin(daemon, CHAT)
        tab.say(id=tab.request(2)["id"], chunk=whole)
        self.assertEqual(client.read_answer().json(), whole)
        tab.done(2)
        client = self.begin(daemon, CHAT)
        tab.answer(3, "and on")
        self.assertEqual(client.read_answer().status, 200)

    def test_embeddings(self):
        daemon = self.on_a_gpu()
        tab = self.tab(daemon, "/ws/embed", model="snowflake-b32")
        listed = daemon.http("GET", "/v1/models").json()["data"]
        self.assertEqual([(row["id"], row["owned_by"]) for row in listed], [("snowflake-b32", "tab:webgpu-embedding")])
        client = self.begin(daemon, "snowflake-b32", path=EMBEDDINGS, input="x", encoding_format="base64")
        asked = tab.request()
        self.assertEqual((asked["type"], asked["data"]["model"]), ("embedding", "snowflake-b32"))
        tab.say(id=asked["id"], result={"object": "list", "data": [{"index": 0, "embedding": [1, -0.5]}]})
        packed = client.read_answer().json()["data"][0]["embedding"]
        self.assertEqual(struct.unpack("<2f", base64.b64decode(packed)), (1, -0.5))
        self.assertError(self.ask(daemon, "snowflake-b32"), 404, "model_not_found")

    def test_two_tabs(self):
        """A second one does not replace the first. Which of them is free is seen when a turn comes."""
        daemon = self.on_a_gpu(gpus=[{**GPU[0], "slots": 2}])
        one, two = self.tab(daemon), self.tab(daemon)
        wait_until(lambda: len(self.models(daemon)["models"]) == 2, "both are there")
        session = daemon.session("holder")
        lease = session.hold(slots=2)
        clients = [self.begin(daemon, CHAT, stream=True) for _ in range(2)]
        wait_until(lambda: self.running(daemon) == ["waits for its turn"] * 2, "both wait")
        session.release(lease["lease"])
        for tab in (one, two):
            tab.request()
        one.answer(0, "one")
        two.answer(0, "two")
        self.assertEqual({texts(client.read_answer()) for client in clients}, {"one", "two"})


class Turns(BridgeTest):
    def test_waits_for_the_gpu(self):
        """The predecessor's tab computed beside whoever held the lock."""
        daemon = self.on_a_gpu()
        tab = self.tab(daemon)
        session = daemon.session("holder")
        lease = session.hold()
        client = self.begin(daemon, CHAT, stream=True)
        wait_until(lambda: self.running(daemon) == ["waits for its turn"], "it waits")
        holds_for(lambda: not tab.asked, "the tab is not asked", 0.2)
        session.release(lease["lease"])
        tab.answer(0, "now")
        self.assertEqual(texts(client.read_answer()), "now")

    def test_client_that_leaves(self):
        """The tab cannot stop: it keeps its turn and its place until it is done."""
        daemon = self.on_a_gpu()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT, stream=True)
        tab.chunk(0, "x")
        client.read_head()
        client.close()
        wait_until(lambda: self.running(daemon) == ["left"], "it is known")
        wait_until(lambda: {"id": tab.asked[0]["id"], "type": "cancel"} in tab.heard, "a newer tab could stop")
        waits = self.begin(daemon, CHAT, stream=True)
        wait_until(lambda: "waits for a tab" in self.running(daemon), "the next one waits")
        self.assertEqual(len(daemon.holders()), 1)
        tab.chunk(0, "y")
        holds_for(lambda: len(tab.asked) == 1 and len(daemon.holders()) == 1, "it computes on", 0.2)
        tab.done(0)
        tab.answer(1, "next")
        self.assertEqual(texts(waits.read_answer()), "next")
        wait_until(lambda: not daemon.holders(), "nothing is held")

    def test_left_and_then_gone(self):
        daemon = self.on_a_gpu()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT, stream=True)
        tab.request()
        client.close()
        wait_until(lambda: self.running(daemon) == ["left"], "it is known")
        tab.close()
        wait_until(lambda: not daemon.holders() and not self.running(daemon), "its turn ends with it")

    def test_gone_while_it_waits_for_its_turn(self):
        daemon = self.on_a_gpu()
        tab = self.tab(daemon)
        session = daemon.session("holder")
        lease = session.hold()
        client = self.begin(daemon, CHAT, stream=True)
        wait_until(lambda: self.running(daemon) == ["waits for its turn"], "it waits")
        other = self.tab(daemon)
        wait_until(lambda: len(self.models(daemon)["models"]) == 2, "another one is there")
        tab.close()
        wait_until(lambda: len(self.models(daemon)["models"]) == 1, "it is gone")
        session.release(lease["lease"])
        other.answer(0, "other")
        self.assertEqual(texts(client.read_answer()), "other")


class Deaths(BridgeTest):
    def test_before_the_first_byte(self):
        daemon = self.on_a_gpu()
        dies = self.tab(daemon)
        client = self.begin(daemon, CHAT, stream=True)
        dies.request()
        lives = self.tab(daemon)
        wait_until(lambda: len(self.models(daemon)["models"]) == 2, "another one is there")
        dies.close()
        lives.answer(0, "saved")
        self.assertEqual(texts(client.read_answer()), "saved")
        wait_until(lambda: not daemon.holders(), "nothing is held")

    def test_nobody_else(self):
        daemon = self.on_a_gpu()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT)
        tab.request()
        tab.close()
        self.assertError(client.read_answer(), 502, "upstream_unreachable")
        wait_until(lambda: not daemon.holders(), "nothing is held")

    def test_after_the_first_byte(self):
        daemon = self.daemon()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT, stream=True)
        tab.chunk(0, "half")
        client.read_head()
        chunks = client.chunks()
        self.assertIn(b"half", next(chunks))
        tab.close()
        rest = b"".join(chunks)
        self.assertIn(b"upstream_unreachable", rest)
        self.assertNotIn(b"[DONE]", rest)

    def test_its_own_errors(self):
        daemon = self.daemon()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT)
        tab.say(id=tab.request(0)["id"], error="the device is lost")
        answer = client.read_answer()
        self.assertError(answer, 502, "upstream_broken")
        self.assertIn("the device is lost", answer.json()["error"]["message"])
        client = self.begin(daemon, CHAT, stream=True)
        tab.chunk(1, "half")
        tab.say(id=tab.request(1)["id"], error="out of memory")
        answer = client.read_answer()
        self.assertIn(b"out of memory", answer.body)
        self.assertNotIn(b"[DONE]", answer.body)
        client = self.begin(daemon, CHAT)
        tab.done(2)
        self.assertError(client.read_answer(), 502, "upstream_broken")


class Frames(BridgeTest):
    def test_what_is_no_message(self):
        daemon = self.daemon()
        for text in ("{", "[1]", "null", '{"id":"1","id":"1"}', '{"a":' * 40):
            with self.subTest(text=text):
                bad = self.tab(daemon)
                client = self.begin(daemon, CHAT, stream=True)
                bad.request()
                bad.raw(text)
                self.assertEqual(bad.close_code(), 1008)
                self.assertError(client.read_answer(), 502, "upstream_unreachable")

    def test_what_means_nothing_is_passed_over(self):
        daemon = self.daemon()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT, stream=True)
        number = tab.request()["id"]
        for said in ({}, {"id": number}, {"id": number, "chunk": "x"}, {"id": number, "chunk": [1]}, {"id": 1},
                     {"id": number, "token_events": [{"idx": 0, "text": "x"}]}, {"id": number, "error": ""},
                     {"id": number, "error": None}, {"id": "01", "done": True}, {"id": number, "done": "yes"}):
            tab.say(**said)
        tab.answer(0, "ok")
        self.assertEqual(texts(client.read_answer()), "ok")

    def test_event_that_is_no_event(self):
        """A newline in a chunk does not make two events of it."""
        daemon = self.daemon()
        tab = self.tab(daemon)
        client = self.begin(daemon, CHAT, stream=True)
        chunk = json.dumps(delta("x"), indent="\n")
        tab.raw('{"id":"%s",\r\n"chunk":\n%s\n}' % (tab.request()["id"], chunk))
        tab.answer(0, "y")
        self.assertEqual(texts(client.read_answer()), "xy")

    def test_request_that_is_no_json(self):
        """It would stand in a message of Baton's."""
        daemon = self.daemon()
        tab = self.tab(daemon)
        for body in (b'{"model":"webgpu-chat","messages":[}]}', b'{"model":"webgpu-chat","a":tru}',
                     b'{"model":"webgpu-chat","a":"\xff"}'):
            answer = daemon.http("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            self.assertError(answer, 400, "bad_json")
        large = self.ask(daemon, CHAT, prompt="x" * (600 << 10))
        self.assertError(large, 413, "too_large")
        self.assertEqual(tab.asked, [])
        client = self.begin(daemon, CHAT, prompt="x" * (500 << 10))
        tab.answer(0, "ok")
        self.assertEqual(client.read_answer().status, 200)


class Access(BridgeTest):
    def test_who_may_serve(self):
        daemon = self.daemon()
        for path in ("/ws/chat", "/ws/embed"):
            with self.subTest(path=path):
                self.assertEqual(self.tab(daemon, path, token="wrong").close_code(), 4401)
                silent = self.tab(daemon, path, hello=False)
                self.assertEqual(silent.close_code(), 4401, "as its pages were: they show nothing")
                self.assertIn("token", silent.heard[0]["detail"])
                early = self.tab(daemon, path, hello=False)
                early.say(id="1", done=True)
                self.assertEqual(early.close_code(), 4401)
                foreign = self.tab(daemon, path, headers={"Origin": "https://evil.example"}, hello=False)
                self.assertEqual(foreign.transport.status, 403)
                rebound = self.tab(daemon, path, headers={"Host": "evil.example:80"}, hello=False)
                self.assertEqual(rebound.transport.status, 403)
                self.assertEqual(daemon.http("GET", path).status, 400)
        self.assertEqual(self.models(daemon)["models"], [])
        self.assertEqual(daemon.http("GET", "/ws/other").status, 404)

    def test_program_with_a_header(self):
        daemon = self.daemon()
        tab = self.tab(daemon, hello=False, headers={"Authorization": f"Bearer {daemon.token}"})
        wait_until(lambda: self.models(daemon)["models"], "it is let in")
        client = self.begin(daemon, CHAT, stream=True)
        tab.answer(0, "ok")
        self.assertEqual(texts(client.read_answer()), "ok")

    def test_key_serves_its_own_requests(self):
        daemon = self.daemon(start=False)
        path = daemon.dir / "mine"
        path.touch(0o600)
        path.write_text("mine" * 10)
        daemon.write_config({"keys": [{"name": "mine", "file": str(path)}]})
        daemon.start()
        tab = self.tab(daemon, token="mine" * 10, model="secret-model")
        mine = {"model": "secret-model", "messages": [], "stream": True}
        wait_until(lambda: daemon.http("GET", "/v1/models", token="mine" * 10).json()["data"], "it is let in")
        self.assertEqual(daemon.http("GET", "/v1/models").json()["data"], [])
        self.assertError(self.ask(daemon, "secret-model"), 404, "model_not_found")
        client = in_thread(daemon.http, "POST", "/v1/chat/completions", mine, None, "mine" * 10)
        tab.request()
        self.assertNotIn("secret-model", json.dumps(daemon.status()), "nor does its lease name it")
        tab.answer(0, "mine")
        self.assertEqual(texts(client.result()), "mine")

    def test_broker_stops(self):
        daemon = self.daemon()
        tab = self.tab(daemon)
        daemon.terminate()
        self.assertEqual(tab.close_code(), 4503)


if __name__ == "__main__":
    unittest.main()
