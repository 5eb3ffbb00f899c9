"""Servers that people use by their pages, behind Baton: what passes, what takes a turn, and who may."""
import hashlib
import json
import os
import pathlib
import socket
import unittest

from lib.daemon import in_thread
from lib.gateway import GatewayTest
from lib.http import Connection, request_bytes
from lib.page_server import PageServer
from lib.wait import wait_until

PROMPT = {"prompt": {"1": {"class_type": "KSampler", "inputs": {}}}, "client_id": "c"}


def memory_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


class PagesTest(GatewayTest):
    def pages(self, *args, **options):
        server = PageServer(*args, **options)
        self.addCleanup(server.close)
        return server

    def upstream(self, server, name="comfy", **fields):
        fields.setdefault("vram_mb", 4000)
        return {"name": name, "kind": server.kind, "url": server.url, "listen": "127.0.0.1:0", **fields}

    def address(self, daemon, name="comfy"):
        url = next(row["url"] for row in self.models(daemon)["pages"] if row["server"] == name)
        host, port = url.removeprefix("http://").split(":")
        return host, int(port)

    def begun(self, daemon, method, path, body=None, headers=None, name="comfy", head=None):
        """A request that was sent; its connection."""
        address = self.address(daemon, name)
        connection = Connection(address)
        self.addCleanup(connection.close)
        fields = {**(headers or {})}
        connection.send(head or request_bytes(method, path, f"{address[0]}:{address[1]}", body, fields))
        return connection

    def got(self, *args, **options):
        return self.begun(*args, **options).read_answer(head_only=args[1] == "HEAD")

    def prompt(self, daemon, body=None, **options):
        return self.begun(daemon, "POST", "/prompt", body or PROMPT, **options)

    def websocket(self, daemon, path="/ws?clientId=1", headers=None, name="comfy"):
        """The answer's head, and the connection."""
        address = self.address(daemon, name)
        fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                  "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
                  "Origin": f"http://{address[0]}:{address[1]}", **(headers or {})}
        connection = self.begun(daemon, "GET", path, headers=fields, name=name)
        status, head = connection.read_head()
        return type("Head", (), {"status": status, "headers": head}), connection

    def held_files(self, daemon):
        folder = daemon.state / "held"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def turns(self, daemon):
        return [row for row in daemon.status()["leases"] if row["slots"] == 1]


class Passing(PagesTest):
    def test_page(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        self.assertEqual(daemon.lock("somebody").status, 200)
        fields = {"Cookie": "x=y", "Authorization": "Basic YTpi"}
        answer = self.got(daemon, "GET", "/?a=%20b&c", headers=fields)
        self.assertEqual((answer.status, answer.body), (200, b"<html>pages</html>"))
        self.assertEqual(answer.headers["content-length"], "18")
        self.assertEqual(answer.headers["server"], "Python/3.11 aiohttp")
        for name in ("access-control-allow-origin", "connection", "x-baton-wait-ms"):
            self.assertNotIn(name, answer.headers)
        method, path, headers, _ = server.requests[-1]
        self.assertEqual((method, path), ("GET", "/?a=%20b&c"))
        host = "%s:%d" % self.address(daemon)
        self.assertEqual((headers["host"], headers["cookie"], headers["authorization"]), (host, "x=y", "Basic YTpi"))
        self.assertEqual((daemon.holders(), daemon.waiting()), (["somebody"], []))
        self.assertEqual(self.state_of(daemon, "comfy"), "not loaded")

    def test_both_cookies(self):
        daemon = self.behind(self.upstream(self.pages()))
        connection = self.begun(daemon, "GET", "/")
        head = b"".join(iter(connection.reader.readline, b"\r\n"))
        self.assertEqual(head.count(b"Set-Cookie:"), 2)

    def test_head_and_hop_by_hop(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        headers = {"Connection": "X-Mine, keep-alive", "X-Mine": "1", "TE": "trailers", "Upgrade": "h2c",
                   "X-Other": "2"}
        answer = self.got(daemon, "HEAD", "/", headers=headers)
        self.assertEqual((answer.status, answer.headers["content-length"], answer.body), (200, "18", b""))
        seen = server.requests[-1][2]
        self.assertEqual(seen["x-other"], "2")
        self.assertFalse({"x-mine", "te", "upgrade", "connection"} & set(seen), seen)

    def test_methods(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = self.got(daemon, method, "/none")
            self.assertEqual((answer.status, answer.json()), (404, {"error": f"no {method} /none"}))

    def test_one_connection(self):
        """Answers in order on one connection, with and without a length."""
        daemon = self.behind(self.upstream(self.pages()))
        connection = self.begun(daemon, "GET", "/")
        address = self.address(daemon)
        self.assertEqual(connection.read_answer().status, 200)
        for _ in range(3):
            connection.send(request_bytes("GET", "/", f"{address[0]}:{address[1]}"))
            self.assertEqual(connection.read_answer().body, b"<html>pages</html>")

    def test_location(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        answer = self.got(daemon, "GET", "/go")
        self.assertEqual(answer.headers["location"], "http://%s:%d/there?x=1" % self.address(daemon))

    def test_broken_off(self):
        """An answer that is shorter than announced is cut, not ended."""
        daemon = self.behind(self.upstream(self.pages()))
        answer = self.got(daemon, "GET", "/broken")
        self.assertEqual((answer.status, answer.headers["content-length"], answer.body), (200, "100", b"short"))

    def test_client_leaves(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        connection = self.begun(daemon, "GET", "/hang")
        wait_until(lambda: server.asked("/hang"), "it is asked")
        connection.close()
        wait_until(lambda: server.cut == 1, "the server sees the close")

    def test_upload_in_constant_memory(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        self.assertEqual(self.got(daemon, "GET", "/").status, 200)
        before = memory_kib(daemon.process.pid)
        piece, count = os.urandom(1 << 20), 64
        address = self.address(daemon)
        head = (f"POST /upload HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
                f"Content-Length: {len(piece) * count}\r\n\r\n").encode()
        connection = self.begun(daemon, "POST", "/upload", head=head)
        most, digest = 0, hashlib.sha256()
        for _ in range(count):
            connection.send(piece)
            digest.update(piece)
            most = max(most, memory_kib(daemon.process.pid))
        answer = connection.read_answer()
        self.assertEqual(answer.json(), {"bytes": count << 20, "sha256": digest.hexdigest()})
        if "asan" not in os.environ.get("BATON_BIN", "asan"):  # which keeps what was freed
            self.assertLess(most - before, 8 * 1024)

    def test_slow_reader(self):
        """Who does not read slows the server down, and nothing is kept in between."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        connection = self.begun(daemon, "GET", "/large")
        self.assertEqual(connection.read_head()[0], 200)
        seen = -1

        def stands():
            nonlocal seen
            before, seen = seen, server.sent_bytes
            return before == seen
        wait_until(stands, "the server is slowed down")
        self.assertLess(server.sent_bytes, 48 << 20)
        self.assertEqual(sum(len(chunk) for chunk in connection.chunks()), 64 << 20)

    def test_down(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        server.close()
        answer = self.got(daemon, "GET", "/", headers={"Accept": "text/html"})
        self.assertEqual((answer.status, answer.headers["content-type"]), (502, "text/html; charset=utf-8"))
        self.assertIn(f"Nothing answers at {server.url}. Start `comfy`", answer.body.decode())
        answer = self.got(daemon, "GET", "/queue")
        self.assertEqual(answer.status, 502)
        self.assertEqual(answer.json()["error"]["code"], "upstream_unreachable")
        answer = self.websocket(daemon)[0]
        self.assertEqual(answer.status, 502)

    def started(self, *command, **fields):
        """A daemon with a ComfyUI that it starts."""
        command = command or ("python3", str(pathlib.Path(__file__).parent / "lib" / "page_command.py"), "${PORT}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return self.behind({"name": "comfy", "kind": "comfyui", "url": f"http://127.0.0.1:{port}", "vram_mb": 4000,
                            "listen": "127.0.0.1:0", "cmd": list(command), **fields})

    def test_started_by_a_person(self):
        daemon = self.started()
        html = {"Accept": "text/html,*/*"}
        answer = self.got(daemon, "GET", "/", headers=html)
        self.assertEqual(answer.status, 502)
        self.assertIn(b'<form method="post" action="/.baton/start">', answer.body)
        foreign = {**html, "Origin": "http://evil.example"}
        self.assertEqual(self.got(daemon, "POST", "/.baton/start", headers=foreign).status, 403)
        self.assertEqual(self.got(daemon, "GET", "/.baton/start").status, 502)
        self.assertEqual(self.state_of(daemon, "comfy"), "not loaded")
        answer = self.got(daemon, "POST", "/.baton/start", headers=html)
        self.assertEqual((answer.status, answer.headers["location"]), (303, "/"))
        self.assertEqual(self.got(daemon, "GET", "/").status, 200)
        self.assertEqual(self.got(daemon, "POST", "/.baton/start").status, 303)
        self.assertEqual([row["slots"] for row in daemon.status()["leases"]], [0])

    def test_start_that_fails(self):
        daemon = self.started("false")
        answer = self.got(daemon, "POST", "/.baton/start", headers={"Accept": "text/html"})
        self.assertEqual((answer.status, answer.headers["content-type"]), (503, "text/html; charset=utf-8"))
        self.assertIn(b"ended with status 1", answer.body)
        self.assertError(self.prompt(daemon).read_answer(), 503, "model_failed")

    def test_never_wakes(self):
        """A server that Baton starts is not started for its pages, and its idle time goes on."""
        daemon = self.started(idle_s=1)
        for path in ("/", "/sw.js", "/favicon.ico", "/site.webmanifest", "/queue", "/system_stats"):
            answer = self.got(daemon, "GET", path)
            self.assertEqual(answer.status, 502)
        self.assertIn("is not running. Baton starts it", answer.json()["detail"])
        self.assertEqual(self.websocket(daemon)[0].status, 502)
        self.assertEqual(daemon.status()["leases"], [])
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)
        self.assertEqual(self.got(daemon, "GET", "/").status, 200)
        tunnel = self.websocket(daemon)[1]
        self.assertEqual(tunnel.reader.read(7), b"\x82\x05hello")

        def gone():
            self.got(daemon, "GET", "/queue")
            return self.state_of(daemon, "comfy") == "not loaded"
        wait_until(gone, "it is stopped for being idle, whatever its pages ask")
        self.assertTrue(tunnel.at_end())
        self.assertEqual(self.got(daemon, "GET", "/").status, 502)

    def test_websocket(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        head, connection = self.websocket(daemon)
        self.assertEqual(head.status, 101)
        self.assertEqual(head.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual(head.headers["sec-websocket-extensions"], "permessage-deflate")
        seen = server.requests[-1][2]
        self.assertEqual(seen["sec-websocket-extensions"], "permessage-deflate; client_max_window_bits")
        self.assertEqual(seen["origin"], "http://" + seen["host"])
        self.assertEqual(connection.reader.read(7), b"\x82\x05hello")

        data = os.urandom(8 << 20)  # in one message: nobody looks
        sent = in_thread(connection.send, data)
        self.assertEqual(connection.reader.read(len(data)), data)
        sent.result()
        self.assertEqual((daemon.holders(), daemon.waiting()), ([], []))
        self.assertEqual(self.models(daemon)["requests"], [])
        connection.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: server.sockets == 0, "the server sees the close")

    def test_websocket_ends_on_either_side(self):
        server = self.pages()
        server.echo = False
        daemon = self.behind(self.upstream(server))
        _, connection = self.websocket(daemon)
        connection.send(b"last words")
        connection.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: server.received and server.sockets == 0, "the server sees the end")
        self.assertEqual(b"".join(server.received), b"last words")
        self.assertEqual(connection.reader.read(), b"\x82\x05hello")

        _, connection = self.websocket(daemon)
        self.assertEqual(connection.reader.read(7), b"\x82\x05hello")
        server.hang_up()
        self.assertTrue(connection.at_end())

    def test_websocket_slow_reader(self):
        """What is not read is not taken from the other side, and nothing is lost."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        _, connection = self.websocket(daemon)
        data = os.urandom(32 << 20)
        sent = in_thread(connection.send, data)
        seen = -1

        def stands():
            nonlocal seen
            before, seen = seen, sum(len(piece) for piece in server.received)
            return before == seen > 0
        wait_until(stands, "the writer is slowed down")
        self.assertLess(seen, 24 << 20)
        if "asan" not in os.environ.get("BATON_BIN", "asan"):
            self.assertLess(memory_kib(daemon.process.pid), 64 * 1024)
        came = connection.reader.read(7 + len(data))[7:]
        self.assertEqual(hashlib.sha256(came).digest(), hashlib.sha256(data).digest())
        sent.result()

    def test_websocket_refused(self):
        server = self.pages()
        server.socket_status = 403
        daemon = self.behind(self.upstream(server))
        self.assertEqual(self.websocket(daemon)[0].status, 403)


class Gate(PagesTest):
    def test_foreign_pages(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        host = "%s:%d" % self.address(daemon)
        foreign = [{"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Origin": "http://evil.example"},
                   {"Origin": "null"}, {"Origin": "http://" + daemon.host}, {"Origin": "https://" + host},
                   {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
                   {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
                   {"Host": "evil.example", "Origin": "http://evil.example"}]
        for headers in foreign:
            for method, path, body in (("GET", "/", None), ("POST", "/prompt", PROMPT), ("OPTIONS", "/prompt", None)):
                answer = self.got(daemon, method, path, body, headers)
                self.assertEqual(answer.status, 403, (headers, answer))
                self.assertNotIn("access-control-allow-origin", answer.headers)
            websocket = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                         "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **headers}
            self.assertEqual(self.got(daemon, "GET", "/ws", headers=websocket).status, 403)
        self.assertEqual(server.requests, [])
        self.assertEqual(daemon.status()["leases"], [])
        own = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        self.assertEqual(self.got(daemon, "POST", "/prompt", PROMPT, own).status, 200)
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        self.assertEqual(self.got(daemon, "GET", "/", headers=link).status, 200)

    def test_bad_configuration(self):
        """Each is refused with the file and the line."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            good = "name: comfy, kind: comfyui, url: 'http://127.0.0.1:8188', vram_mb: 4000"
            cases = [
                (f"- {{{good}, listen: '127.0.0.1:{port}'}}", "Address already in use"),
                (f"- {{{good}, listen: '127.0.0.1:8189'}}\n- {{{good.replace('name: comfy', 'name: b')},"
                 " listen: '127.0.0.1:8189'}", "has the listen of another one"),
                (f"- {{{good}, listen: '0.0.0.0:8189'}}", "not on the loopback"),
                (f"- {{{good}, listen: '127.0.0.1'}}", "not ADDRESS:PORT"),
                (f"- {{{good}, listen: '127.0.0.1:8188'}}", "the address of its own url"),
                (f"- {{{good}}}", "has no listen"),
                (f"- {{{good}, listen: '127.0.0.1:0', models: [{{name: m}}]}}", "has models"),
                (f"- {{{good}, listen: '127.0.0.1:0', wait_s: 0}}", "has a wait_s"),
                (f"- {{{good}, listen: '127.0.0.1:0', routes: [{{match: 'POST prompt', class: normal}}]}}",
                 "has a match that is not METHOD /path"),
                (f"- {{{good}, listen: '127.0.0.1:0', routes: [{{match: 'SEND /prompt', class: normal}}]}}",
                 "has a match without a method"),
                (f"- {{{good}, listen: '127.0.0.1:0', routes: [{{match: 'POST /prompt', class: urgent}}]}}",
                 "Invalid ENUM"),
                (f"- {{{good}, listen: '127.0.0.1:0', routes: [{{path: /prompt}}]}}", "unknown key 'path'"),
                (f"- {{{good.replace(', vram_mb: 4000', '')}, listen: '127.0.0.1:0'}}", "has no vram_mb"),
                ("- {name: o, kind: ollama, url: 'http://127.0.0.1:1', listen: '127.0.0.1:0'}",
                 "for comfyui and a1111"),
            ]
            for text, words in cases:
                with self.subTest(words):
                    daemon = self.daemon(start=False)
                    daemon.config_path.write_text("upstreams:\n" + text + "\n", encoding="utf-8")
                    (daemon.dir / "run").mkdir(mode=0o700)
                    code, said = self.refused(daemon)
                    line = 3 if "\n" in text else 2
                    self.assertEqual(code, 78, said)
                    self.assertRegex(said, rf"config\.yaml:{line}: .*{words}")

    def refused(self, daemon):
        import subprocess
        done = subprocess.run(daemon.command(), capture_output=True, text=True, env=daemon.environment(), timeout=60,
                              check=False)
        return done.returncode, done.stderr


class Reloaded(PagesTest):
    def again(self, daemon, *upstreams):
        daemon.write_config({**daemon.config, "upstreams": list(upstreams)})
        return daemon.http("POST", "/v1/hot-reload", unix=True)

    def test_come_and_go(self):
        one, two = self.pages(), self.pages()
        daemon = self.behind()
        self.assertEqual(self.models(daemon)["pages"], [])
        self.assertEqual(self.again(daemon, self.upstream(one)).status, 200)
        address = self.address(daemon)
        self.assertEqual(self.got(daemon, "GET", "/").status, 200)
        # A second one with its own port, and the first stays where it is.
        self.assertEqual(self.again(daemon, self.upstream(one), self.upstream(two, "other")).status, 200)
        self.assertEqual(self.address(daemon), address)
        self.assertEqual(self.got(daemon, "GET", "/", name="other").status, 200)
        self.assertTrue(two.requests)
        # Who waits at one that is removed hears of it.
        daemon.lock("somebody")
        waits = self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        self.assertEqual(self.again(daemon, self.upstream(two, "other")).status, 200)
        self.assertEqual(waits.read_answer().status, 404)
        with self.assertRaises(OSError):
            socket.create_connection(address).close()
        self.assertEqual(self.held_files(daemon), [])
        self.assertEqual(daemon.waiting(), [])

    def test_refused_changes_nothing(self):
        one = self.pages()
        daemon = self.behind(self.upstream(one))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            answer = self.again(daemon, self.upstream(one, "new"), self.upstream(one, "b", listen=f"127.0.0.1:{port}"))
        self.assertEqual(answer.status, 400)
        said = answer.json()["error"]["detail"]
        self.assertRegex(said, r"config\.yaml:\d+: upstreams/1/listen: .*Address already in use")
        self.assertEqual([row["server"] for row in self.models(daemon)["pages"]], ["comfy"])
        self.assertEqual(self.got(daemon, "GET", "/").status, 200)

    def test_another_server_behind_it(self):
        one, two = self.pages(), self.pages()
        daemon = self.behind(self.upstream(one))
        address = self.address(daemon)
        holder = daemon.lock("somebody").json()["token"]
        waits = self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        self.assertEqual(self.again(daemon, self.upstream(two)).status, 200)
        self.assertEqual(self.address(daemon), address)
        daemon.unlock(holder)
        self.assertEqual(waits.read_answer().status, 200)
        self.assertEqual((len(one.asked("/prompt")), len(two.asked("/prompt"))), (0, 1))


class Turns(PagesTest):
    def test_one_prompt(self):
        server = self.pages()
        server.work.clear()
        daemon = self.behind(self.upstream(server))
        answer = self.prompt(daemon).read_answer()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json(), {"prompt_id": server.queue[0], "number": 0, "node_errors": {}})
        self.assertIn("x-baton-wait-ms", answer.headers)
        self.assertEqual(json.loads(server.asked("/prompt")[0][3]), PROMPT)
        row = self.turns(daemon)[0]
        self.assertEqual((row["id"], row["class"], row["label"]), ("comfy", "normal", "prompt 1"))
        self.assertEqual(self.models(daemon)["requests"][0]["state"], "running")
        shown = self.run_cli(daemon, "models").stdout
        self.assertRegex(shown, r"comfy +http://127\.0\.0\.1:\d+")
        self.assertRegex(shown, r"comfy +prompt 1 +normal .* /prompt: running")
        self.assertEqual(self.held_files(daemon), ["00000001.sent"])
        self.assertNotIn("KSampler", (daemon.state / "held" / "00000001.sent").read_text(encoding="ascii"))
        # Polls and a WebSocket change nothing.
        for _ in range(20):
            self.assertEqual(self.got(daemon, "GET", "/queue").status, 200)
        self.assertEqual(len(self.turns(daemon)), 1)
        server.work.set()
        wait_until(lambda: not self.turns(daemon), "the turn is over")
        self.assertEqual(self.held_files(daemon), [])
        self.assertEqual(self.state_of(daemon, "comfy"), "ready")  # what it has loaded stays
        self.assertIn('client=comfy', daemon.log().split("path=/prompt")[1].split("\n")[0])

    def test_refused_prompt(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        answer = self.prompt(daemon, {"no": "prompt"}).read_answer()
        self.assertEqual((answer.status, answer.json()["error"]["type"]), (400, "no_prompt"))
        wait_until(lambda: not self.turns(daemon), "the turn is over")
        self.assertEqual(self.held_files(daemon), [])

    def test_long_refusal(self):
        """Longer than what is kept: it is passed on as it comes."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        for size in (1 << 20, 6 << 20):
            answer = self.prompt(daemon, {"long": size}).read_answer()
            self.assertEqual((answer.status, len(answer.json()["node_errors"]["1"])), (400, size))
        answer = self.prompt(daemon, {"headers": 190}).read_answer()
        self.assertIn(answer.status, (400, 502))
        wait_until(lambda: not self.turns(daemon), "the turns are over")
        self.assertEqual(self.held_files(daemon), [])

    def test_voice_in_between(self):
        """Two prompts are two turns; the second is held back until the voice had its own."""
        server = self.pages()
        server.work.clear()
        daemon = self.behind(self.upstream(server))
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)
        second = self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        self.assertEqual(self.held_files(daemon), ["00000001.sent", "00000002.prompt"])
        self.assertEqual(os.stat(daemon.state / "held" / "00000002.prompt").st_mode & 0o777, 0o600)
        voice = daemon.park("voice", **{"class": "voice"})
        wait_until(lambda: daemon.waiting() == ["voice", "comfy"], "the voice goes first")
        self.assertEqual(len(server.asked("/prompt")), 1)
        server.work.set()
        token = voice.read_answer().json()["token"]
        self.assertEqual(daemon.waiting(), ["comfy"])
        self.assertEqual(len(server.asked("/prompt")), 1)
        daemon.unlock(token)
        self.assertEqual(second.read_answer().status, 200)
        wait_until(lambda: len(server.done) == 2, "both are done")
        wait_until(lambda: self.held_files(daemon) == [], "nothing is left")

    def test_routes(self):
        """What the configuration says goes before what the kind says."""
        server = self.pages()
        routes = [{"match": "POST /prompt", "class": "pass"}, {"match": "GET /q*", "class": "background"}]
        daemon = self.behind(self.upstream(server, routes=routes))
        holder = daemon.lock("somebody").json()["token"]
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)
        polls = self.begun(daemon, "GET", "/queue")
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        self.assertEqual(daemon.status()["waiting"][0]["class"], "background")
        daemon.unlock(holder)
        self.assertEqual(polls.read_answer().status, 200)
        wait_until(lambda: not self.turns(daemon), "the turn is over")

    def test_no_gpu(self):
        server = self.pages()
        upstream = self.upstream(server, gpu="none")
        del upstream["vram_mb"]
        daemon = self.behind(upstream)
        daemon.lock("somebody")
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)

    def test_client_leaves_while_it_waits(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        holder = daemon.lock("somebody").json()["token"]
        client = self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        client.close()
        wait_until(lambda: daemon.waiting() == [] and self.held_files(daemon) == [], "its place is gone")
        daemon.unlock(holder)
        self.assertEqual(self.got(daemon, "GET", "/").status, 200)
        self.assertEqual(server.asked("/prompt"), [])

    def test_client_leaves_when_it_was_sent(self):
        """The prompt is the server's then: its turn lasts until it is done."""
        server = self.pages()
        server.prompt_gate.clear()
        server.work.clear()
        daemon = self.behind(self.upstream(server))
        client = self.prompt(daemon)
        wait_until(lambda: server.asked("/prompt"), "it was sent")
        client.close()
        server.prompt_gate.set()
        wait_until(lambda: server.queue, "it is queued")
        self.assertEqual(len(self.turns(daemon)), 1)
        server.work.set()
        wait_until(lambda: not self.turns(daemon), "the turn is over")
        self.assertEqual(len(server.done), 1)

    def test_a_browser_keeps_a_socket(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody")
        browser = {"Origin": "http://%s:%d" % self.address(daemon), "User-Agent": "Browser"}
        for i in range(4):
            self.prompt(daemon, headers=browser)
            wait_until(lambda: len(daemon.waiting()) == i + 1, "it waits")
        self.assertError(self.prompt(daemon, headers=browser).read_answer(), 429, "too_many_waiting")
        self.prompt(daemon)  # a program
        wait_until(lambda: len(daemon.waiting()) == 5, "it waits")

    def test_waits_no_longer(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server, wait_s=0.3))
        daemon.lock("somebody")
        self.assertError(self.prompt(daemon).read_answer(), 503, "timeout")
        wait_until(lambda: self.held_files(daemon) == [] and daemon.waiting() == [], "nothing is left")

    def test_too_large(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody")
        address = self.address(daemon)
        head = (f"POST /prompt HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nContent-Length: {65 << 20}\r\n\r\n")
        connection = self.begun(daemon, "POST", "/prompt", head=head.encode())

        def send():
            try:
                for _ in range(65):
                    connection.send(b"x" * (1 << 20))
            except OSError:
                pass
        sent = in_thread(send)
        self.assertError(connection.read_answer(), 413, "too_large")
        connection.close()
        sent.result()
        wait_until(lambda: self.held_files(daemon) == [], "nothing is left")

    def test_makes_room(self):
        """Others need its memory: it is asked to give it back, and is loaded again by its next turn."""
        server, ollama = self.pages(), self.server("ollama", ["a"], size_mb=4000)
        daemon = self.behind(self.upstream(server, vram_mb=6000), {"name": "o", "kind": "ollama", "url": ollama.url})
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)
        self.assertEqual(self.ask(daemon, "a").status, 200)
        self.assertEqual(server.freed, 1)
        wait_until(lambda: self.state_of(daemon, "comfy") == "not loaded", "its memory is free")
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)
        self.assertEqual(ollama.loaded, set())


class Trouble(PagesTest):
    def working(self, **fields):
        server = self.pages()
        server.work.clear()
        daemon = self.behind(self.upstream(server, **fields), config={"classes": {"normal": {"hold_max_s": 1}}})
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)
        self.assertEqual(len(self.turns(daemon)), 1)
        return server, daemon

    def test_server_ends(self):
        server, daemon = self.working()
        server.close()
        wait_until(lambda: daemon.status()["leases"] == [], "nothing is held")
        self.assertEqual(self.held_files(daemon), [])

    def test_server_restarts(self):
        server, daemon = self.working()
        server.queue.clear()
        wait_until(lambda: not self.turns(daemon), "the turn is over")

    def test_server_hangs(self):
        server, daemon = self.working(silence_s=0.5)
        server.queue_answer = "hang"
        server.hang_up()
        wait_until(lambda: not self.turns(daemon), "the turn is over")
        self.assertIn("does not say whether it still works", daemon.log())

    def test_server_lies(self):
        """It is heard for as long as nobody waits; then the limit of its class ends it, and it is told to stop."""
        server, daemon = self.working(silence_s=0.3)
        prompt = server.queue[0]
        server.queue_answer = json.dumps({"queue_running": [[0, prompt]], "queue_pending": []}).encode()
        polls = len(server.asked("/queue"))
        wait_until(lambda: len(server.asked("/queue")) > polls + 3, "it is asked on")
        self.assertEqual(len(self.turns(daemon)), 1)
        self.assertEqual(daemon.lock("chat", **{"class": "chat"}).status, 200)
        wait_until(lambda: server.interrupted == [prompt], "it is told")
        self.assertIn("outcome=outranked", daemon.log())
        self.assertEqual(self.held_files(daemon), [])

    def test_server_talks_nonsense(self):
        server, daemon = self.working(silence_s=0.5)
        server.queue_answer = b"<html>busy</html>"
        wait_until(lambda: not self.turns(daemon), "the turn is over")

    def test_killed_with_a_held_prompt(self):
        """It is sent by the next broker, once, in its turn; nobody hears its answer."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody", ttl_s=3600)
        client = self.prompt(daemon, headers={"Comfy-User": "me"})
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        daemon.kill()
        self.assertTrue(client.at_end())
        self.assertEqual(self.held_files(daemon), ["00000001.prompt"])
        daemon.start()
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits again")
        self.assertEqual(server.asked("/prompt"), [])
        daemon.http("POST", "/v1/gpu/reset", {}, unix=True)
        wait_until(lambda: server.done, "it is done")
        (method, path, headers, body), = server.asked("/prompt")
        self.assertEqual((method, path, headers["comfy-user"], json.loads(body)), ("POST", "/prompt", "me", PROMPT))
        wait_until(lambda: self.held_files(daemon) == [] and not self.turns(daemon), "nothing is left")

    def test_killed_with_a_held_prompt_and_its_server_gone(self):
        """It stays on the disk until it can be sent."""
        server = self.pages()
        port = int(server.url.rsplit(":", 1)[1])
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody", ttl_s=3600)
        self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        daemon.kill()
        server.close()
        daemon.start()
        daemon.http("POST", "/v1/gpu/reset", {}, unix=True)
        wait_until(lambda: "cannot be sent yet" in daemon.log(), "it was tried")
        self.assertEqual(self.models(daemon)["requests"][0]["state"], "put off")
        wait_until(lambda: not self.turns(daemon), "the GPU is free meanwhile")
        daemon.terminate()
        self.assertEqual(self.held_files(daemon), ["00000001.prompt"])
        back = self.pages(port=port)
        daemon.start()
        wait_until(lambda: len(back.done) == 1, "it is done")
        wait_until(lambda: self.held_files(daemon) == [], "nothing is left")

    def test_held_for_a_server_that_was_removed(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody", ttl_s=3600)
        self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        daemon.kill()
        daemon.write_config({**daemon.config, "upstreams": [self.upstream(server, "other")]})
        daemon.start()
        self.assertIn("is for no server", daemon.log())
        self.assertEqual(self.held_files(daemon), [])

    def test_disk_is_gone(self):
        """A prompt that cannot be kept is refused in words; everything else goes on."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        self.assertFalse((daemon.state / "held").exists())
        (daemon.state / "held").write_text("in the way", encoding="ascii")
        self.assertError(self.prompt(daemon).read_answer(), 500, "io")
        self.assertEqual(self.got(daemon, "GET", "/").status, 200)

    def test_killed_while_it_works(self):
        """It asks for its turn before all who come anew, and is not sent again."""
        server, daemon = self.working()
        daemon.kill()
        daemon.start()
        self.assertEqual(self.models(daemon)["requests"][0]["model"], "prompt 1")
        wait_until(lambda: self.turns(daemon), "it has a turn")
        polls = len(server.asked("/queue"))
        wait_until(lambda: len(server.asked("/queue")) > polls, "its server is asked")
        server.work.set()
        wait_until(lambda: not self.turns(daemon), "the turn is over")
        self.assertEqual((len(server.done), len(server.asked("/prompt"))), (1, 1))
        self.assertEqual(self.held_files(daemon), [])

    def test_stopped_with_a_held_prompt(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody", ttl_s=3600)
        client = self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        daemon.terminate()
        answer = client.read_answer()
        self.assertError(answer, 503, "draining")
        self.assertIn("do not send it again", answer.json()["error"]["message"])
        daemon.start()
        daemon.http("POST", "/v1/gpu/reset", {}, unix=True)
        wait_until(lambda: len(server.done) == 1, "it is done")


class A1111(PagesTest):
    def test_turn_is_the_answers(self):
        server = self.pages("a1111")
        server.work.clear()
        daemon = self.behind(self.upstream(server, "a1111"))
        client = self.begun(daemon, "POST", "/sdapi/v1/txt2img", {"prompt": "x" * 300000}, name="a1111")
        wait_until(lambda: server.queue, "it works")
        self.assertEqual(self.turns(daemon)[0]["label"], "txt2img")
        self.assertEqual(len(server.asked("/sdapi/v1/reload-checkpoint")), 1)
        self.assertEqual(self.got(daemon, "GET", "/sdapi/v1/progress", name="a1111").status, 200)
        server.work.set()
        self.assertEqual(client.read_answer().json()["images"], ["aGVsbG8="])
        wait_until(lambda: not self.turns(daemon), "the turn is over")

    def test_body_stays_with_its_client(self):
        """Until its turn comes not a byte of it is taken."""
        server = self.pages("a1111")
        daemon = self.behind(self.upstream(server, "a1111"))
        holder = daemon.lock("somebody").json()["token"]
        body = json.dumps({"init_images": ["x" * (24 << 20)]}).encode()
        client = self.begun(daemon, "POST", "/sdapi/v1/txt2img", name="a1111",
                            head=b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: %s:%d\r\nContent-Length: %d\r\n\r\n" %
                            (self.address(daemon, "a1111")[0].encode(), self.address(daemon, "a1111")[1], len(body)))
        sent = in_thread(client.send, body)
        wait_until(lambda: daemon.waiting() == ["a1111"], "it waits")
        self.assertEqual(self.held_files(daemon), [])
        daemon.unlock(holder)
        self.assertEqual(client.read_answer().status, 200)
        sent.result()
        self.assertEqual(server.asked("/sdapi/v1/txt2img")[0][3], body)

    def test_client_leaves(self):
        """The turn is kept until the server says that it is idle."""
        server = self.pages("a1111")
        server.work.clear()
        daemon = self.behind(self.upstream(server, "a1111"))
        client = self.begun(daemon, "POST", "/sdapi/v1/txt2img", {"prompt": "x"}, name="a1111")
        wait_until(lambda: server.queue, "it works")
        client.close()
        asked = len(server.asked("/sdapi/v1/progress"))
        wait_until(lambda: len(server.asked("/sdapi/v1/progress")) > asked + 2, "it is asked")
        self.assertEqual(len(self.turns(daemon)), 1)
        server.work.set()
        wait_until(lambda: not self.turns(daemon), "the turn is over")

    def test_queue_socket(self):
        """Gradio 3: a WebSocket for each event of its queue; its turn lasts as long."""
        server = self.pages("a1111")
        daemon = self.behind(self.upstream(server, "a1111"))
        holder = daemon.lock("somebody").json()["token"]
        fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        client = self.begun(daemon, "GET", "/queue/join", headers=fields, name="a1111")
        wait_until(lambda: daemon.waiting() == ["a1111"], "it waits")
        self.assertEqual(server.sockets, 0)
        daemon.unlock(holder)
        self.assertEqual(client.read_head()[0], 101)
        self.assertEqual(self.turns(daemon)[0]["label"], "join")
        server.hang_up()
        wait_until(lambda: not self.turns(daemon), "the turn is over")


if __name__ == "__main__":
    unittest.main()
