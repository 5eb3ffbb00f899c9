"""Goal: programs that people have get their texts through Baton, and know it when they do not get them. Method: the
real clients of a language, in a process that drive.mjs or drive.py is, against the real daemon with a model server by
hand behind it.

Usage: real_clients.py COMMAND.. where COMMAND starts the driver; BATON_BIN names the daemon.
"""
import functools
import json
import os
import pathlib
import queue
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from lib.daemon import DEADLINE_S, DaemonTest, die_with_parent, end_process  # noqa: E402
from lib.model_answers import vector  # noqa: E402
from lib.model_server import ModelServer  # noqa: E402
from lib.wait import wait_until  # noqa: E402

COMMAND = []
START_S = 120  # the clients alone take 10 s to be read on a busy machine
GPU = [{"name": "gpu0", "vram_mb": 8000}]
# Who says what, by language: `final` is the helper of Anthropic's that puts a stream together.
TEXTS = {
    "mjs": [("openai", "chat"), ("openai", "completions"), ("openai", "responses"), ("anthropic", "messages"),
            ("ai", "chat"), ("ollama", "chat")],
    "py": [("openai", "chat"), ("openai", "completions"), ("openai", "responses"), ("anthropic", "messages"),
           ("httpx", "chat"), ("ollama", "chat")],
}
EMBEDDERS = {"mjs": ["openai", "ai"], "py": ["openai"]}
# Programs that are told nothing but by their environment.
ASKS = {
    "py": {
        "openai": "import openai; print(openai.OpenAI(max_retries=0).chat.completions.create("
                  "model='m', messages=[{'role': 'user', 'content': 'hi'}]).choices[0].message.content)",
        "anthropic": "import anthropic; print(anthropic.Anthropic(max_retries=0).messages.create("
                     "model='m', max_tokens=9, messages=[{'role': 'user', 'content': 'hi'}]).content[0].text)",
    },
    "mjs": {
        "openai": "import OpenAI from 'openai'; console.log((await new OpenAI({maxRetries: 0}).chat.completions.create("
                  "{model: 'm', messages: [{role: 'user', content: 'hi'}]})).choices[0].message.content)",
        "anthropic": "import A from '@anthropic-ai/sdk'; console.log((await new A({maxRetries: 0}).messages.create("
                     "{model: 'm', max_tokens: 9, messages: [{role: 'user', content: 'hi'}]})).content[0].text)",
    },
}
NOT_FOUND = {"openai": "NotFoundError", "anthropic": "NotFoundError", "ollama": "ResponseError", "ai": "APICallError",
             "httpx": "HTTPStatusError"}


class Call:
    """One that is on its way."""

    def __init__(self, driver, number, name):
        self.driver, self.number, self.name = driver, number, name
        self.pieces = []
        self.ends = queue.Queue()

    def end(self):
        """What came of it: {"result": ..} or {"error": ..}."""
        try:
            return self.ends.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError(f"{self.name}: no end within {DEADLINE_S} s, after {self.pieces}") from None

    def result(self):
        end = self.end()
        assert "result" in end, end
        return end["result"]

    def error(self):
        end = self.end()
        assert "error" in end, end
        return end["error"]

    def abort(self):
        self.driver.write({"do": "abort", "id": self.number})


class Driver:
    """The clients' process: one for all tests, since it takes longer to start than they do."""

    def __init__(self):
        self.calls = {}
        self.ready = threading.Event()
        self.process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent)
        threading.Thread(target=self.read, daemon=True).start()
        if not self.ready.wait(START_S) or self.process.poll() is not None:
            raise AssertionError(f"{COMMAND} has not started")

    def write(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def read(self):
        for line in self.process.stdout:
            row = json.loads(line)
            if "ready" in row:
                self.ready.set()
                continue
            call = self.calls[row["id"]]
            if "piece" in row:
                call.pieces.append(row["piece"])
            else:
                call.ends.put(row)
        for call in self.calls.values():
            call.ends.put({"died": True})
        self.ready.set()

    def ask(self, daemon, client, call, model="m", stream=False, retries=0, **fields):
        number = len(self.calls) + 1
        self.calls[number] = Call(self, number, f"{client} {call}")
        self.write({"do": "ask", "id": number, "client": client, "call": call, "base": f"http://{daemon.host}",
                    "key": daemon.token, "model": model, "stream": stream, "retries": retries, **fields})
        return self.calls[number]


@functools.cache
def the_driver():
    driver = Driver()
    unittest.addModuleCleanup(end_process, driver.process)
    return driver


class RealClients(DaemonTest):
    @classmethod
    def setUpClass(cls):
        cls.driver = the_driver()
        cls.language = COMMAND[-1].rpartition(".")[2]
        cls.texts = TEXTS[cls.language]

    def behind(self, kind="openai", models=("m",), gateway=None, vram_mb=1000):
        server = ModelServer(kind, models)
        self.addCleanup(server.close)
        upstream = {"name": "s", "kind": kind, "url": server.url, "vram_mb": vram_mb}
        config = {"gpus": GPU, "vram_headroom_mb": 0, "upstreams": [upstream], "gateway": gateway or {"quiet_s": 0.1}}
        return server, self.daemon(config=config)

    def each(self, daemon, calls=None, **options):
        """All at once, one call of each; [(name of it, Call)]."""
        return [(f"{client} {call}", self.driver.ask(daemon, client, call, **options)) for client, call in
                (calls or self.texts)]

    def streams(self):
        return [*self.texts, ("anthropic", "final")]

    def idle(self, daemon):
        wait_until(lambda: not daemon.http("GET", "/v1/gpu/models").json()["requests"], "no request is left")
        wait_until(lambda: all(row["slots"] == 0 for row in daemon.status()["leases"]), "no turn is held")
        self.assertEqual(daemon.waiting(), [])

    def texts_wait(self, daemon, count):
        wait_until(lambda: len(daemon.waiting()) >= count, "all wait")

    def let_signs_come(self, daemon, count):
        """Until one that asked after the others has been sent `count` signs of life."""
        with daemon.connect() as last:
            body = {"model": "m", "messages": [], "stream": True}
            last.send(daemon.request("POST", "/v1/chat/completions", body))
            self.assertEqual(last.read_head()[0], 200)
            chunks = last.chunks()
            for _ in range(count):
                next(chunks)


class Texts(RealClients):
    def test_whole(self):
        _, daemon = self.behind()
        for name, call in self.each(daemon):
            self.assertEqual(call.result(), "hello", name)

    def test_stream(self):
        _, daemon = self.behind()
        for name, call in self.each(daemon, self.streams(), stream=True):
            self.assertEqual(call.result(), "hello", name)
            self.assertEqual(call.pieces, ["hel", "lo"], name)

    def test_models(self):
        _, daemon = self.behind(models=("m", "org/n:7b"))
        wait_until(lambda: len(daemon.http("GET", "/v1/gpu/models").json()["models"]) == 2, "its list has come")
        for name, call in self.each(daemon, [("openai", "models"), ("ollama", "models")]):
            self.assertEqual(call.result(), ["m", "org/n:7b"], name)

    def test_transcription(self):
        server, daemon = self.behind()
        self.assertEqual(self.driver.ask(daemon, "openai", "transcription").result(), "hello")
        self.assertIn(b"RIFF" * 25000, server.asked("/v1/audio/transcriptions")[0][3])

    def test_stored_responses(self):
        _, daemon = self.behind()
        call = self.driver.ask(daemon, "openai", "stored")
        error = call.error()
        self.assertEqual([json.loads(piece) for piece in call.pieces],
                         [["hello", "message", "resp_1", "cancelled", "response.compaction"]], error)
        self.assertEqual((error["type"], error["status"], error["code"]), ("NotFoundError", 404, "not_found"), error)

    def test_streams_wait_for_a_holder(self):
        server, daemon = self.behind()
        token = daemon.lock("game").json()["token"]
        calls = self.each(daemon, self.streams(), stream=True)
        self.texts_wait(daemon, len(calls))
        self.let_signs_come(daemon, 3)
        self.assertEqual([call.pieces for _, call in calls], [[]] * len(calls))
        self.assertEqual(server.running, 0)
        daemon.unlock(token)
        for name, call in calls:
            self.assertEqual(call.result(), "hello", name)

    def test_whole_answers_wait_for_a_holder(self):
        _, daemon = self.behind()
        token = daemon.lock("game").json()["token"]
        calls = self.each(daemon)
        self.texts_wait(daemon, len(calls))
        daemon.unlock(token)
        for name, call in calls:
            self.assertEqual(call.result(), "hello", name)

    def test_signs_while_the_server_is_silent(self):
        server, daemon = self.behind()
        go_on = threading.Event()
        server.pieces = lambda usual: [usual[0], lambda: go_on.wait(0.3) or go_on.set() or True, *usual[1:]]
        for client, call in self.streams():
            go_on.clear()
            self.assertEqual(self.driver.ask(daemon, client, call, stream=True).result(), "hello", (client, call))


class Embeddings(RealClients):
    """The official clients ask for base64 unless they are told otherwise."""

    def check(self, daemon):
        texts = ["a", "abc"]
        want = [list(struct.unpack("<8f", struct.pack("<8f", *vector(text)))) for text in texts]
        for client in EMBEDDERS[self.language]:
            got = self.driver.ask(daemon, client, "embeddings", input=texts).result()
            if client == "ai":  # it asks for numbers, and has them as they were written
                got = [list(struct.unpack("<8f", struct.pack("<8f", *row))) for row in got]
            self.assertEqual(got, want, client)

    def test_as_asked(self):
        _, daemon = self.behind()
        self.check(daemon)

    def test_server_that_sends_numbers(self):
        server, daemon = self.behind()
        server.floats_only = True
        self.check(daemon)

    def test_server_that_refuses_base64(self):
        server, daemon = self.behind()
        for status in (400, 422):
            server.base64_status = status
            self.check(daemon)

    def test_numbers_that_are_none(self):
        server, daemon = self.behind()
        server.answer = (200, [], b'{"data":[{"embedding":[0.5,null],"index":0}]}')
        self.driver.ask(daemon, "openai", "embeddings", input=["a"]).error()
        self.idle(daemon)

    def test_of_ollama(self):
        _, daemon = self.behind()
        self.assertEqual(self.driver.ask(daemon, "ollama", "embeddings", input=["a"]).result(), [vector("a")])


class Refusals(RealClients):
    def test_unknown_model(self):
        _, daemon = self.behind(models=("qwen3:8b", "llama3.2:3b"))
        for stream in (False, True):
            for name, call in self.each(daemon, model="qwen3:7b", stream=stream):
                error = call.error()
                self.assertEqual(error["type"], NOT_FOUND[name.split()[0]], error)
                self.assertEqual(error["status"], 404, error)
                self.assertIn("`qwen3:8b`", error["message"])
                if "ollama" not in name:  # which keeps the message only
                    self.assertEqual(error["code"], "model_not_found", error)

    def test_model_failed(self):
        server, daemon = self.behind("ollama")
        server.load_status = 500
        for name, call in self.each(daemon):
            error = call.error()
            self.assertEqual(error["status"], 503, error)
            self.assertIn("status 500", error["message"])
            if "ollama" not in name:
                self.assertEqual(error["code"], "model_failed", error)
                self.assertLessEqual(int(error["retryAfter"]), 15)
                self.assertIsNone(error["shouldRetry"])

    def test_never_fits(self):
        """Nobody asks twice, but npm's ai, which looks at the status alone."""
        server, daemon = self.behind(vram_mb=9000)
        calls = self.each(daemon, [row for row in self.texts if row[0] != "ai"], retries=2)
        for name, call in calls:
            error = call.error()
            self.assertEqual(error["status"], 409, error)
            self.assertIn("8.7 GiB", error["message"])
            if "ollama" not in name:
                self.assertEqual(error["code"], "never_fits", error)
                self.assertEqual((error["retryAfter"], error["shouldRetry"]), (None, "false"))
        wait_until(lambda: daemon.log().count("outcome=never_fits") >= len(calls), "all are in the log")
        self.assertEqual(daemon.log().count("outcome=never_fits"), len(calls))
        self.assertEqual([row for row in server.requests if row[0] == "POST"], [])

    def test_asks_again_when_told_to(self):
        server, daemon = self.behind(gateway={"whole_wait_s": 1})
        token = daemon.lock("game").json()["token"]
        asked_at = time.monotonic()
        calls = self.each(daemon, [row for row in self.texts if row[0] in ("openai", "anthropic", "ai")], retries=1)
        wait_until(lambda: daemon.log().count("outcome=timeout") == len(calls), "all are refused")
        daemon.unlock(token)
        for name, call in calls:
            self.assertEqual(call.result(), "hello", name)
        self.assertGreaterEqual(time.monotonic() - asked_at, 1.9)  # its wait, and Retry-After: 1
        self.assertEqual(len(server.requests) - 1, len(calls))  # but for the list of models

    def test_does_not_ask_again_in_vain(self):
        server, daemon = self.behind()
        server.answer = (503, [("x-should-retry", "false")], {"error": {"message": "never"}})
        calls = self.each(daemon, [row for row in self.texts if row[0] in ("openai", "anthropic")], retries=2)
        for name, call in calls:
            self.assertEqual(call.error()["status"], 503, name)
        self.assertEqual(len(server.requests) - 1, len(calls))


class Broken(RealClients):
    """Half a text is never taken as a whole one."""

    def check(self, daemon, calls=None):
        for name, call in self.each(daemon, calls or self.streams(), stream=True):
            error = call.error()
            self.assertEqual(call.pieces, ["hel"], name)
            self.assertIn("`s`", error["message"], name)
            if "ollama" not in name:
                self.assertEqual(error["code"], "upstream_broken", (name, error))
        self.idle(daemon)

    def test_breaks_off(self):
        server, daemon = self.behind()
        server.pieces = lambda usual: [usual[0], None]
        self.check(daemon)

    def test_breaks_off_in_a_line(self):
        server, daemon = self.behind()
        server.pieces = lambda usual: [usual[0], usual[1][:20], None]
        self.check(daemon)

    def test_breaks_off_between_lines(self):
        server, daemon = self.behind()
        server.pieces = lambda usual: [usual[0], usual[1][:usual[1].index(b"\n") + 1], None]
        self.check(daemon, [row for row in self.streams() if row[0] != "ollama"])  # whose events are lines

    def test_just_ends(self):
        """As when a server that was killed marks its answer's end by closing, or a proxy before it does."""
        server, daemon = self.behind()
        server.pieces = lambda usual: usual[:1]
        self.check(daemon)

    def test_says_that_it_failed(self):
        server, daemon = self.behind()
        event = {"message": "`s` is out of memory", "type": "server_error", "code": "oom"}
        server.pieces = lambda usual: [usual[0], b"data: " + json.dumps({"error": event}).encode() + b"\n\n"]
        for name in ("chat", "completions"):
            call = self.driver.ask(daemon, "openai", name, stream=True)
            self.assertEqual(call.error()["code"], "oom")

    def test_sends_no_stream(self):
        """JSON where a stream was asked and begun: the clients would pass over it and have an empty text."""
        server, daemon = self.behind()
        token = daemon.lock("game").json()["token"]
        server.answer = (200, [], {"choices": []})
        calls = self.each(daemon, [row for row in self.streams() if row[0] != "ollama"], stream=True)
        self.texts_wait(daemon, len(calls))
        self.let_signs_come(daemon, 2)
        daemon.unlock(token)
        for name, call in calls:
            error = call.error()
            self.assertEqual(error["code"], "upstream_broken", (name, error))
            self.assertIn("stream", error["message"])


class Connect(RealClients):
    """What `baton connect` prints is all that a program needs, and what was set before does not count."""

    def test_environment(self):
        _, daemon = self.behind()
        left = {"OPENAI_API_KEY": "sk-left", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "ANTHROPIC_API_KEY": "sk-left"}
        for name in ("openai", "anthropic"):
            text = self.run_cli(daemon, "connect", name).stdout
            text = text.replace("${XDG_STATE_HOME:-$HOME/.local/state}/baton", str(daemon.state))
            flag = ["--input-type=module", "-e"] if self.language == "mjs" else ["-c"]
            program = [COMMAND[0], *flag, ASKS[self.language][name]]
            said = subprocess.run(["sh", "-c", text + '\nexec "$@"', "sh", *program],
                                  env={**os.environ, **left}, cwd=pathlib.Path(__file__).parent, capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual(said.stdout.strip(), "hello", (name, said.stderr))


class Aborts(RealClients):
    def test_mid_stream(self):
        server, daemon = self.behind()
        server.pieces = lambda usual: [usual[0], lambda: False]
        for count, (client, name) in enumerate(self.streams(), 1):
            call = self.driver.ask(daemon, client, name, stream=True)
            wait_until(lambda call=call: call.pieces == ["hel"], "its first piece")
            call.abort()
            call.end()  # some clients throw, others just end
            wait_until(lambda count=count: server.cut == count, "the server hears of it")
            self.idle(daemon)

    def test_while_it_waits(self):
        server, daemon = self.behind()
        token = daemon.lock("game").json()["token"]
        calls = self.each(daemon, self.streams(), stream=True)
        self.texts_wait(daemon, len(calls))
        self.let_signs_come(daemon, 2)
        for _, call in calls:
            call.abort()
            call.end()  # some clients throw, others just end
        wait_until(lambda: not daemon.waiting(), "all places are gone")
        daemon.unlock(token)
        self.idle(daemon)
        self.assertEqual(len(server.requests), 1)  # the list of models


if __name__ == "__main__":
    mark = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    COMMAND[:] = sys.argv[1:mark]
    unittest.main(argv=[sys.argv[0], *sys.argv[mark + 1:]])
