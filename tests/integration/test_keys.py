"""Goal: a key that `baton keys new` made is good at once, everywhere that a configured one is, and over a restart; it
is kept as a hash; revoked, it and all that came by it is over. Method: the command, and clients with the key.
"""
import json
import subprocess
import unittest

from lib.gateway import CHAT, GatewayTest, upstream
from lib.session import Session, WebSocketTransport
from lib.wait import wait_until
from lib.worker import Worker


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class KeysTest(GatewayTest):
    def new(self, daemon, name, *options):
        made = self.run_cli(daemon, "keys", "new", name, *options)
        self.assertEqual(made.returncode, 0, made.stderr)
        key = made.stdout.strip()
        self.assertRegex(key, r"^baton_[0-9a-f]{64}$")
        return key

    def revoke(self, daemon, name):
        done = self.run_cli(daemon, "keys", "revoke", name)
        self.assertEqual(done.returncode, 0, done.stderr)

    def names(self, daemon):
        rows = json.loads(self.run_cli(daemon, "keys", "list", "--json").stdout)["keys"]
        return [row["name"] for row in rows]

    def status_as(self, daemon, headers):
        return daemon.http("GET", "/v1/gpu/status", headers=headers, token=None).status


class Made(KeysTest):
    def test_good_at_once(self):
        """As Bearer, as x-api-key and in hello, with the rights of the install token and no more."""
        daemon = self.behind(upstream(self.server("openai", ["m"]), "plain", vram_mb=1000))
        key = self.new(daemon, "alice")
        for headers in (bearer(key), {"x-api-key": key}):
            self.assertEqual(self.status_as(daemon, headers), 200)
            answer = daemon.http("POST", CHAT, {"model": "m", "messages": []}, headers, token=None)
            self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.status_as(daemon, bearer(key[:-1])), 401)
        self.assertEqual(self.status_as(daemon, bearer(key[len("baton_"):])), 401)
        self.assertError(daemon.http("POST", "/v1/gpu/reset", {}, bearer(key), token=None), 403, "forbidden")
        self.assertError(daemon.http("GET", "/v1/keys", headers=bearer(key), token=None), 403, "forbidden")
        daemon.websocket("batch", token=key).hold(slots=0, vram_mb=10)
        lease = next(row for row in daemon.status()["leases"] if row["id"] == "batch")
        self.assertEqual(lease["principal"], "key:alice")

    def test_kept_as_a_hash(self):
        """Over `kill -9`; no key on the disk nor in the log, and nothing for others to read."""
        daemon = self.daemon()
        key, gone = self.new(daemon, "alice"), self.new(daemon, "bob")
        self.assertEqual(self.status_as(daemon, bearer(key)), 200)
        self.revoke(daemon, "bob")
        daemon.kill()
        daemon.start()
        self.assertEqual((self.status_as(daemon, bearer(key)), self.status_as(daemon, bearer(gone))), (200, 401))
        path = daemon.state / "api-keys"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        for text in (path.read_text(), daemon.log()):
            self.assertNotIn(key[len("baton_"):], text)

    def test_list(self):
        daemon = self.daemon()
        self.assertIn("no key was made", self.run_cli(daemon, "keys").stdout)
        key = self.new(daemon, "alice")
        self.assertRegex(self.run_cli(daemon, "keys", "list").stdout, r"^alice made \S+, last used never\n$")
        self.status_as(daemon, bearer(key))
        shown = self.run_cli(daemon, "keys", "list", "--json").stdout
        row, = json.loads(shown)["keys"]
        self.assertEqual(sorted(row), ["made", "name", "used"])
        self.assertNotIn(key, shown)

    def test_told_once(self):
        """To operators alone; the answer that has it is kept by nobody on its way."""
        daemon = self.daemon()
        made = daemon.http("POST", "/v1/keys", {"name": "a"}, unix=True)
        self.assertEqual((made.status, made.headers["cache-control"]), (200, "no-store"))
        self.assertEqual(sorted(made.json()), ["key", "name", "status"])
        self.assertError(daemon.http("POST", "/v1/keys", {"name": "b"}), 403, "forbidden")
        self.assertError(daemon.http("POST", "/v1/keys", {"name": "b"}, token=None), 401)
        self.assertError(daemon.http("POST", "/v1/keys/revoke", {"name": "a"}), 403, "forbidden")

    def test_names(self):
        """As in the configuration, each once, and none that the configuration has; nor may that take one."""
        daemon = self.daemon(start=False)
        path = daemon.dir / "carol.key"
        path.write_text("carol-0123456789abcdef\n", encoding="ascii")
        path.chmod(0o600)
        daemon.write_config({"keys": [{"name": "carol", "file": str(path)}]})
        daemon.start()
        self.new(daemon, "alice")
        for name in ("alice", "carol"):
            taken = self.run_cli(daemon, "keys", "new", name)
            self.assertEqual((taken.returncode, taken.stdout), (65, ""))
            self.assertIn("has that name", taken.stderr)
        for name in ("", "a b", "key:x", "a/b", "*", "a" * 41, "\u00e9"):
            self.assertError(daemon.http("POST", "/v1/keys", {"name": name}, unix=True), 400, "bad_field")
        self.assertError(daemon.http("POST", "/v1/keys", {}, unix=True), 400, "bad_field")
        missing = self.run_cli(daemon, "keys", "revoke", "carol")
        self.assertEqual(missing.returncode, 66)
        self.assertIn("in the configuration", missing.stderr)

        daemon.write_config({"keys": [{"name": "alice", "file": str(path)}]})
        reload = self.run_cli(daemon, "reload")
        self.assertEqual(reload.returncode, 78)
        self.assertIn("keys: alice: ", reload.stderr)
        daemon.kill()
        start = subprocess.run(daemon.command(), env=daemon.environment(), capture_output=True, text=True, timeout=30,
                               check=False)
        self.assertEqual(start.returncode, 78)
        self.assertIn("keys: alice: ", start.stderr)

    def test_sixty_four(self):
        """As many as may be, and no more; one that is revoked makes room."""
        daemon = self.daemon()
        for i in range(64):
            self.assertEqual(daemon.http("POST", "/v1/keys", {"name": f"k{i}"}, unix=True).status, 200)
        self.assertError(daemon.http("POST", "/v1/keys", {"name": "more"}, unix=True), 409, "keys_full")
        self.revoke(daemon, "k7")
        self.assertEqual(daemon.http("POST", "/v1/keys", {"name": "more"}, unix=True).status, 200)
        daemon.kill()
        daemon.start()
        self.assertEqual(len(self.names(daemon)), 64)

    def test_damaged(self):
        """A file that cannot be read is an error at each act, and is left as it is; mended, its keys count at once."""
        daemon = self.daemon()
        key = self.new(daemon, "alice")
        path = daemon.state / "api-keys"
        good = path.read_text()
        for text in (good[:-9], good.replace("alice ", "al/ice "), "", good + "more\n",
                     good.replace("1 keys", "2 keys")):
            path.write_text(text)
            daemon.kill()
            daemon.start()
            self.assertEqual(self.status_as(daemon, bearer(key)), 401)
            for act in (["list"], ["new", "bob"], ["revoke", "alice"]):
                refused = self.run_cli(daemon, "keys", *act)
                self.assertEqual(refused.returncode, 74, text)
                self.assertIn("/api-keys:", refused.stderr)
            self.assertEqual(path.read_text(), text)
        path.write_text(good)
        self.assertEqual(self.names(daemon), ["alice"])
        self.assertEqual(self.status_as(daemon, bearer(key)), 200)

    def test_cannot_be_written(self):
        """What cannot be kept is not made; a revoke counts at once, and is an error until it is written."""
        daemon = self.daemon()
        key = self.new(daemon, "alice")
        path, aside = daemon.state / "api-keys", daemon.state / "aside"
        path.rename(aside)
        (path / "in the way").mkdir(parents=True)
        refused = self.run_cli(daemon, "keys", "new", "bob")
        self.assertEqual((refused.returncode, refused.stdout), (74, ""))
        self.assertIn("/api-keys: ", refused.stderr)
        self.assertEqual(self.names(daemon), ["alice"])
        revoked = self.run_cli(daemon, "keys", "revoke", "alice")
        self.assertEqual(revoked.returncode, 74)
        self.assertIn("revoke it again", revoked.stderr)
        self.assertEqual(self.status_as(daemon, bearer(key)), 401)
        self.assertIn("not written yet", self.run_cli(daemon, "keys").stdout)
        (path / "in the way").rmdir()
        path.rmdir()
        aside.rename(path)
        self.revoke(daemon, "alice")
        daemon.kill()
        daemon.start()
        self.assertEqual(self.names(daemon), [])


class Limits(KeysTest):
    def lock_as(self, daemon, key, name="batch", **fields):
        return daemon.http("POST", "/v1/gpu/lock", {"id": name, "wait": False, **fields}, bearer(key), token=None)

    def test_classes_queue_and_held(self):
        """What is said of a key counts before `principals`, what is not said is as they say; over a restart, too."""
        daemon = self.daemon(config={"principals": [{"match": "key:*", "classes": ["normal"], "queue": 1}]})
        own = self.new(daemon, "own", "--class", "voice,chat", "--queue", "2", "--held", "1")
        plain = self.new(daemon, "plain")
        for _ in range(2):
            refused = self.lock_as(daemon, own, **{"class": "normal"})
            self.assertError(refused, 403, "class_not_allowed")
            self.assertEqual(refused.json()["error"]["detail"], "key:own may ask for voice chat")
            self.assertError(self.lock_as(daemon, plain, **{"class": "voice"}), 403, "class_not_allowed")
            daemon.kill()
            daemon.start()
        granted = self.lock_as(daemon, own)
        self.assertEqual(daemon.status()["leases"][0]["class"], "chat")
        over = self.lock_as(daemon, own, "more", slots=0, vram_mb=1)
        self.assertError(over, 429, "quota")
        self.assertIn("key:own holds 1 lease", over.json()["error"]["detail"])
        daemon.unlock(granted.json()["token"])
        daemon.websocket("holder").hold()
        for key, most in ((own, 2), (plain, 1)):
            for i in range(most):
                daemon.parked(f"{most}-{i}", headers=bearer(key))
            self.assertError(daemon.http("POST", "/v1/gpu/lock", {"id": "x"}, bearer(key), token=None), 429, "quota")

    def test_models(self):
        """Others are not there: not in the lists, not by any name, not as something near."""
        plain = self.server("openai", ["qwen3", "qwen4", "secret-model"])
        tagged = self.server("ollama", ["llama3:latest"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000,
                                      models=[{"name": "secret-model", "alias": "gpt-4o", "vram_mb": 1000}]),
                             upstream(tagged, "ollama"))
        all_of_them = {"qwen3", "qwen4", "gpt-4o", "llama3:latest"}
        for globs, seen in (("qwen*", {"qwen3", "qwen4"}), ("qwen4,llama3", {"qwen4", "llama3:latest"}),
                            ("gpt-*", {"gpt-4o"}), ("*", all_of_them), (None, all_of_them)):
            name = f"k{len(self.names(daemon))}"
            headers = bearer(self.new(daemon, name, *(["--models", globs] if globs else [])))
            listed = lambda path, key, field: {
                row[field] for row in daemon.http("GET", path, headers=headers, token=None).json()[key]}
            wait_until(lambda: listed("/v1/models", "data", "id") == seen, f"{globs} shows {seen}")
            self.assertEqual(listed("/api/tags", "models", "name"), seen)
            shown = {row["alias"] or row["model"] if "alias" in row else row["model"]
                     for row in daemon.http("GET", "/v1/gpu/models", headers=headers, token=None).json()["models"]}
            self.assertEqual(shown, seen)
            for model in sorted(all_of_them):
                answer = self.ask(daemon, model, headers=headers)
                one = daemon.http("GET", f"/v1/models/{model}", headers=headers, token=None)
                if model in seen:
                    self.assertEqual((answer.status, one.status), (200, 200), (globs, model))
                else:
                    self.assertError(answer, 404, "model_not_found")
                    self.assertError(one, 404, "model_not_found")
        headers = bearer(self.new(daemon, "last", "--models", "qwen3"))
        for model in ("plain/secret-model", "secret-model", "qwen"):
            answer = self.ask(daemon, model, headers=headers)
            self.assertError(answer, 404, "model_not_found")
            for name in ("gpt-4o", "qwen4", "llama3"):
                self.assertNotIn(name, answer.json()["error"]["message"])

    def test_switches(self):
        """A key is told of models that it may ask for, and for whom a switch was where that was itself."""
        ollama = self.server("ollama", ["mine", "theirs"], size_mb=6000)
        daemon = self.behind(upstream(ollama, "ollama",
                                      models=[{"name": name, "vram_mb": 6000} for name in ("mine", "theirs")]))
        alice, bob = (bearer(self.new(daemon, *words)) for words in (("alice", "--models", "mine"), ("bob",)))
        for model, headers in (("theirs", bob), ("mine", alice), ("theirs", bob), ("mine", bob)):
            self.assertEqual(self.ask(daemon, model, headers={**headers, "User-Agent": ""}).status, 200)

        def told(**options):
            rows = daemon.http("GET", "/v1/gpu/models", **options).json()["switches"]
            return [(row["model"], row["client"], [left["model"] for left in row["left"]]) for row in rows]

        self.assertEqual(told(headers=alice, token=None), [("mine", None, [""]), ("mine", "key:alice", [""])])
        self.assertEqual(told(headers=bob, token=None),
                         [("mine", "key:bob", ["theirs"]), ("theirs", "key:bob", ["mine"]), ("mine", None, ["theirs"]),
                          ("theirs", "key:bob", [])])
        self.assertEqual([client for _, client, _ in told(unix=True)],
                         ["key:bob", "key:bob", "key:alice", "key:bob"])
        self.assertNotIn("key:bob", daemon.http("GET", "/v1/gpu/models", headers=alice, token=None).body.decode())

    def test_requests(self):
        """As many at the same time as may be: the next is told to come again, as its API says it, also on a tab."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        key = self.new(daemon, "alice", "--requests", "2")
        plain.gate.clear()
        self.addCleanup(plain.gate.set)
        first, second = (self.begin(daemon, "m", headers=bearer(key)) for _ in range(2))
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "both are there")
        for path in (CHAT, "/v1/messages", "/v1/embeddings", "/api/chat"):
            over = self.ask(daemon, "m", path, headers=bearer(key))
            self.assertEqual(over.status, 429, over)
            self.assertEqual(over.headers["retry-after"], "5")
            error = over.json()["error"]
            self.assertIn("key:alice has 2 requests", error if path == "/api/chat" else error["message"])
        other = self.begin(daemon, "m", headers=bearer(self.new(daemon, "bob")))
        wait_until(lambda: len(self.models(daemon)["requests"]) == 3, "another key's is there")
        second.close()
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "the client left")
        third = self.begin(daemon, "m", headers=bearer(key))
        plain.gate.set()
        for request in (first, other, third):
            self.assertEqual(request.read_answer().status, 200)
        for _ in range(3):
            self.assertEqual(self.ask(daemon, "m", headers=bearer(key)).status, 200)

    def test_who_left_is_no_request(self):
        """A server that goes on computing for a client that left keeps the turn, and nobody's count."""
        server = self.server("llama-server", ["m"])
        daemon = self.behind(upstream(server, "s", vram_mb=1000))
        headers = bearer(self.new(daemon, "alice", "--requests", "1"))
        server.gate.clear()
        server.slots_busy = True
        left = self.begin(daemon, "m", headers=headers)
        wait_until(lambda: server.running == 1, "it runs")
        left.close()
        wait_until(lambda: self.models(daemon)["requests"][0]["state"] == "left", "its client left")
        waits = self.begin(daemon, "m", headers=headers)
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "the next one waits")
        server.gate.set()
        server.slots_busy = False
        self.assertEqual(waits.read_answer().status, 200)

    def test_revoked_while_its_server_works(self):
        """It ends once: the log has one line of it."""
        server = self.server("llama-server", ["m"])
        daemon = self.behind(upstream(server, "s", vram_mb=1000))
        server.gate.clear()
        server.slots_busy = True
        cut = self.begin(daemon, "m", headers=bearer(self.new(daemon, "alice")))
        wait_until(lambda: server.running == 1, "it runs")
        self.assertEqual(self.run_cli(daemon, "keys", "revoke", "alice").returncode, 0)
        self.assertError(cut.read_answer(), 401, "unauthorized")
        server.slots_busy = False
        wait_until(lambda: not self.models(daemon)["requests"], "it is over for its server")
        daemon.terminate()  # all of the log is there then
        line, = (line for line in daemon.log().splitlines() if "path=/v1/chat" in line)
        self.assertIn("outcome=unauthorized", line)

    def test_what_is_no_limit(self):
        daemon = self.daemon()
        for wrong in ({"classes": []}, {"classes": ["fast"]}, {"classes": "voice"}, {"queue": 0}, {"held": 1.5},
                      {"requests": 1000001}, {"models": "a,,b"}, {"models": "a b"}, {"models": ""}):
            answer = daemon.http("POST", "/v1/keys", {"name": "a", **wrong}, unix=True)
            self.assertError(answer, 400, "bad_field")
            self.assertIn(f"`{next(iter(wrong))}`", answer.json()["error"]["detail"])
        self.assertEqual(self.run_cli(daemon, "keys", "new", "a", "--class", "fast").returncode, 65)
        self.assertEqual(self.run_cli(daemon, "keys", "list", "--queue", "2").returncode, 64)
        self.assertEqual(self.names(daemon), [])

    def test_shown(self):
        daemon = self.daemon()
        self.new(daemon, "a", "--class", "chat,voice", "--models", "qwen*", "--requests", "2", "--queue", "3",
                 "--held", "4")
        self.assertIn("; voice chat; 3 may wait; 4 may be held; 2 requests at once; models qwen*\n",
                      self.run_cli(daemon, "keys").stdout)
        row, = json.loads(self.run_cli(daemon, "keys", "--json").stdout)["keys"]
        said = {"classes": ["voice", "chat"], "models": "qwen*", "requests": 2, "queue": 3, "held": 4}
        self.assertEqual({field: row[field] for field in said}, said)


class Told(KeysTest):
    """What one key is told of another, by every door: that it waits and holds, not whose or for which model."""
    READ = ("/v1/gpu/status", "/v1/gpu/models", "/v1/gpu/history", "/logs", "/audit/server-logs", "/metrics",
            "/v1/models", "/api/tags", "/health", "/v1/gpu/events?since=0")

    def read_all(self, daemon, headers, key):
        """All answers, and what a session with that key hears."""
        said = {}
        for path in self.READ:
            connection = daemon.connect()
            connection.send(daemon.request("GET", path, None, headers, token=None))
            if "events" in path:
                lines = [connection.reader.readline()]
                while b'"to":"ended"' not in lines[-1]:
                    lines.append(connection.reader.readline())
                said[path] = b"".join(lines).decode()
            else:
                said[path] = connection.read_answer().body.decode()
            connection.close()
        session = daemon.websocket("reader", token=key)
        session.send(type="subscribe", ref=1, events=True, logs=True)
        for ref, kind in enumerate(("status", "clients", "events", "logs"), 2):
            session.send(type=kind, ref=ref, **({"since": 0, "limit": 100} if kind in ("events", "logs") else {}))
        session.wait("status")
        session.wait("clients")
        session.wait("ok", count=2)
        return said, session

    def test_of_others(self):
        ollama = self.server("ollama", ["mine", "hidden"], size_mb=1000)
        daemon = self.behind(upstream(ollama, "ollama"))
        alice = self.new(daemon, "alice")
        bob = self.new(daemon, "bob", "--models", "mine")
        # Programs that do not say how they are called; a label; a session.
        quiet = {**bearer(alice), "User-Agent": ""}
        self.assertEqual(self.ask(daemon, "hidden", headers=quiet).status, 200)
        holder = daemon.websocket("tab", token=alice)
        holder.hold(label="the label")
        runs, waits = (self.begin(daemon, "hidden", headers=quiet) for _ in range(2))
        wait_until(lambda: len(daemon.waiting()) == 2, "both wait")
        said, session = self.read_all(daemon, bearer(bob), bob)
        self.assertError(self.ask(daemon, "hidden", headers=bearer(bob)), 404, "model_not_found")
        holder.drop()
        for connection in (runs, waits):
            self.assertEqual(connection.read_answer().status, 200)
        wait_until(lambda: session.messages("event", to="ended"), "it hears what happens")
        said["session"] = json.dumps(session.messages())
        self.assertIn("unnamed", said["/v1/gpu/status"])
        for path, text in said.items():
            for word in ("alice", "hidden", "the label"):
                self.assertNotIn(word, text, path)
        # Itself is told of itself, and whoever is no key of all.
        own, _ = self.read_all(daemon, bearer(alice), alice)
        self.assertIn("key:alice", own["/v1/gpu/history"])
        self.assertIn("hidden", own["/v1/gpu/history"])
        whole = daemon.http("GET", "/v1/gpu/history").body.decode()
        for word in ("key:alice", "hidden", "the label"):
            self.assertIn(word, whole)


class Revoked(KeysTest):
    """What came by the key ends, and nothing of anybody else's."""

    def test_refused_from_then_on(self):
        daemon = self.daemon()
        key, other = self.new(daemon, "alice"), self.new(daemon, "bob")
        self.revoke(daemon, "alice")
        self.assertEqual((self.status_as(daemon, bearer(key)), self.status_as(daemon, bearer(other))), (401, 200))
        again = self.new(daemon, "alice")
        self.assertNotEqual(again, key)
        self.assertEqual((self.status_as(daemon, bearer(key)), self.status_as(daemon, bearer(again))), (401, 200))
        self.assertEqual(self.run_cli(daemon, "keys", "revoke", "nobody").returncode, 66)

    def test_sessions_and_tabs(self):
        daemon = self.behind()
        key = self.new(daemon, "alice")
        other = daemon.websocket("other", token=self.new(daemon, "bob"))
        session = daemon.websocket("batch", token=key)
        session.hold()
        tab = Worker(daemon, "tab", token=key)
        self.addCleanup(tab.close)
        wait_until(lambda: tab.all("welcome"), "the tab is let in")
        self.revoke(daemon, "alice")
        session.wait_end()
        self.assertEqual(session.transport.close_code, 4401)
        wait_until(lambda: tab.close_code() == 4401, "the tab is closed")
        back = Session(WebSocketTransport(daemon.address))
        self.addCleanup(back.drop)
        back.send(type="hello", id="batch", resume=session.welcome["session"])
        back.wait_end()
        self.assertEqual(back.messages("welcome"), [])
        wait_until(lambda: not daemon.holders(), "what it held is free")
        other.hold()

    def test_waiting_locks(self):
        """One that waits for its answer, one that is told as it goes, and the feed of changes."""
        daemon = self.daemon()
        key = self.new(daemon, "alice")
        daemon.websocket("holder").hold()
        waits = daemon.park("waits", headers=bearer(key))
        streams = daemon.park("streams", headers={**bearer(key), "Accept": "text/event-stream"})
        feed = daemon.connect()
        self.addCleanup(feed.close)
        feed.send(daemon.request("GET", "/v1/gpu/events", headers=bearer(key)))
        daemon.park("mine")
        wait_until(lambda: daemon.waiting() == ["waits", "streams", "mine"], "all wait")
        self.revoke(daemon, "alice")
        self.assertError(waits.read_answer(), 401, "unauthorized")
        for stream in (streams, feed):
            self.assertIn(b'"code":"unauthorized"', stream.read_answer().body)
        wait_until(lambda: daemon.waiting() == ["mine"], "they left the queue")

    def test_lease_over_plain_http(self):
        """It has no connection that could be closed; removed from the configuration, too."""
        daemon = self.daemon()
        path = daemon.state / "secret"
        path.write_text("s" * 64)
        path.chmod(0o600)
        daemon.write_config({**daemon.config, "keys": [{"name": "written", "file": str(path)}]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        mine = daemon.lock("mine", slots=0, vram_mb=10).json()
        for name, key in (("alice", self.new(daemon, "alice")), ("written", "s" * 64)):
            lease = daemon.http("POST", "/v1/gpu/lock", {"id": name, "ttl_s": 3600}, bearer(key), token=None).json()
            if name == "alice":
                self.revoke(daemon, name)
            else:
                daemon.write_config({**daemon.config, "keys": []})
                self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
            wait_until(lambda: [row["id"] for row in daemon.status()["leases"]] == ["mine"], "it is over")
            self.assertNotEqual(daemon.unlock(lease["token"]).status, 200)
            wait_until(lambda: "its key is good no longer" in daemon.log(), "the log says so")
        self.assertEqual(daemon.unlock(mine["token"]).status, 200)

    def test_gone_while_the_broker_was_down(self):
        """From the configuration, or with the file of made keys; while that is damaged nobody knows."""
        daemon = self.behind()
        path = daemon.state / "secret"
        path.write_text("s" * 64)
        path.chmod(0o600)
        daemon.write_config({**daemon.config, "keys": [{"name": "written", "file": str(path)}]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)
        self.assertEqual(daemon.lock("mine", slots=0, vram_mb=10, ttl_s=3600).status, 200)
        for name, key in (("written", "s" * 64), ("alice", self.new(daemon, "alice"))):
            ask = {"id": name, "ttl_s": 3600, "slots": 0, "vram_mb": 10}
            self.assertEqual(daemon.http("POST", "/v1/gpu/lock", ask, bearer(key), token=None).status, 200)

        def leases():
            return sorted(row["id"] for row in daemon.status()["leases"])

        def start():
            daemon.kill()
            daemon.start()

        made = (daemon.state / "api-keys").read_text()
        start()
        self.assertEqual(leases(), ["alice", "mine", "written"])
        (daemon.state / "api-keys").write_text(made[:-3])
        start()
        self.assertEqual(leases(), ["alice", "mine", "written"])
        (daemon.state / "api-keys").write_text(made)
        daemon.write_config({**daemon.config, "keys": []})
        start()
        wait_until(lambda: leases() == ["alice", "mine"], "the configured one is over")
        (daemon.state / "api-keys").unlink()
        start()
        wait_until(lambda: leases() == ["mine"], "the made one is over")

    def test_another_secret_while_the_broker_was_down(self):
        """Those of the key that was there end at the start, also where the journal was begun anew meanwhile; a key
        that is the same keeps what it has."""
        daemon = self.behind()
        rows = []
        for name in ("same", "other", "new"):
            path = daemon.state / f"secret-{name}"
            path.write_text(name * 16)
            path.chmod(0o600)
            rows.append({"name": name, "file": str(path)})
        daemon.write_config({**daemon.config, "keys": rows[:2]})
        self.assertEqual(daemon.http("POST", "/v1/hot-reload", unix=True).status, 200)

        def take(name, secret):
            ask = {"id": name, "ttl_s": 3600, "slots": 0, "vram_mb": 10}
            answer = daemon.http("POST", "/v1/gpu/lock", ask, bearer(secret), token=None)
            self.assertEqual(answer.status, 200, answer)
            return answer.json()["token"]

        def leases():
            return sorted(row["id"] for row in daemon.status()["leases"])

        def start():
            daemon.kill()
            daemon.start()

        take("same", "same" * 16)
        token = take("other", "other" * 16)
        start()
        self.assertEqual(leases(), ["other", "same"])
        (daemon.state / "secret-other").write_text("another!" * 8)
        daemon.write_config({**daemon.config, "keys": rows})
        start()
        wait_until(lambda: leases() == ["same"], "what came by the secret of before is over")
        self.assertNotEqual(daemon.unlock(token).status, 200)
        wait_until(lambda: "its key is good no longer" in daemon.log(), "the log says so")

        take("other", "another!" * 8)
        take("new", "new" * 16)
        start()
        self.assertEqual(leases(), ["new", "other", "same"])
        (daemon.state / "journal.db").unlink()
        wait_until(lambda: (daemon.state / "journal.db").exists(), "a new journal is begun")
        take("again", "new" * 16)
        (daemon.state / "secret-new").write_text("another!" * 4)
        start()
        wait_until(lambda: leases() == ["other", "same"], "it is known there, too")

    def test_requests_of_the_gateway(self):
        """One that waits for its turn, and one in the middle of its answer."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        key = self.new(daemon, "alice")
        plain.gate.clear()
        self.addCleanup(plain.gate.set)
        runs = self.begin(daemon, "m", headers=bearer(key))
        wait_until(lambda: plain.asked(CHAT), "it was sent on")
        waits = self.begin(daemon, "m", headers={"x-api-key": key, **bearer(key)})
        wait_until(lambda: len(self.models(daemon)["requests"]) == 2, "both are there")
        self.revoke(daemon, "alice")
        for request in (runs, waits):
            answer = request.read_answer()
            self.assertEqual(answer.status, 401, answer)
            self.assertIn("good no longer", answer.json()["error"]["message"])
        plain.gate.set()
        self.assertEqual(self.ask(daemon, "m").status, 200)


if __name__ == "__main__":
    unittest.main()
