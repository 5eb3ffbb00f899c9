"""Goal: pages that watch learn who is connected, what happened and how VRAM is used, and a page that does
not heed a revocation is seen (issue's "Bad input"). Method: WebSockets and lines against the real daemon.
"""
import collections
import itertools
import json
import os
import unittest

from lib.daemon import DaemonTest
from lib.session import Session, WebSocketTransport
from lib.pages import key_of
from lib.wait import DEADLINE_S, wait_until

HOSTILE = ("<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'; DROP TABLE clients; --", "${7*7}",
           "n" * 128, "\u00e9" * 64, "\\u202e")
REFUSED = ("", "n" * 129, "a\nb", "a\u0000b", "x\u202ey", "x\u200by", "\u2066x\u2069", "\x1b[31mred")


def ask(session, kind, answer=None, **fields):
    """The next answer of that type."""
    answer = answer or kind
    before = len(session.messages(answer))
    session.send(type=kind, **fields)
    return session.wait(answer, count=before + 1)


def clients_of(session):
    return {row["id"]: row for row in ask(session, "clients")["clients"]}


def seen_until(session, name, condition, what):
    """The row of `name`, once it fulfils the condition."""
    def found():
        row = clients_of(session).get(name)
        return row if row and condition(row) else None
    return wait_until(found, what)


def past_of(session, **fields):
    """(events, count) of one `events` message."""
    before = len(session.messages("event"))
    count = ask(session, "events", "ok", **fields)["count"]
    return session.messages("event")[before:], count


def sign_in(daemon):
    """The key of a browser that opened the one-time link."""
    program = daemon.session("opener")
    link = ask(program, "open", "link")["url"]
    program.bye()
    answer = daemon.http("GET", "/" + link.rsplit("/", 1)[1], token=None)
    return key_of(answer)


class Rights(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def rights(self, session):
        """What welcome says, and what is so."""
        said = session.welcome["rights"]
        session.send(type="admin", act="resume", reason="a test")
        session.wait("ok" if said == "admin" else "denied")
        return said

    def test_by_token(self):
        """The install token gives the token right, the admin token and the Unix socket the admin right."""
        admin_token = (self.d.state / "admin-token").read_text(encoding="ascii").strip()
        self.assertEqual(self.rights(self.d.websocket("tab")), "token")
        self.assertEqual(self.rights(self.d.websocket("operator", token=admin_token)), "admin")
        self.assertEqual(self.rights(self.d.session("program")), "admin")

    def refused(self, origin, **hello):
        headers = {"Origin": origin} if origin else {}
        forged = Session(WebSocketTransport(self.d.address, headers))
        self.addCleanup(forged.drop)
        forged.send(type="hello", id="page", **hello)
        forged.wait_end()
        self.assertEqual(forged.transport.close_code, 4401)

    def test_by_key_of_a_page(self):
        """A page of the broker's own that came by the link is an admin by its key; a key that the broker did
        not give is worth nothing, nor one that does not come from such a page."""
        key, own = sign_in(self.d), f"http://{self.d.host}"
        self.assertEqual(self.rights(self.d.websocket("page", {"Origin": own}, token=key)), "admin")
        self.refused(own, token=key[:-2] + ("00" if key[-2:] != "00" else "11"))
        self.refused(own)
        self.refused(None, token=key)

    def test_by_secret_alone(self):
        """Who shows nothing but a session's secret has the token right, also if the session had more."""
        page = self.d.websocket("page", {"Origin": f"http://{self.d.host}"}, token=sign_in(self.d))
        again = self.d.websocket("page", token=None, resume=page.welcome["session"])
        self.assertTrue(again.welcome["resumed"])
        self.assertEqual(self.rights(again), "token")

    def test_no_dev(self):
        """Without --dev nobody is told of reloads."""
        self.assertNotIn("dev", self.d.websocket("tab").welcome)

    def test_watching_needs_a_right(self):
        """A wrong secret and no token: nothing is told, whatever is asked right behind it."""
        transport = WebSocketTransport(self.d.address)
        self.addCleanup(transport.socket.close)
        transport.socket.settimeout(DEADLINE_S)
        for kind in ("clients", "events", "samples"):
            self.d.session(f"before-{kind}")
        transport.socket.sendall(b"".join(transport.frame(1, json.dumps(message).encode()) for message in (
            {"type": "hello", "id": "x", "resume": "17-00112233445566778899aabbccddeeff"},
            {"type": "clients"}, {"type": "events"}, {"type": "samples"}, {"type": "about", "page": "x"})))
        told = []
        while (text := transport.receive()) is not None:
            told.append(json.loads(text))
        self.assertEqual({message["type"] for message in told}, {"denied"}, told)
        self.assertEqual([message["code"] for message in told[:3]], ["unauthorized"] * 3)


class Clients(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def test_who_is_connected(self):
        """A tab of a browser, one of a program, and a program on the Unix socket; who left is gone."""
        origin = f"http://{self.d.host}"
        page = self.d.websocket("page", {"Origin": origin})
        self.d.websocket("script")
        program = self.d.session("program")
        rows = clients_of(program)
        self.assertEqual(set(rows), {"page", "script", "program"})
        self.assertEqual(rows["page"]["session"], int(page.welcome["session"].split("-")[0]))
        self.assertEqual([rows["page"][key] for key in ("binding", "browser", "origin")], ["tab", True, origin])
        self.assertEqual([rows["script"][key] for key in ("binding", "browser")], ["tab", False])
        self.assertNotIn("origin", rows["script"])
        self.assertEqual([rows["program"][key] for key in ("binding", "uid", "pid")],
                         ["native", os.getuid(), os.getpid()])
        for row in rows.values():
            self.assertGreaterEqual(row["since_s"], row["seen_s"])
            self.assertNotIn("overdue", row)
        self.assertNotIn("uid", rows["page"])
        page.drop()
        wait_until(lambda: set(clients_of(program)) == {"script", "program"}, "the page is gone")

    def test_about(self):
        """What a page says of itself is shown; each field stays until it is said again."""
        page, watcher = self.d.websocket("page"), self.d.websocket("watcher")
        page.send(type="about", page="Console", visible=True, stalled_ms=0, adapter="nvidia ampere",
                  clamped="maxBufferSize", vram_mb=512, origin="https://app.example", mood="ignored")
        row = seen_until(watcher, "page", lambda row: "page" in row, "about is shown")
        said = {"page": "Console", "visible": True, "stalled_ms": 0, "adapter": "nvidia ampere",
                "clamped": "maxBufferSize", "vram_mb": 512, "origin": "https://app.example"}
        self.assertEqual({key: row[key] for key in said}, said)
        self.assertNotIn("mood", row)
        page.send(type="about", visible=False, stalled_ms=15000)
        row = seen_until(watcher, "page", lambda row: not row["visible"], "it is hidden")
        self.assertEqual({key: row[key] for key in said}, {**said, "visible": False, "stalled_ms": 15000})
        self.assertEqual(page.messages("denied"), [])

    def test_origin_of_the_browser_counts(self):
        """A page cannot claim another origin than the one that its browser showed."""
        page = self.d.websocket("page", {"Origin": f"http://{self.d.host}"})
        page.send(type="about", page="x", origin="https://bank.example")
        row = seen_until(page, "page", lambda row: "page" in row, "about is shown")
        self.assertEqual(row["origin"], f"http://{self.d.host}")

    def test_hostile_texts(self):
        """Markup and long names come back as they are, as JSON; what could fool an eye or end a line is
        refused, and nothing of that message is kept."""
        page = self.d.websocket("page")
        for text in HOSTILE:
            page.send(type="about", page=text, adapter=text, clamped=text, origin=text)
            row = seen_until(page, "page", lambda row, text=text: row.get("page") == text, "it is shown")
            self.assertEqual([row[key] for key in ("adapter", "clamped", "origin")], [text] * 3)
        kept = clients_of(page)["page"]
        for text, field in itertools.product(REFUSED, ("page", "adapter", "clamped", "origin")):
            before = len(page.messages("denied"))
            page.send(type="about", vram_mb=1, **{field: text})
            self.assertIn(page.wait("denied", count=before + 1)["code"], ("bad_field", "bad_json"))
        after = clients_of(page)["page"]
        same = ("page", "adapter", "clamped", "origin")
        self.assertEqual([after[key] for key in same], [kept[key] for key in same])
        self.assertNotIn("vram_mb", after)

    def test_hostile_names_everywhere(self):
        """A hostile name of a client reaches clients and events as it is, and no line of the log by itself."""
        watcher = self.d.websocket("watcher")
        for name in HOSTILE:
            tab = self.d.websocket(name)
            self.assertIn(name, clients_of(watcher))
            wait_until(lambda name=name: [event for event in past_of(watcher)[0] if event.get("client") == name],
                       "an event of it")
            tab.drop()
        for line in self.d.log().splitlines():
            self.assertFalse(line.startswith(("<", "'", "\"", "$")), line)

    def test_about_is_a_sign_of_life(self):
        """A page whose only words are `about` keeps its lease over several session lives."""
        daemon = self.daemon(timing={"session_ttl_s": 2, "heartbeat_s": 1})
        page = daemon.websocket("page", alive=False)
        held = page.hold()
        for beat in range(4):
            page.wait("heartbeat", count=beat + 1)
            page.send(type="about", stalled_ms=beat)
        page.send(type="renew", lease=held["lease"])
        page.wait("renewed")
        self.assertEqual(page.messages("revoked"), [])

    def test_silence_is_seen(self):
        """seen_s grows while a client is silent and falls with its next word."""
        page, watcher = self.d.websocket("page"), self.d.session("watcher")
        seen_until(watcher, "page", lambda row: row["seen_s"] >= 0.2, "it was silent")
        page.send(type="about", visible=True)
        row = seen_until(watcher, "page", lambda row: row["seen_s"] < 0.2, "it spoke")
        self.assertGreaterEqual(row["since_s"], 0.2)

    def test_many_long_clients(self):
        """Three hundred clients that say as much as they may are one answer, far below the buffer."""
        sockets = []
        for i in range(300):
            transport = WebSocketTransport(self.d.address)
            self.addCleanup(transport.socket.close)
            transport.send(json.dumps({"type": "hello", "id": f"{i:03}" + "\\" * 125, "token": self.d.token}))
            transport.send(json.dumps({"type": "about", "page": "\"" * 128, "adapter": "\\" * 128,
                                       "clamped": "\\" * 128, "origin": "\\" * 128}))
            sockets.append(transport)
        watcher = self.d.session("watcher")
        answer = wait_until(lambda: (lambda a: a if len(a["clients"]) + a.get("left_off", 0) == 301 else None)(
            ask(watcher, "clients")), "all are connected")
        self.assertLess(len(json.dumps(answer)), 600 * 1024)
        self.assertGreater(len(answer["clients"]), 200)
        self.assertIsNone(watcher.ended_at)


class Past(DaemonTest):
    def test_pages_of_events(self):
        """The newest so many, oldest first; then from where one was, without gap or repetition."""
        daemon = self.daemon()
        tab = daemon.websocket("tab")
        for _ in range(10):
            tab.release(tab.hold()["lease"])
        wait_until(lambda: len(past_of(tab, limit=2000)[0]) >= 41, "all that happened")
        everything, count = past_of(tab, limit=2000)
        ids = [event["id"] for event in everything]
        self.assertEqual(count, len(ids))
        self.assertEqual(ids, list(range(ids[0], ids[0] + len(ids))))
        self.assertEqual(everything[0]["what"], "started")
        newest, count = past_of(tab, limit=7)
        self.assertEqual((count, [event["id"] for event in newest]), (7, ids[-7:]))
        rest, _ = past_of(tab, limit=2000, since=ids[-4])
        self.assertEqual([event["id"] for event in rest], ids[-3:])
        self.assertEqual(past_of(tab, limit=0), ([], 0))
        self.assertEqual(past_of(tab, since=ids[-1]), ([], 0))
        self.assertEqual(past_of(tab, since=(1 << 53) - 1), ([], 0))

    def test_over_a_reconnect(self):
        """A watcher that was away asks from the last event it had, and has every one just once."""
        daemon = self.daemon()
        tab, watcher = daemon.websocket("tab"), daemon.websocket("watcher")
        ask(watcher, "subscribe", "ok", events=True)
        first = tab.hold()
        last = watcher.wait("event", what="held", lease=first["lease"])
        watcher.drop()
        tab.release(first["lease"])
        second = tab.hold()
        tab.release(second["lease"])
        tab.wait("released", count=2)
        again = daemon.websocket("watcher")
        missed, count = past_of(again, since=last["id"])
        self.assertEqual([event["id"] for event in missed], list(range(last["id"] + 1, last["id"] + 1 + count)))
        self.assertEqual([event["lease"] for event in missed if event["what"] == "ended"],
                         [first["lease"], second["lease"]])

    def test_ids_rise_over_restarts(self):
        """After a restart a watcher's last id is below all new ones."""
        daemon = self.daemon()
        tab = daemon.websocket("tab")
        tab.hold()
        last = past_of(tab)[0][-1]["id"]
        daemon.kill()
        daemon.start()
        events, _ = past_of(daemon.websocket("tab"), since=last)
        self.assertEqual(events[0]["what"], "started")
        self.assertGreater(events[0]["id"], last)

    def test_bounded_by_the_buffer(self):
        """Who asks for everything again and again and does not read is refused before its buffer is full, so it
        is not closed for that, and finds whole messages when it reads at last."""
        daemon = self.daemon()
        tab = daemon.session("n" * 128)  # lines have no rate
        for _ in range(100):
            tab.release(tab.hold()["lease"])
        wait_until(lambda: past_of(tab, limit=2000)[1] > 400, "much happened")
        slow = WebSocketTransport(daemon.address)
        self.addCleanup(slow.socket.close)
        slow.socket.settimeout(DEADLINE_S)
        slow.send(json.dumps({"type": "hello", "id": "slow", "token": daemon.token}))
        asked = 150
        for _ in range(asked):
            slow.send(json.dumps({"type": "events", "limit": 2000}))
        wait_until(lambda: "slow" in daemon.log() and daemon.answers(), "it was heard")
        kinds = collections.Counter()
        while kinds["ok"] + kinds["rate_limited"] < asked:
            message = json.loads(slow.receive())
            kinds[message.get("code", message["type"])] += 1
        self.assertGreater(kinds["rate_limited"], 0, kinds)
        self.assertGreater(kinds["event"], 400 * kinds["ok"] // 2, kinds)


class Samples(DaemonTest):
    def test_shape(self):
        """One sample at the start already; what nobody measures is null, never zero."""
        daemon = self.daemon(args=["--fake-gpu", "a:8192", "--fake-gpu", "b:4096"])
        answer = ask(daemon.websocket("watcher"), "samples")
        self.assertEqual(answer["step_s"], 5)
        self.assertEqual([(gpu["name"], gpu["vram_mb_total"]) for gpu in answer["gpus"]],
                         [("a", 8192), ("b", 4096)])
        for gpu in answer["gpus"]:
            self.assertEqual(len(gpu["granted_mb"]), len(gpu["used_mb"]))
            self.assertEqual(gpu["granted_mb"][0], 0)
            self.assertEqual(set(gpu["used_mb"]), {None})

    def test_granted_is_sampled(self):
        """A lease with VRAM is in the next sample of its GPU."""
        daemon = self.daemon(args=["--fake-gpu", "a:8192"])
        tab = daemon.websocket("tab")
        tab.hold(vram_mb=6144)

        def sampled():
            answer = ask(tab, "samples")
            return answer if answer["gpus"][0]["granted_mb"][-1] == 6144 else None
        answer = wait_until(sampled, "the next sample")
        self.assertLess(answer["newest_ago_s"], 5)

    def test_an_added_gpu(self):
        """A GPU that a reload adds has a column of its own, unknown before; the others keep theirs."""
        gpus = [{"name": "a", "vram_mb": 8192}]
        daemon = self.daemon(config={"gpus": gpus})
        watcher = daemon.session("watcher")
        before = ask(watcher, "samples")["gpus"]
        daemon.write_config({**daemon.config, "gpus": [*gpus, {"name": "b", "vram_mb": 4096}]})
        ask(watcher, "reload", "reloaded")
        after = wait_until(lambda: (lambda g: g if len(g) == 2 else None)(ask(watcher, "samples")["gpus"]),
                           "the new GPU")
        self.assertEqual([gpu["name"] for gpu in after], ["a", "b"])
        self.assertEqual(after[0]["granted_mb"][:len(before[0]["granted_mb"])], before[0]["granted_mb"])
        self.assertIsNone(after[1]["granted_mb"][0])


class Overdue(DaemonTest):
    """A page that ignores `revoked`."""

    def setUp(self):
        self.d = self.daemon(timing={"lock_delay_s": 2}, args=["--fake-gpu", "a:8192"])
        self.watcher = self.d.session("watcher")
        self.page = self.d.websocket("page")
        self.held = self.page.hold(vram_mb=1024)

    def revoke(self):
        ask(self.watcher, "admin", "ok", act="revoke", lease=self.held["lease"], reason="a test")
        self.page.wait("revoked", lease=self.held["lease"], reason="operator")

    def test_what_is_so_until_the_delay_is_over(self):
        """It is told; its lease is shown as revoked and its VRAM counted until the lock-delay is over; its
        token is refused; nobody else is granted before."""
        other = self.d.websocket("other")
        self.revoke()
        lease = self.d.status()["leases"][0]
        self.assertEqual((lease["id"], lease["state"], lease["yield"]["revoked"]), ("page", "stopping", True))
        self.assertEqual(self.d.status()["gpus"][0]["vram_mb_granted"], 1024)
        for path in ("/v1/gpu/unlock", "/v1/gpu/renew"):
            self.assertEqual(self.d.http("POST", path, {"token": self.held["token"]}).status, 409, path)
        self.page.send(type="renew", lease=self.held["lease"])
        self.page.wait("denied", code="revoked")
        ref = other.acquire()
        other.wait("queued", ref=ref)
        self.assertEqual(self.d.holders(), ["page"])
        other.wait("granted", ref=ref)
        granted_at = other.messages("granted")[0]["at"]
        self.assertGreater(granted_at - self.page.messages("revoked")[0]["at"], 1.8)
        wait_until(lambda: self.d.status()["gpus"][0]["vram_mb_granted"] == 0, "its VRAM is free")

    def test_overdue_until_it_confirms(self):
        """It is overdue from the revocation on, also when the lock-delay is over, until it says `release`."""
        self.assertNotIn("overdue", clients_of(self.watcher)["page"])
        self.revoke()
        self.assertTrue(clients_of(self.watcher)["page"]["overdue"])
        wait_until(lambda: not self.d.holders(), "the lock-delay is over")
        self.assertTrue(clients_of(self.watcher)["page"]["overdue"])
        self.page.release(self.held["lease"])
        self.page.wait("denied", code="stale")
        self.assertNotIn("overdue", clients_of(self.watcher)["page"])

    def test_who_heeds_is_not_overdue(self):
        """A page that says `release` after `revoked` is not overdue, and the GPU is free at once."""
        self.revoke()
        self.page.release(self.held["lease"])
        self.page.wait("released", lease=self.held["lease"])
        self.assertNotIn("overdue", clients_of(self.watcher)["page"])
        self.assertEqual(self.d.holders(), [])

    def test_ignored_yield(self):
        """The same comes of a `yield` that was ignored until its grace was over."""
        voice = self.d.websocket("voice")
        self.page.release(self.held["lease"])
        held = self.page.hold(**{"class": "background"})
        voice.acquire(**{"class": "voice"})
        self.page.wait("yield", lease=held["lease"])
        self.page.wait("revoked", lease=held["lease"], reason="preempted")
        self.assertTrue(clients_of(self.watcher)["page"]["overdue"])
        voice.wait("granted")
        self.assertTrue(clients_of(self.watcher)["page"]["overdue"])

    def test_after_a_resume(self):
        """A page that comes back while its lease is revoked is told again, and is overdue again."""
        self.revoke()
        again = self.d.websocket("page", resume=self.page.welcome["session"])
        again.wait("revoked", lease=self.held["lease"])
        seen_until(self.watcher, "page", lambda row: row.get("overdue"), "it is overdue")

    def test_an_offer_is_no_hold(self):
        """A page that was offered the GPU and never took it has nothing to confirm."""
        waiter = self.d.websocket("waiter", accept=False)
        ref = waiter.acquire()
        self.page.release(self.held["lease"])
        waiter.wait("offered", ref=ref)
        ask(self.watcher, "admin", "ok", act="force-release-all")
        waiter.wait("revoked")
        self.assertNotIn("overdue", clients_of(self.watcher)["waiter"])


if __name__ == "__main__":
    unittest.main()
