"""Goal: an agent asks for GPU leases over the Model Context Protocol, and its death frees them at once.

Method: the real daemon and `baton mcp`, spoken to in JSON-RPC by hand; lists and grants are looked at from the other
side. tests/python/mcp_sdk.py does the same with the protocol's own client.
"""
import json
import os
import signal
import subprocess
import time
import unittest

from lib.agent import Agent
from lib.environment import OF_ONE_LEASE, run_environment, two_gpus
from lib.daemon import BATON, DaemonTest
from lib.wait import holds_for, wait_until


class Protocol(DaemonTest):
    def test_first_words(self):
        """initialize names version, server and tools; whatever version the client knows, ours is answered."""
        agent = Agent(self, self.daemon())
        self.assertEqual(agent.hello["protocolVersion"], "2025-06-18")
        self.assertEqual(agent.hello["capabilities"], {"tools": {}, "logging": {}})
        self.assertEqual(agent.hello["serverInfo"]["name"], "baton")
        self.assertIn("lease_acquire", agent.hello["instructions"])
        tools = agent.call("tools/list")["result"]["tools"]
        self.assertEqual([tool["name"] for tool in tools],
                         ["gpu_status", "lease_acquire", "lease_release", "lease_check", "why_waiting"])
        for tool in tools:
            self.assertEqual(tool["inputSchema"]["type"], "object")
            self.assertIs(tool["inputSchema"]["additionalProperties"], False)
        self.assertEqual(agent.call("ping")["result"], {})
        self.assertEqual(agent.call("logging/setLevel", level="info")["result"], {})
        self.assertEqual(agent.leave(), 0)
        other = Agent(self, self.daemon(), initialize=False)
        newer = other.call("initialize", protocolVersion="2099-01-01", capabilities={}, clientInfo={})
        self.assertEqual(newer["result"]["protocolVersion"], "2025-06-18")

    def test_bad_lines(self):
        """What is no message is refused with JSON-RPC's code, and the next line is read as if nothing had been."""
        agent = Agent(self, self.daemon())
        cases = [
            (b"{", -32700), (b"nonsense", -32700), (b'{"a":1,"a":2}', -32700), (b"\xff", -32700),
            (b"[" * 5000 + b"]" * 5000, -32700), (b'"' + b"x" * 1100000 + b'"', -32700), (b"[]", -32600),
            (b"7", -32600),
            (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600), (b'{"id":1,"method":"ping"}', -32600),
            (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":7}', -32600), (b'{"jsonrpc":"2.0","id":7,"method":5}', -32600),
            (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}', -32602),
            (b'{"jsonrpc":"2.0","id":7,"method":"nothing"}', -32601),
            (b'{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}', -32600),
            (b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"x"}}', -32602),
            (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"nothing"}}', -32602),
            (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{}}}', -32602),
            (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"gpu_status","arguments":[]}}', -32602),
        ]
        for line, code in cases:
            agent.inbox.clear()
            agent.raw(line)
            wait_until(lambda: agent.inbox, f"an answer to {line[:60]}")
            self.assertEqual(agent.inbox[0]["error"]["code"], code, line[:60])
            self.assertEqual(agent.call("ping")["result"], {})
        for line in (b"", b'{"jsonrpc":"2.0","method":"notifications/nothing"}',
                     b'{"jsonrpc":"2.0","id":1,"result":{}}',
                     b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}',
                     b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}'):
            agent.inbox.clear()
            agent.raw(line)
            number = agent.ask("ping")
            agent.answer(number)
            self.assertEqual(len(agent.inbox), 1, line)

    def test_words_that_are_cut(self):
        """Long names in any script: each request is answered, and says what was wrong with which name."""
        agent = Agent(self, self.daemon())
        for length in range(54, 58):  # in one of them a letter is cut in the middle
            name = "a" * length + "\u20ac" * 40
            self.assertIn("Unknown method: aaaa", agent.call(name)["error"]["message"])
            self.assertIn("Unknown tool: aaaa", agent.call("tools/call", name=name)["error"]["message"])
            for arguments in ({name: 1}, {"class": name}, {"vram": name}):
                self.assertIn("aaaa", agent.tool("lease_acquire", **arguments)["content"][0]["text"])

    def test_nothing_before_initialize(self):
        agent = Agent(self, self.daemon(), initialize=False)
        self.assertEqual(agent.call("tools/list")["error"]["code"], -32600)
        self.assertEqual(agent.call("ping")["result"], {})
        self.assertEqual(agent.call("initialize", protocolVersion=7)["error"]["code"], -32602)

    def test_bad_arguments(self):
        """A wrong argument is answered in words that a model can follow, and nothing is asked of the broker."""
        daemon = self.daemon(args=["--fake-gpu", "a:24000"])
        agent = Agent(self, daemon)
        cases = [("lease_acquire", {"vram": "much"}, "`vram` is a size"),
                 ("lease_acquire", {"vram": 8}, "`vram` is a text"),
                 ("lease_acquire", {"class": "loud"}, "`class` cannot be"), ("lease_acquire", {"gpus": 0}, "1 to 16"),
                 ("lease_acquire", {"gpus": "2"}, "whole number"),
                 ("lease_acquire", {"wait_s": -1}, "number of seconds"),
                 ("lease_acquire", {"wait_s": 1e300}, "number of seconds"), ("lease_acquire", {"vrom": "8G"}, "`vrom`"),
                 ("lease_acquire", {"gpu": "nope"}, "no_such_gpu"), ("lease_acquire", {"vram": "90G"}, "never_fits"),
                 ("lease_acquire", {"label": "x" * 65}, "label"), ("lease_check", {}, "`lease` is required"),
                 ("lease_check", {"lease": 77}, "no lease 77"), ("lease_release", {"lease": "7"}, "whole number"),
                 ("why_waiting", {"claim": -5}, "whole number"), ("gpu_status", {"x": 1}, "`x`")]
        for tool, arguments, words in cases:
            result = agent.tool(tool, **arguments)
            self.assertTrue(result["isError"], (tool, arguments))
            self.assertIn(words, result["content"][0]["text"])
        self.assertEqual(daemon.holders(), [])


class Leases(DaemonTest):
    def test_a_turn(self):
        """Acquire, look, check, release: what lists show, and what programs are to have in their environment."""
        daemon = self.daemon(args=["--fake-gpu", "a:24000"])
        agent = Agent(self, daemon)
        got = agent.tool("lease_acquire", vram="8G", label="llama", **{"class": "chat"})
        lease = got["structuredContent"]
        self.assertEqual((lease["lease"], lease["fence"], lease["gpus"][0]["name"]), (1, 1, "a"))
        self.assertEqual(json.loads(got["content"][1]["text"]), lease)
        env = lease["environment"]
        self.assertEqual((env["BATON_FENCE"], env["CUDA_VISIBLE_DEVICES"]), ("1", "0"))
        row = daemon.status()["leases"][0]
        self.assertEqual([row[key] for key in ("id", "class", "vram_mb", "label")],
                         ["testagent-mcp", "chat", 8192, "llama"])
        self.assertEqual(agent.tool("gpu_status")["structuredContent"]["mine"], [1])
        check = agent.tool("lease_check", lease=1, fence=1)["structuredContent"]
        self.assertEqual((check["held"], check["should_yield"]), (True, False))
        self.assertTrue(agent.tool("lease_check", lease=1, fence=2)["isError"])
        self.assertTrue(agent.tool("lease_release", lease=1)["structuredContent"]["held_to_the_end"])
        wait_until(lambda: not daemon.holders(), "it is given back")
        after = agent.tool("lease_check", lease=1)["structuredContent"]
        self.assertEqual((after["held"], after["message"][:10]), (False, "Given back"))

    def test_environment_is_that_of_baton_run(self):
        """Whatever `baton run` sets for its command an agent sets for its programs; by UUID and by index."""
        for uuids in (True, False):
            daemon = self.daemon(config={"gpus": two_gpus(uuids)})
            agent = Agent(self, daemon)
            env = agent.tool("lease_acquire", gpus=2)["structuredContent"]["environment"]
            agent.tool("lease_release", lease=1)
            self.assertEqual({**env, **OF_ONE_LEASE}, {**run_environment(self, daemon, "--gpus", "2"), **OF_ONE_LEASE})

    def test_baton_run_inside(self):
        """`baton run` in the environment of a lease asks for one of its own: refused at once, never waited for."""
        daemon = self.daemon()
        agent = Agent(self, daemon)
        env = agent.tool("lease_acquire")["structuredContent"]["environment"]
        done = subprocess.run([BATON, "run", "--", "sh", "-c", "echo fence $BATON_FENCE"], capture_output=True,
                              text=True, env={**os.environ, "BATON_SOCKET": daemon.socket, **env}, timeout=20,
                              check=False)
        self.assertEqual(done.returncode, 75)
        self.assertIn("would wait for a lease that waits for it", done.stderr)

    def test_progress_while_it_waits(self):
        """The place in the queue comes as progress, why_waiting says more; then the lease."""
        daemon = self.daemon()
        first = daemon.session("first")
        held = first.hold()["lease"]
        agent = Agent(self, daemon)
        number = agent.ask_tool("lease_acquire", meta={"progressToken": "p-1"}, wait_s=60)
        told = agent.notified("notifications/progress", progressToken="p-1")
        self.assertIn("first", told["message"])
        why = agent.tool("why_waiting")
        self.assertIn("You: testagent-mcp", why["content"][0]["text"])
        self.assertEqual(len(why["structuredContent"]["waiting"]), 1)
        first.release(held)
        self.assertEqual(agent.answer(number)["result"]["structuredContent"]["fence"], 2)

    def test_cancelled(self):
        """notifications/cancelled takes the question back: no place, no answer."""
        daemon = self.daemon()
        first = daemon.session("first")
        held = first.hold()["lease"]
        agent = Agent(self, daemon)
        number = agent.ask_tool("lease_acquire", wait_s=60)
        wait_until(lambda: daemon.waiting() == ["testagent-mcp"], "it waits")
        agent.send(method="notifications/cancelled", params={"requestId": number, "reason": "no more"})
        wait_until(lambda: not daemon.waiting(), "the place is left")
        first.release(held)
        self.assertEqual(agent.call("ping")["result"], {})
        self.assertEqual([m for m in agent.inbox if m.get("id") == number], [])

    def test_no_lease(self):
        """Busy, timed out, no broker: words that say what it is, and the next call may succeed."""
        daemon = self.daemon()
        first = daemon.session("first")
        held = first.hold()["lease"]
        agent = Agent(self, daemon)
        self.assertIn("(busy)", agent.tool("lease_acquire", wait_s=0)["content"][0]["text"])
        self.assertIn("(timeout)", agent.tool("lease_acquire", wait_s=0.1)["content"][0]["text"])
        first.release(held)
        self.assertFalse(agent.tool("lease_acquire", wait_s=5)["isError"])
        alone = Agent(self, daemon, BATON_SOCKET="/nowhere/s")
        self.assertIn("(unreachable)", alone.tool("lease_acquire")["content"][0]["text"])
        self.assertTrue(alone.tool("gpu_status")["isError"])

    def test_yield(self):
        """Somebody more urgent: the agent is told at once and by lease_check; its release lets the other in."""
        daemon = self.daemon(timing={"grace_s": 5})
        agent = Agent(self, daemon)
        agent.tool("lease_acquire", **{"class": "background"})
        voice = daemon.session("voice")
        ref = voice.acquire(**{"class": "voice"})
        told = agent.notified("notifications/message", level="warning")
        self.assertEqual((told["data"]["lease"], told["data"]["event"]), (1, "yield"))
        check = agent.tool("lease_check", lease=1)["structuredContent"]
        self.assertEqual((check["held"], check["should_yield"], check["for"]), (True, True, "voice"))
        self.assertGreater(check["time_left_s"], 1)
        agent.tool("lease_release", lease=1)
        voice.wait("granted", ref=ref)

    def test_revoked_and_told(self):
        """A lease that an operator takes: the agent has its grace to stop, we are not killed, and nothing is done."""
        daemon = self.daemon(timing={"grace_s": 1, "grace_max_s": 20})
        agent = Agent(self, daemon)
        agent.tool("lease_acquire", grace_s=1)
        self.assertEqual(self.run_cli(daemon, "release", "testagent-mcp", "--now").returncode, 0)
        agent.notified("notifications/message", level="error")
        check = agent.tool("lease_check", lease=1)["structuredContent"]
        self.assertEqual((check["held"], check["message"][:4]), (False, "Lost"))
        wait_until(lambda: not daemon.holders(), "it is given back before the broker would kill")
        holds_for(lambda: agent.process.poll() is None, "nobody kills it", 1.5)
        result = agent.tool("lease_release", lease=1)["structuredContent"]
        self.assertFalse(result["held_to_the_end"])
        self.assertFalse(agent.tool("lease_acquire")["isError"])

    def test_lease_outlives_the_broker(self):
        daemon = self.daemon()
        agent = Agent(self, daemon)
        agent.tool("lease_acquire")
        daemon.kill()
        daemon.start()
        wait_until(lambda: "attached" in daemon.log().rpartition("started")[2], "it is back")
        check = agent.tool("lease_check", lease=1, fence=1)["structuredContent"]
        self.assertEqual((check["held"], check["message"]), (True, "It is yours: go on."))
        self.assertTrue(agent.tool("lease_release", lease=1)["structuredContent"]["held_to_the_end"])

    def test_lost_while_the_broker_is_away(self):
        daemon = self.daemon(timing={"session_ttl_s": 1, "heartbeat_s": 0.3})
        agent = Agent(self, daemon)
        agent.tool("lease_acquire")
        daemon.kill()
        agent.notified("notifications/message", level="error")
        self.assertFalse(agent.tool("lease_release", lease=1)["structuredContent"]["held_to_the_end"])


class Ends(DaemonTest):
    def ends(self, act):
        """The agent holds and waits at once, then ends in some way: both are free in a moment."""
        daemon = self.daemon(timing={"native_linger_s": 30})
        agent = Agent(self, daemon)
        agent.tool("lease_acquire")
        agent.ask_tool("lease_acquire", wait_s=600)
        wait_until(lambda: len(daemon.waiting()) == 1, "it waits, too")
        waiter = daemon.session("next")
        ref = waiter.queue()["ref"]
        ended_at = time.monotonic()
        act(agent)
        granted = waiter.wait("granted", ref=ref)
        print(f"end to next grant {1000 * (granted['at'] - ended_at):.1f} ms")
        self.assertLess(granted["at"] - ended_at, 1)
        self.assertEqual(daemon.waiting(), [])

    def test_agent_leaves(self):
        self.ends(lambda agent: self.assertEqual(agent.leave(), 0))

    def test_agent_is_killed(self):
        self.ends(lambda agent: agent.process.send_signal(signal.SIGKILL))

    def test_told_to_end(self):
        def term(agent):
            agent.process.send_signal(signal.SIGTERM)
            self.assertEqual(agent.process.wait(10), 0)
        self.ends(term)


if __name__ == "__main__":
    unittest.main()
