"""Goal: a page of another origin can ask to queue, and may do that and nothing else once the operator let it,
from its own origin, until it is revoked (TABS B4). Method: what a browser would send, and `baton sites`.
"""
import json
import unittest

from lib.daemon import DaemonTest
from lib.pages import key_of, open_link
from lib.session import Session, WebSocketTransport
from lib.wait import wait_until

SITE = "https://app.example"
OTHER = "https://other.example"


class Sites(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def pair(self, origin=SITE, daemon=None, **body):
        return (daemon or self.d).http("POST", "/v1/pair", body, {"Origin": origin, "Sec-Fetch-Site": "cross-site"},
                                       token=None)

    def sites(self, daemon=None):
        return (daemon or self.d).http("GET", "/v1/sites", unix=True).json()

    def act(self, verb, number, daemon=None):
        return (daemon or self.d).http("POST", f"/v1/sites/{number}/{verb}", {}, unix=True)

    def allowed(self, origin=SITE, daemon=None):
        """The token of a site that was let in."""
        asked = self.pair(origin, daemon).json()
        number = next(row["ask"] for row in self.sites(daemon)["asking"] if row["origin"] == origin)
        self.assertEqual(self.act("allow", number, daemon).json(), {"status": "ok", "origin": origin})
        return self.pair(origin, daemon, ask=asked["ask"]).json()["token"]

    def page(self, token, origin=SITE, daemon=None, **options):
        return (daemon or self.d).websocket("page", {"Origin": origin}, token=token, **options)

    def closed(self, origin=SITE, **hello):
        """The close code of a session that is not let in; None: not even the handshake."""
        transport = WebSocketTransport(self.d.address, {"Origin": origin})
        session = Session(transport)
        self.addCleanup(session.drop)
        if transport.status != 101:
            return None
        session.send(type="hello", id="page", **hello)
        session.wait_end()
        return transport.close_code

    def test_damaged(self):
        """A file that cannot be read is an error at each act, and is left as it is; mended, its sites count at once."""
        token = self.allowed()
        path = self.d.state / "sites"
        good = path.read_text()
        number = self.sites()["sites"][0]["site"]
        for text in (good[:-9], good.replace(SITE, "https://app.exampla"), "", good + "more\n",
                     "nonsense\n1 2 3\n" + good, good + "9 " + "z" * 64 + " 1 1 https://evil.example\n",
                     good.replace("1 sites", "2 sites"), good.split("\n")[0] + "\n"):
            path.write_text(text)
            self.d.kill()
            self.d.start()
            wait_until(lambda: "cannot read the allowed sites" in self.d.log(), "the log says so")
            self.assertIsNone(self.closed(token=token), text)
            asked = self.pair(OTHER)
            self.assertEqual(asked.status, 200)
            listed = self.d.http("GET", "/v1/sites", unix=True)
            for answer in (listed, self.act("allow", 1), self.act("revoke", number)):
                self.assertError(answer, 500, "io")
                self.assertIn("/sites:", answer.body.decode())
            self.assertEqual(path.read_text(), text)
        path.write_text(good)
        self.assertEqual([row["origin"] for row in self.sites()["sites"]], [SITE])
        self.page(token)

    def test_asked_allowed_used_revoked(self):
        """The whole of it: the site sees each step, its claim is its origin's, and it ends at once."""
        asked = self.pair()
        self.assertEqual((asked.status, asked.json()["status"], asked.json()["origin"]), (200, "asked", SITE))
        self.assertEqual(asked.headers["access-control-allow-origin"], "*")
        secret = asked.json()["ask"]
        self.assertEqual(self.pair(ask=secret).json()["status"], "waiting")
        row = self.sites()["asking"][0]
        self.assertEqual(row["origin"], SITE)
        self.assertNotIn(secret, json.dumps(self.sites()))
        self.assertIsNone(self.closed(token="0" * 64))

        self.assertEqual(self.act("allow", row["ask"]).status, 200)
        told = self.pair(ask=secret).json()
        self.assertEqual((told["status"], told["scope"]), ("allowed", "queue"))
        self.assertError(self.pair(ask=secret), 404)
        self.assertEqual(self.sites()["asking"], [])

        page = self.page(told["token"])
        self.assertEqual(page.welcome["rights"], "queue")
        page.hold()
        lease = self.d.status()["leases"][0]
        self.assertEqual(lease["principal"], f"origin:{SITE}")
        site = self.sites()["sites"][0]
        self.assertEqual((site["origin"], site["scope"], site["sessions"]), (SITE, "queue", 1))
        self.assertIn("used", site)

        self.assertEqual(self.act("revoke", site["site"]).status, 200)
        page.wait_end()
        self.assertEqual(page.transport.close_code, 4401)
        wait_until(lambda: not self.d.holders(), "what it held is free")
        self.assertEqual(self.sites()["sites"], [])
        self.assertIsNone(self.closed(token=told["token"]))
        self.assertNotIn(told["token"], self.d.log())

    def test_scope(self):
        """It may wait, hold, change, give back and see its own; it learns of nobody, and does nothing to others."""
        self.d.websocket("other").hold(gpu="gpu0")
        page = self.page(self.allowed())
        page.queue(label="mine")
        page.send(type="status")
        status = page.wait("status")
        self.assertEqual([row["id"] for row in status["waiting"]], ["page"])
        self.assertEqual((status["leases"], status.get("owner"), status["queued"]), ([], None, ["page"]))
        refused = ({"type": "logs"}, {"type": "clients"}, {"type": "samples"}, {"type": "events"},
                   {"type": "subscribe", "events": True}, {"type": "subscribe", "logs": True}, {"type": "open"},
                   {"type": "reload"}, {"type": "admin", "act": "reset"})
        for count, message in enumerate(refused, 1):
            page.send(**message)
            self.assertEqual(page.wait("denied", count=count)["code"], "forbidden", message)
        page.send(type="subscribe")
        page.send(type="events", limit=0)
        page.wait("ok", count=2)

    def test_own_from_the_first(self):
        """What is asked right behind hello, before the welcome, is answered with no more."""
        self.d.websocket("other").hold(gpu="gpu0")
        token = self.allowed()
        transport = WebSocketTransport(self.d.address, {"Origin": SITE})
        self.addCleanup(transport.socket.close)
        said = ({"type": "hello", "id": "page", "token": token}, {"type": "status"})
        transport.socket.sendall(b"".join(transport.frame(1, json.dumps(message).encode()) for message in said))
        while (told := json.loads(transport.receive()))["type"] != "status":
            pass
        self.assertEqual((told["leases"], told["waiting"], told.get("owner")), ([], [], None))

    def test_token_is_bound(self):
        """To its origin, and to sessions: not another site's, not a program's, not for HTTP."""
        daemon = self.d
        token = self.allowed()
        self.allowed(OTHER)
        self.assertEqual(self.closed(OTHER, token=token), 4401)
        self.assertEqual(self.closed(f"http://{daemon.host}", token=token), 4401)
        headers = {"Authorization": f"Bearer {token}"}
        self.assertError(daemon.http("GET", "/v1/gpu/status", headers=headers), 401)
        for path in ("/v1/gpu/status", "/health", "/logs", "/v1/sites"):
            self.assertError(daemon.http("GET", path, headers={"Origin": SITE}), 403, "bad_origin")
        self.assertError(daemon.http("POST", "/v1/gpu/lock", {"id": "x"}, {"Origin": SITE}), 403, "bad_origin")

    def test_no_other_token_counts(self):
        """An origin that is let in as a site does not get more by the install token, nor by a session's secret."""
        page = self.page(self.allowed())
        self.assertEqual(self.closed(token=self.d.token), 4401)
        self.assertEqual(self.closed(), 4401)
        again = self.page(None, resume=page.welcome["session"])
        self.assertEqual(again.welcome["rights"], "queue")
        again.send(type="logs")
        self.assertEqual(again.wait("denied")["code"], "forbidden")
        self.act("revoke", self.sites()["sites"][0]["site"])
        again.wait_end()

    def resumed(self, transport, secret):
        """What it is told that shows nothing but the secret: a type, or the code of a denial."""
        self.addCleanup(transport.socket.close)
        transport.send(json.dumps({"type": "hello", "id": "page", "resume": secret}))
        told = json.loads(transport.receive())
        return told.get("code", told["type"])

    def test_secret_is_of_its_origin(self):
        """A site's session is taken up from its own origin alone: no program has more by it."""
        self.allowed(OTHER)
        secret = self.page(self.allowed()).welcome["session"]
        address = self.d.address
        self.assertEqual(self.resumed(WebSocketTransport(address), secret), "unauthorized")
        self.assertEqual(self.resumed(WebSocketTransport(address, {"Origin": OTHER}), secret), "unauthorized")
        own = WebSocketTransport(address, {"Origin": f"http://{self.d.host}"})
        self.assertEqual(self.resumed(own, secret), "unauthorized")
        self.assertEqual(self.resumed(WebSocketTransport(address, {"Origin": SITE}), secret), "welcome")

    def test_secret_ends_with_the_site(self):
        """Once it is revoked, no connection that came before takes its session up."""
        page = self.page(self.allowed())
        waits = WebSocketTransport(self.d.address, {"Origin": SITE})
        self.act("revoke", self.sites()["sites"][0]["site"])
        page.wait_end()
        self.assertEqual(self.resumed(waits, page.welcome["session"]), "unauthorized")
        self.assertEqual(self.resumed(WebSocketTransport(self.d.address), page.welcome["session"]), "unauthorized")

    def test_allowed_again(self):
        """A site that pairs again is the same: a revoke ends also what it opened by its first token."""
        before = self.allowed()
        first = self.page(before)
        second = self.page(self.allowed())
        self.assertEqual(self.closed(token=before), 4401)
        site, = self.sites()["sites"]
        self.assertEqual(site["sessions"], 2)
        self.act("revoke", site["site"])
        for page in (first, second):
            page.wait_end()
            self.assertEqual(page.transport.close_code, 4401)

    def test_listed_origin_too(self):
        """A listed origin that pairs keeps its pages below the install token."""
        daemon = self.daemon(config={"origins": [SITE]})
        token = self.allowed(daemon=daemon)
        page = self.page(token, daemon=daemon)
        self.assertEqual(page.welcome["rights"], "queue")
        again = self.page(None, daemon=daemon, resume=page.welcome["session"])
        self.assertEqual(again.welcome["rights"], "queue")

    def test_only_operators(self):
        """Who asks, and who is let in, is the operator's: not the install token's, nor another site's page."""
        self.pair()
        number = self.sites()["asking"][0]["ask"]
        for path, method in (("/v1/sites", "GET"), (f"/v1/sites/{number}/allow", "POST")):
            body = {} if method == "POST" else None
            self.assertError(self.d.http(method, path, body), 403, "forbidden")
            self.assertError(self.d.http(method, path, body, token=None), 401)
            self.assertError(self.d.http(method, path, body, {"Origin": SITE}, token=None), 403, "bad_origin")
        key = {"Authorization": "Bearer " + key_of(self.d.http("GET", open_link(self.d), token=None)),
               "Origin": f"http://{self.d.host}"}
        self.assertEqual(self.d.http("POST", f"/v1/sites/{number}/allow", {}, key, token=None).status, 200)

    def test_refused(self):
        """Who was refused may not ask again for a while; the refusal is of that origin alone."""
        asked = self.pair().json()
        self.assertEqual(self.act("refuse", self.sites()["asking"][0]["ask"]).status, 200)
        self.assertError(self.pair(ask=asked["ask"]), 404, "not_found")
        again = self.pair()
        self.assertError(again, 429, "rate_limited")
        self.assertRegex(again.json()["error"]["detail"], r"ask again in (59\d|600) s")
        self.assertEqual(self.sites()["asking"], [])
        self.assertEqual(self.pair(OTHER).status, 200)

    def test_who_cannot_ask(self):
        """No page of ours, none without an origin, none whose origin is not what browsers send."""
        for origin in ("null", f"http://{self.d.host}", f"http://localhost:{self.d.address[1]}", "https://APP.example",
                       "https://app.example:443", "https://app.example/",
                       "https://m\u00fcnchen.example".encode().decode("latin-1"),
                       "https://app.example evil", "https://" + "a" * 60 + ".example", "nonsense"):
            self.assertError(self.pair(origin), 403, "bad_origin")
        self.assertError(self.d.http("POST", "/v1/pair", {}, token=None), 403, "bad_origin")
        evil = self.d.http("POST", "/v1/pair", {}, {"Origin": SITE, "Host": "evil.example"}, token=None)
        self.assertError(evil, 403, "bad_host")
        form = self.d.http("POST", "/v1/pair", {}, {"Origin": SITE, "Content-Type": "text/plain"}, token=None)
        self.assertError(form, 415)
        self.assertEqual(self.sites(), {"status": "ok", "sites": [], "asking": []})

    def test_bounds(self):
        """One ask of an origin, in the place of the one before; eight in all. An act is for the ask that was seen."""
        first = self.pair().json()
        number = self.sites()["asking"][0]["ask"]
        second = self.pair().json()
        self.assertEqual(len(self.sites()["asking"]), 1)
        self.assertError(self.act("allow", number), 404)
        self.assertError(self.pair(ask=first["ask"]), 404)
        self.assertEqual(self.pair(ask=second["ask"]).json()["status"], "waiting")
        for i in range(7):
            self.assertEqual(self.pair(f"https://a{i}.example").status, 200)
        self.assertError(self.pair("https://one.more.example"), 429, "rate_limited")
        self.assertEqual(len(self.sites()["asking"]), 8)
        self.assertEqual(self.pair().status, 200)

    def test_asks_too_often(self):
        """A page that asks on and on fills no log, and its number stands still long enough to be refused."""
        answers = [self.pair() for _ in range(40)]
        told = [answer.status for answer in answers]
        self.assertEqual(told[:20], [200] * 20)
        self.assertGreater(told.count(429), 10)
        last = [answer for answer in answers if answer.status == 200][-1].json()
        self.assertEqual(self.pair(ask=last["ask"]).json()["status"], "waiting")
        self.assertEqual(self.pair(OTHER).status, 200)

    def test_sixty_four(self):
        """As many are allowed as may be, and no more; one of them may pair anew, and one revoked makes room."""
        for i in range(64):
            self.allowed(f"https://a{i}.example")
        self.pair()
        number = self.sites()["asking"][0]["ask"]
        self.assertError(self.act("allow", number), 409, "sites_full")
        self.allowed("https://a7.example")
        self.assertEqual(len(self.sites()["sites"]), 64)
        self.act("revoke", self.sites()["sites"][0]["site"])
        self.assertEqual(self.act("allow", number).status, 200)

    def test_outlives_the_daemon(self):
        """Over `kill -9`; on the disk there is a hash and no token, and none of it for others to read."""
        token = self.allowed()
        self.d.kill()
        self.d.start()
        self.assertEqual(self.page(token).welcome["rights"], "queue")
        path = self.d.state / "sites"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(token, path.read_text())

    def test_cannot_be_written(self):
        """What cannot be kept is not said to be done: nobody is let in, and a revoke counts at once but is an error
        until it is written; then a restart knows it."""
        token = self.allowed()
        page = self.page(token)
        path, aside = self.d.state / "sites", self.d.state / "aside"
        path.rename(aside)
        (path / "in the way").mkdir(parents=True)
        asked = self.pair(OTHER).json()
        number = self.sites()["asking"][0]["ask"]
        refused = self.act("allow", number)
        self.assertError(refused, 500, "io")
        self.assertIn("/sites: ", refused.json()["error"]["detail"])
        self.assertEqual(self.pair(OTHER, ask=asked["ask"]).json()["status"], "waiting")
        site = self.sites()["sites"][0]["site"]
        revoked = self.act("revoke", site)
        self.assertError(revoked, 500, "io")
        self.assertIn("revoke it again", revoked.json()["error"]["detail"])
        page.wait_end()
        self.assertIsNone(self.closed(token=token))
        self.assertTrue(self.sites()["sites"][0]["revoked"])
        self.assertIn("not written yet", self.run_cli(self.d, "sites").stdout)
        (path / "in the way").rmdir()
        path.rmdir()
        aside.rename(path)
        self.assertIn("may queue no more", self.run_cli(self.d, "sites", "revoke", SITE).stdout)
        self.assertEqual(self.act("allow", number).status, 200)
        self.assertIn("token", self.pair(OTHER, ask=asked["ask"]).json())
        self.d.kill()
        self.d.start()
        self.assertEqual([row["origin"] for row in self.sites()["sites"]], [OTHER])
        self.assertIsNone(self.closed(token=token))

    def test_command(self):
        """baton sites: lists, allows, refuses and revokes, by number or by the whole origin."""
        self.assertIn("no site asks", self.run_cli(self.d, "sites").stdout)
        asked = self.pair().json()
        self.pair(OTHER)
        listed = self.run_cli(self.d, "sites").stdout
        self.assertIn(f"{SITE} asks to queue for the GPU: baton sites allow ", listed)
        self.assertEqual(self.run_cli(self.d, "sites", "allow", SITE).stdout, f"{SITE}: may queue for the GPU\n")
        self.assertIn("token", self.pair(ask=asked["ask"]).json())
        self.assertIn("refused", self.run_cli(self.d, "sites", "refuse", OTHER).stdout)
        rows = json.loads(self.run_cli(self.d, "sites", "--json").stdout)
        self.assertEqual([site["origin"] for site in rows["sites"]], [SITE])
        self.assertIn("last used never, 0 sessions", self.run_cli(self.d, "sites").stdout)
        revoked = self.run_cli(self.d, "sites", "revoke", str(rows["sites"][0]["site"]))
        self.assertIn("may queue no more", revoked.stdout)
        missing = self.run_cli(self.d, "sites", "revoke", SITE)
        self.assertEqual((missing.returncode, missing.stdout), (66, ""))
        self.assertEqual(self.run_cli(self.d, "sites", "allow").returncode, 64)


if __name__ == "__main__":
    unittest.main()
