"""Goal: Codex, as its user has it, works through Baton: told of it by what `baton connect codex` prints, it gives the
model's sentence, waits its turn, and lets a voice go first. Method: `codex exec` before the real daemon and real
llama.cpp; BATON_BIN names the daemon."""
import unittest

import parts
from interop import PROGRAM_S, InteropTest
from lib.daemon import in_thread
from lib.wait import wait_until
from make_gguf import WORDS

CONTEXT = "65536"  # its prompt is 20,000 tokens of these models


class Codex(InteropTest):
    @classmethod
    def setUpClass(cls):
        cls.program = parts.npm("codex") / "node_modules" / ".bin" / "codex"
        super().setUpClass()

    def connected(self, daemon, model):
        """Its home; what is printed stands there as it is told: a part for the shell, a part for its file."""
        text = self.run_cli(daemon, "connect", "codex").stdout
        shell, mark, config = text.partition("# in ~/.codex/config.toml")
        self.assertTrue(mark, text)
        home = self.home(daemon)
        (home / ".codex").mkdir()
        (home / ".codex" / "config.toml").write_text(mark + config.replace('"MODEL"', f'"{model}"'), encoding="utf-8")
        self.shell = shell
        return home

    def codex(self, home, *words):
        script = f'{self.shell}\nexec "$@"'
        return self.start(script, home, self.program, "exec", "--strict-config", "--skip-git-repo-check", *words,
                          "what does the broker do?")

    def end(self, process):
        out, err = process.communicate(timeout=PROGRAM_S)
        self.assertEqual(process.returncode, 0, err[-3000:])
        return out.strip(), err

    def test_sentence(self):
        daemon = self.behind(self.real("m", CONTEXT))
        out, err = self.end(self.codex(self.connected(daemon, "m")))
        self.assertEqual(out, WORDS)
        self.assertIn("provider: baton", err)
        self.assertIn("outcome=ok", daemon.log())

    def test_voice_while_it_waits(self):
        """A game holds the card; then the voice has it, then Codex."""
        daemon = self.behind(self.real("m", CONTEXT), gateway={"quiet_s": 0.2})
        game = daemon.lock("game").json()["token"]
        process = self.codex(self.connected(daemon, "m"))
        wait_until(lambda: len(daemon.waiting()) == 1, "Codex waits", deadline_s=60)
        voice = in_thread(lambda: daemon.lock("voice", **{"class": "voice"}))
        wait_until(lambda: daemon.waiting()[:1] == ["voice"], "the voice is before it")
        daemon.unlock(game)
        token = voice.result().json()["token"]
        self.assertIsNone(process.poll())
        self.assertEqual(self.turns(daemon), ["voice"])
        daemon.unlock(token)
        self.assertEqual(self.end(process)[0], WORDS)

    def test_voice_while_it_is_read(self):
        """Its prompt is taken back from the model, the voice speaks, and it is asked again: Codex notices nothing."""
        daemon = self.behind(self.real("m", CONTEXT), gateway={"quiet_s": 0.2, "finish_s": 1})
        process = self.codex(self.connected(daemon, "m"))
        wait_until(lambda: self.turns(daemon), "its turn", deadline_s=60)
        voice = daemon.lock("voice", **{"class": "voice"})
        self.assertEqual(voice.status, 200, voice)
        self.assertIsNone(process.poll())
        daemon.unlock(voice.json()["token"])
        self.assertEqual(self.end(process)[0], WORDS)

    def test_left(self):
        """Who interrupts Codex has no claim left."""
        daemon = self.behind(self.real("m", CONTEXT))
        process = self.codex(self.connected(daemon, "m"))
        wait_until(lambda: self.requests(daemon), "it asks", deadline_s=60)
        process.terminate()
        wait_until(lambda: not self.requests(daemon), "no request is left")
        wait_until(lambda: not self.turns(daemon), "no turn is left", deadline_s=90)

    def requests(self, daemon):
        return self.models(daemon)["requests"]


if __name__ == "__main__":
    unittest.main()
