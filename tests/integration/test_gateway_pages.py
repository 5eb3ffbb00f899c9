"""Servers that people use by their pages, behind Baton: what passes, and who may."""
import hashlib
import os
import pathlib
import socket
import subprocess
import unittest

from lib.daemon import in_thread
from lib.http import request_bytes
from lib.managed import free_port
from lib.page_test import PROMPT, PagesTest, memory_kib
from lib.wait import wait_until


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
        url = f"http://127.0.0.1:{free_port()}"
        return self.behind({"name": "comfy", "kind": "comfyui", "url": url, "vram_mb": 4000,
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
                (f"- {{{good}, listen: '127.0.0.1:0', parallel: 2}}", "has parallel, which is not for comfyui"),
                (f"- {{{good.replace('comfyui', 'a1111')}, listen: '127.0.0.1:0', parallel: 1}}", "has parallel"),
                ("- {name: o, kind: openai, url: 'http://127.0.0.1:1', gpu: none, parallel: 2}",
                 "has parallel and gpu: none"),
                ("- {name: o, kind: openai, url: 'http://127.0.0.1:1', parallel: 65}", "not between 1 and 64"),
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


if __name__ == "__main__":
    unittest.main()
