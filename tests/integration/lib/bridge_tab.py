"""A tab of the predecessor's kind by hand: the frames of /ws/chat and /ws/embed, as its pages had them."""
import json
import threading

from .session import WebSocketTransport
from .wait import wait_until


def delta(text=None, finish=None, **fields):
    content = {} if text is None else {"content": text}
    return {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1764000000, "model": "Qwen",
            "choices": [{"index": 0, "delta": {**content, **fields}, "finish_reason": finish}]}


class BridgeTab:
    """Shows the token first, then hears: `asked` are its requests, `heard` all that it was told."""

    def __init__(self, address, path="/ws/chat", token=None, headers=(), hello=True, **fields):
        self.transport = WebSocketTransport(address, headers, path=path)
        self.heard, self.ended = [], False
        threading.Thread(target=self.read, daemon=True).start()
        if hello:
            self.say(token=token, **fields)

    def read(self):
        try:
            while (frame := self.transport.read_frame()) is not None:
                opcode, payload = frame
                if opcode == 1:
                    self.heard.append(json.loads(payload))
                elif opcode == 8:
                    self.transport.close_code = int.from_bytes(payload[:2], "big")
                    self.transport.reason = payload[2:].decode()
                    self.transport.socket.sendall(self.transport.frame(8, payload[:2]))
        except (OSError, ValueError):
            pass
        self.ended = True

    def say(self, **message):
        self.transport.send(json.dumps(message))

    def raw(self, text):
        self.transport.send(text)

    @property
    def asked(self):
        return [message for message in self.heard if "data" in message]

    def request(self, at=0):
        wait_until(lambda: len(self.asked) > at, lambda: f"request {at} has come; heard {self.heard}")
        return self.asked[at]

    def chunk(self, at, *args, **fields):
        self.say(id=self.request(at)["id"], chunk=delta(*args, **fields))

    def done(self, at):
        self.say(id=self.request(at)["id"], done=True)

    def answer(self, at, *texts):
        for text in texts:
            self.chunk(at, text)
        self.chunk(at, None, "stop")
        self.done(at)

    def close_code(self):
        wait_until(lambda: self.ended, "it is closed")
        return self.transport.close_code

    def close(self):
        try:
            self.transport.socket.shutdown(2)
        except OSError:
            pass
        self.transport.socket.close()
