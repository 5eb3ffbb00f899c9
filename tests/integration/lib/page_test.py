"""A daemon with servers behind it that people use by their pages, and what tests ask of the two."""
import pathlib

from .gateway import GatewayTest
from .http import Connection, request_bytes
from .page_server import PageServer

PROMPT = {"prompt": {"1": {"class_type": "KSampler", "inputs": {}}}, "client_id": "c"}


def memory_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


class PagesTest(GatewayTest):
    def pages(self, *args, **options):
        server = PageServer(*args, **options)
        self.addCleanup(server.close)
        return server

    def upstream(self, server, name="comfy", **fields):
        fields.setdefault("vram_mb", 4000)
        return {"name": name, "kind": server.kind, "url": server.url, "listen": "127.0.0.1:0", **fields}

    def address(self, daemon, name="comfy"):
        url = next(row["url"] for row in self.models(daemon)["pages"] if row["server"] == name)
        host, port = url.removeprefix("http://").split(":")
        return host, int(port)

    def begun(self, daemon, method, path, body=None, headers=None, name="comfy", head=None):
        """A request that was sent; its connection."""
        address = self.address(daemon, name)
        connection = Connection(address)
        self.addCleanup(connection.close)
        fields = {**(headers or {})}
        connection.send(head or request_bytes(method, path, f"{address[0]}:{address[1]}", body, fields))
        return connection

    def got(self, *args, **options):
        return self.begun(*args, **options).read_answer(head_only=args[1] == "HEAD")

    def prompt(self, daemon, body=None, **options):
        return self.begun(daemon, "POST", "/prompt", body or PROMPT, **options)

    def websocket(self, daemon, path="/ws?clientId=1", headers=None, name="comfy"):
        """The answer's head, and the connection."""
        address = self.address(daemon, name)
        fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                  "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
                  "Origin": f"http://{address[0]}:{address[1]}", **(headers or {})}
        connection = self.begun(daemon, "GET", path, headers=fields, name=name)
        status, head = connection.read_head()
        return type("Head", (), {"status": status, "headers": head}), connection

    def held_files(self, daemon):
        folder = daemon.state / "held"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def turns(self, daemon):
        return [row for row in daemon.status()["leases"] if row["slots"] == 1]
