"""Goal: Open WebUI, as its users have it, shows what models say through Baton: its backend is told of Baton by what
`baton connect open-webui` prints, its users chat at once on a card for one model, its stop button frees the claim.
Method: its server from PyPI, asked as its page asks it, before the real daemon and real llama.cpp; BATON_BIN names the
daemon."""
import json
import os
import time
import unittest
import urllib.error
import urllib.request
import uuid

import parts
from interop import InteropTest
from lib.daemon import in_thread
from lib.managed import free_port
from lib.wait import wait_until
from make_gguf import WORDS

UP_S, CHAT_S = 300, 120
FREED_MS = 100
# It has no network here, and every user may ask every model.
SETTINGS = {"OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", "RAG_EMBEDDING_ENGINE": "openai",
            "BYPASS_MODEL_ACCESS_CONTROL": "true", "ANONYMIZED_TELEMETRY": "false", "DO_NOT_TRACK": "true",
            "WEBUI_SECRET_KEY": "not a secret, only for these tests"}


class Site:
    """Its HTTP API, as one user."""

    def __init__(self, address, token=None):
        self.address, self.token = address, token

    def open(self, path, body=None):
        fields = {"Content-Type": "application/json"}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(self.address + path, data, fields), timeout=CHAT_S)

    def ask(self, path, body=None):
        with self.open(path, body) as answer:
            return json.load(answer)

    def add(self, name, path="/api/v1/auths/add", **fields):
        """Another user, signed in; none comes in by himself once there is one."""
        person = {"name": name, "email": f"{name}@example.com", "password": f"the word of {name}", **fields}
        return Site(self.address, self.ask(path, person)["token"])

    def chat(self, model, question="what does the broker do?", title=True, **params):
        """As its page: a chat that is kept, answered by a task, its title by another; its id and the answer's."""
        asked, answered = str(uuid.uuid4()), str(uuid.uuid4())
        message = {"id": asked, "parentId": None, "childrenIds": [answered], "role": "user", "content": question,
                   "timestamp": int(time.time()), "models": [model]}
        begun = self.ask("/api/chat/completions", {
            "stream": True, "model": model, "messages": [{"role": "user", "content": question}], "parent_id": None,
            "session_id": str(uuid.uuid4()), "user_message": message, "params": params,
            "message_ids": [{"model_id": model, "message_id": answered}],
            "background_tasks": {"title_generation": title}})
        return begun["chat_id"], answered

    def message(self, chat, number):
        return self.ask(f"/api/v1/chats/{chat}")["chat"]["history"]["messages"][number]

    def answer(self, chat, number):
        """The message, when it is complete."""
        def done():
            message = self.message(chat, number)
            return message if message.get("done") else None
        return wait_until(done, "the chat is answered", deadline_s=CHAT_S)


class OpenWebUI(InteropTest):
    @classmethod
    def setUpClass(cls):
        cls.program = parts.venv("open_webui") / "open-webui"
        super().setUpClass()

    def site(self, daemon):
        """Its server, signed in: who comes first is its administrator."""
        home = self.home(daemon)
        script = self.run_cli(daemon, "connect", "open-webui").stdout + '\nexec "$@"'
        port = free_port()
        process = self.start(script, home, self.program, "serve", "--host", "127.0.0.1", "--port", port,
                             log=home / "log", DATA_DIR=str(home / "data"), **SETTINGS)
        site = Site(f"http://127.0.0.1:{port}")

        def up():
            self.assertIsNone(process.poll(), (home / "log").read_text(encoding="utf-8")[-3000:])
            try:
                return site.ask("/health")["status"]
            except OSError:
                return False

        wait_until(up, "Open WebUI answers", deadline_s=UP_S)
        return site.add("ann", "/api/v1/auths/signup")

    def names(self, site):
        return sorted(row["id"] for row in site.ask("/api/models")["data"] if row.get("owned_by") != "arena")

    def requests(self, daemon):
        return self.models(daemon)["requests"]

    def test_all(self):
        """One after the other on one server: it takes a minute to start."""
        daemon = self.behind(self.real("m"), self.real("other"), self.real("endless"), gateway={"quiet_s": 0.2})
        ann = self.site(daemon)
        self.assertEqual(self.names(ann), ["endless", "m", "other"])
        for check in (self.streams, self.two_users, self.waits, self.stops, self.leaves, self.fails):
            with self.subTest(check.__name__):
                check(daemon, ann)

    def endless(self, site):
        """A chat in the middle of its answer."""
        chat, number = site.chat("endless", "go on and on", title=False, max_tokens=100000)
        wait_until(lambda: site.message(chat, number).get("content"), "its first words", deadline_s=CHAT_S)
        return chat, number

    def streams(self, daemon, ann):
        """What it passes on to programs of its own users, as it comes."""
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        with ann.open("/api/chat/completions", body) as answer:
            events = [line[6:].strip() for line in answer if line.startswith(b"data: ")]
        self.assertEqual(events[-1], b"[DONE]")
        words = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]]
        self.assertEqual("".join(words).strip(), WORDS)
        self.assertGreater(len(words), 5)

    def two_users(self, daemon, ann):
        """At once, two models, a card for one of them."""
        users = {"m": ann, "other": ann.add("bob", role="user")}
        chats = {model: in_thread(user.chat, model) for model, user in users.items()}
        both, texts = [], {}
        for model, user in users.items():
            number = chats[model].result(CHAT_S)
            job = in_thread(user.answer, *number)
            while job.is_alive():
                both.append(len(self.alive("m")) and len(self.alive("other")))
            texts[model] = job.result()["content"].strip()
        self.assertEqual(texts, {"m": WORDS, "other": self.SHAPES["other"]["words"]})
        self.assertFalse(any(both), "never both in memory")
        wait_until(lambda: not self.requests(daemon), "titles are made", deadline_s=CHAT_S)

    def waits(self, daemon, ann):
        """Signs of life while a game has the card; a voice comes first."""
        game = daemon.lock("game").json()["token"]
        number = ann.chat("m")
        wait_until(daemon.waiting, "it waits", deadline_s=CHAT_S)
        voice = in_thread(lambda: daemon.lock("voice", **{"class": "voice"}))
        wait_until(lambda: daemon.waiting()[:1] == ["voice"], "the voice is before it")
        daemon.unlock(game)
        daemon.unlock(voice.result().json()["token"])
        self.assertEqual(ann.answer(*number)["content"].strip(), WORDS)
        wait_until(lambda: not self.requests(daemon), "its title is made", deadline_s=CHAT_S)

    def stops(self, daemon, ann):
        """Its stop button, mid-stream: from its answer on the claim is Baton's to free. The fastest of three, which a
        busy machine does not hide."""
        spans = []
        for _ in range(3):
            chat, _ = self.endless(ann)
            pressed = time.monotonic()
            ann.ask(f"/api/tasks/chat/{chat}/stop", {})
            stopped = time.monotonic()
            wait_until(lambda: not self.requests(daemon), "the claim is freed")
            spans.append([(time.monotonic() - begun) * 1000 for begun in (stopped, pressed)])
            wait_until(lambda: not self.turns(daemon), "the turn is over")
        for freed, whole in spans:
            print(f"its claim was freed {freed:.0f} ms after it had stopped, {whole:.0f} after it was told", flush=True)
        self.assertLess(min(spans)[0], FREED_MS)

    def leaves(self, daemon, ann):
        """A program of its user's closes the connection to it."""
        body = {"model": "endless", "stream": True, "max_tokens": 100000,
                "messages": [{"role": "user", "content": "hi"}]}
        with ann.open("/api/chat/completions", body) as answer:
            answer.readline()
        wait_until(lambda: not self.requests(daemon), "no claim is left")
        wait_until(lambda: not self.turns(daemon), "no turn is left")

    def fails(self, daemon, ann):
        """A model that is unknown, and one that ends in the middle: its user is told."""
        with self.assertRaises(urllib.error.HTTPError) as caught:
            ann.ask("/openai/chat/completions", {"model": "none", "messages": []})
        self.assertGreaterEqual(caught.exception.code, 400)
        caught.exception.close()

        chat, number = self.endless(ann)
        for pid in self.alive("endless"):
            os.kill(pid, 9)
        message = ann.answer(chat, number)
        self.assertIn("endless", json.dumps(message.get("error")), message)


if __name__ == "__main__":
    unittest.main()
