"""A model server that stops where it is told to: after a request, after its head, after the first token. Then
it listens for the close of its connection, and says nothing more. It speaks Ollama's way of loading, for
proxies that load models, and dies and comes back on the same port."""
import json
import os
import select
import socket
import threading
import time

import routes

STAGES = ("queued", "loading", "before headers", "before first token", "mid-stream", "non-streaming")


class Scene:
    """One request's part: what is to be said, and when what was seen (time.monotonic)."""

    def __init__(self, number, stage, route, model):
        self.marker = f"cancel-matrix scene {number}."
        self.stage, self.route, self.model = stage, route, model
        self.arrived = 0                    # times that it was forwarded
        self.in_place = threading.Event()   # all was said that this stage says
        self.load_began = threading.Event()
        self.load_gate = threading.Event()  # set it, and the load is done
        self.closed = threading.Event()
        self.closed_at = None


class Upstream:
    def __init__(self, port=0, host="127.0.0.1", models=("m",)):
        self.host, self.port, self.models = host, port, list(models)
        self.loaded, self.scenes = set(), []
        self.lock = threading.Lock()
        self.revive()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def scene(self, stage, route, model):
        with self.lock:
            self.scenes.append(Scene(len(self.scenes), stage, route, model))
            return self.scenes[-1]

    # -- life and death

    def revive(self):
        self.alarm = os.pipe()  # readable: dead
        self.listener = socket.create_server((self.host, self.port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.threads = []
        self.accepter = threading.Thread(target=self.accept, args=(self.listener, self.alarm[0]), daemon=True)
        self.accepter.start()

    def die(self):
        """As if the process was killed: nothing listens, every connection is closed."""
        os.write(self.alarm[1], b"x")
        self.accepter.join()
        for thread in self.threads:
            thread.join()
        for end in self.alarm:
            os.close(end)

    def accept(self, listener, alarm):
        while self.readable(listener, alarm):
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self.serve, args=(connection, alarm), daemon=True)
            self.threads = [one for one in self.threads if one.is_alive()] + [thread]
            thread.start()
        listener.close()

    @staticmethod
    def readable(connection, alarm):
        """Waits; False when the server dies."""
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        poll.register(alarm, select.POLLIN)
        return alarm not in [fd for fd, _ in poll.poll()]

    # -- HTTP

    def serve(self, connection, alarm):
        with connection:
            reader = Reader(connection, lambda: self.readable(connection, alarm))
            try:
                while (asked := reader.request()) and self.reply(connection, alarm, *asked):
                    pass
            except OSError:
                pass

    def reply(self, connection, alarm, method, path, body):
        scene = next((one for one in self.scenes if one.marker.encode() in body), None)
        if scene:
            return self.play(connection, alarm, scene)
        if method == "GET":
            return self.send(connection, self.about(path))
        asked = json.loads(body) if body.startswith(b"{") else {}
        if path == "/api/generate" and "keep_alive" in asked and "prompt" not in asked:
            return self.keep_alive(connection, alarm, asked)
        return self.send(connection, {"choices": [{"message": {"content": "warm"}, "finish_reason": "stop"}]})

    def about(self, path):
        if path == "/api/tags":
            return {"models": [{"name": name, "size": 1 << 20} for name in self.models]}
        if path == "/api/ps":
            return {"models": [{"name": name, "size_vram": 1 << 20} for name in sorted(self.loaded)]}
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}

    @staticmethod
    def send(connection, value):
        body = json.dumps(value).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                           % (len(body), body))
        return True

    def keep_alive(self, connection, alarm, asked):
        name = asked["model"]
        if asked["keep_alive"] == 0:
            self.loaded.discard(name)
            return self.send(connection, {"done_reason": "unload"})
        scene = next((one for one in self.scenes if (one.stage, one.model) == ("loading", name)), None)
        if scene:
            scene.load_began.set()
            while not scene.load_gate.wait(0.01):
                if select.select([alarm], [], [], 0)[0]:
                    return False
        self.loaded.add(name)
        return self.send(connection, {"done_reason": "load"})

    def play(self, connection, alarm, scene):
        scene.arrived += 1
        if scene.stage in ("before first token", "mid-stream"):
            connection.sendall(routes.answer_head(scene.route))
        if scene.stage == "mid-stream":
            connection.sendall(routes.answer_begin(scene.route))
        scene.in_place.set()
        if not self.readable(connection, alarm):
            return False
        scene.closed_at = time.monotonic()
        scene.closed.set()
        return False


class Reader:
    """Requests of one connection."""

    def __init__(self, connection, wait):
        self.connection, self.wait, self.bytes = connection, wait, b""

    def more(self):
        piece = self.connection.recv(1 << 16) if self.wait() else b""
        self.bytes += piece
        return bool(piece)

    def until(self, mark):
        while mark not in self.bytes:
            if not self.more():
                return None
        text, _, self.bytes = self.bytes.partition(mark)
        return text

    def exactly(self, count):
        while len(self.bytes) < count:
            if not self.more():
                return None
        text, self.bytes = self.bytes[:count], self.bytes[count:]
        return text

    def request(self):
        """(method, path, body), or None at the end."""
        head = self.until(b"\r\n\r\n")
        if not head:
            return None
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        method, path, _ = lines[0].split(" ")
        if fields.get("transfer-encoding") == "chunked":
            body = self.chunked()
        else:
            body = self.exactly(int(fields.get("content-length", 0)))
        return None if body is None else (method, path.split("?")[0], body)

    def chunked(self):
        body = b""
        while size := int(self.until(b"\r\n") or b"0", 16):
            piece = self.exactly(size + 2)
            if piece is None:
                return None
            body += piece[:-2]
        return body if self.until(b"\r\n") is not None else None
