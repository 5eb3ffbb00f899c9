"""Goal: a program that runs already comes under a lease, gives way like one that was started under it, and is left
alone by everything else; a shell under a lease says so.

Method: real programs, the real broker, and a shell on a pseudo-terminal.
"""
import os
import signal
import struct
import subprocess
import sys
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent, end_process
from lib.overlap import JOB, is_alive
from lib.pseudo_terminal import Terminal
from lib.wait import holds_for, wait_until


class Attach(DaemonTest):
    def setUp(self):
        self.d = self.daemon(args=("--fake-gpu", "a:24576"))
        self.folder = self.d.dir / "job"
        self.folder.mkdir()

    def signs(self):
        found = {int(path.name[6:]): path.read_bytes() for path in self.folder.glob("alive-*")}
        return {pid: struct.unpack("d", data)[0] for pid, data in found.items() if len(data) == 8}

    def start_program(self, kind="half", **options):
        options.setdefault("preexec_fn", die_with_parent)
        program = subprocess.Popen([sys.executable, "-S", str(JOB), str(self.folder), kind, "0.3"], **options)
        self.addCleanup(end_process, program)
        wait_until(self.signs, "it is at work")
        return program

    def attach(self, program, *options):
        process = self.start_cli(self.d, "attach", "-n", "train", "-c", "background", "--grace", "300ms", *options,
                                 str(program.pid))
        return process

    def is_held(self):
        return self.d.holders() == ["train"]

    def test_it_ends(self):
        """Its lease is over with it, and it is known what the lease was for."""
        program = self.start_program()
        attached = self.attach(program, "--vram", "8G")
        wait_until(self.is_held, "it is under a lease")
        self.assertEqual(self.d.status()["leases"][0]["vram_mb"], 8192)
        program.terminate()
        self.assertEqual(program.wait(20), 0)
        self.assertEqual(attached.wait(20), 0)
        self.assertEqual(self.d.holders(), [])

    def test_it_gives_way(self):
        """Asked to, it gets SIGTERM, its grace, and SIGKILL; the next one is let in when it is gone."""
        for kind in ("half", "deaf"):
            with self.subTest(kind=kind):
                self.setUp()
                program = self.start_program(kind)
                attached = self.attach(program)
                wait_until(self.is_held, "it is under a lease")
                self.d.session("voice").hold(**{"class": "voice"})
                self.assertFalse(is_alive(program.pid))
                self.assertEqual((self.folder / "term").exists(), kind == "half")
                self.assertEqual(attached.wait(20), 75)

    def test_what_it_started(self):
        """Belongs to it, also when it is gone itself: it is stopped, and only then the next one is let in."""
        mark = self.folder / "child"
        script = f'(trap "" TERM; exec sleep 600) & echo $! > {mark}; trap "exit 0" TERM; wait'
        for how in ("asked", "ends"):
            with self.subTest(how=how):
                program = subprocess.Popen(["sh", "-c", script], preexec_fn=die_with_parent)
                self.addCleanup(end_process, program)
                child = int(wait_until(lambda: mark.exists() and mark.read_text().strip(), "it has a child"))
                attached = self.attach(program)
                wait_until(self.is_held, "it is under a lease")
                voice = self.d.session("voice")
                if how == "ends":
                    program.terminate()
                lease = voice.hold(**{"class": "voice"})["lease"]
                self.assertFalse(is_alive(child))
                attached.wait(20)
                voice.release(lease)
                mark.unlink()

    def test_it_is_frozen(self):
        """Or it is frozen, keeps its memory, and goes on."""
        program = self.start_program("trap")
        self.attach(program, "--on-yield", "freeze", "--vram", "8G")
        wait_until(self.is_held, "it is under a lease")
        voice = self.d.session("voice")
        held = voice.hold(**{"class": "voice"})["lease"]
        before = self.signs()
        holds_for(lambda: self.signs() == before, "it stands still", 0.15)
        voice.release(held)
        wait_until(lambda: self.signs()[program.pid] > before[program.pid], "it goes on")

    def freezable(self, frozen, *options):
        """A program under a lease, frozen for a voice or at work, with a broker of its own."""
        self.setUp()
        program = self.start_program("trap")
        attached = self.attach(program, "--on-yield", "freeze", *options)
        wait_until(self.is_held, "it is under a lease")
        if frozen:
            self.d.session("voice").hold(**{"class": "voice"})
        return program, attached

    def is_let_go(self, program, attached, longer_s):
        self.assertEqual(attached.wait(20), -signal.SIGINT)
        wait_until(lambda: "train" not in self.d.holders() + self.d.waiting(), "there is no lease")
        before = self.signs()[program.pid]
        wait_until(lambda: self.signs()[program.pid] > before + longer_s, "it works")
        program.kill()

    def test_it_is_let_go(self):
        """Ctrl-C leaves the program running, frozen or not, and gives the lease back."""
        for frozen in (False, True):
            with self.subTest(frozen=frozen):
                program, attached = self.freezable(frozen)
                attached.send_signal(signal.SIGINT)
                self.is_let_go(program, attached, 0)

    def test_it_is_let_go_while_the_broker_is_away(self):
        """Ctrl-C then: the broker hears of it when it is back, and leaves the program alone."""
        for frozen in (False, True):
            with self.subTest(frozen=frozen):
                program, attached = self.freezable(frozen, "--hold", "1s")
                self.d.kill()
                wait_until(lambda: "the broker is away" in attached.stderr.readline(), "it is noticed")
                attached.send_signal(signal.SIGINT)
                wait_until(lambda: "has to hear of it" in attached.stderr.readline(), "it waits for the broker")
                before = self.signs()[program.pid]
                wait_until(lambda: self.signs()[program.pid] > before + 1.2, "it is past what it might hold")
                self.d.start()
                self.is_let_go(program, attached, 1)

    def test_until_the_lease_is_there(self):
        """While others hold it goes on as before; when it ends first, nobody waits for it any longer."""
        self.d.session("holder").hold(**{"class": "background"})
        program = self.start_program("trap")
        attached = self.attach(program)
        wait_until(lambda: self.d.waiting() == ["train"], "it waits")
        before = self.signs()[program.pid]
        wait_until(lambda: self.signs()[program.pid] > before, "it works")
        program.kill()
        program.wait()
        self.assertEqual(attached.wait(20), 0)
        self.assertEqual(self.d.waiting(), [])

    def refused(self, status, words, *args):
        result = self.run_cli(self.d, "attach", *args)
        self.assertEqual(result.returncode, status, result)
        self.assertIn(words, result.stderr)

    def test_refusals(self):
        """No process, no number, one that has started us, one under a lease: said at once, nothing is done."""
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.refused(66, "no process", str(gone.pid))
        for word in ("x", "-5", "0", "1", "99999999999"):
            self.refused(64, "number of a process" if word != "-5" else "unknown option", word)
        self.refused(64, "has started this one", str(os.getpid()))
        self.refused(64, "which process", )
        run = self.start_cli(self.d, "run", "-q", "--", "sh", "-c", "echo $$; exec sleep 600")
        self.refused(64, "under a lease", run.stdout.readline().strip())

    def test_another_users_program(self):
        """Whoever does not own a program puts it under no lease."""
        if os.getuid() != 0:
            self.skipTest("only root can start a program of another user")

        def as_nobody():
            die_with_parent()
            os.setresuid(65534, 65534, 65534)

        program = subprocess.Popen(["sleep", "600"], preexec_fn=as_nobody)
        self.addCleanup(end_process, program)
        self.refused(77, "another user", str(program.pid))
        self.assertTrue(is_alive(program.pid))

    def test_which_gpu(self):
        """On several GPUs only its user knows where it is."""
        self.d = self.daemon(args=("--fake-gpu", "a:24576", "--fake-gpu", "b:24576"))
        program = self.start_program()
        self.refused(64, "--gpu", str(program.pid))
        self.attach(program, "--gpu", "b")
        wait_until(self.is_held, "it is under a lease")


class Shell(DaemonTest):
    def test_prompt(self):
        """The prompt names GPU and lease; what is started there is inside; the lease ends with the shell."""
        d = self.daemon(args=("--fake-gpu", "a:24576"))
        env = {**d.environment(), "BATON_SOCKET": d.socket, "SHELL": "/bin/bash", "HOME": str(d.dir)}
        terminal = Terminal(env=env)
        self.addCleanup(terminal.end)
        terminal.line(f"{BATON} shell -q")
        lease = terminal.wait(r"\(baton a, lease (\d+)\) ")[1]
        self.assertEqual(d.holders(), ["shell"])
        terminal.type("echo inside $BATON_LEASE\n")
        terminal.wait(f"\ninside {lease}\r")
        terminal.wait(r"\(baton a, lease \d+\) ")
        terminal.type("sh -c 'i=0; while sleep 0.1; do i=$((i + 1)); echo tick $i; done'\n")
        terminal.wait("tick 1\r")
        voice = d.session("voice")
        held = voice.hold(**{"class": "voice"})["lease"]
        self.assertEqual(d.waiting(), ["shell"])
        while terminal.read_some(0.3):
            pass
        ticks = 1 + terminal.text.count("tick")
        voice.release(held)
        terminal.wait(f"tick {ticks + 2}\r")  # a key while it is frozen would end it
        terminal.type("\x03")
        terminal.wait(r"\(baton a, lease \d+\) ")
        terminal.type("exit 4\n")
        terminal.line("echo status $?")
        terminal.wait("status 4\r")
        self.assertEqual(d.holders(), [])

    def test_other_shells(self):
        """One that knows only PS1 has it from its environment."""
        d = self.daemon(args=("--fake-gpu", "a:24576"))
        d.env["SHELL"] = "/bin/sh"
        result = self.run_cli(d, "shell", "-q", input='eval "echo \\"$PS1\\""\n')
        self.assertRegex(result.stdout, r"\(baton a, lease \d+\)")


if __name__ == "__main__":
    unittest.main()
