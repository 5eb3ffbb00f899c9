"""Writes a small model that real llama.cpp loads and runs: GGUF v3, architecture llama, whose answers are a chain of
words, each followed by the next. The first word follows whatever was asked; the last one ends the answer, or with
"endless" leads to the first. `layers` and `width` make it as large and as slow as a test wants.

Usage: make_gguf.py FILE [LAYERS] [WIDTH] [stop|endless] [WORDS]
Format: ggml's docs/gguf.md."""
import array
import struct
import sys

WORDS = "the broker grants one lease at a time ."
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
HEAD = 32           # of an attention head, and what sizes are rounded up to
F32, F16 = 0, 1     # types of tensors
NORMAL, UNKNOWN, CONTROL, BYTE, UNUSED = 1, 2, 3, 6, 5  # types of tokens


def half(number):
    return struct.unpack("<H", struct.pack("<e", number))[0]


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(key, kind, value):
    """kind: u32, f32, bool, str, or a list of one of them."""
    codes = {"u32": (4, "I"), "i32": (5, "i"), "f32": (6, "f"), "bool": (7, "?"), "str": (8, None)}
    if isinstance(value, list):
        code, letter = codes[kind]
        body = b"".join(map(text, value)) if letter is None else struct.pack(f"<{len(value)}{letter}", *value)
        return text(key) + struct.pack("<IIQ", 9, code, len(value)) + body
    code, letter = codes[kind]
    return text(key) + struct.pack("<I", code) + (text(value) if letter is None else struct.pack(f"<{letter}", value))


def vocabulary(words):
    """[(token, type)], and which token follows which by index."""
    tokens = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    tokens += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    tokens += [("\u2581", NORMAL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL)]
    tokens += [("\u2581" + word, NORMAL) for word in dict.fromkeys(words)]
    places = {token: i for i, (token, _) in enumerate(tokens)}
    while len(tokens) % HEAD:
        tokens.append((f"<pad{len(tokens)}>", UNUSED))
    return tokens, [places["\u2581" + word] for word in words]


def successors(count, chain, endless):
    follows = [chain[0]] * count
    for word, after in zip(chain, chain[1:]):
        follows[word] = after
    follows[chain[-1]] = chain[0] if endless else 2
    return follows


def tensors(count, follows, layers, width):
    """[(name, shape, type, bytes)]: an embedding that is the identity, layers that add nothing, and an output that
    says what follows."""
    ones = array.array("f", [1.0] * count).tobytes()
    embedding, output = (array.array("H", bytes(2 * count * count)) for _ in range(2))
    for token in range(count):
        embedding[token * count + token] = half(1.0)
        output[follows[token] * count + token] = half(20.0)
    yield "token_embd.weight", (count, count), F16, embedding.tobytes()
    yield "output.weight", (count, count), F16, output.tobytes()
    yield "output_norm.weight", (count,), F32, ones
    for layer in range(layers):
        place = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            yield f"{place}{name}.weight", (count,), F32, ones
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{place}{name}.weight", (count, count), F16, bytes(2 * count * count)
        for name in ("ffn_gate", "ffn_up"):
            yield f"{place}{name}.weight", (count, width), F16, bytes(2 * count * width)
        yield f"{place}ffn_down.weight", (width, count), F16, bytes(2 * count * width)


def fields(tokens, layers, width):
    sizes = {"context_length": 131072, "embedding_length": len(tokens), "block_count": layers,
             "feed_forward_length": width, "attention.head_count": len(tokens) // HEAD,
             "attention.head_count_kv": len(tokens) // HEAD, "rope.dimension_count": HEAD, "vocab_size": len(tokens)}
    words = next(i for i, (token, _) in enumerate(tokens) if token == "<|im_end|>") + 1
    return [field("general.architecture", "str", "llama"), field("general.name", "str", "a chain of words"),
            field("general.file_type", "u32", 1),
            *(field(f"llama.{name}", "u32", value) for name, value in sizes.items()),
            field("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5),
            field("tokenizer.ggml.model", "str", "llama"), field("tokenizer.ggml.pre", "str", "default"),
            field("tokenizer.ggml.tokens", "str", [token for token, _ in tokens]),
            field("tokenizer.ggml.scores", "f32", [float(min(0, words - i)) for i in range(len(tokens))]),
            field("tokenizer.ggml.token_type", "i32", [kind for _, kind in tokens]),
            field("tokenizer.ggml.bos_token_id", "u32", 1), field("tokenizer.ggml.eos_token_id", "u32", 2),
            field("tokenizer.ggml.unknown_token_id", "u32", 0), field("tokenizer.ggml.add_bos_token", "bool", True),
            field("tokenizer.ggml.add_eos_token", "bool", False), field("tokenizer.chat_template", "str", TEMPLATE)]


def write_model(path, layers=1, width=32, endless=False, words=WORDS):
    tokens, chain = vocabulary(words.split())
    rows = list(tensors(len(tokens), successors(len(tokens), chain, endless), layers, width))
    said = fields(tokens, layers, width)
    head, at = struct.pack("<4sIQQ", b"GGUF", 3, len(rows), len(said)) + b"".join(said), 0
    for name, shape, kind, data in rows:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, at)
        at += len(data) + -len(data) % HEAD
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % HEAD))
        for _, _, _, data in rows:
            file.write(data + bytes(-len(data) % HEAD))


def main(path, layers=1, width=32, end="stop", words=WORDS):
    write_model(path, int(layers), int(width), end == "endless", words)


if __name__ == "__main__":
    main(*sys.argv[1:])
