"""Goal: no other site, host or stranger can act, and nothing secret leaves (CASES C 1, 3 to 10, 29, 39,
40; D 39 to 45). Method: the requests that attackers would send, with the right token where it matters.
"""
import contextlib
import os
import re
import socket
import stat
import subprocess
import unittest

from lib.daemon import DaemonTest
from lib.http import request_bytes
from lib.wait import wait_until

EVIL = "https://evil.example"
ROUTES = [("POST", "/v1/gpu/lock"), ("POST", "/v1/gpu/unlock"), ("POST", "/v1/gpu/renew"),
          ("GET", "/v1/gpu/status"), ("POST", "/v1/gpu/reset"), ("POST", "/v1/gpu/force-release-all"),
          ("GET", "/v1/gpu/events"), ("GET", "/metrics"), ("GET", "/logs"), ("POST", "/logs/clear"),
          ("GET", "/audit/server-logs"), ("POST", "/v1/hot-reload"), ("GET", "/health")]


class Access(DaemonTest):
    def setUp(self):
        self.d = self.daemon(config={"origins": ["http://localhost:8000"]})

    def unchanged(self):
        self.assertEqual(self.d.holders() + self.d.waiting(), [])

    def test_c1_foreign_hosts(self):
        """C1, P43: a Host that is not exactly ours is refused on every route (DNS rebinding)."""
        port = self.d.address[1]
        for host in ("attacker.example", f"attacker.example:{port}", f"localhost.attacker.example:{port}",
                     f"127.0.0.1.nip.io:{port}", f"0.0.0.0:{port}", f"127.0.0.1:{port + 1}", "127.0.0.1",
                     f"127.1:{port}", f"2130706433:{port}", f"localhost.:{port}"):
            for method, path in ROUTES:
                body = {"id": "x"} if method == "POST" else None
                answer = self.d.http(method, path, body, {"Host": host})
                self.assertIn(answer.status, (403, 421), f"{host} {path}: {answer}")
        self.unchanged()

    def test_c1_own_hosts(self):
        """Both spellings of our own address work."""
        for host in (self.d.host, f"localhost:{self.d.address[1]}", f"LOCALHOST:{self.d.address[1]}"):
            self.assertEqual(self.d.http("GET", "/v1/gpu/status", headers={"Host": host}).status, 200, host)

    def test_c3_c4_foreign_origins(self):
        """C3, C4, P40: foreign and null origins are refused on every route, without CORS headers."""
        for origin in (EVIL, "null", "http://localhost:8001", "http://localhost:80000", "file://",
                       f"https://{self.d.host}", "http://localhost:8000.evil.example", ""):
            for method, path in ROUTES:
                body = {"id": "x"} if method == "POST" else None
                answer = self.d.http(method, path, body, {"Origin": origin})
                self.assertEqual(answer.status, 403, f"{origin} {path}: {answer}")
                self.assertNotIn("access-control-allow-origin", answer.headers, f"{origin} {path}")
        self.unchanged()

    def test_own_and_listed_origins(self):
        """The listed origin may call, and reads errors too; never `*`."""
        for origin in ("http://localhost:8000", f"http://{self.d.host}"):
            answer = self.d.http("GET", "/v1/gpu/status", headers={"Origin": origin})
            self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (200, origin))

    def test_c5_preflight(self):
        """C5, P40: a preflight tells foreign origins nothing and the listed one what it may send."""
        asks = {"Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type"}
        for path in ("/v1/gpu/lock", "/v1/gpu/unlock", "/v1/gpu/reset"):
            answer = self.d.http("OPTIONS", path, headers={"Origin": EVIL, **asks}, token=None)
            self.assertIn(answer.status, (403, 204))
            self.assertFalse([h for h in answer.headers if h.startswith("access-control-allow")], answer)
        answer = self.d.http("OPTIONS", "/v1/gpu/lock", headers={"Origin": "http://localhost:8000", **asks},
                             token=None)
        self.assertEqual(answer.status, 204)
        self.assertIn("authorization", answer.headers["access-control-allow-headers"].lower())

    def test_c6_forms(self):
        """C6: what a form of another site can send without a preflight is refused by its type."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                     "application/jsonx", "text/json"):
            answer = self.d.http("POST", "/v1/gpu/lock", {"id": "x"}, {"Content-Type": kind})
            self.assertError(answer, 415)
        answer = self.d.http("POST", "/v1/gpu/lock", {"id": "x"}, {"Content-Type": None})
        self.assertError(answer, 415)
        self.unchanged()

    def test_c7_get_changes_nothing(self):
        """C7: GET on what changes something is 405, also from an <img>."""
        for method, path in ROUTES:
            if method == "POST":
                self.assertError(self.d.http("GET", path), 405)
        answer = self.d.http("GET", "/v1/gpu/status", headers={"Sec-Fetch-Site": "cross-site"})
        self.assertEqual(answer.status, 403)

    def test_c10_wrong_tokens(self):
        """C10, P4: a wrong token is 401 with CORS headers, so that a page can tell it from `down`."""
        right = self.d.token
        for token in ("", "x", right[:-1], right + "x", right[:-1] + ("0" if right[-1] != "0" else "1"),
                      right.upper() + "é", "sovereign-secret"):
            answer = self.d.http("POST", "/v1/gpu/lock", {"id": "x"},
                                 {"Origin": "http://localhost:8000"}, token=token)
            self.assertEqual(answer.status, 401, answer)
            self.assertEqual(answer.headers["access-control-allow-origin"], "http://localhost:8000")
        for scheme in ("Basic ", "bearer", ""):
            answer = self.d.http("GET", "/v1/gpu/status", headers={"Authorization": scheme + right + "x"})
            self.assertEqual(answer.status, 401)
        self.unchanged()

    def test_c10_flood_of_wrong_tokens(self):
        """C10: many wrong tokens are slowed down by 429; the right one still works; none is logged."""
        statuses = [self.d.http("GET", "/v1/gpu/status", token=f"secret-guess-{i}").status for i in range(60)]
        self.assertEqual(set(statuses), {401, 429})
        self.assertEqual(self.d.http("GET", "/v1/gpu/status").status, 200)
        self.assertNotIn("secret-guess", self.d.log())
        self.assertNotIn(self.d.token, self.d.log())

    def test_p41_nothing_without_a_token(self):
        """P41: logs, status, events, metrics need the token; strangers cannot even map the routes."""
        for method, path in ROUTES + [("GET", "/no/such/path"), ("GET", "/logs?limit=5")]:
            if path == "/health":
                continue
            body = {"id": "x"} if method == "POST" else None
            self.assertEqual(self.d.http(method, path, body, token=None).status, 401, path)

    def test_p39_loopback_only(self):
        """P39: the default and the given address are loopback; another address needs a flag."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            ports = [line.split()[1] for line in file if line.split()[3] == "0A"]
        ours = [p for p in ports if int(p.split(":")[1], 16) == self.d.address[1]]
        self.assertEqual(ours, [f"0100007F:{self.d.address[1]:04X}"])
        command = self.d.command()
        command[command.index("--listen") + 1] = "0.0.0.0:0"
        command[command.index("--state") + 1] = str(self.d.dir / "other")
        command[command.index("--socket") + 1] = str(self.d.dir / "run" / "other.sock")
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False,
                                env=self.d.environment())
        self.assertIn(result.returncode, (64, 78), result)
        self.assertIn("--allow-remote", result.stderr + result.stdout)

    def test_files_are_private(self):
        """Section 7: token and journal are 0600, the folders 0700; the token is 256 bits, not printed."""
        self.assertEqual(stat.S_IMODE(os.stat(self.d.state).st_mode), 0o700)
        for file in self.d.state.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # what stands beside the journal comes and goes
                mode = file.stat().st_mode
                self.assertEqual(stat.S_IMODE(mode), 0o700 if stat.S_ISDIR(mode) else 0o600, file)
        self.assertEqual(stat.S_IMODE(os.stat(self.d.socket).st_mode), 0o600)
        self.assertGreaterEqual(len(self.d.token), 43)
        self.assertNotIn(self.d.token, self.d.log())

    def test_c39_log_injection(self):
        """C39, P44: a name cannot end its log line or move the cursor; it is refused or escaped."""
        for name in ("x\n2026-01-01 RELEASED by nobody", "x\x1b[2J", "x\r\nforged", "a\u202eb"):
            answer = self.d.lock(name)
            self.assertError(answer, 400)
        self.assertEqual(self.d.lock('quote" and \\ backslash').status, 200)
        for path in ("/x\\ny", "/%0aforged"):
            self.d.http("GET", path)
        wait_until(lambda: "backslash" in self.d.log(), "the name is logged")
        forged = ("2026-01-01 RELEASED", "forged")
        self.assertFalse([line for line in self.d.log().splitlines() if line.startswith(forged)])
        self.assertNotRegex(self.d.log(), r"[\x00-\x08\x0b-\x1f\u202e]")

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_c40_other_user(self):
        """C40: another user on this machine cannot even reach the socket, and is refused if it could."""
        os.chmod(self.d.dir, 0o755)
        os.chmod(self.d.dir / "run", 0o755)
        os.chmod(self.d.socket, 0o666)
        script = ("import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
                  f"s.settimeout(10); s.connect({self.d.socket!r});"
                  "s.sendall(b'{\"type\":\"hello\",\"id\":\"stranger\"}\\n');"
                  "print(b''.join(iter(lambda: s.recv(4096), b'')))")
        result = subprocess.run(["python3", "-c", script], capture_output=True, text=True, check=False)
        self.assertNotIn("welcome", result.stdout)
        self.assertRegex(result.stdout, r'"code":"forbidden".*"type":"close","code":4401')  # denied, then closed

    def test_p45_errors_say_nothing_of_the_inside(self):
        """P45: an error has a code and a text; no path, no pointer, no exception."""
        with self.d.connect() as connection:
            connection.send(request_bytes("POST", "/v1/gpu/lock", self.d.host, b"{",
                                          {"Authorization": f"Bearer {self.d.token}"}))
            answer = connection.read_answer()
        self.assertError(answer, 400, "bad_json")
        self.assertFalse(re.search(rb"0x[0-9a-f]{6}|/src/|\.c:\d|Traceback", answer.body), answer)

    def test_headers_of_answers(self):
        """Answers are not sniffed, framed or cached."""
        answer = self.d.http("GET", "/v1/gpu/status")
        self.assertEqual(answer.headers.get("x-content-type-options"), "nosniff")
        self.assertIn("no-store", answer.headers.get("cache-control", ""))

    def test_connection_refused_after_stop(self):
        """Sockets are really gone after the end: nobody can listen in their name unnoticed."""
        address, path = self.d.address, self.d.socket
        self.assertEqual(self.d.terminate(), 0)
        with self.assertRaises(OSError):
            socket.create_connection(address, timeout=2)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    unittest.main()
