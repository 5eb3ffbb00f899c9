"""Goal: what a Python program asks for is what the broker hears, or is refused at once with what is wrong.

Method: the real daemon and programs in processes of their own that say odd things; `baton run` beside them.
"""
import json
import unittest

from lib.daemon import DaemonTest
from lib.python_client import Program


class Arguments(DaemonTest):
    def test_what_is_refused(self):
        """Each refusal is an exception of its kind, with the code and exit status of the table of errors."""
        daemon = self.daemon(args=["--fake-gpu", "a:24000"])
        daemon.session("first").hold()
        cases = {"wait=False": "LeaseDenied busy 75", "timeout=0.1": "LeaseTimeout timeout 75",
                 "vram='90G'": "LeaseDenied never_fits 72", "gpu='nope'": "LeaseDenied no_such_gpu 66",
                 "klass='loud'": "BadRequest bad_field 65", "vram='8 GB'": "BadRequest bad_field 65",
                 "timeout='soon'": "BadRequest bad_field 65", "socket='/nowhere/s'": "Unreachable unreachable 69"}
        program = Program(self, daemon, """
for case in json.loads(hear()):
    try:
        with eval(f"baton.lease({case})"): say("held")
    except baton.BatonError as error:
        say(type(error).__name__, error.code, error.exit_code)
""")
        program.tell(json.dumps(list(cases)))
        for case, words in cases.items():
            self.assertEqual(program.wait(""), words, case)
        self.assertEqual(program.result(), 0, program.errors)

    def test_how_it_ended_is_told(self):
        """History has what release() says, and of an exception its type alone, never its words; an end as planned, and
        a lease that was lost, say nothing. Blocks and tasks alike."""
        daemon = self.daemon()
        program = Program(self, daemon, """
class Leaks(Exception): pass
kinds = {"Leaks": Leaks, "KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit,
         "exit": lambda _: SystemExit(0), "lost": lambda _: baton.LeaseLost("stale")}
def block(error):
    with baton.lease(name=f"with-{error}"):
        if error: raise kinds[error]("the prompt")
async def task(error):
    async with baton.lease_async(name=f"task-{error}"):
        raise asyncio.CancelledError("the prompt") if error == "CancelledError" else Leaks("the prompt")
for error in ("", "Leaks", "KeyboardInterrupt", "SystemExit", "exit", "lost"):
    try: block(error)
    except BaseException: pass
for error in ("Leaks", "CancelledError"):
    try: asyncio.run(task(error))
    except BaseException: pass
lease = baton.lease(name="by-word").acquire()
for words in ("", "x" * 121, chr(0xe4) * 61, chr(10), chr(0x202e) + "x", chr(0x3164), chr(0xdcff), 7):
    try: lease.release(words)
    except baton.BadRequest: say("refused")
say("held", lease.held)
lease.release(detail="exit status 1")
baton.lease(name="cancelled").acquire().cancel(detail="not needed")
async def words():
    lease = await baton.lease_async(name="async-word").acquire()
    await lease.release(detail=chr(0xe4) * 60)
asyncio.run(words())
say("done")
""")
        program.wait("done")
        self.assertEqual((program.result(), program.over.count("refused"), program.said("held True")), (0, 8, True))
        rows = daemon.http("GET", "/v1/gpu/history").json()["history"]
        self.assertNotIn("prompt", json.dumps(rows) + daemon.log())
        self.assertEqual({row["id"]: row.get("detail") for row in rows},
                         {"with-": None, "with-Leaks": "ended by Leaks", "with-exit": None, "with-lost": None,
                          "with-KeyboardInterrupt": "ended by KeyboardInterrupt",
                          "with-SystemExit": "ended by SystemExit",
                          "task-Leaks": "ended by Leaks", "task-CancelledError": "ended by CancelledError",
                          "by-word": "exit status 1", "cancelled": "not needed", "async-word": chr(0xe4) * 60})

    def test_what_cannot_be_said(self):
        """An argument that JSON has no words for is refused where it is given: nobody waits, no lease is lost by it."""
        daemon = self.daemon()
        cases = ["klass=b'voice'", "label=set()", "label='\\udcff'", "slots=float('nan')", "host=1 << 70", "name=7j"]
        program = Program(self, daemon, """
import pathlib
class Number:  # such as numpy's
    def __init__(self, number): self.number = number
    def __index__(self): return self.number
with baton.lease(gpus=Number(1), socket=pathlib.Path(os.environ["BATON_SOCKET"])) as lease:
    lease.processes(Number(os.getpid()))
    for case in json.loads(hear()):
        try: eval(f"baton.lease({case})").acquire()
        except baton.BadRequest: say("refused")
    for call in (lambda: lease.processes(b"7"), lambda: lease.change(1 << 64, 0)):
        try: call()
        except baton.BadRequest: say("refused")
    lease.check()
    lease.processes(os.getpid())
say("done")
""")
        program.tell(json.dumps(cases))
        for case in cases + ["processes", "change"]:
            self.assertEqual(program.wait(""), "refused", case)
        program.wait("done")
        self.assertEqual(program.result(), 0, program.errors)

    def test_names_of_programs(self):
        """Whatever a program's file is called, it has a lease under as much of that as can be a name."""
        daemon = self.daemon()
        program = Program(self, daemon, """
for path in json.loads(hear()):
    sys.argv[0] = path
    with baton.lease() as lease:
        say("held")
        hear()
""")
        names = {"/x/train.py": "train.py", "": "python", "/x/\udcff\n\u202ea.py": "a.py", "\u4e00" * 99: "\u4e00" * 33}
        program.tell(json.dumps(list(names)))
        for name in names.values():
            program.wait("held")
            self.assertEqual(daemon.holders(), [f"{name}-{program.process.pid}"])
            program.tell()
        self.assertEqual(program.result(), 0, program.errors)

    def test_sizes_and_times_are_those_of_the_command_line(self):
        """What `baton run` takes or refuses as a size or a time, the client does."""
        daemon = self.daemon(args=["--fake-gpu", "a:16777216"])
        sizes = ["8G", "8g", "8GB", "8GiB", "8gib", "512M", "1.5T", "1024B", "0.5K", "8", "", "G", "8 G", "8GG", "-8G",
                 "8Gi", "8BB", "1e3G", ".5G", "5.G", "99999999P", "٨G"]
        times = ["90s", "5m", "1h30m", "250ms", "7", "1.5", "1d", "", "s", "5 m", "-5s", "1h30", "5x", "1e3s", "5S"]
        program = Program(self, daemon, """
for line in sys.stdin:
    parse, text = json.loads(line)
    try:
        say("ok", int(1000 * getattr(baton, parse)(text)))
    except baton.BadRequest:
        say("refused")
""")
        for option, parse, texts in (("--vram", "parse_size", sizes), ("--wait", "parse_duration", times)):
            for text in texts:
                program.tell(json.dumps([parse, text]))
                took = program.wait("").startswith("ok")
                result = self.run_cli(daemon, "run", "--no-wait", option, text, "--", "true")
                self.assertEqual(took, result.returncode != 64, (option, text, result.stderr))


if __name__ == "__main__":
    unittest.main()
