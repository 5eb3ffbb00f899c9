#!/usr/bin/env python3
"""Writes the two made-up traces, traces/busy-day.jsonl and traces/flood.jsonl (traces/README.md).

Usage: traces.py [FOLDER]. The same script writes the same bytes: every draw comes from one seed.
"""
import json
import pathlib
import random
import sys

HOUR = 3600.0


class Trace:
    """Requests in any order; write() sorts them by time."""

    def __init__(self, **head):
        self.head = head
        self.requests = []

    def add(self, at_s, name, cls, hold_s, **more):
        self.requests.append({"at_s": round(at_s, 3), "id": name, "class": cls, "hold_s": round(hold_s, 3), **more})

    def write(self, path):
        lines = [self.head] + sorted(self.requests, key=lambda r: r["at_s"])
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def talk(trace, rng, name, cls, begin_s, turns, hold_s, pause_s, **more):
    """Somebody who asks, waits for the answer, thinks, and asks again."""
    at_s = begin_s
    for _ in range(turns):
        hold = rng.uniform(*hold_s)
        trace.add(at_s, name, cls, hold, **more)
        at_s += hold + rng.uniform(*pause_s)


def busy_day():
    rng = random.Random(20251223)
    trace = Trace(
        title="A busy day of mixed use",
        about="Made up. One GPU of 24 GiB from midnight to midnight: a console and a microphone in the browser, a "
              "dreamer that thinks when it can, a training run over night and one at noon, ComfyUI in the afternoon.",
        end_s=24 * HOUR, gpus=[{"name": "gpu0", "vram_mb": 24576, "slots": 1}])

    # Programs on the machine: long holds that give way and come back.
    for begin_h, hold_h, name in ((0.2, 4.5, "train-lora"), (11.9, 1.5, "train-eval")):
        trace.add(begin_h * HOUR, name, "background", hold_h * HOUR, binding="native", vram_mb=20480, yield_s=1.5,
                  timeout_s=12 * HOUR)
    for begin_h in (15.0, 16.1, 17.3):
        talk(trace, rng, "ComfyUI", "normal", begin_h * HOUR, 14, (12, 35), (5, 60), binding="native", vram_mb=12288,
             yield_s=0.8, timeout_s=600)
    # Every full hour an index is brought up to date by curl.
    for hour in range(24):
        trace.add(hour * HOUR + rng.uniform(0, 90), "hourly-index", "background", rng.uniform(4, 15), binding="http",
                  timeout_s=900)

    # People at the pages.
    for begin_h, turns in ((8.6, 14), (10.2, 22), (13.4, 18), (15.6, 25), (17.1, 12), (20.3, 30), (22.4, 10)):
        talk(trace, rng, "Root-Console-Chat", "chat", begin_h * HOUR, turns, (3, 22), (15, 110))
    for begin_h, turns in ((8.7, 8), (12.1, 6), (15.7, 16), (18.0, 5), (20.5, 18)):
        talk(trace, rng, "Root-Mic", "voice", begin_h * HOUR, turns, (1.2, 6), (6, 70))
    # The dreamer thinks every quarter of an hour, more by night; one of its tabs crashes at 3 o'clock.
    at_s = 0.1 * HOUR
    while at_s < 24 * HOUR - 200:
        trace.add(at_s, "Dreamer-Think", "background", rng.uniform(8, 28), timeout_s=600)
        night = at_s < 7 * HOUR
        at_s += rng.uniform(8, 14) * 60 if night else rng.uniform(14, 24) * 60
    trace.add(3.02 * HOUR, "Dreamer-Init", "background", 25, dies_s=9, timeout_s=600)
    trace.add(15.8 * HOUR, "Root-Console-Init", "chat", 18, dies_s=7)
    return trace


def flood():
    rng = random.Random(154)
    trace = Trace(
        title="A background flood, with people in between",
        about="Made up. Three times, twenty workers throw 240 short background requests at the GPU within twenty "
              "seconds, more than a minute of work; meanwhile somebody talks and somebody chats, and neither may "
              "notice.",
        end_s=900.0)
    for wave_s in (20, 320, 620):
        for i in range(240):
            trace.add(wave_s + rng.uniform(0, 20), f"batch-{i % 20 + 1:02d}", "background", rng.uniform(0.1, 0.5),
                      binding="native", timeout_s=600)
    talk(trace, rng, "Root-Mic", "voice", 10, 60, (1, 4), (4, 20))
    talk(trace, rng, "Root-Console-Chat", "chat", 15, 38, (3, 9), (5, 25))
    return trace


def main():
    default = pathlib.Path(__file__).resolve().parents[2] / "traces"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    busy_day().write(folder / "busy-day.jsonl")
    flood().write(folder / "flood.jsonl")


if __name__ == "__main__":
    main()
