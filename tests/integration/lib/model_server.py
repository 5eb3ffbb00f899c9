"""Model servers by hand: Ollama, llama-server and plain OpenAI ones as docs/gateway.md describes them, each
with a small model of what it keeps in memory, and with the misbehaviours that tests ask for."""
import json
import os
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
import urllib.parse

from . import model_answers


# By kind: where it lists what it has in memory, and how it is told to give that back: path, and key of the model.
LOADED_LISTS = {
    "lmstudio": {"/api/v1/models": lambda models, loaded: {"models": [
        {"key": name, "loaded_instances": [{"id": name}] if name in loaded else []} for name in models]}},
    "localai": {"/system": lambda models, loaded: {"backends": [], "loaded_models": [
        {"id": name} for name in sorted(loaded)]}},
    "lemonade": {"/v1/health": lambda models, loaded: {"status": "ok", "all_models_loaded": [
        {"model_name": name, "device": "gpu"} for name in sorted(loaded)]}},
    "koboldcpp": {
        "/api/v1/model": lambda models, loaded: {
            "result": "".join("koboldcpp/" + re.sub(r"[^\w.-]", "", name.rpartition(".")[0]) for name in loaded)
                      or "inactive"},
        "/api/admin/list_options": lambda models, loaded: [*models, "initial_model", "unload_model"]},
    "tabbyapi": {
        "/v1/model": lambda models, loaded: {"id": "".join(loaded)} if loaded else None,
        "/v1/model/list": lambda models, loaded: {"data": [{"id": name} for name in models]}},
    "whisper.cpp": {"/health": lambda models, loaded: {"status": "ok"}},
}
UNLOADS = {"lmstudio": ("/api/v1/models/unload", "instance_id"), "localai": ("/backend/shutdown", "model"),
           "lemonade": ("/v1/unload", "model_name")}


# Of those that have one model at a time: where they are told to load and to unload.
SINGLE = {"koboldcpp": ("/api/admin/reload_config", "/api/admin/reload_config"),
          "tabbyapi": ("/v1/model/load", "/v1/model/unload")}


class ModelServer:
    """Answers on a free port of the loopback until it is closed. What it was asked is in `requests`."""

    def __init__(self, kind="openai", models=("m",), size_mb=1000, port=0, tls=None):
        self.kind, self.models, self.size = kind, list(models), size_mb << 20
        self.loaded = set()
        self.requests = []      # (method, path, headers, body)
        self.running = 0        # answers that are being made
        self.cut = 0            # clients that left in the middle
        self.load_status = self.unload_status = 200  # of Ollama's
        self.load_delay = threading.Event()
        self.load_delay.set()   # clear it, and a load waits
        self.unloads_lost = 0   # so many unloads come too early: a load that nobody waits for ends after them
        self.late_load = None   # an event: the load that a request began ends with it, though its client has left
        self.gate = threading.Event()
        self.gate.set()         # clear it, and answers stop before their first byte
        self.unload_gate = threading.Event()
        self.unload_gate.set()  # clear it, and an unload is not answered
        self.read_gate = threading.Event()
        self.read_gate.set()    # clear it, and bodies of inference routes are not read
        self.default_tag = ""   # what its list puts behind a name without a tag
        self.pieces = None      # of a streamed answer: bytes, a callable that waits, None to break off; or a function
                                # of the usual ones that makes them
        self.stream_head = None  # of a streamed answer, in place of its Content-Type: lines of headers
        self.floats_only = False  # embeddings are numbers, whatever is asked
        self.base64_status = 200  # of embeddings in base64
        self.answer = None      # (status, headers, body) for inference routes, in place of the usual
        self.slots_busy = False
        self.takes_loads = True  # KoboldCpp does, with its admin's password
        self.away = False        # it restarts: connections end without an answer
        self.most_loaded = 0     # of one that has one model at a time, when it was told to load
        self.resets = 0         # so many requests are read whole, and their connections reset
        self.drips = ()         # paths whose answers come byte by byte and never end
        self.begins = self.ends = lambda: None  # of each answer in one piece: when it is begun, before its last byte
        self.lock = threading.Lock()
        self.connections = set()
        self.accepted = 0       # of them, so far
        self.stored = {}        # responses, by id
        self.stored_status = 200  # of what is asked about them
        self.response_id = "resp_1"  # of the next ones in one piece
        self.closing = False
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.serve(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        if tls:  # by whoever serves it: one that hangs keeps nobody else out
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def hang_up(self):
        """On all who are connected, as if its process had ended."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.closing = True
        for gate in (self.gate, self.load_delay, self.unload_gate, self.read_gate):
            gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.hang_up()

    def asked(self, path):
        return [row for row in self.requests if row[1].split("?")[0] == path]

    # -- HTTP

    def serve(self, handler):
        self.connections.add(handler.connection)
        self.accepted += 1
        while self.serve_one(handler):
            pass
        self.connections.discard(handler.connection)

    def serve_one(self, handler):
        try:
            line = handler.rfile.readline()
        except (ConnectionResetError, ssl.SSLError):
            return False
        if not line:
            return False
        method, path, _ = line.decode().split(" ")
        headers = {}
        while (field := handler.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if method == "POST" and path.startswith("/v1/"):
            self.read_gate.wait(30)
        try:
            body = self.read_body(handler, headers)
        except (ConnectionResetError, ValueError):
            return False
        if self.away:
            return False
        with self.lock:
            self.requests.append((method, path, headers, body))
        if method == "POST" and self.resets > 0:
            self.resets -= 1
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(handler.connection.detach())
            return False
        try:
            return self.reply(handler, method, path.split("?")[0], body)
        except (BrokenPipeError, ConnectionResetError):
            return False

    @staticmethod
    def read_body(handler, headers):
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(handler.rfile.readline(), 16):
                body += handler.rfile.read(size)
                handler.rfile.readline()
            handler.rfile.readline()
            return body
        length = int(headers.get("content-length", 0))
        body = handler.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError("the client left within its body")
        return body

    @staticmethod
    def send(handler, status, body, headers=()):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers)
        handler.wfile.write(head.encode() + b"\r\n" + body)
        return True

    # -- what each kind knows

    def reply(self, handler, method, path, body):
        if path in self.drips:
            return self.drip(handler)
        if path.startswith("/v1/responses/") and path != "/v1/responses/compact":
            return self.about_stored(handler, method, path.removeprefix("/v1/responses/"))
        if method == "GET":
            return self.reply_about(handler, path)
        if self.kind == "ollama" and path == "/api/generate" and b"keep_alive" in body and b"prompt" not in body:
            return self.keep_alive(handler, json.loads(body))
        if path in SINGLE.get(self.kind, ()):
            return self.change(handler, path, json.loads(body or b"{}"))
        if self.kind in UNLOADS and path == UNLOADS[self.kind][0]:
            return self.unload(handler, json.loads(body)[UNLOADS[self.kind][1]])
        return self.infer(handler, path, body)

    def about_stored(self, handler, method, path):
        id_, _, what = urllib.parse.unquote(path).partition("/")
        if self.stored_status != 200:
            return self.send(handler, self.stored_status, {"error": {"message": "not now"}})
        if id_ not in self.stored:
            return self.send(handler, 404, {"error": {"message": "no such response"}})
        if method == "DELETE":
            del self.stored[id_]
            return self.send(handler, 200, {"id": id_, "deleted": True})
        if what == "input_items":
            return self.send(handler, 200, model_answers.INPUT_ITEMS)
        if what == "cancel":
            self.stored[id_]["status"] = "cancelled"
        return self.send(handler, 200, self.stored[id_], [("X-Of-The-Server", "1"), ("Set-Cookie", "a=b")])

    def unload(self, handler, model):
        self.unload_gate.wait(30)
        known = model in self.loaded
        if self.unloads_lost == 0:
            self.loaded.discard(model)
        self.unloads_lost = max(0, self.unloads_lost - 1)
        return self.send(handler, 200 if known else 404, {})

    def change(self, handler, path, asked):
        """Of one that has one model at a time. `load_status` of a load is said in its stream, or it brings another."""
        model = asked.get("filename", asked.get("model_name"))
        if path == SINGLE[self.kind][1] and model in (None, "unload_model"):
            self.unload_gate.wait(30)
            if self.unloads_lost == 0:
                self.loaded.clear()
            self.unloads_lost = max(0, self.unloads_lost - 1)
            return self.send(handler, 200, {"success": True})
        self.most_loaded = max(self.most_loaded, len(self.loaded) + 1)
        if self.kind == "koboldcpp":  # answers first, and goes for a while
            good = model in self.models and self.takes_loads
            self.send(handler, 200, {"success": good})
            if good:
                threading.Thread(target=self.restart, args=[model], daemon=True).start()
            return False
        self.load_delay.wait(30)
        if self.load_status == 200:
            self.loaded = {model}
        return self.send(handler, 200, b'data: {"status": "%s"}\r\n\r\n' % (
            b"finished" if self.load_status == 200 else b"error"), [("X-Accel-Buffering", "no")])

    def restart(self, model):
        self.away = True
        self.load_delay.wait(30)
        self.loaded = {model if self.load_status == 200 else "startup.gguf"}
        self.away = False

    def drip(self, handler):
        handler.wfile.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while not self.closing:
            handler.wfile.write(b" ")
            time.sleep(0.1)
        return False

    def reply_about(self, handler, path):
        if path == "/v1/models":
            return self.send(handler, 200, {"object": "list", "data": [{"id": name} for name in self.models]})
        if path == "/api/tags":
            rows = [{"name": self.tagged(name), "size": self.size} for name in self.models]
            return self.send(handler, 200, {"models": rows})
        if path == "/api/ps":
            rows = [{"name": self.tagged(name), "size_vram": self.size} for name in sorted(self.loaded)]
            return self.send(handler, 200, {"models": rows})
        if path in LOADED_LISTS.get(self.kind, ()):
            answer = LOADED_LISTS[self.kind][path](self.models, self.loaded)
            return self.send(handler, 503 if answer is None else 200,
                             answer or {"detail": "No models are currently loaded."})
        if path == "/slots":
            return self.send(handler, 200, [{"is_processing": self.slots_busy}])
        return self.send(handler, 404, {"error": "no such path"})

    def tagged(self, name):
        return name if ":" in name else name + self.default_tag

    def keep_alive(self, handler, asked):
        if asked["keep_alive"] == 0:
            self.unload_gate.wait(30)
            if self.unloads_lost == 0:
                self.loaded.discard(asked["model"])
            self.unloads_lost = max(0, self.unloads_lost - 1)
            return self.send(handler, self.unload_status, {"done_reason": "unload"})
        self.load_delay.wait(30)
        if self.load_status == 200:
            self.loaded.add(asked["model"])
        return self.send(handler, self.load_status, {"done_reason": "load"})

    def infer(self, handler, path, body):
        with self.lock:
            self.running += 1
        try:
            return self.answer_inference(handler, path, body)
        finally:
            with self.lock:
                self.running -= 1

    def load_late(self, model):
        self.late_load.wait(30)
        self.loaded.add(model)

    def answer_inference(self, handler, path, body):
        if self.late_load:
            threading.Thread(target=self.load_late, args=(json.loads(body)["model"],), daemon=True).start()
        if not self.wait_for_gate(handler):
            return False
        if self.answer:
            status, headers, text = self.answer
            return self.send(handler, status, text, headers)
        asked = json.loads(body) if body.startswith(b"{") else {}
        self.loaded.add(asked.get("model", self.models[0]))
        if asked.get("encoding_format") == "base64" and self.base64_status != 200:
            return self.send(handler, self.base64_status, {"error": {"message": "no base64 here"}})
        if asked.get("stream", path == "/api/chat"):
            return self.stream(handler, path, asked.get("model"))
        self.begins()
        time.sleep(0.01)  # it computes
        self.ends()
        answer = model_answers.whole(path, asked, self.floats_only)
        if path == "/v1/responses":
            answer["id"] = self.response_id
            if asked.get("background"):  # it is made until a test changes that
                answer.update(status="queued", background=True, output=[])
            self.stored[answer["id"]] = answer
        return self.send(handler, 200, answer)

    def wait_for_gate(self, handler):
        """False: the client left first."""
        while not self.gate.wait(0.02):
            if self.client_left(handler):
                return False
        return True

    def client_left(self, handler):
        try:
            left = handler.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            left = False
        except OSError:
            left = True
        if left:
            with self.lock:
                self.cut += 1
        return left

    def stream(self, handler, path, model):
        pieces = self.pieces or model_answers.pieces(path, model)
        if callable(pieces):
            pieces = pieces(model_answers.pieces(path, model))
        head = self.stream_head or f"Content-Type: {model_answers.stream_type(path)}\r\n"
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for piece in pieces:
            if callable(piece):
                while not piece():
                    if self.client_left(handler):
                        return False
                    time.sleep(0.01)
                continue
            if piece is None:  # it breaks off
                handler.connection.shutdown(socket.SHUT_RDWR)
                return False
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")
        return True


class Computing:
    """How many answers in one piece such servers make at once, together. Each counts until its last byte goes out:
    with that the next one may begin."""

    def __init__(self, *servers):
        self.now = self.most = 0
        self.lock = threading.Lock()
        for server in servers:
            server.begins, server.ends = (lambda: self.count(1)), (lambda: self.count(-1))

    def count(self, change):
        with self.lock:
            self.now += change
            self.most = max(self.most, self.now)
