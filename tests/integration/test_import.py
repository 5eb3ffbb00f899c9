"""Goal: `baton import llama-swap` prints a configuration that Baton takes as soon as each vram_mb is filled in, and not
before, and whose servers then start and answer; a file that it cannot read is refused whole.

Method: the real command; its lines are given to `baton serve --check` and to a daemon.
"""
import os
import re
import subprocess
import sys
import unittest

from lib.daemon import BATON
from lib.gateway import GPU
from lib.managed import COMMAND, ManagedTest, free_port

WHOLE = r"""
startPort: 10001
globalTTL: 300
healthCheckTimeout: 500
macros:
  server: >
    /opt/llama-server
    --port ${PORT}
  context: 4096
  arguments: --ctx-size ${context}
models:
  gpt-oss-120b:
    macros: {context: 16384}
    cmd: |
      # the long one
      ${server} \
      --model "${env.MODELS}/gpt oss.gguf" ${arguments}
    ttl: 60
    useModelName: openai/gpt-oss-120B
    aliases: [gpt-4o-mini]
    filters: {stripParams: temperature}
  "qwen/qwen3:8b":
    cmd: llama-server --port ${PORT} -m q.gguf > /tmp/log
    aliases: [q, r]
    env: ['WORDS=a "b" # c']
  old: {cmd: serve --port 9999, proxy: "http://127.0.0.1:9999", checkEndpoint: none}
  old2: {cmd: serve --port 9999, proxy: "http://127.0.0.1:9999"}
  far: {cmd: ssh box, proxy: "http://box:1234"}
groups:
  g: {members: [old]}
"""


class Import(ManagedTest):
    def setUp(self):
        super().setUp()
        self.any_daemon = self.daemon(start=False)
        self.folder = self.any_daemon.config_path.parent

    def file(self, text, name="llama-swap.yaml"):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def run_import(self, *words, status=0, **options):
        answer = subprocess.run([BATON, "import", "llama-swap", *words], capture_output=True, text=True, timeout=20,
                                check=False, env={**os.environ, "MODELS": "/models"}, **options)
        self.assertEqual(answer.returncode, status, answer)
        return answer

    def refused(self, *words, status=78, **options):
        answer = self.run_import(*words, status=status, **options)
        self.assertEqual((answer.stdout, answer.stderr.count("\n")), ("", 1))
        return answer.stderr

    def check(self, text):
        return subprocess.run([BATON, "serve", "--check", "--config", self.file(text, "lines.yaml")],
                              capture_output=True, text=True, timeout=20, check=False)

    def test_is_a_configuration_once_filled_in(self):
        answer = self.run_import(self.file(WHOLE))
        self.assertIn("far is left out, as comments: its proxy is not on", answer.stderr)
        self.assertIn("servers: 4, ", answer.stderr)
        empty = self.check(answer.stdout)
        self.assertEqual(empty.returncode, 78)
        self.assertIn("no value for 'vram_mb'", empty.stderr)
        filled = self.check(answer.stdout.replace("vram_mb:", "vram_mb: 7000"))
        self.assertEqual(filled.returncode, 0, filled)
        self.assertIn('--model, "/models/gpt oss.gguf",\n      --ctx-size, 16384]', answer.stdout)
        self.assertEqual(re.findall(r"^    url: .*:(\d+)$", answer.stdout, re.M), ["10001", "10002", "9999", "10003"])
        self.assertEqual(self.run_import("-", input=WHOLE).stdout, answer.stdout)

    def test_its_servers_start(self):
        """Words with blanks and quotes arrive as they were; what it asks the server for is its own name."""
        lines = self.run_import(self.file(
            f"startPort: {free_port()}\nmodels:\n  a/b:\n"
            f"    cmd: |\n      {sys.executable} {COMMAND} \\\n      ${{PORT}} '${{MODEL_ID}}'\n"
            "    checkEndpoint: /v1/models\n    aliases: [short]\n")).stdout
        self.assertIn("- name: a-b\n", lines)
        daemon = self.daemon(start=False, config={"gpus": GPU, "vram_headroom_mb": 0})
        with daemon.config_path.open("a", encoding="utf-8") as file:
            file.write(lines.replace("vram_mb:", "vram_mb: 5000"))
        daemon.start()
        answer = self.ask(daemon, "short")
        self.assertEqual((answer.status, answer.headers["x-baton-served-by"]), (200, "a-b"))

    def test_what_is_no_file_of_its_kind(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        large = self.folder / "large"
        with large.open("wb") as file:
            file.truncate(100 << 20)
        self.assertIn("not a regular file", self.refused(str(fifo), status=66))
        self.assertIn("No such file", self.refused(str(self.folder / "none"), status=66))
        self.assertIn("directory", self.refused(str(self.folder), status=66))
        self.assertIn("larger than 256 KiB", self.refused(str(large)))
        with large.open("rb") as file:
            self.assertIn("standard input: larger than 256 KiB", self.refused("-", stdin=file))

    def test_malformed(self):
        for text, detail in (
                ("models:\n  m:\n    cmd: x ${no}\n", ":3: 'm': cmd has the unknown macro '${no}'"),
                ("models:\n  m: {cmd: x}\n  m: {}\n", ":3: repeated key 'm'"),
                ("[" * 200000, ":1: nested too deep"),
                ("models:\n  m: {cmd: 'x \x1b[31m'}\n", ":2: control characters are not allowed")):
            self.assertIn(detail, self.refused(self.file(text)))

    def test_words(self):
        for words in ([], ["llama-swap"], ["llama-swop", "x"], ["llama-swap", "x", "y"]):
            answer = self.run_cli(self.any_daemon, "import", *words)
            self.assertEqual((answer.returncode, answer.stdout), (64, ""), answer)


if __name__ == "__main__":
    unittest.main()
