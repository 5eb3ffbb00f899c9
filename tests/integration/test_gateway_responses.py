"""Stored responses: asked for again of the server that made them, by who asked for them and by nobody else."""
import unittest

from lib.gateway import GatewayTest, upstream
from lib.wait import wait_until

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
                             (f"{STORED}/input_items", {"object": "list", "data": [{"type": "message"}]})):
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

    def test_a_client_that_leaves(self):
        plain = self.server("openai", ["m"])
        daemon = self.behind(upstream(plain, "plain", vram_mb=1000))
        self.assertEqual(self.respond(daemon, "m").status, 200)
        plain.drips = [STORED]
        with daemon.connect() as connection:
            connection.send(daemon.request("GET", STORED))
            wait_until(lambda: plain.asked(STORED), "it was passed on")
        wait_until(lambda: "path=/v1/responses/ID" in daemon.log() and "outcome=left" in daemon.log(), "it is over")


if __name__ == "__main__":
    unittest.main()
