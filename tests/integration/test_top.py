"""Goal: `baton top` shows what happens as it happens, its keys do what they say, and the terminal is as it
was however it ends. Method: the real command on an emulated terminal, against the real daemon.
"""
import json
import os
import pathlib
import re
import select
import signal
import statistics
import subprocess
import tempfile
import termios
import time
import unittest

from lib.daemon import DaemonTest, die_with_parent
from lib.gpus import Nvml, card
from lib.terminal import Terminal, terminfo
from lib.wait import holds_for, wait_until

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SPAN_S = 3
WRITE = {"x86_64": 1, "aarch64": 64}[os.uname().machine]  # the number of the call


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "T"


def is_writing(pid):
    """In write(2), and blocked there."""
    try:
        words = pathlib.Path(f"/proc/{pid}/syscall").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return words[:2] == [str(WRITE), "0x1"]


class TopTest(DaemonTest):
    def setUp(self):
        self.d = self.daemon(args=["--fake-gpu", "gpu0:8192"])
        self.terminfo = terminfo(self.d.dir / "terminfo")

    def top(self, *args, rows=24, columns=80, env=None, **options):
        environment = {**self.d.environment(), "BATON_SOCKET": self.d.socket, **self.terminfo}
        environment.pop("NO_COLOR", None)
        environment.update(env or {})
        return Terminal(self, ["top", *args], environment, rows, columns, **options)


    def assert_no_rests(self, screen):
        """What is seen is what a screen that is drawn anew shows. Nothing new comes meanwhile."""
        self.d.process.send_signal(signal.SIGSTOP)
        holds_for(screen.read, "the last of it", 0.3)
        seen = screen.text
        screen.screen.reset()
        screen.process.send_signal(signal.SIGCONT)
        try:
            screen.wait(lambda text: text == seen, f"it is drawn, and as it was:\n{seen}\n")
        finally:
            self.d.process.send_signal(signal.SIGCONT)


class Shows(TopTest):
    def test_who_holds_and_who_waits(self):
        """Holder, waiter with its reason and its promise, and both in the timeline, with the first screen."""
        self.d.websocket("the-holder").hold()
        self.d.websocket("the-waiter").queue()
        screen = self.top()
        screen.wait("the-waiter", "the waiter")
        self.assertRegex(screen.line("gpu0"), r"^gpu0  1/1 .* 8\.0G of 8\.0G granted|0M of 8\.0G granted")
        self.assertIn("held", screen.line("the-holder"))
        waiter = screen.line("the-waiter")
        self.assertRegex(waiter, r"^1 +\d+ +the-waiter +normal +[\d.]+s +\S+ +\d\S*.* the-holder holds")
        bands = screen.text[screen.text.index("timeline"):]
        self.assertRegex(bands, r"the-holder +█+")
        self.assertRegex(bands, r"the-waiter +░+")

    def test_follows_at_once(self):
        """What changes is on the screen long before the next second begins, by the event stream."""
        screen = self.top()
        screen.wait("0 hold", "nobody holds")
        tab = self.d.websocket("newcomer")
        delays = []
        for _ in range(5):
            lease = tab.hold()["lease"]
            since = time.monotonic()
            screen.wait("1 hold", "it holds")
            delays.append(time.monotonic() - since)
            tab.release(lease)
            since = time.monotonic()
            screen.wait("0 hold", "it is over")
            delays.append(time.monotonic() - since)
        self.assertLess(statistics.median(delays), 0.6, delays)
        self.assertRegex(screen.text, r"newcomer +.*█")  # in the timeline

    def test_the_past(self):
        """Who held before it was started is in the timeline."""
        tab = self.d.websocket("earlier")
        tab.release(tab.hold()["lease"])
        screen = self.top()
        screen.wait("earlier", "who held before")

    def test_wide_names_keep_their_columns(self):
        """A name of wide or combining characters takes the columns that the terminal gives it."""
        self.d.websocket("the-holder").hold()
        for name in ("持" * 5, "plain-name", "e\u0301" * 8):
            self.d.websocket(name).queue()
        screen = self.top(columns=100)
        screen.wait("plain-name", "all of them")
        columns = []
        for row in screen.screen.buffer.values():
            cells = [row[x].data for x in range(100)]
            if re.match(r" *[123] +\d", "".join(cells)):
                columns.append(next(x for x in range(100) if "".join(cells[x:]).startswith("normal")))
        self.assertEqual(len(columns), 3, screen.text)
        self.assertEqual(len(set(columns)), 1, screen.text)

    def test_resize(self):
        """Every size has its own screen: no rest of the one before, nothing beyond the edge."""
        self.d.websocket("the-holder").hold()
        screen = self.top()
        screen.wait("the-holder", "the screen")
        for rows, columns in ((12, 40), (40, 132), (24, 80), (3, 20), (24, 80)):
            screen.resize(rows, columns, signal.SIGWINCH)
            screen.wait(lambda text, rows=rows: text.split("\n")[0].startswith("baton")
                        and text.split("\n")[rows - 1].startswith("? help"), f"{rows}x{columns}")
            self.assert_no_rests(screen)
        screen.press("q")
        self.assertEqual(screen.wait_end(), 0)

    def test_colours(self):
        """Colours only where they are wanted and known: not with NO_COLOR, not on a vt100."""
        self.d.websocket("the-holder").hold()
        coloured = re.compile(rb"\x1b\[[0-9;]*\b3[0-9]\b[0-9;]*m")
        for env, wanted in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "vt100"}, False)):
            screen = self.top(env=env)
            screen.wait("the-holder", "the screen")
            screen.press("q")
            self.assertEqual(screen.wait_end(), 0)
            self.assertEqual(coloured.search(screen.raw) is not None, wanted, env)

    def test_ascii(self):
        """In a locale without UTF-8 everything is ASCII."""
        self.d.websocket("持持").hold()
        screen = self.top(env={"LC_ALL": "C"})
        screen.wait("??", "the name")
        self.assertTrue(screen.raw.isascii())

    def test_idle_costs_nothing(self):
        """No busy loop: a few requests a second at most."""
        self.d.websocket("the-holder").hold()
        screen = self.top()
        screen.wait("the-holder", "the screen")
        before = cpu_s(screen.process.pid)
        holds_for(screen.read, "it runs", SPAN_S)
        self.assertLess((cpu_s(screen.process.pid) - before) / SPAN_S, 0.05)


class Measured(TopTest):
    """GPUs that a probe measures, through the stand-in for NVIDIA's library."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bt-nvml-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.nvml = Nvml(folder.name)
        self.nvml.write(card("GPU-a", 1, "util=33", "temp=50", "power=123456", reserved=905))
        self.d = self.daemon(args=self.nvml.args, env=self.nvml.env)
        self.terminfo = terminfo(self.d.dir / "terminfo")

    def test_load_and_processes(self):
        """Load, temperature and power as measured; a job's process with its lease, a stranger's unmanaged."""
        stranger = subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent)
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        job = self.start_cli(self.d, "run", "--vram", "2G", "--name", "train", "--", "sh", "-c",
                             "echo $$; exec sleep 600")
        child = int(job.stdout.readline())
        self.nvml.write(card("GPU-a", 1, "util=33", "temp=50", "power=123456", reserved=905, used=5000),
                        f"process {child} 1500 compute", f"process {stranger.pid} 700 graphics",
                        "process 0 na compute")
        screen = self.top(columns=120)
        screen.wait("unmanaged", "the processes")
        self.assertRegex(screen.line("gpu0"), r"1/1 +\[█+░+▓+▒+·+\] +4\.9G of 24\.0G used")
        self.assertRegex(screen.line("load"), r"load +33% .* 50 C +123 W")
        lease = self.d.status()["leases"][0]["lease"]
        self.assertRegex(screen.line(f"{child} "), rf"sleep +gpu0 +1\.5G +compute +\S+.* train, lease {lease}")
        self.assertRegex(screen.line(f"{stranger.pid} "), r"sleep +gpu0 +700M +graphics .* unmanaged")
        self.assertRegex(screen.line("  -  ?"), r"gpu0 +\? +compute")
        self.assertRegex(screen.line("train  "), r"2\.0G +1\.5G")

    def test_a_card_that_is_lost(self):
        """What was measured before is not shown as if it were now: it says lost, since when, and what to do."""
        screen = self.top()
        screen.wait("load  33%", "its load")
        self.nvml.write(card("GPU-a", 1, "lost"))
        screen.wait(lambda text: re.search(r"(lost|gone), unknown for", text), "the loss")
        self.assertNotIn("load", screen.text)
        self.assertNotIn("used", screen.line("gpu0"))


class Keys(TopTest):
    def setUp(self):
        super().setUp()
        self.holder = self.d.websocket("the-holder")
        self.lease = self.holder.hold()["lease"]
        self.screen = self.top()
        self.screen.wait("the-holder", "the holder")

    def test_yield(self):
        """y asks the chosen holder, with a reason that it can show."""
        self.screen.press("y")
        self.holder.wait("yield", lease=self.lease, reason="operator")
        self.screen.wait(f"lease {self.lease} (the-holder) was asked to yield", "it says so")
        self.screen.wait("asked to yield: operator", "its state")

    def test_revoke_asks_first(self):
        """r names the lease and asks; n does nothing, y revokes."""
        self.screen.press("r")
        self.screen.wait(f"Take lease {self.lease} of the-holder at once? [y/N]", "the question")
        self.screen.press("n")
        self.screen.wait("nothing done", "the answer")
        self.assertEqual(self.holder.messages("revoked"), [])
        self.screen.press("r")
        self.screen.wait("[y/N]", "the question")
        self.screen.press("y")
        self.holder.wait("revoked", lease=self.lease)
        self.screen.wait("is revoked", "it says so")

    def test_cancel_a_waiter(self):
        """In the queue, r takes the chosen waiter out; the others stay."""
        for name in ("one", "two"):
            self.d.websocket(name).queue()
        self.screen.wait("two", "they wait")
        self.screen.press("\tj")
        self.screen.press("r")
        self.screen.wait("Take two (claim", "the question")
        self.screen.press("y")
        wait_until(lambda: self.d.waiting() == ["one"], "it is out")
        self.screen.wait("is out of the queue", "it says so")

    def test_pause_and_resume(self):
        """p asks and pauses, p again resumes."""
        self.screen.press("p")
        self.screen.wait("Grant nothing new", "the question")
        self.screen.press("y")
        wait_until(lambda: self.d.status()["paused"], "paused")
        self.screen.wait("paused: nothing is granted. an operator, by baton top", "it says so")
        self.screen.press("p")
        wait_until(lambda: not self.d.status()["paused"], "resumed")
        self.screen.wait(lambda text: "paused: nothing is granted. an" not in text, "it says so")

    def test_refused(self):
        """What the broker refuses is said, in its words."""
        self.screen.press("r")
        self.screen.wait("[y/N]", "the question")
        self.holder.release(self.lease)
        self.holder.wait("released")
        self.screen.press("y")
        self.screen.wait("nothing by that name", "the refusal")

    def test_filter_sort_columns_help(self):
        """/ filters, Esc shows all, s sorts, c hides columns, ? explains, t changes the span."""
        self.d.websocket("other").queue()
        self.screen.wait("other", "it waits")
        self.screen.press("/othe\n")
        self.screen.wait(lambda text: "only 'othe'" in text and "holders" not in text, "filtered")
        self.screen.press("\x1b")
        self.screen.wait("holders 1", "all")
        self.screen.press("s")
        self.screen.wait("by ", "sorted")
        self.screen.press("c")
        self.screen.wait("[x] ", "the menu")
        self.screen.press(" c")
        self.screen.wait(lambda text: "[x]" not in text and "? help" in text, "the list")
        self.screen.press("?")
        self.screen.wait("any key goes back", "the help")
        self.screen.press(" t")
        self.screen.wait("the last 60 min", "the hour")


class Ends(TopTest):
    def setUp(self):
        super().setUp()
        self.screen = self.top()
        self.screen.wait("0 hold", "the screen")

    def test_quit_and_signals(self):
        """q, and each signal that ends it: the terminal is as it was."""
        for end in ("q", signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            screen = self.top()
            screen.wait("0 hold", "the screen")
            self.assertFalse(screen.is_restored())
            screen.press("q") if end == "q" else screen.process.send_signal(end)
            self.assertEqual(screen.wait_end(), 0, (end, screen.raw[-4000:]))
            self.assertTrue(screen.is_restored(), (end, screen.raw[-200:]))

    def stall(self, *command, keys):
        """The command on a terminal that takes nothing more: output is stopped by a key, or nobody reads it."""
        screen = Terminal(self, list(command), {**self.d.environment(), "BATON_SOCKET": self.d.socket, **self.terminfo},
                          24, 80)
        screen.wait("gpu0", "the screen")
        screen.press(keys)
        news = self.d.websocket("news")
        news.hold()
        wait_until(lambda: not keys and self.fill(screen) or is_writing(screen.process.pid), "it waits for it")
        self.d.clients.remove(news)
        news.drop()
        return screen

    @staticmethod
    def fill(screen):
        """As others who write to the terminal would have it."""
        with open(f"/proc/{screen.process.pid}/fd/1", "wb", buffering=0) as terminal:
            os.set_blocking(terminal.fileno(), False)
            for _ in range(1000):
                if terminal.write(b"x" * 100) is None:
                    return

    def test_a_terminal_that_takes_nothing(self):
        """After Ctrl-S, or with nobody who reads: each signal that ends it does so, and the modes are as they were."""
        for command in (["top"], ["status", "--watch"]):
            for keys in ("\x13", ""):
                for signo in (signal.SIGTERM, signal.SIGHUP):
                    with self.subTest(command=command, keys=keys, signo=signo.name):
                        screen = self.stall(*command, keys=keys)
                        screen.process.send_signal(signo)
                        self.assertEqual(screen.process.wait(10), 0)
                        self.assertEqual(termios.tcgetattr(screen.controller), screen.modes_before)
                        if keys:
                            screen.read()
                            self.assertTrue(screen.is_restored(), screen.raw[-200:])
                        screen.close()

    def test_a_reader_that_takes_nothing(self):
        """Into a pipe: the same."""
        for command in (["top", "--json"], ["status", "--watch"], ["status", "--watch", "--json"]):
            with self.subTest(command=command):
                reader, writer = os.pipe()
                self.addCleanup(os.close, reader)
                os.set_blocking(writer, False)
                process = self.start_cli(self.d, *command, stdout=writer)
                wait_until(lambda: select.select([reader], [], [], 0)[0], "it writes")
                while select.select([], [writer], [], 0)[1]:
                    os.write(writer, b"x" * 4096)
                os.set_blocking(writer, True)
                os.close(writer)
                self.d.websocket(f"news-{len(self.d.clients)}").hold()
                wait_until(lambda: is_writing(process.pid), "it waits for its reader")
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(10), 0)
                self.d.clients.pop().drop()

    def test_crash(self):
        """A crash leaves a terminal that can be used, and its own signal as the status."""
        for fatal in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
            screen = self.top()
            screen.wait("0 hold", "the screen")
            screen.process.send_signal(fatal)
            self.assertNotEqual(screen.wait_end(), 0)
            self.assertTrue(screen.is_restored(), (fatal, screen.raw[-200:]))

    def test_stop_and_continue(self):
        """Ctrl-Z: the terminal is given back, the process stops, and the screen is whole when it goes on."""
        self.screen.process.send_signal(signal.SIGTSTP)
        wait_until(lambda: is_stopped(self.screen.process.pid), "it stops")
        self.screen.read()
        self.assertTrue(self.screen.is_restored(), self.screen.raw[-200:])
        self.screen.screen.reset()
        self.d.websocket("meanwhile").hold()
        self.screen.process.send_signal(signal.SIGCONT)
        self.screen.wait("meanwhile", "it goes on")
        self.assertTrue(self.screen.text.startswith("baton "), self.screen.text)
        self.screen.press("q")
        self.assertEqual(self.screen.wait_end(), 0)

    def test_the_terminal_goes_away(self):
        """A terminal that is closed ends it; it does not spin."""
        self.screen.close()
        self.screen.controller = None
        wait_until(lambda: self.screen.process.poll() is not None, "it ends")


class Broker(TopTest):
    def test_away_and_back(self):
        """The broker is killed and started again: it says so, shows what was last, and goes on by itself."""
        self.d.websocket("before").hold()
        screen = self.top()
        screen.wait("before", "the screen")
        self.d.kill()
        screen.wait("the broker is away for", "it says so")
        self.assertIn("before", screen.text)
        self.d.start()
        screen.wait(lambda text: "away" not in text, "it is back")
        self.d.websocket("after").queue()
        screen.wait("after", "what came after")

    def test_hung(self):
        """A broker that hangs: keys work, and it says that there is no answer."""
        screen = self.top()
        screen.wait("0 hold", "the screen")
        self.d.process.send_signal(signal.SIGSTOP)
        screen.press("?")
        screen.wait("any key goes back", "a key works")
        screen.wait("does not answer", "it says so")
        screen.press("qq")
        self.assertEqual(screen.wait_end(), 0)
        self.d.process.send_signal(signal.SIGCONT)

    def test_none(self):
        """Without a broker: 69, and no screen was begun."""
        self.d.terminate()
        screen = self.top()
        self.assertEqual(screen.wait_end(), 69)
        self.assertNotIn(b"\x1b[?1049h", screen.raw)
        self.assertIn("baton serve", screen.text.replace("\n", ""))


class Once(TopTest):
    def test_text(self):
        """--once: the whole screen as text, without escapes, all rows."""
        self.d.websocket("the-holder").hold()
        for i in range(15):
            self.d.websocket(f"waiter-{i}").queue()
        result = self.run_cli(self.d, "top", "--once")
        self.assertEqual(result.returncode, 0, result)
        self.assertNotIn("\x1b", result.stdout)
        for name in ("the-holder", *(f"waiter-{i}" for i in range(15))):
            self.assertIn(name, result.stdout)

    def test_json(self):
        """--once --json: one object: the status, and who held when."""
        tab = self.d.websocket("earlier")
        tab.release(tab.hold()["lease"])
        self.d.websocket("the-holder").hold()
        result = self.run_cli(self.d, "top", "--once", "--json")
        self.assertEqual(result.returncode, 0, result)
        answer = json.loads(result.stdout)
        self.assertEqual(answer["status"]["owner"], "the-holder")
        spans = [(span["id"], span["state"], "to" in span) for span in answer["timeline"]]
        self.assertIn(("earlier", "holding", True), spans)
        self.assertIn(("the-holder", "holding", False), spans)

    def test_json_stream(self):
        """--json: one object a line until it is stopped."""
        process = self.start_cli(self.d, "top", "--json")
        for _ in range(2):
            self.assertIn("gpus", json.loads(process.stdout.readline())["status"])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)
        self.assertEqual(process.returncode, 0)

    def test_no_terminal(self):
        """On a pipe, and on a dumb terminal: 64 and what to do instead."""
        result = self.run_cli(self.d, "top")
        self.assertEqual(result.returncode, 64, result)
        self.assertIn("--once", result.stderr)
        screen = self.top(env={"TERM": "dumb"})
        self.assertEqual(screen.wait_end(), 64)
        screen = self.top(env={"TERM": "no-such-terminal"})
        self.assertEqual(screen.wait_end(), 64)


if __name__ == "__main__":
    unittest.main()
