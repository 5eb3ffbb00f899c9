"""Servers that people use by their pages, by hand: ComfyUI and A1111 as far as docs/gateway.md describes them, with
the rules of theirs that a proxy can break (Host against Origin), and the misbehaviours that tests ask for."""
import base64
import hashlib
import json
import socket
import threading
import time
import uuid

from .model_server import ModelServer

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class PageServer(ModelServer):
    """ComfyUI: its prompts run one after the other, each until `work` is set."""

    def __init__(self, kind="comfyui", port=0):
        self.queue = []             # prompt ids, the first one runs
        self.done = []
        self.work = threading.Event()
        self.work.set()             # clear it, and a prompt does not end
        self.interrupted = []       # what /interrupt named
        self.freed = 0
        self.reserved = 4 << 30     # by PyTorch
        self.queue_answer = None    # in place of /queue's: bytes, or "hang"
        self.prompt_gate = threading.Event()
        self.prompt_gate.set()      # clear it, and POST /prompt is not answered
        self.takes_ids = True       # as it does since 2025: a prompt may bring its own
        self.loses_prompts = False  # set it, and POST /prompt is cut off before it counts
        self.sockets = 0            # WebSockets that are open
        self.socket_status = 101
        self.received = []          # what WebSockets said
        self.echo = True
        self.sent_bytes = 0
        self.wake = threading.Condition()
        super().__init__(kind, port=port)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.closing:
            with self.wake:
                self.wake.wait_for(lambda: self.queue or self.closing, 0.2)
            if self.queue and self.work.wait(0.05):
                with self.wake:
                    if self.queue:
                        self.done.append(self.queue.pop(0))

    def reply(self, handler, method, path, body):
        headers = self.requests[-1][2]
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin and origin.split("://")[-1] != host:  # as ComfyUI does on the loopback
            return self.send(handler, 403, {"error": "Host and Origin differ"})
        if "websocket" in headers.get("upgrade", ""):
            return self.websocket(handler, headers)
        path = path.removeprefix("/api")
        if path.startswith("/history/"):
            return self.show_history(handler, path.removeprefix("/history/"))
        route = {("POST", "/prompt"): self.take_prompt, ("GET", "/queue"): self.show_queue,
                 ("POST", "/interrupt"): self.interrupt, ("POST", "/free"): self.free,
                 ("GET", "/system_stats"): self.stats, ("GET", "/"): self.page, ("HEAD", "/"): self.page,
                 ("GET", "/large"): self.large, ("POST", "/upload"): self.upload, ("GET", "/go"): self.go,
                 ("GET", "/hang"): self.hang, ("GET", "/broken"): self.broken,
                 ("POST", "/sdapi/v1/txt2img"): self.txt2img, ("GET", "/sdapi/v1/progress"): self.progress,
                 ("GET", "/sdapi/v1/memory"): self.memory, ("POST", "/sdapi/v1/interrupt"): self.interrupt,
                 ("POST", "/sdapi/v1/unload-checkpoint"): self.free,
                 ("POST", "/sdapi/v1/reload-checkpoint"): self.reload}.get((method, path))
        if not route:
            return self.send(handler, 404, {"error": f"no {method} {path}"})
        return route(handler, body)

    # -- ComfyUI

    def take_prompt(self, handler, body):
        self.prompt_gate.wait(30)
        if self.loses_prompts:
            return False
        asked = json.loads(body)
        if "long" in asked:  # as the errors of a workflow with many choices are
            return self.send(handler, 400, {"error": {"type": "long"}, "node_errors": {"1": "x" * asked["long"]}})
        if "headers" in asked:
            return self.send(handler, 400, {}, [(f"X-{i}", "y" * 300) for i in range(asked["headers"])])
        if "prompt" not in asked:
            error = {"type": "no_prompt", "message": "No prompt provided", "details": "", "extra_info": {}}
            return self.send(handler, 400, {"error": error, "node_errors": {}})
        prompt = (self.takes_ids and asked.get("prompt_id")) or str(uuid.uuid4())
        with self.wake:
            self.queue.append(prompt)
            self.wake.notify_all()
        return self.send(handler, 200, {"prompt_id": prompt, "number": len(self.done), "node_errors": {}})

    def show_queue(self, handler, _):
        if self.queue_answer == "hang":
            while not self.closing and self.queue_answer == "hang":
                time.sleep(0.05)
            return False
        if self.queue_answer is not None:
            return self.send(handler, 200, self.queue_answer)
        rows = [[i, prompt, {}, {}, []] for i, prompt in enumerate(list(self.queue))]
        return self.send(handler, 200, {"queue_running": rows[:1], "queue_pending": rows[1:]})

    def show_history(self, handler, prompt):
        if not self.takes_ids:
            return self.send(handler, 404, b"404: Not Found")
        return self.send(handler, 200, {prompt: {"status": {}}} if prompt in self.done else {})

    def interrupt(self, handler, body):
        named = json.loads(body or b"{}").get("prompt_id")
        self.interrupted.append(named)
        with self.wake:
            if self.queue and named in (None, self.queue[0]):
                self.queue.pop(0)
        return self.send(handler, 200, b"")

    def free(self, handler, body):
        if self.kind == "comfyui" and json.loads(body) != {"unload_models": True, "free_memory": True}:
            return self.send(handler, 400, b"")
        self.freed += 1
        self.reserved = 0
        return self.send(handler, 200, b"")

    def stats(self, handler, _):
        device = {"name": "cuda:0", "type": "cuda", "index": 0, "vram_total": 8 << 30, "vram_free": 1 << 30,
                  "torch_vram_total": self.reserved, "torch_vram_free": 0}
        return self.send(handler, 200, {"system": {"os": "posix"}, "devices": [device]})

    # -- A1111

    def txt2img(self, handler, _):
        if not self.wait_for_work(handler):
            return False
        self.reserved = 4 << 30
        return self.send(handler, 200, {"images": ["aGVsbG8="], "parameters": {}, "info": ""})

    def wait_for_work(self, handler):
        with self.wake:
            self.queue.append("job")
        while not self.work.wait(0.02) and "job" in self.queue:
            pass  # it goes on when its client leaves
        with self.wake:
            if "job" in self.queue:
                self.queue.remove("job")
        return not self.client_left(handler)

    def progress(self, handler, _):
        return self.send(handler, 200, {"progress": 0.0, "state": {"job_count": len(self.queue), "job": ""}})

    def memory(self, handler, _):
        return self.send(handler, 200, {"ram": {}, "cuda": {"reserved": {"current": self.reserved, "peak": 0}}})

    def reload(self, handler, _):
        return self.send(handler, 200, {})

    # -- pages

    def page(self, handler, _):
        body = b"<html>pages</html>"
        head = (f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: keep-alive, "
                "X-Own\r\nX-Own: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: Python/3.11 aiohttp\r\n"
                "Access-Control-Allow-Origin: *\r\n\r\n").encode()
        handler.wfile.write(head + (b"" if self.requests[-1][0] == "HEAD" else body))
        return True

    def large(self, handler, _):
        """64 MiB in chunks; what the client does not read is not sent."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"x" * 65536
        for _ in range(1024):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.sent_bytes += len(piece)
        handler.wfile.write(b"0\r\n\r\n")
        return True

    def upload(self, handler, body):
        return self.send(handler, 200, {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})

    def go(self, handler, _):
        return self.send(handler, 302, b"", [("Location", self.url + "/there?x=1")])

    def hang(self, handler, _):
        while not self.client_left(handler) and not self.closing:
            time.sleep(0.02)
        return False

    def broken(self, handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        return False

    # -- WebSockets: bytes, as they are

    def websocket(self, handler, headers):
        if self.socket_status != 101:
            return self.send(handler, self.socket_status, b"")
        accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + GUID).encode()).digest()).decode()
        handler.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
                             ).encode() + b"\x82\x05hello")
        with self.lock:
            self.sockets += 1
        try:
            while data := handler.connection.recv(65536):
                self.received.append(data)
                if self.echo:
                    handler.wfile.write(data)
        except OSError:
            pass
        with self.lock:
            self.sockets -= 1
        return False

    def hang_up(self):
        """As a server does that ends: all connections are closed."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
