"""What a model server answers in each API's shape, whole and as the pieces of a stream. The text is always `hello`;
a stream says it in two pieces."""
import base64
import json
import struct

EVENTS, LINES = "text/event-stream", "application/x-ndjson"
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def vector(text):
    """Numbers that a float holds exactly, others that it does not, and long ones."""
    return [0.5, -1, 1e-3, 0.1, -3.4e38, 123456789, len(text), 0]


def message(model, content):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": "end_turn" if content else None, "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 2}}


def response(model, text, status, id_="resp_1"):
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": [part]}
    return {"id": id_, "object": "response", "created_at": 1, "model": model, "status": status,
            "output": [item] if text else []}


INPUT_ITEMS = {"object": "list", "first_id": "msg_0", "last_id": "msg_0", "has_more": False,
               "data": [{"type": "message", "id": "msg_0", "role": "user", "content": []}]}


def embeddings(asked, floats_only):
    inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    rows = []
    for index, text in enumerate(inputs):
        numbers = vector(text)
        if asked.get("encoding_format") == "base64" and not floats_only:
            numbers = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        rows.append({"object": "embedding", "embedding": numbers, "index": index})
    return {"object": "list", "data": rows, "model": asked.get("model"),
            "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def whole(path, asked, floats_only=False):
    model = asked.get("model")
    if path == "/v1/embeddings":
        return embeddings(asked, floats_only)
    if path == "/v1/messages":
        return message(model, [{"type": "text", "text": "hello"}])
    if path == "/v1/responses":
        return response(model, "hello", "completed")
    if path == "/v1/responses/compact":
        return {"id": "cmp_1", "object": "response.compaction", "created_at": 1, "usage": USAGE,
                "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "hello"}]}
    if path == "/v1/completions":
        return {"id": "c1", "object": "text_completion", "created": 1, "model": model, "usage": USAGE,
                "choices": [{"index": 0, "text": "hello", "finish_reason": "stop", "logprobs": None}]}
    if path == "/api/chat":
        return {"model": model, "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop",
                "message": {"role": "assistant", "content": "hello"}}
    if path == "/api/embed":
        inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        return {"model": model, "embeddings": [vector(text) for text in inputs]}
    if path.startswith("/v1/audio/"):
        return {"text": "hello"}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "usage": USAGE,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}


def data(value):
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def named(value):
    return b"event: " + value["type"].encode() + b"\n" + data(value)


def chat_chunk(model, delta, finish=None):
    return data({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model,
                 "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def completion_chunk(model, text, finish=None):
    return data({"id": "c1", "object": "text_completion", "created": 1, "model": model,
                 "choices": [{"index": 0, "text": text, "finish_reason": finish, "logprobs": None}]})


def message_pieces(model):
    def delta(text):
        return named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    return [named({"type": "message_start", "message": message(model, [])}) +
            named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}) +
            delta("hel"),
            delta("lo") + named({"type": "content_block_stop", "index": 0}) +
            named({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                   "usage": {"output_tokens": 2}}) + named({"type": "message_stop"})]


def response_pieces(model):
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}

    def delta(number, text):
        return named({"type": "response.output_text.delta", "sequence_number": number, **place, "delta": text})
    return [named({"type": "response.created", "sequence_number": 0, "response": response(model, "", "in_progress")}) +
            named({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}) +
            named({"type": "response.content_part.added", "sequence_number": 2, **place, "part": part}) +
            delta(3, "hel"),
            delta(4, "lo") + named({"type": "response.completed", "sequence_number": 5,
                                    "response": response(model, "hello", "completed")})]


def ollama_pieces(model):
    def line(text, done):
        row = {"model": model, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": text},
               "done": done}
        return json.dumps(row, separators=(",", ":")).encode() + b"\n"
    return [line("hel", False), line("lo", False) + line("", True)]


def pieces(path, model):
    if path == "/v1/messages":
        return message_pieces(model)
    if path == "/v1/responses":
        return response_pieces(model)
    if path == "/v1/completions":
        return [completion_chunk(model, "hel"), completion_chunk(model, "lo", "stop") + b"data: [DONE]\n\n"]
    if path.startswith("/api/"):
        return ollama_pieces(model)
    return [chat_chunk(model, {"role": "assistant", "content": "hel"}),
            chat_chunk(model, {"content": "lo"}) + chat_chunk(model, {}, "stop"), b"data: [DONE]\n\n"]


def stream_type(path):
    return LINES if path.startswith("/api/") else EVENTS
