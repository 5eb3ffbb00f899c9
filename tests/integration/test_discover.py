"""baton discover: model servers recognised by what they answer; baton connect: what to set."""
import json
import re
import tomllib
import unittest

from lib.daemon import DaemonTest
from lib.gateway import GPU
from lib.listener import Listener
from lib.model_server import ModelServer

LIST = {"object": "list", "data": [{"id": "m", "owned_by": "somebody"}]}


class Talker(Listener):
    """Answers each connection with what is written for its path: bytes, or an object as JSON; None: silence."""

    def __init__(self, answers, default=b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"):
        self.answers, self.default, self.held = answers, default, []
        super().__init__()

    def serve(self, connection):
        try:
            path = connection.recv(4096).split(b" ")[1].decode()
            answer = self.answers.get(path, self.default)
            if answer is None:
                self.held.append(connection)
                return
            if not isinstance(answer, bytes):
                body = json.dumps(answer).encode()
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            connection.sendall(answer)
        except (OSError, IndexError):
            pass
        connection.close()

    def close(self):
        super().close()
        for connection in self.held:
            connection.close()


KINDS = [
    ("ollama", "ollama", {"/api/ps": {"models": []}, "/api/tags": {"models": [{"name": "a:latest"}]},
                          "/v1/models": LIST}),
    ("llama", "llama-server", {"/props": {"default_generation_settings": {}}, "/v1/models": LIST, "/models": LIST}),
    ("llama", "llama-router", {"/models": {"data": [{"id": "m", "status": {"value": "unloaded"}}]},
                               "/props": {"default_generation_settings": {}}, "/v1/models": LIST}),
    ("llama-swap", "llama-swap", {"/running": {"running": []}, "/v1/models": LIST}),
    ("vllm", "vllm-sleep", {"/is_sleeping": {"is_sleeping": False}, "/v1/models": LIST}),
    ("lmstudio", "lmstudio", {"/api/v1/models": {"models": [{"key": "m", "loaded_instances": []}]},
                              "/v1/models": LIST}),
    ("localai", "localai", {"/system": {"backends": [], "loaded_models": []}, "/v1/models": LIST}),
    ("lemonade", "lemonade", {"/v1/health": {"all_models_loaded": []}, "/v1/models": LIST}),
    ("vllm", "openai", {"/v1/models": {"data": [{"id": "m", "owned_by": "vllm"}]}}),
    ("koboldcpp", "openai", {"/api/extra/version": {"result": "KoboldCpp"}, "/api/ps": {"models": []},
                             "/api/tags": {"models": []}, "/v1/models": LIST}),
    ("koboldcpp", "koboldcpp", {"/api/extra/version": {"result": "KoboldCpp", "admin": 2}, "/v1/models": LIST}),
    ("tabbyapi", "tabbyapi", {"/v1/models": {"data": [{"id": "m", "owned_by": "tabbyAPI"}]}}),
    ("tabbyapi", "tabbyapi", {"/health": {"status": "healthy", "issues": []},
                              "/v1/models": b'HTTP/1.1 401 No\r\nContent-Length: 13\r\n\r\n{"detail": 1}'}),
    ("sglang", "sglang", {"/v1/models": {"data": [{"id": "m", "owned_by": "sglang"}]}}),
    ("whisper", "whisper.cpp", {"/health": {"status": "ok"}, "/": b"HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n"
                                b"<title>Whisper.cpp Server</title>\n"}),
    ("openai", "openai", {"/v1/models": LIST}),
    ("openai", "openai", {"/v1/models": b'HTTP/1.1 401 No\r\nContent-Length: 12\r\n\r\n{"error": 1}'}),
    ("comfyui", "comfyui", {"/system_stats": {"system": {}, "devices": []}}),
    ("a1111", "a1111", {"/sdapi/v1/memory": {"ram": {}, "cuda": {}}}),
]


class Discover(DaemonTest):
    def talker(self, *args):
        talker = Talker(*args)
        self.addCleanup(talker.close)
        return talker

    def discover(self, *args, status=0):
        answer = self.run_cli(self.any_daemon, "discover", *(str(word) for word in args))
        self.assertEqual(answer.returncode, status, answer)
        return answer.stdout

    def setUp(self):
        super().setUp()
        self.any_daemon = self.daemon(start=False)  # none is needed

    def found(self, *ports):
        return json.loads(self.discover("--json", *ports))["servers"]

    def test_kinds(self):
        talkers = [self.talker(answers) for _, _, answers in KINDS]
        found = self.found(*(talker.port for talker in talkers))
        self.assertEqual([row["kind"] for row in found], [kind for _, kind, _ in KINDS])
        self.assertEqual([re.sub(r"-\d$", "", row["name"]) for row in found], [name for name, _, _ in KINDS])
        self.assertEqual(len({row["name"] for row in found}), len(KINDS))  # no name twice
        self.assertEqual([row["url"] for row in found], [f"http://127.0.0.1:{talker.port}" for talker in talkers])
        self.assertEqual(found[0]["models"], ["a:latest"])
        self.assertEqual([at for at, row in enumerate(found) if row["wants_key"]], [10, 12, 16])

    def test_what_is_none(self):
        """All at once, and none of them for longer than the time there is."""
        flood = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n"
        none = [self.talker({}, None), self.talker({}, b"SSH-2.0-OpenSSH_9\r\n"), self.talker({}, flood * 2),
                self.talker({}, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
                self.talker({}, b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{]}'),
                self.talker({"/v1/models": [1], "/props": 5, "/running": {"running": {}}})]
        ollama = ModelServer("ollama", ["m"])
        self.addCleanup(ollama.close)
        ports = [talker.port for talker in none]
        self.assertEqual([row["name"] for row in self.found(*ports, ollama.server.server_address[1])], ["ollama"])
        self.assertEqual(self.discover(*ports, status=69), "")

    def test_baton_itself_is_none(self):
        daemon = self.daemon()
        self.assertEqual(self.found(daemon.address[1]), [])

    def test_names_are_not_believed(self):
        evil = {"data": [{"id": "m\n  - name: evil\x1b[31m"}, {"id": 5}, {}]}
        text = self.discover(self.talker({"/v1/models": evil}).port)
        self.assertNotIn("\x1b", text)
        self.assertEqual([line for line in text.splitlines() if line.strip().startswith("- name")],
                         [line for line in text.splitlines() if "- name: openai" in line])

    def test_pages(self):
        """Nothing says how much memory it needs: the lines are refused until somebody does."""
        port = self.talker({"/system_stats": {"system": {}, "devices": []}}).port
        lines = self.discover(port)
        self.assertIn(f"    listen: 127.0.0.1:{port + 1} ", lines)
        daemon = self.any_daemon
        for text, status in ((lines, 78), (lines.replace("vram_mb:", "vram_mb: 8000"), 0)):
            daemon.config_path.write_text(text, encoding="utf-8")
            answer = self.run_cli(daemon, "serve", "--check", "--config", str(daemon.config_path))
            self.assertEqual(answer.returncode, status, answer)

    def test_one_that_names_no_model(self):
        port = self.talker({"/health": {"status": "ok"}, "/": KINDS[14][2]["/"]}).port
        daemon = self.any_daemon
        daemon.config_path.write_text(self.discover(port), encoding="utf-8")
        answer = self.run_cli(daemon, "serve", "--check", "--config", str(daemon.config_path))
        self.assertEqual(answer.returncode, 0, answer)

    def test_words(self):
        for words in (["0"], ["65536"], ["x"], ["-1"], [str(port) for port in range(1, 40)]):
            answer = self.run_cli(self.any_daemon, "discover", "--json", *words)
            self.assertEqual(answer.returncode, 64, answer)

    def test_its_lines_are_a_configuration(self):
        ollama = ModelServer("ollama", ["a"])
        self.addCleanup(ollama.close)
        lines = self.discover(ollama.server.server_address[1])
        daemon = self.daemon(start=False, config={"gpus": GPU, "vram_headroom_mb": 0})
        with daemon.config_path.open("a", encoding="utf-8") as file:
            file.write(lines)
        daemon.start()
        answer = daemon.http("POST", "/v1/chat/completions", {"model": "a", "messages": []})
        self.assertEqual((answer.status, answer.headers["x-baton-served-by"]), (200, "ollama"))


class Connect(DaemonTest):
    def text(self, daemon, *words, status=0):
        answer = self.run_cli(daemon, *words)
        self.assertEqual(answer.returncode, status, answer)
        return answer

    def test_texts(self):
        daemon = self.daemon()
        names = self.text(daemon, "connect").stdout.split()
        self.assertEqual(self.text(daemon, "disconnect").stdout.split(), names)
        self.assertIn("open-webui", names)
        for name in names:
            there, back = (self.text(daemon, command, name).stdout for command in ("connect", "disconnect"))
            self.assertNotIn("@", there + back)
            for variable in re.findall(r"(?m)^export (\w+)=", there):
                self.assertIn(variable, back, name)

    def test_lines_of_the_configuration(self):
        """They are taken as they are, all at once."""
        daemon = self.daemon(start=False, config={"gpus": GPU})
        rows = [self.text(daemon, "connect", name).stdout.split("upstreams:\n")[1]
                for name in ("comfyui", "llama-swap")]
        with daemon.config_path.open("a", encoding="utf-8") as file:
            file.write("upstreams:\n" + "".join(rows))
        self.assertEqual(self.run_cli(daemon, "serve", "--check", "--config", daemon.config_path).returncode, 0)

    def test_lines_of_codex(self):
        """Where a file has tables already: the first ones before them, a table behind."""
        text = self.text(self.daemon(start=False), "connect", "codex").stdout
        lines = [line for line in text.splitlines() if not line.startswith(("#", "export ", "KEY="))]
        top, table = "\n".join(lines).split("\n\n")
        read = tomllib.loads(f"{top}\n[history]\npersistence = 'none'\n{table}\n")
        provider = read["model_providers"][read["model_provider"]]
        self.assertEqual((read["model"], provider["wire_api"]), ("MODEL", "responses"))
        self.assertIn(f"export {provider['env_key']}=", text)

    def test_the_address_is_the_brokers(self):
        daemon = self.daemon()
        text = self.text(daemon, "connect", "openai").stdout
        url = re.search(r"OPENAI_BASE_URL=(http://[^/]+)/v1", text).group(1)
        self.assertEqual(int(url.rpartition(":")[2]), daemon.address[1])

    def test_without_a_broker(self):
        answer = self.text(self.daemon(start=False), "connect", "codex")
        self.assertIn("http://127.0.0.1:8470/v1", answer.stdout)
        self.assertIn("no broker", answer.stderr)

    def test_unknown(self):
        answer = self.text(self.daemon(start=False), "connect", "olama", status=64)
        self.assertIn("ollama", answer.stderr)


if __name__ == "__main__":
    unittest.main()
