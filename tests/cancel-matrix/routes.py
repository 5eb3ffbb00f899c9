"""The routes of the matrix: what a client asks on each, and what a server says on it before it stops."""
import json

STREAM = "text/event-stream"
BOUNDARY = "cancel-matrix"


def events(*values, named=False):
    """Server-sent events, with their name where the API names them."""
    return "".join((f"event: {value['type']}\n" if named else "") + f"data: {json.dumps(value)}\n\n"
                   for value in values).encode()


FIRST_TOKENS = {
    "chat": events({"id": "c1", "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": {"content": "first"}}]}),
    "completions": events({"id": "c1", "object": "text_completion", "choices": [{"index": 0, "text": "first"}]}),
    "responses": events(
        {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "status": "in_progress"}},
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": "first"}, named=True),
    "messages": events(
        {"type": "message_start", "message": {"id": "msg_1", "type": "message", "content": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "first"}}, named=True),
    "transcription": events({"type": "transcript.text.delta", "delta": "first"}),
}
HALF_OF_VECTOR = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,'
VECTOR_BYTES = 4096  # announced

PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "responses": "/v1/responses",
         "messages": "/v1/messages", "embeddings": "/v1/embeddings", "transcription": "/v1/audio/transcriptions"}


def question(route, model, marker, stream):
    """(content type, body) of a request whose text is the marker."""
    if route == "transcription":
        return f"multipart/form-data; boundary={BOUNDARY}", form(model, marker, stream)
    body = {"model": model}
    if route in ("chat", "messages"):
        body.update(messages=[{"role": "user", "content": marker}], max_tokens=100)
    elif route == "completions":
        body.update(prompt=marker)
    else:
        body.update(input=marker)
    if stream and route != "embeddings":
        body.update(stream=True)
    return "application/json", json.dumps(body).encode()


def form(model, marker, stream):
    fields = [("model", model)] + [("stream", "true")] * stream
    text = "".join(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                   for name, value in fields)
    text += (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
             f"Content-Type: audio/wav\r\n\r\n{marker}\r\n--{BOUNDARY}--\r\n")
    return text.encode()


def answer_head(route):
    """Of an answer that is sent piece by piece."""
    if route == "embeddings":
        return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {VECTOR_BYTES}\r\n\r\n".encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: {STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def answer_begin(route):
    """Its first bytes, after which nothing comes."""
    if route == "embeddings":
        return HALF_OF_VECTOR
    text = FIRST_TOKENS[route]
    return b"%x\r\n%s\r\n" % (len(text), text)
