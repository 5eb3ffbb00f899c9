"""A worker by hand: the messages of docs/protocol.md over a WebSocket, and whatever else a test wants to say."""
import json
import threading

from .session import WebSocketTransport
from .wait import wait_until

CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
ALL = [CHAT, MESSAGES, EMBEDDINGS, TRANSCRIPTIONS]
CHUNK = '{"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}]}'


def chunk(text, finish=None):
    return f"data: {CHUNK % (text, json.dumps(finish))}\n\n"


def model(name="m", paths=ALL, **fields):
    return {"id": name, "paths": paths, **fields}


class Worker:
    """Says hello, then hears: `heard` are its messages, `bodies` the requests' bodies by number."""

    def __init__(self, daemon, name="tab", models=None, token="install", headers=(), hello=True, takes=True, **fields):
        host, port = daemon.host.split(":")
        self.transport = WebSocketTransport((host, int(port)), headers, path="/v1/workers")
        self.heard, self.bodies, self.ended = [], {}, False
        self.takes = takes  # says at once that it read a body's pieces
        self.sending = threading.Lock()
        threading.Thread(target=self.read, daemon=True).start()
        if hello:
            shown = daemon.token if token == "install" else token
            self.say(type="hello", id=name, models=[model()] if models is None else models,
                     **({"token": shown} if shown else {}), **fields)
            wait_until(lambda: self.heard or self.ended, "the broker answers")

    def read(self):
        try:
            while (frame := self.transport.read_frame()) is not None:
                opcode, payload = frame
                if opcode == 1:
                    self.hear(json.loads(payload))
                elif opcode == 2:
                    number = int.from_bytes(payload[:8], "big")
                    self.bodies[number] = self.bodies.get(number, b"") + payload[8:]
                    if self.takes:
                        self.say(type="took", bytes=len(payload) - 8)
                elif opcode == 8:
                    self.transport.close_code = int.from_bytes(payload[:2], "big")
                    self.transport.reason = payload[2:].decode()
                    self.raw(self.transport.frame(8, payload[:2]))
                elif opcode == 9:
                    self.raw(self.transport.frame(10, payload))
        except (OSError, ValueError):
            pass
        self.ended = True

    def hear(self, message):
        self.heard.append(message)
        if message["type"] == "ping":
            self.say(type="pong")

    def raw(self, frame):
        with self.sending:
            self.transport.socket.sendall(frame)

    def say(self, **message):
        self.raw(self.transport.frame(1, json.dumps(message).encode()))

    def all(self, kind):
        return [message for message in self.heard if message["type"] == kind]

    def request(self, at=0):
        """The number of a request, once its body is whole."""
        wait_until(lambda: len(self.all("body_end")) > at, lambda: f"request {at} has come; heard {self.heard}")
        return self.all("body_end")[at]["request"]

    def begin(self, number, content_type="text/event-stream", **fields):
        self.say(type="head", request=number, content_type=content_type, **fields)

    def piece(self, number, text):
        self.say(type="piece", request=number, text=text)

    def end(self, number, **fields):
        self.say(type="end", request=number, **fields)

    def answer(self, number, *texts):
        self.begin(number)
        for text in texts:
            self.piece(number, chunk(text))
        self.piece(number, chunk("", "stop") + "data: [DONE]\n\n")
        self.end(number)

    def close_code(self):
        wait_until(lambda: self.ended, "it is closed")
        return self.transport.close_code

    def close(self):
        try:
            self.transport.socket.shutdown(2)
        except OSError:
            pass
        self.transport.socket.close()
