"""Goal: a program that runs already comes under a lease, gives way like one that was started under it, and is left
alone by everything else; a shell under a lease says so.

Method: real programs, the real broker, and a shell on a pseudo-terminal.
"""
import os
import pathlib
import signal
import struct
import subprocess
import sys
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent, end_process
from lib.overlap import JOB, is_alive
from lib.pseudo_terminal import Terminal
from lib.wait import holds_for, wait_until


def kill_if_there(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Attach(DaemonTest):
    def setUp(self, **timing):
        self.d = self.daemon(timing=timing, args=("--fake-gpu", "a:24576"))
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

    def test_what_it_starts_as_attach_dies(self):
        """A child of the last moment, which attach never named, ends with the program; nobody is let in before."""
        code = ("import os, signal, time\ndef start(*_):\n for _ in range(2):\n  if os.fork() == 0: print(os.getpid(),"
                " flush=True)\n  else: break\n while True: time.sleep(1)\nsignal.signal(signal.SIGUSR1, start)\n"
                "print('there', flush=True)\nwhile True: time.sleep(1)\n")
        for freeze in (False, True):
            with self.subTest(freeze=freeze):
                program = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, text=True, preexec_fn=die_with_parent)
                self.addCleanup(end_process, program)
                program.stdout.readline()
                attached = self.attach(program, *(["--on-yield", "freeze"] if freeze else []))
                wait_until(lambda: "holding" in attached.stderr.readline(), "it has named the program")
                self.d.status()  # answered after that was read
                attached.send_signal(signal.SIGSTOP)
                program.send_signal(signal.SIGUSR1)
                late = [int(program.stdout.readline()) for _ in range(2)]
                for pid in late:
                    self.addCleanup(kill_if_there, pid)
                attached.kill()
                self.d.websocket("next").hold()
                self.assertEqual([pid for pid in (program.pid, *late) if is_alive(pid)], [])
                self.d.clients.pop().drop()
                wait_until(lambda: self.d.holders() == [], "it is free")

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

    def freezable(self, frozen, *options, **timing):
        """A program under a lease, frozen for a voice or at work, with a broker of its own."""
        self.setUp(**timing)
        program = self.start_program("trap")
        attached = self.attach(program, "--on-yield", "freeze", *options)
        wait_until(lambda: "holding" in attached.stderr.readline(), "it is under a lease, and knows it")
        if frozen:
            self.d.session("voice").hold(**{"class": "voice"})
        return program, attached

    def is_let_go(self, program, attached, longer_s):
        self.assertEqual(attached.wait(20), -signal.SIGINT)
        wait_until(lambda: "train" not in self.d.names(), "there is no lease")
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
                program, attached = self.freezable(frozen, "--hold", "2s", native_linger_s=10)
                self.d.kill()
                wait_until(lambda: "the broker is away" in attached.stderr.readline(), "it is noticed")
                attached.send_signal(signal.SIGINT)
                wait_until(lambda: "has to hear of it" in attached.stderr.readline(), "it waits for the broker")
                before = self.signs()[program.pid]
                wait_until(lambda: self.signs()[program.pid] > before + 2.2, "it is past what it might hold")
                self.d.start()
                self.is_let_go(program, attached, 1)

    def test_it_is_let_go_as_the_broker_stops(self):
        """Ctrl-C as it stops, or dies before it has read of it: the next one leaves the program alone, too."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            for frozen in (False, True):
                with self.subTest(how=how.name, frozen=frozen):
                    program, attached = self.freezable(frozen)
                    self.d.process.send_signal(signal.SIGSTOP)
                    attached.send_signal(signal.SIGINT)
                    wait_until(lambda: attached.poll() is not None or "has to hear of it" in attached.stderr.readline(),
                               "it waits for the broker")
                    self.assertIsNone(attached.poll())
                    self.d.process.send_signal(how)
                    self.d.process.send_signal(signal.SIGCONT)
                    self.d.process.wait(20)
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
        dead = subprocess.Popen(["true"])
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        self.refused(66, "no process", str(dead.pid))
        dead.wait()
        for word in ("x", "-5", "0", "99999999999"):
            self.refused(64, "number of a process" if word != "-5" else "unknown option", word)
        self.refused(64, "has started this one", str(os.getpid()))
        first = os.stat("/proc/1").st_uid == os.getuid()
        self.refused(*((64, "has started this one") if first else (77, "belongs to another user")), "1")
        self.refused(64, "which process", )
        run = self.start_cli(self.d, "run", "-q", "--", "sh", "-c", "echo $$; exec sleep 600")
        self.refused(64, "under lease 1", run.stdout.readline().strip())

    def test_attached_already(self):
        """By another attach that holds or waits, whether it has the program, its parent or its child: named with it."""
        parent = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True,
                                  preexec_fn=die_with_parent)
        self.addCleanup(end_process, parent)
        child = int(parent.stdout.readline())
        self.addCleanup(os.kill, child, signal.SIGKILL)
        for first, second, words in ((parent.pid, parent.pid, f"process {parent.pid} (sh) is under lease"),
                                     (parent.pid, child, f"was started by process {parent.pid} (sh), which is under"),
                                     (child, parent.pid, f"has started process {child} (sleep), which is under")):
            with self.subTest(words=words):
                attached = self.start_cli(self.d, "attach", "-n", "train", str(first))
                wait_until(self.is_held, "it is under a lease")
                lease = self.d.status()["leases"][0]["lease"]
                self.refused(64, words, str(second))
                self.refused(64, f"lease {lease} (train) already, by `baton attach` in process {attached.pid}",
                             "--gpu", "a", str(second))
                self.end_attach(attached)
        holder = self.d.session("holder")
        holder.hold(preemptible=False)
        waits = self.start_cli(self.d, "attach", "-n", "later", str(child))
        wait_until(lambda: self.d.waiting() == ["later"], "it waits")
        lease = self.d.status()["waiting"][0]["lease"]
        self.refused(64, f"waits for lease {lease} (later) already", str(child))
        self.end_attach(waits)
        again = self.start_cli(self.d, "attach", "-n", "again", str(child))
        wait_until(lambda: self.d.waiting() == ["again"], "who is let go may be attached again")
        self.end_attach(again)

    def end_attach(self, attached):
        attached.send_signal(signal.SIGINT)
        attached.wait(20)
        wait_until(lambda: not {"train", "later"} & {*self.d.names()}, "it is let go")

    def test_two_at_once(self):
        """Of two that come in the same moment one has the program at most."""
        program = self.start_program()
        for _ in range(10):
            both = [self.attach(program) for _ in range(2)]
            wait_until(lambda: any(a.poll() is not None for a in both) or self.is_held(), "one has come through")
            wait_until(lambda: any(a.poll() is not None for a in both), "the other one has not")
            for attached in both:
                attached.send_signal(signal.SIGINT)
                attached.wait(20)
            wait_until(lambda: self.d.names() == [], "it is let go")
            self.assertIn(64, [a.returncode for a in both])

    def test_batons_own(self):
        """The broker, wrapper and keeper of a run, an attach, what has started or was started by one of these."""
        program = self.start_program()
        attached = self.attach(program)
        wait_until(self.is_held, "it is under a lease")
        run = self.start_cli(self.d, "run", "-n", "next", "-c", "background", "--", "true")
        other, third = self.daemon(), self.daemon(start=False)
        shell = subprocess.Popen(["sh", "-c", '"$0" "$@" & wait', *third.command()], stderr=subprocess.DEVNULL,
                                 preexec_fn=die_with_parent, env=self.d.environment())
        self.addCleanup(end_process, shell)
        broker = wait_until(lambda: self.child_of(shell.pid), "it is there")
        self.addCleanup(os.kill, broker, signal.SIGKILL)
        wait_until(lambda: self.name_of(broker) == "baton", "it is the broker")
        wait_until(lambda: self.d.waiting() == ["next"], "the run waits")
        for process in (self.d.process, other.process, attached, run):
            self.refused(64, f"process {process.pid} (baton) is Baton's own", str(process.pid))
        self.refused(64, f"has started process {broker} (baton), which is Baton's own", str(shell.pid))
        self.end_attach(attached)
        self.end_attach(run)
        run = self.start_cli(self.d, "run", "-n", "train", "--", "sh", "-c", "echo up; exec sleep 600")
        self.assertEqual(run.stdout.readline(), "up\n", "the lease is held a moment before")
        wait_until(lambda: sorted(map(self.name_of, self.children_of(run.pid))) == ["baton-keeper", "sleep"], "it runs")
        for pid in self.children_of(run.pid):
            self.refused(64, "was started under lease" if self.name_of(pid) == "sleep" else "is Baton's own", str(pid))

    @staticmethod
    def children_of(pid):
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [int(child) for child in text.split()]

    def child_of(self, pid):
        return next(iter(self.children_of(pid)), None)

    @staticmethod
    def name_of(pid):
        return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()

    def test_a_client(self):
        """A program that asks the broker by itself would wait for itself."""
        session = self.d.session("own")
        lease = session.hold()["lease"]
        self.assertEqual(self.d.status()["leases"][0]["pid"], os.getpid())
        program = subprocess.Popen([sys.executable, "-c", "import sys; from lib.session import LineTransport, Session\n"
                                    f"s = Session(LineTransport({self.d.socket!r}), 'own')\ns.queue()\n"
                                    "sys.stdin.read()"], stdin=subprocess.PIPE, cwd=pathlib.Path(__file__).parent,
                                   preexec_fn=die_with_parent)
        self.addCleanup(end_process, program)
        row = wait_until(lambda: self.d.status()["waiting"], "it waits")[0]
        self.assertEqual(row["pid"], program.pid)
        self.refused(64, f"waits for lease {row['lease']} (own) by its own doing", str(program.pid))
        session.release(lease)

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
