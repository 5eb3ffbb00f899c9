"""Goal: LiteLLM's proxy before Baton, and behind it: texts come through whole, a refusal keeps its status. Method: the
proxy from PyPI, pinned where the benchmark pins it, with the real daemon and real llama.cpp; BATON_BIN names the
daemon."""
import json
import unittest

import parts
from interop import HERE, InteropTest
from lib.gateway import CHAT
from lib.http import Connection, request_bytes
from lib.managed import free_port
from lib.model_server import ModelServer
from lib.wait import wait_until
from make_gguf import WORDS

UP_S = 240
KEY = "sk-only-for-these-tests"


class LiteLLM(InteropTest):
    SHAPES = {"m": {}, "endless": {"endless": True}}

    @classmethod
    def setUpClass(cls):
        cls.program = parts.venv("litellm", source=HERE.parents[1] / "bench" / "rivals") / "litellm"
        super().setUpClass()

    def proxy(self, home, base, key, models=("m", "endless", "unknown")):
        """Its port; it asks `base` for every model, each by its own name."""
        rows = [{"model_name": model, "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": key}}
                for model in models]
        settings = {"model_list": rows, "litellm_settings": {"num_retries": 0, "telemetry": False},
                    "router_settings": {"num_retries": 0, "disable_cooldowns": True}}
        (home / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")  # which is YAML as well
        port = free_port()
        process = self.start('exec "$@"', home, self.program, "--config", home / "config.yaml", "--host", "127.0.0.1",
                             "--port", port, log=home / "log", LITELLM_MASTER_KEY=KEY)

        def up():
            self.assertIsNone(process.poll(), (home / "log").read_text(encoding="utf-8")[-3000:])
            try:
                with Connection(("127.0.0.1", port)) as connection:
                    connection.send(request_bytes("GET", "/health/liveliness", "127.0.0.1"))
                    return connection.read_answer().status == 200
            except OSError:
                return False

        wait_until(up, "LiteLLM answers", deadline_s=UP_S)
        return port

    def through(self, port, model, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        connection = Connection(("127.0.0.1", port), deadline_s=90)
        self.addCleanup(connection.close)
        connection.send(request_bytes("POST", CHAT, "127.0.0.1", body, {"Authorization": f"Bearer {KEY}"}))
        return connection

    def words(self, body):
        events = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
        self.assertEqual(events[-1], "[DONE]")
        return [(json.loads(event)["choices"] or [{"delta": {}}])[0]["delta"].get("content") or ""
                for event in events[:-1]]

    def test_before_it(self):
        """Its clients' requests are claims: they wait for a game, and are gone when their client is."""
        daemon = self.behind(self.real("m"), self.real("endless"), gateway={"quiet_s": 0.2})
        home = self.home(daemon)
        port = self.proxy(home, f"http://{daemon.host}/v1", daemon.token)
        self.assertEqual(self.said(self.through(port, "m").read_answer()), WORDS)

        game = daemon.lock("game").json()["token"]
        reader = self.through(port, "m", stream=True)
        wait_until(daemon.waiting, "it waits", deadline_s=60)
        daemon.unlock(game)
        self.assertEqual("".join(self.words(reader.read_answer().body)).strip(), WORDS)

        unknown = self.through(port, "unknown").read_answer()
        self.assertEqual(unknown.status, 404, unknown)
        self.assertIn("unknown", unknown.json()["error"]["message"])

        reader = self.through(port, "endless", stream=True, max_tokens=100000)
        self.assertEqual(reader.read_head()[0], 200)
        next(reader.chunks())
        reader.close()
        wait_until(lambda: not self.models(daemon)["requests"], "its claim is gone", deadline_s=60)
        wait_until(lambda: not self.turns(daemon), "its turn is over")

    def test_behind_it(self):
        """As a server that is elsewhere, `gpu: none`; what its own server refuses keeps its status."""
        server = ModelServer("openai", ["m"])
        self.addCleanup(server.close)
        port = free_port()
        row = {"name": "litellm", "kind": "openai", "url": f"http://127.0.0.1:{port}", "gpu": "none"}
        daemon = self.behind(row, start=False)
        key = daemon.dir / "key"
        key.write_text(KEY, encoding="ascii")
        key.chmod(0o600)
        port = self.proxy(daemon.dir, server.url + "/v1", "none", models=["m"])
        row = {**row, "url": f"http://127.0.0.1:{port}", "key_file": str(key)}
        daemon.write_config({**daemon.config, "upstreams": [row]})
        daemon.start()
        self.assertEqual(self.said(self.ask(daemon, "m")), "hello")
        self.assertEqual("".join(self.words(self.ask(daemon, "m", stream=True).body)), "hello")
        for status in (400, 429):
            server.answer = (status, [], {"error": {"message": "not so", "type": "t", "param": None, "code": "c"}})
            answer = self.ask(daemon, "m")
            self.assertEqual(answer.status, status, answer)
            self.assertIn("not so", answer.json()["error"]["message"])


if __name__ == "__main__":
    unittest.main()
