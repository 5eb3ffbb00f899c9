"""Goal: docs/migrate.md is true: its three steps and the way back, word for word, and what each old route becomes.
Method: the blocks of the document in real shells, with a free port and a place of the test's own for the user's; each
row of its table of routes is asked for.
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import unittest

from lib.bridge_tab import BridgeTab
from lib.daemon import BATON, DaemonTest, die_with_parent, in_thread
from lib.http import Connection, request_bytes
from lib.managed import free_port
from lib.wait import wait_until

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs/migrate.md"
TOKEN = "sovereign-secret"
PAGE = {"Origin": "http://localhost:8000"}
OLD_KERNEL = "// the old one\n"


class Migrate(DaemonTest):
    def setUp(self):
        super().setUp()
        home = self.daemon(start=False)
        self.home = home.dir
        self.port = free_port()
        self.blocks = re.findall(r"^```sh\n(.*?)^```$", DOC.read_text(encoding="utf-8"), re.M | re.S)
        for folder in ("bin", "run", "config/baton", "pages/modules"):
            (self.home / folder).mkdir(parents=True, mode=0o700)
        (self.home / "bin/baton").symlink_to(BATON)
        # The port of every day may be taken by another broker.
        (self.home / "config/baton/config.yaml").write_text('listen: ["127.0.0.1:0"]\n', encoding="utf-8")
        (self.home / "pages/modules/sovereign.js").write_text(OLD_KERNEL, encoding="utf-8")
        self.environment = {**home.environment(), "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home / "run"),
                            "XDG_CONFIG_HOME": str(self.home / "config"), "XDG_STATE_HOME": str(self.home / "state"),
                            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}"}

    def text(self, block):
        return block.replace("8080", str(self.port))

    def shell(self, block):
        return subprocess.run(["bash", "-euc", self.text(block)], capture_output=True, text=True,
                              cwd=self.home / "pages", env=self.environment, timeout=60, check=False)

    def serve(self, block):
        log = self.home / "serve.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(["bash", "-euc", self.text(block)], stdout=out, stderr=out,
                                       stdin=subprocess.DEVNULL, cwd=self.home / "pages", env=self.environment,
                                       start_new_session=True, preexec_fn=die_with_parent)
        self.addCleanup(self.end, process)
        wait_until(lambda: f"http://127.0.0.1:{self.port}" in log.read_text(encoding="utf-8"), "it listens there, too")
        return process

    def end(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def ask(self, method, path, body=None, headers=None):
        headers = {"Authorization": f"Bearer {TOKEN}", **PAGE, **(headers or {})}
        with Connection(("127.0.0.1", self.port)) as connection:
            connection.send(request_bytes(method, path, f"localhost:{self.port}", body, headers))
            return connection.read_answer()

    def test_steps_and_back(self):
        """Start, ask, swap the kernel, and back: as the document has them, and with what it says comes out."""
        start, ask, swap, back = self.blocks
        broker = self.serve(start)
        asked = self.shell(ask)
        self.assertEqual(asked.returncode, 0, asked.stderr)
        lines = asked.stdout.splitlines()
        self.assertEqual(json.loads(lines[0])["status"], "acquired")
        self.assertEqual(json.loads(lines[1])["owner"], "Root-Console-Chat")
        self.assertEqual(json.loads(lines[2]), {"status": "released"})
        self.assertIn("held 0", asked.stdout)
        self.assertEqual(self.shell(swap).returncode, 0)
        kernel = self.home / "pages/modules/sovereign.js"
        self.assertIn(f"http://localhost:{self.port}/modules/sovereign.js", kernel.read_text(encoding="utf-8"))
        self.assertEqual(self.ask("GET", "/modules/sovereign.js").status, 200)
        left = self.shell(back)
        self.assertEqual(left.returncode, 0, left.stderr)
        self.assertEqual(kernel.read_text(encoding="utf-8"), OLD_KERNEL)
        self.assertEqual(broker.wait(20), 0)
        with socket.socket() as port:
            self.assertNotEqual(port.connect_ex(("127.0.0.1", self.port)), 0, "the port is the bridge's again")

    def test_routes(self):
        """What the table says of each old route."""
        self.serve(self.blocks[0])
        lock = self.ask("POST", "/v1/gpu/lock", {"id": "Root-Mic", "priority": 10})
        self.assertEqual((lock.status, lock.json()["status"], lock.json()["expires_in_s"]), (200, "acquired", 300))
        late = self.ask("POST", "/v1/gpu/lock", {"id": "x", "timeout_s": 0})
        self.assertEqual((late.status, late.json()["status"], late.json()["msg"]),
                         (503, "timeout", "GPU Queue Timeout"))
        status = self.ask("GET", "/v1/gpu/status").json()
        self.assertLessEqual({"locked", "owner", "queue_depth", "queued", "request_start_times"}, status.keys())
        self.assertEqual(self.ask("POST", "/v1/gpu/unlock", {"id": "stranger"}).status, 409)
        self.assertEqual(self.ask("POST", "/v1/gpu/unlock", {"id": "Root-Mic"}).json(), {"status": "released"})
        self.assertEqual(self.ask("POST", "/v1/gpu/unlock", {"id": "Root-Mic"}).status, 409)
        for path in ("/v1/gpu/reset", "/v1/gpu/force-release-all", "/logs/clear", "/v1/hot-reload"):
            self.assertEqual(self.ask("POST", path).json()["status"], "ok", path)
        self.assertEqual(self.ask("GET", "/health").status, 200)
        for path in ("/logs", "/audit/server-logs"):
            self.assertIn("logs", self.ask("GET", path).json())
            self.assertEqual(self.ask("GET", path, headers={"Authorization": "Bearer wrong"}).status, 401, path)
        self.assertEqual(self.ask("GET", "/v1/models").json(), {"object": "list", "data": []})
        for path in ("/memories/search", "/v1/shell/exec"):
            self.assertEqual(self.ask("POST", path, {}).status, 404, path)
        for path in ("/v1/chat/completions", "/v1/embeddings"):
            self.assertEqual(self.ask("POST", path, {"model": "webgpu-chat"}).status, 404, path)
        self.assertEqual(self.ask("GET", "/v1/gpu/status", headers={"Origin": "http://elsewhere:8000"}).status, 403)
        plain = {"Content-Type": "text/plain"}
        self.assertEqual(self.ask("POST", "/v1/gpu/lock", {"id": "x"}, headers=plain).status, 415)

    def test_page_that_answers(self):
        """The line that the document adds to it, in a page of the old origin; without it nobody is sent a prompt."""
        self.serve(self.blocks[0])
        said = DOC.read_text(encoding="utf-8")
        line = re.search(r"bridgeWs.send\(JSON.stringify\(\{ token: \"([^\"]+)\" \}\)\);", said)
        address = ("localhost", self.port)
        page = BridgeTab(address, token=line.group(1), headers=PAGE)
        self.addCleanup(page.close)
        wait_until(lambda: self.ask("GET", "/v1/models").json()["data"], "it is let in")
        self.assertEqual([row["id"] for row in self.ask("GET", "/v1/models").json()["data"]], ["webgpu-chat"])
        asked = in_thread(self.ask, "POST", "/v1/chat/completions", {"model": "webgpu-chat", "messages": []})
        page.answer(0, "hello")
        self.assertEqual(asked.result().json()["choices"][0]["message"]["content"], "hello")
        silent = BridgeTab(address, headers=PAGE, hello=False)
        self.addCleanup(silent.close)
        self.assertEqual(silent.close_code(), 4401)

    def test_hint(self):
        """What the broker says at its start to try works with BRIDGE_TOKEN, too."""
        self.serve(self.blocks[0])
        log = self.home / "serve.log"  # it answers before it has said all
        hint = wait_until(lambda: re.search(r"or:  (curl -N .*)\n", log.read_text(encoding="utf-8")), "it is said")[1]
        tried = self.shell(f"{self.blocks[0].splitlines()[0]}\n{hint} -sm 2 || true")
        self.assertIn("event: granted", tried.stdout, tried)

    def test_classes(self):
        """The names of the old pages have their old urgency."""
        self.serve(self.blocks[0])
        for name, urgency in (("Root-Mic-Whisper", "voice"), ("Root-Console-Chat", "chat"),
                              ("Dreamer-Thought", "background"), ("else", "normal")):
            self.ask("POST", "/v1/gpu/lock", {"id": name})
            self.assertEqual(self.ask("GET", "/v1/gpu/status").json()["leases"][0]["class"], urgency, name)
            self.ask("POST", "/v1/gpu/unlock", {"id": name})


if __name__ == "__main__":
    unittest.main()
