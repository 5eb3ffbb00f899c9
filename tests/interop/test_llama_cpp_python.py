"""Goal: llama-cpp-python's server, real llama.cpp behind FastAPI, is a model server as any other: started, asked, left
and exchanged by Baton. Method: `python -m llama_cpp.server` as a command that Baton starts; BATON_BIN names the
daemon."""
import json
import os
import threading
import unittest

import parts
from interop import InteropTest
from lib.managed import pids_of
from lib.wait import wait_until
from make_gguf import WORDS

# Neither pictures nor downloads, and no library beside it.
FLAGS = "-DGGML_OPENMP=OFF -DLLAVA_BUILD=OFF -DLLAMA_CURL=OFF"


class LlamaCppPython(InteropTest):
    @classmethod
    def setUpClass(cls):
        cls.python = parts.venv("llama_cpp_python", {**os.environ, "CMAKE_ARGS": FLAGS}) / "python"
        super().setUpClass()

    def real(self, name, *words, kind="openai", **fields):
        row = self.row(name, model=name, **fields)
        command = [str(self.python), "-m", "llama_cpp.server", "--port", "${PORT}", "--model", self.files[name],
                   "--model_alias", "${MODEL}", "--n_ctx", "2048", "--n_threads", "1", *words]
        return {**row, "kind": kind, "cmd": command}

    def alive(self, name):
        return pids_of("llama_cpp.server", self.files[name], without="baton-keeper")

    def test_texts(self):
        daemon = self.behind(self.real("m"))
        self.assertEqual(self.said(self.ask(daemon, "m")), WORDS)
        text = self.ask(daemon, "m", "/v1/completions", prompt="hi", temperature=0)
        self.assertEqual(text.json()["choices"][0]["text"].strip(), WORDS)
        stream = self.ask(daemon, "m", stream=True).body.decode()
        events = [line[6:] for line in stream.splitlines() if line.startswith("data: ")]
        self.assertEqual(events[-1], "[DONE]")
        words = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]]
        self.assertEqual("".join(words).strip(), WORDS)

    def test_its_refusal_is_its_own(self):
        """A prompt longer than its context: its status and its code."""
        answer = self.ask(self.behind(self.real("m")), "m", messages=[{"role": "user", "content": "x " * 4000}])
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "context_length_exceeded"), answer)

    def test_two_on_a_card_for_one(self):
        daemon = self.behind(self.real("m"), self.real("other"))
        both, answers, over = [], {}, threading.Event()

        def watch():
            while not over.is_set():
                both.append(bool(self.alive("m")) and bool(self.alive("other")))

        def work(i):
            answers[i] = self.said(self.ask(daemon, ("m", "other")[i % 2]))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        watcher = threading.Thread(target=watch)
        for thread in (watcher, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        watcher.join()
        self.assertEqual([answers[i] for i in range(6)], [WORDS, self.SHAPES["other"]["words"]] * 3)
        self.assertFalse(any(both), "never both in memory")

    def test_who_leaves(self):
        daemon = self.behind(self.real("endless"))
        reader = self.begin(daemon, "endless", stream=True, max_tokens=100000)
        self.assertEqual(reader.read_head()[0], 200)
        next(reader.chunks())
        reader.close()
        wait_until(lambda: not self.turns(daemon), "its turn is over")
        self.assertIn("the broker", self.said(self.ask(daemon, "endless", max_tokens=8)))

    def test_embeddings(self):
        """Of a model that talks it has a list for each token, which no base64 stands for: it is passed as it is."""
        daemon = self.behind(self.real("m", "--embedding", "true"))
        answers = [self.ask(daemon, "m", "/v1/embeddings", input=["hi"], encoding_format=form)
                   for form in ("float", "base64")]
        rows = [answer.json()["data"][0]["embedding"] for answer in answers]
        self.assertEqual(rows[0], rows[1])
        self.assertTrue(all(isinstance(number, float) for token in rows[0] for number in token))


if __name__ == "__main__":
    unittest.main()
