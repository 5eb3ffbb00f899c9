"""Python's clients, told by lines what to ask: as drive.mjs, which says how."""
import asyncio
import json
import sys

try:
    import anthropic
    import httpx
    import ollama
    import openai
except ImportError as missing:
    print(f"drive.py: {missing}; install it with: tools/dev/deps.sh test", file=sys.stderr)
    sys.exit(2)

MESSAGES = [{"role": "user", "content": "hi"}]


async def collect(stream, text_of, say):
    """Joins the pieces of a stream, telling each as it comes."""
    all_text = ""
    async for part in stream:
        if text := text_of(part):
            say(text)
            all_text += text
    return all_text


class Failed(Exception):
    """A Responses stream that says that it failed."""

    def __init__(self, error):
        super().__init__(error.message)
        self.code = error.code


def response_text(event):
    if event.type == "response.failed":
        raise Failed(event.response.error)
    return event.delta if event.type == "response.output_text.delta" else ""


class OpenAI:
    def __init__(self, ask):
        self.ask = ask
        self.client = openai.AsyncOpenAI(base_url=ask["base"] + "/v1", api_key=ask["key"], max_retries=ask["retries"])
        self.words = {"model": ask["model"], "stream": ask["stream"]}

    async def chat(self, say):
        answer = await self.client.chat.completions.create(messages=MESSAGES, **self.words)
        if not self.ask["stream"]:
            return answer.choices[0].message.content
        return await collect(answer, lambda part: part.choices[0].delta.content if part.choices else "", say)

    async def completions(self, say):
        answer = await self.client.completions.create(prompt="hi", **self.words)
        if not self.ask["stream"]:
            return answer.choices[0].text
        return await collect(answer, lambda part: part.choices[0].text if part.choices else "", say)

    async def responses(self, say):
        answer = await self.client.responses.create(input="hi", **self.words)
        return await collect(answer, response_text, say) if self.ask["stream"] else answer.output_text

    async def stored(self, say):
        """A response, asked for again, gone on from and deleted; then it is an error."""
        every = self.client.responses
        words = {"model": self.ask["model"], "input": "hi"}
        id_ = (await every.create(**words)).id
        texts = [(await every.retrieve(id_)).output_text]
        texts += [item.type async for item in every.input_items.list(id_)]
        texts.append((await every.create(previous_response_id=id_, **words)).id)
        texts.append((await every.cancel(id_)).status)
        texts.append((await every.compact(previous_response_id=id_, **words)).object)
        await every.delete(id_)
        say(json.dumps(texts))
        return await every.retrieve(id_)

    async def embeddings(self, _say):
        answer = await self.client.embeddings.create(model=self.ask["model"], input=self.ask["input"])
        return [row.embedding for row in answer.data]

    async def transcription(self, _say):
        file = ("a.wav", b"RIFF" * 25000, "audio/wav")
        return (await self.client.audio.transcriptions.create(model=self.ask["model"], file=file)).text

    async def models(self, _say):
        return [row.id async for row in self.client.models.list()]


class Anthropic:
    def __init__(self, ask):
        self.ask = ask
        self.client = anthropic.AsyncAnthropic(base_url=ask["base"], api_key=ask["key"], max_retries=ask["retries"])
        self.words = {"model": ask["model"], "messages": MESSAGES, "max_tokens": 10}

    async def messages(self, say):
        answer = await self.client.messages.create(**self.words, stream=self.ask["stream"])
        if not self.ask["stream"]:
            return answer.content[0].text
        return await collect(answer, lambda event: event.delta.text if event.type == "content_block_delta" else "", say)

    async def final(self, say):
        """The helper that puts the message together."""
        async with self.client.messages.stream(**self.words) as stream:
            await collect(stream.text_stream, str, say)
            return (await stream.get_final_message()).content[0].text


class Httpx:
    """No SDK: a program that reads the lines itself, and stops at an error as at the end."""

    def __init__(self, ask):
        self.ask = ask
        self.client = httpx.AsyncClient(base_url=ask["base"], headers={"Authorization": f"Bearer {ask['key']}"})

    async def chat(self, say):
        body = {"model": self.ask["model"], "messages": MESSAGES, "stream": self.ask["stream"]}
        if not self.ask["stream"]:
            answer = await self.client.post("/v1/chat/completions", json=body)
            answer.raise_for_status()
            return answer.json()["choices"][0]["message"]["content"]
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.is_error:
                await answer.aread()
            answer.raise_for_status()
            return await collect(answer.aiter_lines(), self.text_of, say)

    @staticmethod
    def text_of(line):
        if not line.startswith("data: ") or line == "data: [DONE]":
            return ""
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise openai.APIError(chunk["error"]["message"], None, body=chunk["error"])
        return chunk["choices"][0]["delta"].get("content", "")


class Ollama:
    def __init__(self, ask):
        self.ask = ask
        self.client = ollama.AsyncClient(host=ask["base"], headers={"Authorization": f"Bearer {ask['key']}"})

    async def chat(self, say):
        answer = await self.client.chat(self.ask["model"], MESSAGES, stream=self.ask["stream"])
        if not self.ask["stream"]:
            return answer.message.content
        return await collect(answer, lambda part: part.message.content, say)

    async def embeddings(self, _say):
        answer = await self.client.embed(self.ask["model"], self.ask["input"])
        return [list(row) for row in answer.embeddings]

    async def models(self, _say):
        return [row.model for row in (await self.client.list()).models]


KINDS = {"openai": OpenAI, "anthropic": Anthropic, "httpx": Httpx, "ollama": Ollama}


def told(error):
    """What a program can learn of a failure."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else {}
    response = getattr(error, "response", None)
    if isinstance(response, httpx.Response) and isinstance(error, httpx.HTTPStatusError):
        inner = response.json()["error"]
    headers = getattr(response, "headers", {})
    status = getattr(response, "status_code", None)
    return {"type": type(error).__name__, "status": getattr(error, "status_code", status),
            "code": getattr(error, "code", None) or (inner.get("code") if isinstance(inner, dict) else None),
            "message": inner.get("message", str(error)) if isinstance(inner, dict) else str(error),
            "retryAfter": headers.get("retry-after"), "shouldRetry": headers.get("x-should-retry")}


def write(row):
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


async def perform(ask):
    try:
        calls = KINDS[ask["client"]](ask)
        result = await getattr(calls, ask["call"])(lambda piece: write({"id": ask["id"], "piece": piece}))
        write({"id": ask["id"], "result": result})
    except asyncio.CancelledError:
        write({"id": ask["id"], "error": {"type": "CancelledError"}})
    except Exception as error:  # that is what is asked: what a program is told
        write({"id": ask["id"], "error": told(error)})


async def main():
    running = {}
    write({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if order["do"] == "abort":
            running[order["id"]].cancel()
        else:
            running[order["id"]] = asyncio.create_task(perform(order))


asyncio.run(main())
