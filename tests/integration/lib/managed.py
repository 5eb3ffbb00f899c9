"""Model servers that Baton starts: lib/model_command.py on a free port."""
import contextlib
import pathlib
import random
import socket
import sys

from lib.gateway import GatewayTest

COMMAND = str(pathlib.Path(__file__).parent / "model_command.py")
RESERVED = []


def reserve(port):
    """Against the tests beside, until this process ends: a model server binds it only once a request wakes it. False:
    one of them has it."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0baton-test-port-{port}")
    except OSError:
        mark.close()
        return False
    RESERVED.append(mark)
    return True


def free_port():
    """One that the kernel gives nobody by itself: before it is used, some connection beside could have it."""
    low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="utf-8").split())
    others = range(low - 12000, low) if low > 14000 else range(high + 1, 65536)
    while True:
        port = random.choice(others)
        if not reserve(port):  # first: to try it would be in the way of a server that begins there
            continue
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def pids_of(*words, without=None):
    """Live processes whose command line has all of them, and not the other word."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and all(word in line for word in words) and without not in line:
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
        """Processes of its command, without the keeper beside it, by one look: it may end between two."""
        return sorted(pids_of(COMMAND, self.ports[name], without="baton-keeper"))

    def failure(self, daemon):
        return self.models(daemon)["models"][0]["failure"]
