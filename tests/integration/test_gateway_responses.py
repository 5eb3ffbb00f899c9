"""Stored responses: asked for again of the server that made them, by who asked for them and by nobody else."""
import contextlib
import re
import unittest
import urllib.parse

from lib.gateway import GatewayTest, upstream
from lib.model_answers import INPUT_ITEMS
from lib.wait import holds_for, wait_until

PATH = "/v1/responses"
STORED = f"{PATH}/resp_1"


class Stored(GatewayTest):
    def two_servers(self, **options):
        """Each has a response of the same id; the gateway knows which one it was."""
        one, two = self.server("openai", ["a"]), self.server("openai", ["b"])
        daemon = self.behind(upstream(one, "one", vram_mb=1000), upstream(two, "two", vram_mb=1000), **options)
        return one, two, daemon

    def respond(self, daemon, model, **fields):
        return daemon.http("POST", PATH, {"model": model, "input": "hi", **fields})

    def test_of_the_server_that_made_it(self):
        one, two, daemon = self.two_servers()
        self.assertEqual(self.respond(daemon, "b").json()["id"], "resp_1")
        for path, answer in ((STORED, two.stored["resp_1"]), (f"{STORED}?include[]=x&after=2", two.stored["resp_1"]),
                             (f"{STORED}/input_items", INPUT_ITEMS)):
            found = daemon.http("GET", path, headers={"X-Mine": "1"})
            self.assertEqual((found.status, found.json()), (200, answer), path)
            method, asked, headers, body = two.requests[-1]
            self.assertEqual((method, asked, headers["x-mine"], body), ("GET", path, "1", b""))
            self.assertNotIn("authorization", headers)
        self.assertEqual(found.headers["x-baton-served-by"], "two")
        self.assertNotIn("set-cookie", daemon.http("GET", STORED).headers)
        self.assertEqual(daemon.http("POST", f"{STORED}/cancel", {}).json()["status"], "cancelled")
        self.assertEqual(daemon.http("DELETE", STORED).json(), {"id": "resp_1", "deleted": True})
        count = len(two.requests)
        self.assertError(daemon.http("GET", STORED), 404, "not_found")
        self.assertEqual((len(two.requests), [row for row in one.requests if "resp_1" in row[1]]), (count, []))

    def test_of_a_stream(self):
        """Its id stands in the first event: it can be stopped by it before it is over."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.stored["resp_1"] = {"id": "resp_1", "status": "in_progress"}
        plain.pieces = lambda pieces: [pieces[0], lambda: plain.stored["resp_1"]["status"] == "cancelled", *pieces[1:]]
        connection = self.begin(daemon, "m", path=PATH, stream=True)
        wait_until(lambda: daemon.http("POST", f"{STORED}/cancel", {}).status == 200, "it is known")
        self.assertIn(b"response.completed", connection.read_answer().body)
        self.assertEqual(daemon.http("GET", STORED).json()["status"], "cancelled")

    def test_no_turn(self):
        """Not while another one has the GPU, either."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.assertEqual(self.respond(daemon, "m").status, 200)
        daemon.lock("game", vram_mb=1000)
        self.assertEqual(daemon.http("GET", STORED).status, 200)

    def test_whose(self):
        one, _, daemon = self.two_servers()
        self.assertEqual(self.respond(daemon, "a").status, 200)
        key = self.run_cli(daemon, "keys", "new", "web").stdout.split()[0]
        count = len(one.requests)
        for method, path in (("GET", STORED), ("GET", f"{STORED}/input_items"), ("DELETE", STORED),
                             ("POST", f"{STORED}/cancel")):
            body = {} if method == "POST" else None
            self.assertError(daemon.http(method, path, body, token=key), 404, "not_found")
            self.assertEqual(daemon.http(method, path, body, token="wrong").status, 401)
        self.assertEqual(len(one.requests), count)
        self.assertEqual(daemon.http("GET", STORED).status, 200)

    def test_paths(self):
        one, _, daemon = self.two_servers()
        self.assertEqual(self.respond(daemon, "a").status, 200)
        count = len(one.requests)
        for method, path in (("GET", f"{PATH}/resp_2"), ("GET", f"{STORED}/cancel"), ("POST", STORED),
                             ("DELETE", f"{STORED}/input_items"), ("GET", f"{STORED}/"), ("GET", f"{STORED}/x"),
                             ("GET", f"{PATH}/..%2fmodels"), ("GET", f"{PATH}/{'a' * 200}"),
                             ("GET", f"{PATH}/resp_1%2Finput_items")):
            answer = daemon.http(method, path, {} if method == "POST" else None)
            self.assertError(answer, 404, "not_found")
        self.assertEqual(len(one.requests), count)

    def test_a_refusal_of_the_server(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.assertEqual(self.respond(daemon, "m").status, 200)
        plain.stored.clear()
        answer = daemon.http("GET", STORED)
        self.assertEqual((answer.status, answer.json()), (404, {"error": {"message": "no such response"}}))

    def test_what_is_forgotten(self):
        """A server that is gone, one that answers no more, and all at a restart."""
        one, two, daemon = self.two_servers()
        for model in ("a", "b"):
            self.assertEqual(self.respond(daemon, model).status, 200)
        self.assertEqual(daemon.http("GET", STORED).headers["x-baton-served-by"], "two")
        two.close()
        self.assertError(daemon.http("GET", STORED), 502, "upstream_unreachable")
        self.assertEqual(self.respond(daemon, "a").status, 200)
        self.assertEqual(daemon.http("GET", STORED).status, 200)
        daemon.terminate()
        daemon.start()
        self.assertError(daemon.http("GET", STORED), 404, "not_found")
        self.assertEqual(one.stored["resp_1"]["status"], "completed")

    def test_odd_ids(self):
        """Whatever can stand in a path; LiteLLM's are long, and in base64."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        for id_ in ("resp_bGl0ZWxsbTpj" * 20 + "==", "a.b:c~d+e=", "...", "0"):
            plain.response_id = id_
            self.assertEqual(self.respond(daemon, "m").json()["id"], id_)
            self.assertEqual(daemon.http("GET", f"{PATH}/{id_}").json()["id"], id_)
            self.assertEqual(daemon.http("GET", f"{PATH}/{id_}/input_items").status, 200)
        for id_ in ("..", ".", "a/b", "a%b", "a?b", "a#b", "a b", "é", 'a"b', "a" * 600):
            plain.response_id = id_
            count = len(plain.requests) + 1
            self.assertEqual(self.respond(daemon, "m").json()["id"], id_)
            for text in {urllib.parse.quote(id_, safe=""), urllib.parse.quote(id_, safe="/")} - {"..", "."}:
                self.assertError(daemon.http("GET", f"{PATH}/{text}"), 404, "not_found")
            self.assertEqual(len(plain.requests), count, id_)

    def test_a_new_key_by_an_old_name(self):
        """Somebody else may have it."""
        one, _, daemon = self.two_servers()
        for again in (False, True):
            key = self.run_cli(daemon, "keys", "new", "web").stdout.split()[0]
            if again:
                self.assertError(daemon.http("GET", STORED, token=key), 404, "not_found")
            answer = daemon.http("POST", PATH, {"model": "a", "input": "hi"}, token=key)
            self.assertEqual(answer.status, 200)
            self.assertEqual(daemon.http("GET", STORED, token=key).status, 200)
            self.run_cli(daemon, "keys", "revoke", "web")

    def test_many_at_once(self):
        """Of one key so many, and of the others as many as before."""
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        key = self.run_cli(daemon, "keys", "new", "web").stdout.split()[0]
        for options in ({}, {"token": key}):
            self.assertEqual(daemon.http("POST", PATH, {"model": "m", "input": "hi"}, **options).status, 200)
        plain.drips = [STORED]
        with contextlib.ExitStack() as connections:
            for _ in range(32):
                connection = connections.enter_context(daemon.connect())
                connection.send(daemon.request("GET", STORED))
            wait_until(lambda: len(plain.asked(STORED)) == 32, "they are passed on")
            plain.drips = []
            refused = daemon.http("GET", STORED)
            self.assertError(refused, 429, "quota")
            self.assertEqual(refused.headers["retry-after"], "5")
            self.assertEqual(daemon.http("GET", STORED, token=key).status, 200)
        wait_until(lambda: daemon.http("GET", STORED).status == 200, "their places are free again")

    def test_a_client_that_leaves(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.assertEqual(self.respond(daemon, "m").status, 200)
        plain.drips = [STORED]
        with daemon.connect() as connection:
            connection.send(daemon.request("GET", STORED))
            wait_until(lambda: plain.asked(STORED), "it was passed on")
        wait_until(lambda: "path=/v1/responses/ID" in daemon.log() and "outcome=left" in daemon.log(), "it is over")


class Background(GatewayTest):
    """Answered at once and made later: its turn is over when it is made."""

    def begin_one(self, finish_s=1, **options):
        self.plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(self.plain, "plain", vram_mb=1000, **options.pop("upstream", {})),
                             gateway={"finish_s": finish_s}, **options)
        answer = daemon.http("POST", PATH, {"model": "m", "input": "hi", "background": True})
        self.assertEqual((answer.status, answer.json()["status"]), (200, "queued"))
        return daemon

    def state(self):
        return self.plain.stored["resp_1"]["status"]

    def looked(self, times=1):
        before = len(self.plain.asked(STORED))
        wait_until(lambda: len(self.plain.asked(STORED)) >= before + times, "it is asked for")

    def test_keeps_its_turn(self):
        daemon = self.begin_one()
        game = daemon.parked("game")
        self.looked(2)
        self.plain.stored["resp_1"]["status"] = "in_progress"
        self.looked(2)
        self.assertEqual(daemon.waiting(), ["game"])
        row, = self.models(daemon)["requests"]
        self.assertEqual((row["path"], row["state"]), (PATH, "running"))
        self.assertEqual(daemon.http("GET", STORED).json()["status"], "in_progress")
        self.plain.stored["resp_1"]["status"] = "completed"
        self.assertEqual(game.read_answer().status, 200)
        self.assertEqual((self.models(daemon)["requests"], self.plain.asked(f"{STORED}/cancel")), ([], []))

    def test_how_it_ends(self):
        """Whatever it says but that it is made, and a server that is gone."""
        ends = {
            "failed": lambda: self.plain.stored["resp_1"].update(status="failed"),
            "incomplete": lambda: self.plain.stored["resp_1"].update(status="incomplete"),
            "no status": lambda: self.plain.stored["resp_1"].pop("status"),
            "cancelled by its client": lambda: self.daemon_.http("POST", f"{STORED}/cancel", {}),
            "deleted": lambda: self.daemon_.http("DELETE", STORED),
            "its server ended": lambda: self.plain.close(),
        }
        for end, make_end in ends.items():
            with self.subTest(end):
                self.daemon_ = self.begin_one()
                game = self.daemon_.parked("game")
                self.looked()
                self.assertEqual(self.daemon_.waiting(), ["game"])
                make_end()
                self.assertEqual(game.read_answer().status, 200)

    def test_gives_way(self):
        """A voice need not wait for it: it has its grace, and is stopped where it is made."""
        daemon = self.begin_one(timing={"min_run_s": 0})
        self.looked()
        voice = daemon.park("voice", **{"class": "voice"})
        self.assertEqual(voice.read_answer().status, 200)
        self.assertEqual((self.state(), len(self.plain.asked(f"{STORED}/cancel"))), ("cancelled", 1))
        wait_until(lambda: not self.models(daemon)["requests"], "it is over")
        wait_until(lambda: re.search(rf"path={PATH} .*outcome=stopped", daemon.log()), "the log says so")

    def test_need_not_give_way(self):
        """Who asked for its turn has left again: it goes on, and is asked anew by the next one."""
        daemon = self.begin_one(timing={"min_run_s": 0}, finish_s=2)
        self.looked()
        voice = daemon.parked("voice", **{"class": "voice"})
        wait_until(lambda: daemon.status()["leases"][-1].get("yield"), "it is asked")
        voice.close()
        wait_until(lambda: not daemon.status()["leases"][-1].get("yield"), "it is not any more")
        holds_for(lambda: self.state() == "queued", "it goes on", 1.5)
        self.assertEqual(daemon.park("voice", **{"class": "voice"}).read_answer().status, 200)
        self.assertEqual(self.state(), "cancelled")

    def test_several(self):
        """In one turn, as many as its server works on; it is over with the last of them."""
        daemon = self.begin_one(upstream={"parallel": 2})
        self.looked()
        ask = {"model": "m", "input": "hi", "background": True}
        self.plain.response_id = "resp_2"
        self.assertEqual(daemon.http("POST", PATH, ask).status, 200)
        self.plain.response_id = "resp_3"
        third = self.begin(daemon, "m", path=PATH, background=True)
        wait_until(daemon.waiting, "it waits")
        self.assertEqual(len({row["lease"] for row in self.models(daemon)["requests"][:2]}), 1)
        self.plain.stored["resp_1"]["status"] = "completed"
        self.assertEqual(third.read_answer().json()["id"], "resp_3")
        game = daemon.parked("game")
        for id_ in ("resp_2", "resp_3"):
            self.assertEqual(daemon.waiting(), ["game"])
            self.plain.stored[id_]["status"] = "completed"
        self.assertEqual(game.read_answer().status, 200)

    def test_a_server_that_does_not_say(self):
        """It counts as at work for as long as it may be silent, and is told to stop."""
        daemon = self.begin_one(upstream={"silence_s": 5})
        game = daemon.parked("game")
        for status in (429, 401, 500):
            self.plain.stored_status = status
            self.looked()
            self.assertEqual(daemon.waiting(), ["game"])
        self.assertEqual(game.read_answer().status, 200)
        self.assertEqual(len(self.plain.asked(f"{STORED}/cancel")), 1)

    def test_too_long_to_be_read(self):
        """It may say first how it stands, and counts as that; else it is asked again, and the log says why."""
        daemon = self.begin_one(upstream={"silence_s": 5})
        self.plain.stored["resp_1"] = {"id": "resp_1", "status": "in_progress", "output": "x" * (5 << 20)}
        game = daemon.parked("game")
        self.looked(3)
        self.assertEqual(daemon.waiting(), ["game"])
        self.assertNotIn("too long", daemon.log())
        self.plain.stored["resp_1"]["status"] = "completed"
        token = game.read_answer().json()["token"]
        self.assertEqual(self.plain.asked(f"{STORED}/cancel"), [])
        daemon.unlock(token)
        self.plain.response_id = "resp_1"
        answer = daemon.http("POST", PATH, {"model": "m", "input": "hi", "background": True})
        self.assertEqual(answer.status, 200)
        self.plain.stored["resp_1"] = {"output": "x" * (5 << 20), "status": "completed"}
        game = daemon.parked("game")
        self.looked(2)
        self.assertEqual(daemon.waiting(), ["game"])
        wait_until(lambda: daemon.log().count("what a server says of its work is too long") == 1, "the log says so")
        self.assertEqual(game.read_answer().status, 200)
        self.assertEqual(len(self.plain.asked(f"{STORED}/cancel")), 1)

    def test_counts_for_its_key(self):
        """As a request on its way, until it is made; it ends with the key."""
        self.plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(self.plain, "plain", vram_mb=1000))
        key = self.run_cli(daemon, "keys", "new", "web", "--requests", "1").stdout.split()[0]
        ask = {"model": "m", "input": "hi", "background": True}
        self.assertEqual(daemon.http("POST", PATH, ask, token=key).status, 200)
        self.looked()
        self.assertError(daemon.http("POST", PATH, ask, token=key), 429, "quota")
        self.assertEqual(self.state(), "queued")
        self.assertEqual(self.run_cli(daemon, "keys", "revoke", "web").returncode, 0)
        wait_until(lambda: self.state() == "cancelled", "it is stopped")
        wait_until(lambda: not self.models(daemon)["requests"], "it is over")

    def test_a_stream(self):
        """Who leaves it can come back to it: it goes on."""
        self.plain = plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        for background in (b"true", b"false"):
            plain.stored["resp_1"] = {"id": "resp_1", "status": "in_progress"}
            plain.pieces = lambda pieces, background=background: [
                pieces[0].replace(b'"object":"response"', b'"object":"response","background":' + background),
                lambda: False]
            connection = self.begin(daemon, "m", path=PATH, stream=True, background=True)
            wait_until(lambda: daemon.http("GET", STORED).status == 200, "it is known")
            game = daemon.parked("game")
            connection.close()
            if background == b"true":
                self.looked(2)
                self.assertEqual(daemon.waiting(), ["game"])
                plain.stored["resp_1"]["status"] = "completed"
            answer = game.read_answer()
            self.assertEqual(answer.status, 200)
            daemon.unlock(answer.json()["token"])

    def test_a_stream_that_breaks_off(self):
        """Its server says whether it goes on without it."""
        self.plain = plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        plain.stored["resp_1"] = {"id": "resp_1", "status": "in_progress"}
        plain.pieces = lambda pieces: [
            pieces[0].replace(b'"object":"response"', b'"object":"response","background":true'), None]
        answer = daemon.http("POST", PATH, {"model": "m", "input": "hi", "stream": True, "background": True})
        self.assertIn(b"upstream_broken", answer.body)
        game = daemon.parked("game")
        self.looked(2)
        self.assertEqual(daemon.waiting(), ["game"])
        plain.stored["resp_1"]["status"] = "completed"
        self.assertEqual(game.read_answer().status, 200)

    def test_a_stream_that_is_cut(self):
        """Its turn is taken back: its client hears it, and nothing goes on beside the next turn."""
        self.plain = plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000), gateway={"finish_s": 1},
                             timing={"min_run_s": 0})
        plain.stored["resp_1"] = {"id": "resp_1", "status": "in_progress"}
        plain.pieces = lambda pieces: [
            pieces[0].replace(b'"object":"response"', b'"object":"response","background":true'), lambda: False]
        connection = self.begin(daemon, "m", path=PATH, stream=True, background=True)
        wait_until(lambda: daemon.http("GET", STORED).status == 200, "it is known")
        voice = daemon.park("voice", **{"class": "voice"})
        self.assertIn(b"response.failed", connection.read_answer().body)
        self.assertEqual(voice.read_answer().status, 200)
        wait_until(lambda: self.state() == "cancelled", "it is stopped")

    def test_the_broker_ends(self):
        daemon = self.begin_one()
        self.looked()
        daemon.terminate()
        self.assertEqual(self.state(), "cancelled")

    def test_the_broker_ends_while_it_asks(self):
        """It does not end before the server has heard it."""
        daemon = self.begin_one()
        self.plain.drips = [STORED]
        self.looked()
        daemon.terminate()
        self.assertEqual(self.state(), "cancelled")


class GoesOn(GatewayTest):
    """A request with `previous_response_id`: only one server knows what that was."""

    def setUp(self):
        self.one, self.two = self.server("openai", ["m", "a"]), self.server("openai", ["m", "b"])
        self.daemon_ = self.behind(upstream(self.one, "one", vram_mb=1000), upstream(self.two, "two", vram_mb=1000))
        self.two.response_id = "resp_2"
        self.assertEqual(self.respond("two/m").status, 200)

    def respond(self, model, path=PATH, **options):
        fields = {key: options.pop(key) for key in ("previous_response_id", "stream") if key in options}
        return self.daemon_.http("POST", path, {"model": model, "input": "hi", **fields}, **options)

    def inference(self, server):
        return [row for row in server.requests if row[0] == "POST"]

    def test_where_it_began(self):
        self.assertEqual(self.respond("m").headers["x-baton-served-by"], "one")
        for stream in (False, True):
            answer = self.respond("m", previous_response_id="resp_2", stream=stream)
            self.assertEqual((answer.status, answer.headers["x-baton-served-by"]), (200, "two"))
        self.assertEqual(self.respond("m", previous_response_id=None).headers["x-baton-served-by"], "one")
        answer = self.respond("m", f"{PATH}/compact", previous_response_id="resp_2")
        self.assertEqual(answer.headers["x-baton-served-by"], "two")

    def test_nobody_knows_it(self):
        """It may be from before a restart: the servers know."""
        self.assertEqual(self.respond("m", previous_response_id="resp_9").headers["x-baton-served-by"], "one")

    def test_another_keys(self):
        key = self.run_cli(self.daemon_, "keys", "new", "web").stdout.split()[0]
        counts = [len(self.inference(server)) for server in (self.one, self.two)]
        for text in ('"resp_2"', r'"resp\u005f2"'):
            body = f'{{"model":"two/m","input":"hi","previous_response_id":{text}}}'.encode()
            self.assertError(self.daemon_.http("POST", PATH, body, token=key), 404, "not_found")
        self.assertEqual([len(self.inference(server)) for server in (self.one, self.two)], counts)

    def test_a_model_of_others(self):
        answer = self.respond("a", previous_response_id="resp_2")
        self.assertError(answer, 404, "model_not_found")
        self.assertIn("`two`", answer.json()["error"]["message"])

    def test_its_server_is_gone(self):
        config = self.daemon_.config
        self.daemon_.write_config({**config, "upstreams": config["upstreams"][:1]})
        self.assertEqual(self.daemon_.http("POST", "/v1/hot-reload", unix=True).status, 200)
        answer = self.respond("m", previous_response_id="resp_2")
        self.assertError(answer, 404, "not_found")
        self.assertIn("`two`", answer.json()["error"]["message"])
        self.assertEqual(answer.headers["x-should-retry"], "false")

    def test_its_server_is_down(self):
        self.two.close()
        self.assertError(self.respond("m", previous_response_id="resp_2"), 502, "upstream_unreachable")

    def test_said_twice(self):
        for fields in ('"previous_response_id":"resp_2","previous_response_id":"resp_9"',
                       '"previous_response_id":"resp_9","Previous_Response_Id":"resp_2"'):
            body = f'{{"model":"m","input":"hi",{fields}}}'.encode()
            self.assertError(self.daemon_.http("POST", PATH, body), 400, "bad_json")

    def test_compact(self):
        answer = self.respond("m", f"{PATH}/compact")
        self.assertEqual((answer.status, answer.json()["object"]), (200, "response.compaction"))
        self.assertEqual(answer.headers["x-baton-served-by"], "one")
        self.assertIn("x-baton-lease", answer.headers)
        self.assertError(self.respond("none", f"{PATH}/compact"), 404, "model_not_found")


if __name__ == "__main__":
    unittest.main()
