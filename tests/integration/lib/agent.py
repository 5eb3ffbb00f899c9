"""An agent's end of `baton mcp`: JSON-RPC by hand, so that tests can also send what no library would."""
import json
import os
import subprocess
import threading

from .daemon import BATON, die_with_parent, end_process
from .wait import wait_until


class Agent:
    def __init__(self, test, daemon, initialize=True, **env):
        self.process = subprocess.Popen([BATON, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, preexec_fn=die_with_parent,
                                        env={**daemon.environment(), "BATON_SOCKET": daemon.socket, **env})
        self.inbox, self.next_id = [], 1
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        test.addCleanup(self.end)
        if initialize:
            self.hello = self.call("initialize", protocolVersion="2025-06-18", capabilities={},
                                   clientInfo={"name": "test agent", "version": "1"})["result"]
            self.send(method="notifications/initialized")

    def read(self):
        for line in self.process.stdout:
            self.inbox.append(json.loads(line))

    def raw(self, line):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def send(self, **message):
        self.raw(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def ask(self, method, **params):
        """Sends a request; its id."""
        number, self.next_id = self.next_id, self.next_id + 1
        self.send(id=number, method=method, params=params)
        return number

    def ask_tool(self, tool, meta=None, **arguments):
        return self.ask("tools/call", name=tool, arguments=arguments, **({"_meta": meta} if meta else {}))

    def answer(self, number):
        def found():
            return next((m for m in self.inbox if m.get("id") == number and "method" not in m), None)
        return wait_until(found, lambda: f"an answer to {number}; there is {self.inbox[-5:]}")

    def call(self, method, **params):
        return self.answer(self.ask(method, **params))

    def tool(self, tool, **arguments):
        """The result of a tool."""
        return self.answer(self.ask_tool(tool, **arguments))["result"]

    def notified(self, method, **fields):
        """The params of a notification with these fields."""
        def found():
            return next((m["params"] for m in self.inbox if m.get("method") == method
                         and all(m["params"].get(key) == value for key, value in fields.items())), None)
        return wait_until(found, lambda: f"{method} {fields}; there is {self.inbox[-5:]}")

    def leave(self):
        """Ends the connection as an agent does that ends. The exit status."""
        self.process.stdin.close()
        return self.process.wait(10)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.reader.join(5)
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        end_process(self.process)
