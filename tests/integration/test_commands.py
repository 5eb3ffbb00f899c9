"""Goal: each thing that an operator may want has a command that says what it did, and one that takes something
from somebody asks first where there is somebody to ask.

Method: the real commands against the real daemon; on a pseudo terminal where they ask.
"""
import json
import os
import re
import select
import subprocess
import unittest

from lib.daemon import BATON, DaemonTest
from lib.wait import wait_until

DESTRUCTIVE = ("reset", "force-release")


class Commands(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def cli(self, *args, status=0):
        result = self.run_cli(self.d, *args)
        self.assertEqual(result.returncode, status, (args, result))
        return result

    def on_terminal(self, *args, answer):
        """Runs a command on a terminal and answers its question; exit status and all that it showed."""
        controller, terminal = os.openpty()
        self.addCleanup(os.close, controller)
        process = self.start_cli(self.d, *args, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = ""

        def read():
            nonlocal shown
            while select.select([controller], [], [], 0.02)[0]:
                try:
                    piece = os.read(controller, 4096)
                except OSError:  # the other end is closed
                    return
                if not piece:
                    return
                shown += piece.decode(errors="replace")

        def asked():
            read()
            return "[y/N]" in shown or process.poll() is not None
        wait_until(asked, f"{args} asks or ends")
        if process.poll() is None and answer:
            os.write(controller, answer.encode() + b"\n")
        wait_until(lambda: process.poll() is not None, f"{args} ends")
        read()
        return process.returncode, shown


class Queue(Commands):
    def test_cancel_takes_a_waiter_out(self):
        """cancel: by name and by number, with the reason; the holder and the other waiters stay."""
        self.d.lock("holder")
        first = self.d.session("one")
        first.queue()
        second = self.d.session("two")
        lease = second.queue()["lease"]
        self.assertIn("out of the queue", self.cli("cancel", "one", "--reason", "wrong model").stdout)
        self.assertEqual(first.wait("released")["detail"], "wrong model")
        self.cli("cancel", str(lease))
        second.wait("released")
        self.assertEqual((self.d.waiting(), self.d.holders()), ([], ["holder"]))

    def test_cancel_of_several(self):
        """cancel: several of one name are told apart by number, or go together by --all."""
        self.d.lock("holder")
        self.d.parked("twin")
        self.d.park("twin")
        wait_until(lambda: self.d.waiting() == ["twin", "twin"], "both wait")
        self.d.parked("other")
        numbers = [row["lease"] for row in self.d.status()["waiting"] if row["id"] == "twin"]
        refused = self.cli("cancel", "twin", status=65).stderr
        for number in numbers:
            self.assertIn(str(number), refused)
        self.assertEqual(len(self.d.waiting()), 3)
        self.cli("cancel", "twin", "--all")
        self.assertEqual(self.d.waiting(), ["other"])

    def test_cancel_spares_holders(self):
        """cancel of a holder: nothing happens, and release is named; 66 for nobody."""
        self.d.lock("holder")
        lease = self.d.status()["leases"][0]["lease"]
        self.assertIn("baton release holder", self.cli("cancel", "holder", status=65).stderr)
        self.assertIn("baton release", self.cli("cancel", str(lease), status=65).stderr)
        self.assertError(self.d.http("POST", f"/v1/gpu/claims/{lease}/cancel", unix=True), 409, "wrong_state")
        self.cli("cancel", "nobody", status=66)
        self.assertEqual(self.d.holders(), ["holder"])

    def test_release_of_a_waiter(self):
        """task-spooler#20: one verb for who holds and who waits: release takes a waiter out, too."""
        self.d.lock("holder")
        for args in (["release"], ["release", "--now"], ["force-release", "--lease"]):
            self.d.parked("waiter")
            self.cli(*args, "waiter")
            self.assertEqual((self.d.waiting(), self.d.holders()), ([], ["holder"]), args)

    def test_pause_and_resume(self):
        """pause: nothing new is granted and the reason is shown, until resume."""
        self.assertIn("baton resume", self.cli("pause", "new", "driver").stdout)
        status = self.d.status()
        self.assertEqual((status["paused"], status["paused_reason"]), (True, "new driver"))
        self.assertIn("new driver", self.cli("status").stdout)
        self.d.parked("early")
        self.cli("resume")
        wait_until(lambda: self.d.holders() == ["early"], "granted")

    def test_reload(self):
        """reload: says what changed, and names the line of a mistake with 78."""
        self.assertIn("nothing changed", self.cli("reload").stdout)
        self.d.write_config({**self.d.config, "vram_headroom_mb": 77})
        self.assertIn("vram_headroom_mb", self.cli("reload").stdout)
        self.d.config_path.write_text("queue: {max: lots}\n", encoding="utf-8")
        self.assertRegex(self.cli("reload", status=78).stderr, r"config\.yaml:1")

    def test_status_of_one(self):
        """status NAME: all that is known of one client, holder or waiter; 66 and the way on for nobody."""
        self.d.lock("holder", label="llama")
        self.d.parked("waiter", **{"class": "chat"})
        number = self.d.status()["waiting"][0]["lease"]
        holder = self.cli("status", "holder").stdout
        for word in ("holder", "llama", "gpu0", "held", "fence"):
            self.assertIn(word, holder)
        waiter = self.cli("status", str(number)).stdout
        for word in ("waiter", "chat", "holder holds gpu0", "place"):
            self.assertIn(word, waiter)
        self.assertEqual(json.loads(self.cli("status", "waiter", "--json").stdout)[0]["lease"], number)
        self.assertIn("baton history nobody", self.cli("status", "nobody", status=66).stderr)
        self.cli("status", "waiter", "--watch", status=64)


class Asking(Commands):
    def test_destructive_commands_ask(self):
        """reset, force-release and release --now ask on a terminal: no is no, yes is yes, --yes is not asked."""
        for args in (["reset"], ["force-release"], ["force-release", "--lease", "holder"],
                     ["release", "--now", "holder"]):
            self.d.lock("holder")
            status, shown = self.on_terminal(*args, answer="n")
            self.assertEqual(status, 77, (args, shown))
            self.assertIn("[y/N]", shown)
            self.assertEqual(self.d.holders(), ["holder"], args)
            status, shown = self.on_terminal(*args, answer="y")
            self.assertEqual(status, 0, (args, shown))
            wait_until(lambda: not self.d.holders(), "revoked")
            self.d.lock("holder")
            status, shown = self.on_terminal(*args, "--yes", answer=None)
            self.assertEqual((status, "[y/N]" in shown), (0, False), (args, shown))
            wait_until(lambda: not self.d.holders(), "revoked")

    def test_scripts_are_not_asked(self):
        """Without a terminal the same commands act at once, as scripts expect."""
        for args in (["reset"], ["force-release"], ["release", "--now", "holder"]):
            self.d.lock("holder")
            self.cli(*args)
            wait_until(lambda: not self.d.holders(), "revoked")

    def test_nothing_to_revoke(self):
        """reset and force-release where nobody holds or waits say so, and ask nothing."""
        self.assertIn("nobody holds", self.cli("reset").stdout)
        self.assertIn("nobody held or waited", self.cli("force-release").stdout)
        status, shown = self.on_terminal("reset", answer=None)
        self.assertEqual((status, "[y/N]" in shown), (0, False), shown)

    def test_destructive_commands_are_never_suggested(self):
        """A mistyped word never leads to a command that takes something from somebody."""
        for word in ("rest", "resets", "rese", "force", "force-relase", "forcerelease", "reset-all"):
            said = self.cli(word, status=64).stderr
            for name in DESTRUCTIVE:
                self.assertNotRegex(said, rf"mean {name}\b", word)


class Help(Commands):
    def test_help_and_version(self):
        """help, help COMMAND, -V and --version: of every command, before and behind it."""
        overview = self.cli("help").stdout
        self.assertEqual(overview, self.cli("--help").stdout)
        names = re.findall(r"^  ([a-z][a-z-]*) ", overview, re.M)
        self.assertGreater(len(names), 15)
        version = self.cli("--version").stdout
        self.assertEqual(version, self.cli("-V").stdout)
        for name in names:
            text = self.cli("help", name).stdout
            self.assertEqual(text, self.cli(name, "--help").stdout, name)
            self.assertTrue(text.startswith(f"usage: baton {name}"), (name, text[:80]))
            self.assertEqual(self.cli(name, "-V").stdout, version, name)
            self.assertEqual(self.cli(name, "--version").stdout, version, name)
        self.assertIn("did you mean status", self.cli("help", "stauts", status=64).stderr)

    def test_every_command_has_its_manual(self):
        """Each command stands in baton(1)."""
        page = (os.path.join(os.path.dirname(__file__), "..", "..", "man", "baton.1.scd"))
        with open(page, encoding="utf-8") as file:
            manual = file.read()
        names = re.findall(r"^  ([a-z][a-z-]*) ", self.cli("help").stdout, re.M)
        for name in names:
            self.assertRegex(manual, rf"(?m)^\*{name}\*", name)


if __name__ == "__main__":
    unittest.main()
