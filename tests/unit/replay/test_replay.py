#!/usr/bin/env python3
"""Goal: `baton replay` tells what the rules make of a trace, and refuses what is no trace.

Method: runs the program over the traces of the repository and over small ones written here, reads its JSON, its table
and its picture. Usage: test_replay.py PROGRAM TRACES MAKE_TRACES.
"""
import json
import os
import pathlib
import pty
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

PROGRAM, TRACES, MAKE_TRACES = (pathlib.Path(a) for a in sys.argv[1:4])
CLASSES = ["voice", "chat", "normal", "background"]
SVG = "{http://www.w3.org/2000/svg}"


def run(*args, text=None, env=None):
    return subprocess.run([PROGRAM, *args], input=text, capture_output=True, text=True, timeout=60, check=False,
                          env=env)


def replay(trace, *args, text=None):
    done = run("--json", *args, trace, text=text)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lines(*requests):
    return "".join(json.dumps(r) + "\n" for r in requests)


def small(*requests, policy="baton"):
    return replay("-", "--policy", policy, text=lines(*requests))


class Incident(unittest.TestCase):
    TRACE = TRACES / "incident-2025-12-23.jsonl"

    def test_predecessor(self):
        """Its rules make of the arrivals just what its log says: 2 grants, 152 timeouts, 1 still waiting."""
        result = replay(self.TRACE, "--policy", "predecessor")
        self.assertEqual((result["granted"], result["timeouts"], result["pending"]), (2, 152, 1))
        self.assertEqual(result["recorded"], {"granted": 2, "timeouts": 152, "pending": 1})

    def test_baton(self):
        """Under Baton everybody is served, the one after the death too, and voice does not wait."""
        result = replay(self.TRACE)
        self.assertEqual((result["granted"], result["timeouts"], result["pending"]), (155, 0, 0))
        self.assertEqual(result["died"], 1)
        self.assertLess(result["classes"]["voice"]["wait_s"]["max"], 1)
        self.assertLess(result["wait_s"]["max"], 120)

    def test_by_the_rules_alone(self):
        """No policy looks at what was answered: without the outcomes the results are the same."""
        stripped = []
        for line in self.TRACE.read_text(encoding="utf-8").splitlines():
            request = json.loads(line)
            request.pop("outcome", None)
            stripped.append(request)
        for policy in ("baton", "predecessor"):
            want = replay(self.TRACE, "--policy", policy)
            got = small(*stripped, policy=policy)
            del want["recorded"], got["recorded"]
            self.assertEqual(got, want)

    def test_as_the_bridge_logged_it(self):
        """The raw form of the record, with granted_s and released_s, means the same."""
        raw = []
        for line in self.TRACE.read_text(encoding="utf-8").splitlines()[1:]:
            request = json.loads(line)
            if request["outcome"] == "granted":
                request["granted_s"] = 0.0 if request["at_s"] == 0 else 29.632
            if "hold_s" in request:
                request["released_s"] = request.pop("hold_s")
            request.pop("dies_s", None)
            raw.append(request)
        result = small(*raw, policy="predecessor")
        self.assertEqual((result["granted"], result["timeouts"], result["pending"]), (2, 152, 1))
        result = small(*raw)
        self.assertEqual((result["granted"], result["timeouts"]), (155, 0))


class OurTraces(unittest.TestCase):
    def test_busy_day(self):
        """A day of mixed use: nobody times out, people hardly wait, the training gives way and ends."""
        result = replay(TRACES / "busy-day.jsonl")
        self.assertGreater(result["requests"], 300)
        self.assertEqual((result["timeouts"], result["pending"], result["other"]), (0, 0, 0))
        self.assertEqual(result["died"], 2)
        self.assertGreater(result["yields"], 20)
        self.assertLess(result["classes"]["voice"]["wait_s"]["max"], 10)
        self.assertLess(result["classes"]["chat"]["wait_s"]["p99"], 10)
        self.assertGreater(replay(TRACES / "busy-day.jsonl", "--policy", "predecessor")["timeouts"], 100)

    def test_flood(self):
        """While hundreds of background requests wait, voice and chat are served at once; then they all are."""
        result = replay(TRACES / "flood.jsonl")
        self.assertGreater(result["classes"]["background"]["requests"], 500)
        self.assertEqual((result["granted"], result["timeouts"]), (result["requests"], 0))
        self.assertLess(result["classes"]["voice"]["wait_s"]["max"], 10)
        self.assertLess(result["classes"]["chat"]["wait_s"]["max"], 15)
        self.assertGreater(result["classes"]["background"]["wait_s"]["p50"], 20)

    def test_made_by_the_script(self):
        """The made-up traces are what tools/gen/traces.py makes, byte by byte."""
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, MAKE_TRACES, folder], check=True)
            for name in ("busy-day.jsonl", "flood.jsonl"):
                self.assertEqual((pathlib.Path(folder) / name).read_bytes(), (TRACES / name).read_bytes())


class Rules(unittest.TestCase):
    def test_predecessor_priority(self):
        """The predecessor serves the smaller number first, equals in order, and each for at most 60 s of waiting."""
        result = small({"at_s": 0, "id": "a", "priority": 20, "hold_s": 59}, {"at_s": 1, "id": "b", "priority": 20},
                       {"at_s": 2, "id": "c", "priority": 0, "hold_s": 1.5}, {"at_s": 130, "id": "d", "priority": 10},
                       policy="predecessor")
        self.assertEqual((result["granted"], result["timeouts"]), (4, 0))
        self.assertEqual(result["classes"]["voice"]["wait_s"]["max"], 57)
        self.assertEqual(result["classes"]["background"]["wait_s"]["max"], 59.5)

    def test_predecessor_limit(self):
        """A release at the very moment of the limit still counts; a millisecond later it is a timeout."""
        for hold_s, timeouts in ((61, 0), (61.001, 1)):
            result = small({"at_s": 0, "id": "a", "hold_s": hold_s}, {"at_s": 1, "id": "b", "hold_s": 1},
                           {"at_s": 90, "id": "c", "hold_s": 1}, policy="predecessor")
            self.assertEqual(result["timeouts"], timeouts)

    def test_each_binding_survives_a_death(self):
        """A holder's death hands the GPU on, in the time of its binding; over plain HTTP the longest hold ends it."""
        for binding, least, most in (("native", 0, 0.2), ("tab", 1.5, 5), ("stream", 0, 2.5), ("http", 25, 40)):
            result = small({"at_s": 0, "id": "a", "class": "voice", "dies_s": 5, "binding": binding},
                           {"at_s": 4, "id": "b", "class": "voice", "timeout_s": 1000},
                           {"at_s": 900, "id": "c"})
            self.assertEqual((result["granted"], result["died"]), (3, 1), binding)
            wait_s = result["classes"]["voice"]["wait_s"]["max"] - 1
            self.assertTrue(least <= wait_s <= most, f"{binding}: {wait_s} s")

    def test_timeout(self):
        """A waiter is told timeout when it said so, and is no grant."""
        result = small({"at_s": 0, "id": "a", "hold_s": 25}, {"at_s": 1, "id": "b", "timeout_s": 5},
                       {"at_s": 60, "id": "c"})
        self.assertEqual((result["granted"], result["timeouts"]), (2, 1))
        self.assertEqual(result["classes"]["normal"]["wait_s"]["max"], 5)

    def test_yield(self):
        """Voice makes a background holder give way, who comes back for the rest of its time."""
        result = small({"at_s": 0, "id": "job", "class": "background", "hold_s": 25, "yield_s": 0.5},
                       {"at_s": 5, "id": "mic", "class": "voice", "hold_s": 2}, {"at_s": 100, "id": "z"})
        self.assertEqual(result["classes"]["voice"]["wait_s"]["max"], 0.5)
        self.assertEqual(result["classes"]["background"]["yields"], 1)
        self.assertEqual((result["granted"], result["timeouts"], result["other"]), (3, 0, 0))

    def test_vram(self):
        """Two that do not fit together wait for each other; two that fit on two slots run at once."""
        head = {"about": "", "gpus": [{"name": "g", "vram_mb": 10000, "slots": 2}]}
        for vram_mb, wait_s in ((9000, 20), (4000, 0)):
            result = small(head, {"at_s": 0, "id": "a", "vram_mb": vram_mb}, {"at_s": 0, "id": "b", "vram_mb": vram_mb},
                           {"at_s": 100, "id": "c"})
            self.assertEqual(result["wait_s"]["max"], wait_s)

    def test_never_fits(self):
        """A request larger than any GPU is refused at once, not left waiting."""
        result = small({"about": "", "gpus": [{"name": "g", "vram_mb": 1000}]}, {"at_s": 0, "id": "a", "vram_mb": 2000})
        self.assertEqual((result["granted"], result["other"], result["pending"]), (0, 1, 0))

    def test_pending_and_end(self):
        """Who waits when the trace ends is pending, not a timeout; nothing happens after the end."""
        result = small({"at_s": 0, "id": "a", "hold_s": 50}, {"at_s": 10, "id": "b"})
        self.assertEqual((result["granted"], result["timeouts"], result["pending"]), (1, 0, 1))
        result = small({"about": "", "end_s": 70}, {"at_s": 0, "id": "a", "hold_s": 50}, {"at_s": 10, "id": "b"})
        self.assertEqual((result["granted"], result["pending"]), (2, 0))

    def test_order_of_lines(self):
        """Lines may stand in any order; the times count."""
        requests = [{"at_s": 0, "id": "a", "hold_s": 9}, {"at_s": 1, "id": "b"}, {"at_s": 2, "id": "c"}]
        self.assertEqual(small(*requests), small(*reversed(requests)))


class Output(unittest.TestCase):
    TRACE = TRACES / "busy-day.jsonl"

    def test_json_shape(self):
        """The keys are there whatever the trace holds; a class without requests has no waits."""
        result = small({"at_s": 0, "id": "a", "class": "chat"})
        self.assertEqual(list(result["classes"]), CLASSES)
        for part in [result, *result["classes"].values()]:
            for key in ("requests", "granted", "timeouts", "pending", "died", "other", "yields"):
                self.assertIsInstance(part[key], int)
        self.assertIsNone(result["classes"]["voice"]["wait_s"])
        self.assertEqual(set(result["classes"]["chat"]["wait_s"]), {"p50", "p99", "max"})
        self.assertEqual((result["granted"], result["policy"]), (1, "baton"))

    def test_sums(self):
        """The classes add up to the whole."""
        result = replay(self.TRACE)
        for key in ("requests", "granted", "timeouts", "pending", "yields"):
            self.assertEqual(sum(c[key] for c in result["classes"].values()), result[key])

    def test_same_again(self):
        """Two runs print and draw the same bytes."""
        for args in (["--json", self.TRACE], [self.TRACE], ["--svg", "-", self.TRACE]):
            self.assertEqual(run(*args).stdout, run(*args).stdout)

    def test_table(self):
        """People get a table with a row per class that occurs, in plain text when it goes into a pipe."""
        text = run(TRACES / "incident-2025-12-23.jsonl", "--policy", "predecessor").stdout
        self.assertRegex(text, r"(?m)^all +155 +2 +152 +1 ")
        self.assertRegex(text, r"(?m)^background +130 +0 +129 ")
        self.assertNotIn("normal", text)
        self.assertNotIn("\x1b", text)

    def on_terminal(self, env):
        main, side = pty.openpty()
        done = subprocess.run([PROGRAM, self.TRACE], stdout=side, stderr=subprocess.PIPE, env=env, timeout=60,
                              check=True)
        os.close(side)
        text = os.read(main, 65536).decode()
        os.close(main)
        self.assertEqual(done.stderr, b"")
        return text

    def test_colour(self):
        """A terminal gets colour, unless NO_COLOR says otherwise."""
        env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        self.assertIn("\x1b[1m", self.on_terminal(env))
        self.assertNotIn("\x1b", self.on_terminal({**env, "NO_COLOR": "1"}))


class Picture(unittest.TestCase):
    def draw(self, trace, *args, text=None):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out.svg"
            done = run("--svg", out, *args, trace, text=text)
            self.assertEqual(done.returncode, 0, done.stderr)
            return xml.parse(out).getroot()

    @staticmethod
    def words(root):
        return ["".join(e.itertext()) for e in root.iter(SVG + "text")]

    def test_all_traces(self):
        """Every trace under both policies is valid XML with title, legend, a name per client and a time axis."""
        for trace in sorted(TRACES.glob("*.jsonl")):
            for policy in ("baton", "predecessor"):
                root = self.draw(trace, "--policy", policy)
                self.assertEqual(root.tag, SVG + "svg")
                words = self.words(root)
                for part in ("waiting", "holding", "yielding", "ended: released", "ended: timeout"):
                    self.assertTrue(any(w.startswith(part) for w in words), part)
                self.assertTrue(root.findtext(SVG + "title"))
                self.assertIn("0:00", words)
                self.assertIn("prefers-color-scheme:dark", root.findtext(SVG + "style"))

    def test_bands(self):
        """Equal ids share a band, the highest class stands first, and a wait, a hold and a death can be seen."""
        text = lines({"at_s": 0, "id": "late", "class": "background"}, {"at_s": 5, "id": "first", "class": "voice"},
                     {"at_s": 9, "id": "late", "class": "background", "dies_s": 2}, {"at_s": 99, "id": "end"})
        root = self.draw("-", text=text)
        names = ["".join(e.itertext()) for e in root.iter(SVG + "text") if (e.get("class") or "").startswith("name")]
        self.assertEqual(names, ["first", "end", "late"])
        styles = [e.get("class") for e in root.iter() if e.tag in (SVG + "rect", SVG + "path")]
        for style in ("wait", "hold", "yield", "lost", "dead", "end"):
            self.assertGreater(styles.count(style), 1, style)  # one is the legend's

    def test_marks_of_the_incident(self):
        """The predecessor's 152 timeouts are 152 crosses, and the dead holder's lease says so in words."""
        root = self.draw(TRACES / "incident-2025-12-23.jsonl", "--policy", "predecessor")
        crosses = [e for e in root.iter(SVG + "path") if e.get("class") == "cross"]
        self.assertEqual(len(crosses) - 1, 152)
        self.assertIn("held by a dead client 10:44:24", self.words(root))

    def test_names_are_escaped(self):
        """A name full of markup is a name, in the bands and in the title."""
        name = "<script>&\"'</svg>]]>"
        root = self.draw("-", text=lines({"about": "", "title": name}, {"at_s": 0, "id": name}))
        self.assertEqual(root.findtext(SVG + "title"), name)
        self.assertIn(name, self.words(root))

    def test_many_clients(self):
        """Hundreds of clients stay one readable picture: the rest shares the last band."""
        text = lines(*({"at_s": i, "id": f"client-{i}", "hold_s": 0.5} for i in range(300)))
        root = self.draw("-", text=text)
        self.assertIn("265 other clients", self.words(root))
        self.assertLess(int(root.get("height")), 2500)

    def test_long_name(self):
        """A long name is cut between characters, not within one."""
        name = "ä" * 60
        root = self.draw("-", text=lines({"at_s": 0, "id": name}))
        self.assertTrue(any(w.startswith("ää") and w.endswith("…") for w in self.words(root)))

    def test_moment(self):
        """A trace of a single moment is drawn as well."""
        self.draw("-", text=lines({"at_s": 0, "id": "a", "hold_s": 0}))


class Refusals(unittest.TestCase):
    GOOD = '{"at_s": 0, "id": "a"}\n'

    def refused(self, line, problem, number=3):
        done = run("-", text=self.GOOD + "\n" + line + "\n" + self.GOOD)
        self.assertEqual(done.returncode, 65, line)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith(f"baton: replay: standard input:{number}: "), done.stderr)
        self.assertIn(problem, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_bad_lines(self):
        """Whatever is wrong is named with its line, and nothing is printed as a result."""
        for line, problem in (
                ("{", "column"), ("[]", "not a JSON object"), ("nonsense", "column"), ('"x"', "column"),
                ('{"id": "a"}', "at_s is missing"), ('{"at_s": -1, "id": "a"}', "at_s must"),
                ('{"at_s": "1", "id": "a"}', "at_s must"), ('{"at_s": 1e300, "id": "a"}', "at_s must"),
                ('{"at_s": 1e999, "id": "a"}', "column"), ('{"at_s": NaN, "id": "a"}', "column"),
                ('{"at_s": 1}', "id must"), ('{"at_s": 1, "id": 5}', "id must"), ('{"at_s": 1, "id": ""}', "empty"),
                ('{"at_s": 1, "id": "' + "x" * 129 + '"}', "too long"), ('{"at_s": 1, "id": "a\\nb"}', "id "),
                ('{"at_s": 1, "id": "a", "class": "queen"}', "class must be one of voice chat normal background"),
                ('{"at_s": 1, "id": "a", "class": "chat", "priority": 0}', "name one of them"),
                ('{"at_s": 1, "id": "a", "priority": 1.5}', "priority must"),
                ('{"at_s": 1, "id": "a", "priority": -1}', "priority must"),
                ('{"at_s": 1, "id": "a", "hold_s": -1}', "hold_s must"),
                ('{"at_s": 1, "id": "a", "hold_s": 5, "dies_s": 6}', "never happen"),
                ('{"at_s": 1, "id": "a", "timeout_s": null}', "timeout_s must"),
                ('{"at_s": 1, "id": "a", "vram_mb": 1.5}', "vram_mb must"),
                ('{"at_s": 1, "id": "a", "binding": "rope"}', "binding must be one of native tab stream http"),
                ('{"at_s": 1, "id": "a", "outcome": "lost"}', "outcome must be one of"),
                ('{"at_s": 9, "id": "a", "granted_s": 3}', "do not follow"),
                ('{"at_s": 1, "id": "a", "hold": 3}', "unknown name"),
                ('{"at_s": 1, "at_s": 2, "id": "a"}', "duplicate"),
                ('{"about": "late"}', "first line"), ('{"at_s": 1, "id": "' + "x" * 70000 + '"}', "64 KiB")):
            self.refused(line, problem)

    def test_bad_heads(self):
        """The first line is checked as well."""
        for head, problem in (({"end_s": -1}, "end_s must"), ({"gpus": []}, "gpus must"), ({"gpus": [5]}, "gpus are"),
                              ({"gpus": [{}]}, "name each"), ({"gpus": [{"name": "g", "slots": 0}]}, "slots must"),
                              ({"title": 5}, "title must"), ({"end_s": 3}, "earlier"),
                              ({"gpus": [{"name": "g"}] * 17}, "too many")):
            done = run("-", text=lines({"about": "", **head}, {"at_s": 5, "id": "a"}))
            self.assertEqual(done.returncode, 65, head)
            self.assertIn("standard input:1: ", done.stderr)
            self.assertIn(problem, done.stderr)

    def test_empty(self):
        """A trace without a request is none."""
        for text in ("", "\n\n", '{"about": "nothing"}\n'):
            self.assertEqual(run("-", text=text).returncode, 65)

    def test_bytes(self):
        """Invalid UTF-8 and NUL bytes are refused, not read over."""
        for bad in (b'{"at_s": 1, "id": "\xff\xfe"}\n', b'{"at_s": 1, "id": "a\x00b"}\n'):
            done = subprocess.run([PROGRAM, "-"], input=bad, capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 65)
            self.assertIn(b"standard input:1: ", done.stderr)

    def test_files(self):
        """What cannot be read or written is named, with a status of its own."""
        done = run("/nonexistent/trace.jsonl")
        self.assertEqual(done.returncode, 66)
        self.assertIn("/nonexistent/trace.jsonl", done.stderr)
        done = run("--svg", "/nonexistent/out.svg", TRACES / "flood.jsonl")
        self.assertEqual(done.returncode, 73)
        self.assertIn("/nonexistent/out.svg", done.stderr)
        done = run(TRACES)
        self.assertNotEqual(done.returncode, 0)

    def test_usage(self):
        """Wrong usage is 64 and says how; help is 0 and goes to standard output."""
        for args in ([], ["a", "b"], ["--policy", "fair", "a"], ["--nonsense", "a"], ["--svg"],
                     ["--svg", "-", "--json", "a"]):
            done = run(*args)
            self.assertEqual((done.returncode, done.stdout), (64, ""), args)
            self.assertIn("replay", done.stderr)
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("usage: baton replay"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
