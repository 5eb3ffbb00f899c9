"""Goal: what Open Responses asks of `/v1/responses` holds through Baton, and for what Baton says itself. Method: the
cases of its compliance test, written anew from its documents (version 2026-04-24): real llama.cpp for the texts, a
server by hand where a model must call a tool; BATON_BIN names the daemon.

Not asked, since no server here has them: file and web search, previous_response_id, compaction, its WebSocket."""
import json
import os
import unittest

from interop import InteropTest
from lib.model_server import ModelServer
from lib.wait import wait_until
from make_gguf import WORDS

RESPONSES = "/v1/responses"
TEXT, LIST, FLAG, NUMBER, WHOLE, ANY = str, list, bool, (int, float), int, object
OR_NULL = type(None)
# Each field that a Response must have, and of which kind; `user` came later than most servers.
FIELDS = {
    "id": TEXT, "object": TEXT, "created_at": WHOLE, "completed_at": (WHOLE, OR_NULL), "status": TEXT,
    "incomplete_details": (dict, OR_NULL), "model": TEXT, "previous_response_id": (TEXT, OR_NULL),
    "instructions": (TEXT, LIST, OR_NULL), "output": LIST, "error": (dict, OR_NULL), "tools": LIST, "tool_choice": ANY,
    "truncation": TEXT, "parallel_tool_calls": FLAG, "text": dict, "top_p": NUMBER, "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER, "top_logprobs": WHOLE, "temperature": NUMBER, "reasoning": (dict, OR_NULL),
    "usage": (dict, OR_NULL), "max_output_tokens": (WHOLE, OR_NULL), "max_tool_calls": (WHOLE, OR_NULL), "store": FLAG,
    "background": FLAG, "service_tier": TEXT, "metadata": dict, "safety_identifier": (TEXT, OR_NULL),
    "prompt_cache_key": (TEXT, OR_NULL),
}
WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a place",
           "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "get_weather",
        "arguments": '{"location":"Oslo"}', "status": "completed"}
DOT = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
       "ErkJggg==")


def message(role, content):
    return {"type": "message", "role": role, "content": content}


INPUTS = {
    "basic": [message("user", "Say hello in three words.")],
    "plain text": "Say hello in three words.",
    "system prompt": [message("system", "Speak as a pirate."), message("user", "Say hello.")],
    "picture": [message("user", [{"type": "input_text", "text": "What is this?"},
                                 {"type": "input_image", "image_url": DOT}])],
    "turns": [message("user", "My name is Alice."), message("assistant", "Hello Alice!"),
              message("user", "What is my name?")],
}


def whole(model, output, status="completed", error=None):
    """A Response by hand."""
    blank = {name: None for name in FIELDS}
    return {**blank, "id": "resp_1", "object": "response", "created_at": 1700000000, "completed_at": 1700000001,
            "status": status, "model": model, "output": output, "error": error, "tools": [WEATHER],
            "tool_choice": "auto", "truncation": "disabled", "parallel_tool_calls": True,
            "text": {"format": {"type": "text"}}, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0,
            "top_logprobs": 0, "temperature": 1, "store": False, "background": False, "service_tier": "default",
            "metadata": {}}


class OpenResponses(InteropTest):
    SHAPES = {"m": {}, "endless": {"endless": True}}

    def complete(self, response, status="completed"):
        """That it is a Response, of this status."""
        for name, kind in FIELDS.items():
            self.assertIn(name, response)
            self.assertIsInstance(response[name], kind, name)
        self.assertEqual((response["object"], response["status"]), ("response", status))
        return response

    def text_of(self, response):
        return "".join(part["text"] for item in response["output"] for part in item.get("content", [])).strip()

    def events_of(self, body):
        """Its events, whose names are their types, counted up; comments are nobody's."""
        events = []
        for block in body.decode().split("\n\n"):
            lines = [line for line in block.split("\n") if line and not line.startswith(":")]
            if not lines or lines == ["data: [DONE]"]:
                continue
            name, data = lines
            event = json.loads(data.removeprefix("data: "))
            self.assertEqual(name, f"event: {event['type']}")
            events.append(event)
        numbers = [event["sequence_number"] for event in events]
        self.assertEqual(numbers, sorted(set(numbers)), "each number is larger than the one before")
        return events

    def respond(self, daemon, given, model="m", **fields):
        answer = self.ask(daemon, model, RESPONSES, input=given, **fields)
        self.assertEqual(answer.status, 200, answer)
        return answer

    def test_texts(self):
        daemon = self.behind(self.real("m", "8192"))
        for name, given in INPUTS.items():
            with self.subTest(name):
                answer = self.respond(daemon, given)
                self.assertEqual(answer.headers["content-type"], "application/json")
                self.assertEqual(self.text_of(self.complete(answer.json())), WORDS)

    def check_stream(self, body):
        events = self.events_of(body)
        types = [event["type"] for event in events]
        order = ["response.created", "response.output_item.added", "response.content_part.added",
                 "response.output_text.delta", "response.output_text.done", "response.content_part.done",
                 "response.output_item.done", "response.completed"]
        places = [types.index(name) for name in order]
        self.assertEqual(places, sorted(places), types)
        self.assertEqual(types[-1], "response.completed")
        said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        self.assertEqual(said.strip(), WORDS)
        self.assertEqual(self.text_of(self.complete(events[-1]["response"])), WORDS)

    def test_stream(self):
        answer = self.respond(self.behind(self.real("m", "8192")), INPUTS["basic"], stream=True)
        self.assertTrue(answer.headers["content-type"].startswith("text/event-stream"))
        self.check_stream(answer.body)

    def test_stream_that_waits(self):
        """The signs of life are no events."""
        daemon = self.behind(self.real("m", "8192"), gateway={"quiet_s": 0.1})
        game = daemon.lock("game").json()["token"]
        reader = self.begin(daemon, "m", RESPONSES, input=INPUTS["basic"], stream=True)
        self.assertEqual(reader.read_head()[0], 200)
        chunks = reader.chunks()
        self.assertTrue(next(chunks).startswith(b":"))
        daemon.unlock(game)
        self.check_stream(b"".join(chunks).rpartition(b": baton")[2].partition(b"\n")[2])

    def tool_server(self):
        server = ModelServer("openai", ["m"])
        self.addCleanup(server.close)
        return server, self.behind({"name": "s", "kind": "openai", "url": server.url, "vram_mb": 1000})

    def test_tool(self):
        server, daemon = self.tool_server()
        server.answer = (200, [], whole("m", [CALL]))
        response = self.complete(self.respond(daemon, INPUTS["basic"], tools=[WEATHER]).json())
        self.assertEqual(response["output"], [CALL])
        sent = json.loads(server.asked(RESPONSES)[0][3])
        self.assertEqual(sent["tools"], [WEATHER])

    def test_tool_streams(self):
        server, daemon = self.tool_server()
        begun = {**CALL, "arguments": "", "status": "in_progress"}
        place = {"item_id": CALL["id"], "output_index": 0}
        steps = [("created", {"response": whole("m", [], "in_progress")}),
                 ("output_item.added", {"output_index": 0, "item": begun}),
                 ("function_call_arguments.delta", {**place, "delta": CALL["arguments"]}),
                 ("function_call_arguments.done", {**place, "arguments": CALL["arguments"]}),
                 ("output_item.done", {"output_index": 0, "item": CALL}),
                 ("completed", {"response": whole("m", [CALL])})]
        sent = [{"type": f"response.{name}", "sequence_number": i, **value} for i, (name, value) in enumerate(steps)]
        server.pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in sent]
        server.pieces.append(b"data: [DONE]\n\n")
        answer = self.respond(daemon, INPUTS["basic"], tools=[WEATHER], stream=True)
        self.assertEqual(self.events_of(answer.body), sent)
        self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"))

    def test_failure_in_the_middle(self):
        """What Baton ends a stream with is a Response, too, whose stream goes on counting."""
        daemon = self.behind(self.real("endless", "8192"))
        reader = self.begin(daemon, "endless", RESPONSES, input="hi", stream=True, max_output_tokens=100000)
        self.assertEqual(reader.read_head()[0], 200)
        chunks = reader.chunks()
        body = next(chunks)
        wait_until(lambda: self.alive("endless"), "it runs")
        os.kill(self.alive("endless")[0], 9)
        events = self.events_of(body + b"".join(chunks))
        self.assertEqual(events[-1]["type"], "response.failed")
        failed = self.complete(events[-1]["response"], "failed")
        self.assertEqual(failed["id"], events[0]["response"]["id"])
        self.assertEqual((failed["error"]["code"], failed["model"]), ("upstream_broken", "endless"))
        self.assertLess(abs(failed["created_at"] - events[0]["response"]["created_at"]), 60)

    def test_failure_before_it_begins(self):
        """Refused while it was kept warm, and before it was."""
        daemon = self.behind(self.real("m"), gateway={"quiet_s": 0.1, "stream_wait_s": 1})
        daemon.lock("game")
        streamed = self.respond(daemon, "hi", stream=True)
        events = self.events_of(streamed.body)
        self.assertEqual([event["type"] for event in events], ["response.failed"])
        self.assertEqual(self.complete(events[0]["response"], "failed")["error"]["code"], "timeout")
        unknown = self.ask(daemon, "none", RESPONSES, input="hi")
        self.assertEqual(unknown.status, 404)
        self.assertEqual(set(unknown.json()["error"]), {"message", "type", "param", "code"})


if __name__ == "__main__":
    unittest.main()
