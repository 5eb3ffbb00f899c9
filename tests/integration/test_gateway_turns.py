"""What takes a turn of the requests for a server's pages: held back until then, and until its work is over."""
import json
import os
import re
import socket
import unittest

from lib.daemon import in_thread
from lib.page_test import PROMPT, PagesTest
from lib.wait import wait_until


class Turns(PagesTest):
    def test_one_prompt(self):
        server = self.pages()
        server.work.clear()
        daemon = self.behind(self.upstream(server))
        answer = self.prompt(daemon).read_answer()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json(), {"prompt_id": server.queue[0], "number": 0, "node_errors": {}})
        self.assertIn("x-baton-wait-ms", answer.headers)
        sent = json.loads(server.asked("/prompt")[0][3])
        self.assertEqual(sent, {**PROMPT, "prompt_id": server.queue[0]})
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
        wait_until(lambda: re.search(r"path=/prompt\b.*client=comfy", daemon.log()), "the log says so")

    def test_refused_prompt(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        answer = self.prompt(daemon, {"no": "prompt"}).read_answer()
        self.assertEqual((answer.status, answer.json()["error"]["type"]), (400, "no_prompt"))
        wait_until(lambda: not self.turns(daemon), "the turn is over")
        self.assertEqual(self.held_files(daemon), [])

    def test_long_refusal(self):
        """Longer than what is kept: it is passed on as it comes, also to one who reads late."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        for size in (1 << 20, 12 << 20):
            client = self.prompt(daemon, {"long": size})
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            for _ in range(50):
                self.assertEqual(self.got(daemon, "GET", "/").status, 200)
            answer = client.read_answer()
            self.assertEqual((answer.status, len(answer.json()["node_errors"]["1"])), (400, size))
        answer = self.prompt(daemon, {"headers": 90}).read_answer()
        self.assertEqual((answer.status, answer.headers["x-89"]), (400, "y" * 300))
        self.assertError(self.prompt(daemon, {"headers": 190}).read_answer(), 502, "upstream_broken")
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
        routes = [{"match": "POST /prompt", "class": "pass"}, {"match": "GET /q*", "class": "background"},
                  {"match": "POST /upload", "class": "normal"}]
        daemon = self.behind(self.upstream(server, routes=routes))
        holder = daemon.lock("somebody").json()["token"]
        self.assertEqual(self.prompt(daemon).read_answer().status, 200)
        polls = self.begun(daemon, "GET", "/queue")
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        self.assertEqual(daemon.status()["waiting"][0]["class"], "background")
        daemon.unlock(holder)
        self.assertEqual(polls.read_answer().status, 200)
        self.assertEqual(self.got(daemon, "POST", "/upload", PROMPT).status, 200)
        self.assertEqual(json.loads(server.asked("/upload")[0][3]), PROMPT)  # and no id in it
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
        for _ in range(50):
            self.assertEqual(self.got(daemon, "GET", "/").status, 200)
        self.assertEqual(server.asked("/queue"), [])  # its answer is awaited: it has the id
        server.prompt_gate.set()
        wait_until(lambda: server.queue, "it is queued")
        self.assertEqual(len(self.turns(daemon)), 1)
        server.work.set()
        wait_until(lambda: not self.turns(daemon), "the turn is over")
        self.assertEqual(len(server.done), 1)

    def test_many_wait(self):
        """All that there is room for, and none is refused for the others' sake."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody", ttl_s=3600)
        sent = [self.prompt(daemon) for _ in range(20)]
        wait_until(lambda: len(daemon.waiting()) == 20, "all wait")
        daemon.http("POST", "/v1/gpu/reset", {}, unix=True)
        self.assertEqual([one.read_answer().status for one in sent], [200] * 20)

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
        daemon = self.behind(self.upstream(server, **fields), gateway={"finish_s": 1},
                             config={"classes": {"normal": {"hold_max_s": 1}}})
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
        wait_until(lambda: "does not say whether it still works" in daemon.log(), "the log says so")

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
        wait_until(lambda: "outcome=outranked" in daemon.log(), "the log says so")
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
        body = json.loads(body)
        self.assertEqual(body.pop("prompt_id"), server.done[0])
        self.assertEqual((method, path, headers["comfy-user"], body), ("POST", "/prompt", "me", PROMPT))
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

    def killed_while_it_is_sent(self, prompt=PROMPT, **how):
        """The server has all of it, and did not answer; then what `how` says of it."""
        server = self.pages()
        server.work.clear()
        server.prompt_gate.clear()
        for name, value in how.items():
            setattr(server, name, value)
        daemon = self.behind(self.upstream(server))
        self.prompt(daemon, prompt)
        wait_until(lambda: server.asked("/prompt"), "it was sent")
        self.assertEqual(self.held_files(daemon), ["00000001.sending"])
        daemon.kill()
        server.prompt_gate.set()
        return server, daemon

    def is_over(self, server, daemon, sent):
        wait_until(lambda: self.held_files(daemon) == [] and not self.turns(daemon), "nothing is left")
        self.assertEqual((len(server.asked("/prompt")), len(server.done)), (sent, sent - server.loses_prompts))

    def test_killed_while_it_is_sent(self):
        """Its server works on it: it is known by the id that it was sent with, and has a turn."""
        for prompt in (PROMPT, {**PROMPT, "prompt_id": "mine"}):
            server, daemon = self.killed_while_it_is_sent(prompt)
            wait_until(lambda: server.queue, "it is in the queue")
            daemon.start()
            wait_until(lambda: self.turns(daemon), "it has a turn")
            self.assertEqual(self.held_files(daemon), ["00000001.sent"])
            server.work.set()
            self.is_over(server, daemon, 1)
            self.assertEqual(server.done == ["mine"], prompt is not PROMPT)

    def test_killed_while_it_is_sent_and_done_meanwhile(self):
        server, daemon = self.killed_while_it_is_sent()
        server.work.set()
        wait_until(lambda: server.done, "it is done")
        daemon.start()
        self.is_over(server, daemon, 1)

    def test_killed_while_it_is_sent_and_it_did_not_arrive(self):
        """Nothing is lost: its server does not know it, and gets it again."""
        server, daemon = self.killed_while_it_is_sent(loses_prompts=True)
        wait_until(lambda: not server.connections, "it is cut off")
        server.loses_prompts = False
        server.work.set()
        daemon.start()
        wait_until(lambda: server.done, "it is done")
        server.loses_prompts = True
        self.is_over(server, daemon, 2)

    def test_killed_while_it_is_sent_to_an_old_server(self):
        """That takes no ids: it may be made twice, and is not lost."""
        server, daemon = self.killed_while_it_is_sent(takes_ids=False)
        wait_until(lambda: server.queue, "it is in the queue")
        server.work.set()
        daemon.start()
        wait_until(lambda: len(server.done) == 2, "it was made twice")
        self.is_over(server, daemon, 2)

    def test_breaks_off_while_a_kept_prompt_is_sent(self):
        """Nobody hears of it, so it is tried again; but not what ends its server each time."""
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody", ttl_s=3600)
        self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        daemon.kill()
        server.loses_prompts = True
        daemon.start()
        daemon.http("POST", "/v1/gpu/reset", {}, unix=True)
        wait_until(lambda: "cannot be sent yet" in daemon.log(), "it is tried again later")
        self.assertEqual(self.held_files(daemon), ["00000001.sending"])
        daemon.kill()
        server.loses_prompts = False
        daemon.start()
        wait_until(lambda: len(server.done) == 1, "it is done")

    def test_held_for_a_server_that_was_removed(self):
        server = self.pages()
        daemon = self.behind(self.upstream(server))
        daemon.lock("somebody", ttl_s=3600)
        self.prompt(daemon)
        wait_until(lambda: daemon.waiting() == ["comfy"], "it waits")
        daemon.kill()
        daemon.write_config({**daemon.config, "upstreams": [self.upstream(server, "other")]})
        daemon.start()
        wait_until(lambda: "is for no server" in daemon.log(), "the log says so")
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
