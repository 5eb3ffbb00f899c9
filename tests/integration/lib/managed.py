"""Model servers that Baton starts: lib/model_command.py on a free port."""
import contextlib
import pathlib
import random
import socket
import sys

from lib.gateway import GatewayTest

COMMAND = str(pathlib.Path(__file__).parent / "model_command.py")


def free_port():
    """One that the kernel gives nobody by itself: before it is used, some connection beside could have it."""
    low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="utf-8").split())
    others = range(low - 12000, low) if low > 14000 else range(high + 1, 65536)
    while True:
        port = random.choice(others)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def pids_of(*words):
    """Live processes whose command line has all of them."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and all(word in line for word in words):
            found.append(int(folder.name))
    return found


class ManagedTest(GatewayTest):
    def row(self, name, *words, vram_mb=5000, model="m", **fields):
        port = free_port()
        self.ports[name] = str(port)
        return {"name": name, "kind": "openai", "url": f"http://127.0.0.1:{port}",
                "cmd": [sys.executable, COMMAND, "${PORT}", "${MODEL}", *words],
                "models": [{"name": model, "vram_mb": vram_mb}], **fields}

    def setUp(self):
        super().setUp()
        self.ports = {}

    def runs(self, name):
        """Processes of its command, without the keeper beside it."""
        port = self.ports[name]
        return sorted(set(pids_of(COMMAND, port)) - set(pids_of("baton-keeper", port)))

    def failure(self, daemon):
        return self.models(daemon)["models"][0]["failure"]
