"""Goal: `baton mcp` serves the clients that agents have. Method: the protocol's own Python client (PyPI's mcp) starts
it against the real daemon; it judges each answer by its schemas, those of the tools too.

Run by the venv of tests/python/requirements.txt; BATON_BIN names the daemon.
"""
import asyncio
import pathlib
import sys
import unittest

try:
    from mcp import ClientSession, MCPError, StdioServerParameters
    from mcp.client.stdio import stdio_client
except ImportError:
    print("mcp_sdk.py: there is no mcp for this Python; install it with: tools/dev/deps.sh test")
    sys.exit(2)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from lib.daemon import BATON, DaemonTest  # noqa: E402
from lib.wait import wait_until  # noqa: E402


class Sdk(DaemonTest):
    def play(self, daemon, script, **callbacks):
        """`script(session)` with a client that is connected to `baton mcp`."""
        async def connect():
            server = StdioServerParameters(command=BATON, args=["mcp"], env={"BATON_SOCKET": daemon.socket})
            async with stdio_client(server) as (read, write), ClientSession(read, write, **callbacks) as session:
                await session.initialize()
                await script(session)
        asyncio.run(asyncio.wait_for(connect(), 60))

    def test_a_turn(self):
        daemon = self.daemon(args=["--fake-gpu", "a:24000"])

        async def script(session):
            self.assertEqual(session.protocol_version, "2025-06-18")
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            self.assertEqual(len(tools), 5)
            await session.send_ping()
            lease = (await session.call_tool("lease_acquire", {"vram": "8G"})).structured_content
            self.assertEqual(lease["gpus"][0]["name"], "a")
            named = {"lease": lease["lease"], "fence": lease["fence"]}
            self.assertTrue((await session.call_tool("lease_check", named)).structured_content["held"])
            status = await session.call_tool("gpu_status", {})
            self.assertEqual(status.structured_content["mine"], [lease["lease"]])
            self.assertTrue((await session.call_tool("why_waiting", {"claim": -1})).is_error)
            released = await session.call_tool("lease_release", named)
            self.assertTrue(released.structured_content["held_to_the_end"])
            with self.assertRaises(MCPError):
                await session.call_tool("nothing", {})
        self.play(daemon, script)

    def test_progress_and_cancelling(self):
        """The place comes as progress; a call that the client gives up leaves the queue."""
        daemon = self.daemon()
        daemon.session("first").hold()
        told = []

        async def on_progress(progress, total, message):
            told.append(message)

        async def script(session):
            for patience_s in (1.0, 4.0, 16.0):
                with self.assertRaises(MCPError):
                    await session.call_tool("lease_acquire", {"wait_s": 600}, read_timeout_seconds=patience_s,
                                            progress_callback=on_progress)
                if told:
                    break
            self.assertIn("first", told[0])
            await session.send_ping()
            await asyncio.get_running_loop().run_in_executor(
                None, wait_until, lambda: not daemon.waiting(), "the place is left")
        self.play(daemon, script)

    def test_yield_is_told_and_the_end_frees(self):
        daemon = self.daemon(timing={"grace_s": 5})
        news = asyncio.Queue()

        async def on_log(params):
            await news.put(params)

        async def script(session):
            await session.call_tool("lease_acquire", {"class": "background"})
            self.voice = daemon.session("voice")
            self.ref = self.voice.acquire(**{"class": "voice"})
            told = await asyncio.wait_for(news.get(), 10)
            self.assertEqual((told.level, told.data["event"]), ("warning", "yield"))
        self.play(daemon, script, logging_callback=on_log)
        self.voice.wait("granted", ref=self.ref)


if __name__ == "__main__":
    unittest.main()
