"""The cancel matrix against Baton: every cell of tests/cancel-matrix passes."""
import contextlib
import pathlib
import socket
import sys
import unittest

from lib.daemon import DaemonTest
from lib.listener import Listener

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "cancel-matrix"))
import table  # noqa: E402
from kit import Kit, model_names  # noqa: E402
from upstream import Upstream  # noqa: E402


class CancelMatrix(DaemonTest):
    def test_all_cells(self):
        upstream = Upstream(models=model_names("m"))
        self.addCleanup(upstream.die)
        daemon = self.daemon(config={"gpus": [{"name": "gpu0", "vram_mb": 64000}], "vram_headroom_mb": 0, "upstreams": [
            {"name": "kit", "kind": "ollama", "url": upstream.url}]})
        kit = Kit(upstream, f"http://{daemon.host}", "m", daemon.token, str(daemon.dir / "run" / "http.sock"))
        self.addCleanup(kit.close)
        cells = kit.run()
        self.assertEqual(list(table.failures(cells)), [], table.as_text(cells))
        self.assertGreater(sum(cell.passed for cell in cells), 150)
        print(table.summary(cells), f"{kit.repeated} repeated", file=sys.stderr)

    def test_a_careless_proxy_fails(self):
        """The kit itself: one that neither hears its client leave nor passes on that its server broke off."""
        upstream = Upstream()
        self.addCleanup(upstream.die)
        proxy = Careless(upstream.port)
        self.addCleanup(proxy.close)
        kit = Kit(upstream, f"http://127.0.0.1:{proxy.port}", "m", patience_s=0.5)
        cells = kit.run(stages=["before headers", "mid-stream"], names=["chat"], events=["closes", "upstream dies"])
        self.assertEqual([cell.problems for cell in cells], [
            ["upstream never saw the close"], ["upstream never saw the close"],
            ["the client sees: complete"], ["the client sees: complete"]])
        cells = kit.run(stages=["queued", "loading", "mid-stream"], names=["chat"], events=["lease revoked"])
        self.assertEqual([cell.none for cell in cells], ["no queue, no loads", "no queue, no loads", "no leases"])


class Careless(Listener):
    """Copies what its server says, and ends every answer in order."""

    def __init__(self, upstream_port):
        self.upstream_port = upstream_port
        super().__init__()

    def serve(self, client):
        with client, contextlib.suppress(OSError), \
                socket.create_connection(("127.0.0.1", self.upstream_port)) as server:
            asked = b""
            while b"}" not in asked.rpartition(b"\r\n\r\n")[2]:
                asked += client.recv(65536)
            server.sendall(asked)
            answer = server.recv(65536) or b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            client.sendall(answer)
            while b"warm" not in answer and (piece := server.recv(65536)):
                client.sendall(piece)
            client.sendall(b"0\r\n\r\n")


if __name__ == "__main__":
    unittest.main()
