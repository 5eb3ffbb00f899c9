"""Goal: what a real embedding model computes comes through Baton as it is, as numbers and packed in base64. Method:
all-MiniLM-L6-v2 as a command that Baton starts, real llama.cpp beside it on a card for one; BATON_BIN names the
daemon."""
import base64
import struct
import threading
import unittest

import parts
from interop import HERE, InteropTest
from make_gguf import WORDS

TEXTS = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
# What the model's makers have for these.
ALIKE = {(0, 1): 0.6660, (0, 2): 0.1046, (1, 2): 0.1411}
WIDTH = 384


class MiniLM(InteropTest):
    SHAPES = {"m": {}}

    @classmethod
    def setUpClass(cls):
        cls.python = parts.venv("minilm") / "python"
        super().setUpClass()

    def embedder(self, vram_mb=1000):
        row = self.row("minilm", model="all-minilm-l6-v2", vram_mb=vram_mb)
        return {**row, "cmd": [str(self.python), str(HERE / "minilm" / "server.py"), "${PORT}", "${MODEL}"]}

    def embed(self, daemon, texts=TEXTS, **fields):
        answer = self.ask(daemon, "all-minilm-l6-v2", "/v1/embeddings", input=texts, **fields)
        self.assertEqual(answer.status, 200, answer)
        return [row["embedding"] for row in answer.json()["data"]]

    def test_numbers(self):
        rows = self.embed(self.behind(self.embedder()))
        self.assertEqual([len(row) for row in rows], [WIDTH] * 3)
        for (one, other), want in ALIKE.items():
            alike = sum(a * b for a, b in zip(rows[one], rows[other]))
            self.assertAlmostEqual(alike, want, delta=0.0005, msg=(TEXTS[one], TEXTS[other]))

    def test_base64(self):
        """As the official clients ask: the same numbers, to the bit."""
        daemon = self.behind(self.embedder())
        packed = self.embed(daemon, encoding_format="base64")
        rows = [struct.unpack(f"<{WIDTH}f", base64.b64decode(row)) for row in packed]
        numbers = self.embed(daemon, encoding_format="float")
        self.assertEqual(rows, [struct.unpack(f"<{WIDTH}f", struct.pack(f"<{WIDTH}f", *row)) for row in numbers])

    def test_beside_a_chat(self):
        """A program that looks things up while another talks, on a card for one of the two."""
        daemon = self.behind(self.embedder(vram_mb=5000), self.real("m"))
        answers = {}

        def work(i):
            answers[i] = self.embed(daemon) if i % 2 else self.said(self.ask(daemon, "m"))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answers[i] for i in range(0, 8, 2)], [WORDS] * 4)
        self.assertTrue(all(answers[i] == answers[1] for i in range(1, 8, 2)))


if __name__ == "__main__":
    unittest.main()
