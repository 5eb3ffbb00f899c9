"""Models of real llama.cpp as commands that Baton starts: llama_server.mjs, models by make_gguf.py."""
import pathlib
import tempfile

from lib.gateway import CHAT
from lib.http import Connection
from lib.managed import ManagedTest, pids_of
from make_gguf import write_model

SERVER = str(pathlib.Path(__file__).resolve().parent / "llama_server.mjs")


class LlamaTest(ManagedTest):
    NODE = ["node"]
    SHAPES = {}  # of each model, by name: what make_gguf takes

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.files = {name: f"{folder.name}/{name}.gguf" for name in cls.SHAPES}
        for name, shape in cls.SHAPES.items():
            write_model(cls.files[name], **shape)

    def real(self, name, *words, **fields):
        """The server of that model; `words` may say its context's length."""
        row = self.row(name, model=name, **fields)
        return {**row, "cmd": [*self.NODE, SERVER, "${PORT}", "${MODEL}", self.files[name], *words], "ready": "/health"}

    def begin(self, daemon, model, path=CHAT, headers=None, **fields):
        """As everywhere, with time for real loads on a busy machine."""
        connection = Connection(daemon.address, deadline_s=90)
        self.addCleanup(connection.close)
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        connection.send(daemon.request("POST", path, body, headers))
        return connection

    def ask(self, daemon, model, path=CHAT, headers=None, **fields):
        return self.begin(daemon, model, path, headers, **fields).read_answer()

    def alive(self, name):
        return sorted(pids_of(SERVER, name, without="baton-keeper"))

    def said(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["choices"][0]["message"]["content"].strip()
