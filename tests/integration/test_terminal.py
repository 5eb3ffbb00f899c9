"""Goal: on a terminal `baton run` is as if it were not there: one key is one signal, the command has the terminal
while it runs, the caller afterwards, and a terminal that goes away takes neither job nor lease along.

Method: the real command on a pseudo-terminal, under a real shell with job control.
"""
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import termios
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent, in_thread
from lib.overlap import is_alive
from lib.pseudo_terminal import Terminal
from lib.wait import holds_for, wait_until

PROBE = pathlib.Path(__file__).parent / "lib" / "probe.py"
READER = " | (trap '' INT; cat)"
PYTHON = f"{sys.executable} -S"
SLEEPER = "sh -c \"echo started; exec sleep 600\""  # a lease is held a moment before its command runs


def read_text(path):
    return pathlib.Path(path).read_text() if os.path.exists(path) else ""


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class OnTerminal(DaemonTest):
    def setUp(self):
        self.d = self.daemon()
        self.env = {**self.d.environment(), "BATON_SOCKET": self.d.socket}

    def terminal(self, argv=None):
        terminal = Terminal(argv, env=self.env)
        self.addCleanup(terminal.end)
        return terminal

    def start(self, terminal, command, ends="", options="-q"):
        terminal.line(f"{BATON} run {options} -n job -- {command}{ends}")

    def start_probe(self, terminal, kind="same", save_s=0, ends=""):
        """At the prompt; the probe's pid."""
        self.start(terminal, f"{PYTHON} {PROBE} {kind} {save_s}", ends)
        return int(terminal.wait(r"ready (\d+)\r")[1])

    def end_probe(self, terminal, pid):
        os.kill(pid, signal.SIGUSR1)
        return terminal.wait(r"all ([^\r\n]*)\r?\n")[1]


class OneSignal(OnTerminal):
    """35: the child hears what was sent, as often as it was sent."""

    def test_ctrl_c_is_one_interrupt(self):
        """Whatever the child's group, its stdin and its stdout are; a second one is passed on, nothing is escalated."""
        for kind, ends in (("same", ""), ("own", ""), ("same", " < /dev/null"), ("same", READER), ("own", READER),
                           ("same", " 2> /dev/null")):
            with self.subTest(kind=kind, ends=ends):
                terminal = self.terminal()
                pid = self.start_probe(terminal, kind, 0.2, ends)
                terminal.type("\x03")
                terminal.wait("INT 1\r")
                terminal.type("\x03")
                terminal.wait(r"(?s)INT 2\r.*saved|saved.*INT 2\r")  # it saves for a moment, whichever is the longer
                self.assertEqual(self.end_probe(terminal, pid), "INT=2")
                terminal.line("echo status $?")
                terminal.wait("status 0" if ends == READER else "status 7")

    def test_in_a_script(self):
        """A script without job control around it: one for the command, and the script ends with it."""
        terminal = self.terminal()
        terminal.line(f"bash -c '{BATON} run -q -- {PYTHON} {PROBE}; echo after $?'; echo shell $?")
        pid = int(terminal.wait(r"ready (\d+)\r")[1])
        terminal.type("\x03")
        terminal.wait("INT 1\r")
        self.assertEqual(self.end_probe(terminal, pid), "INT=1")
        terminal.wait("after 7\r\n")
        terminal.line(f"bash -c '{BATON} run -q -- {SLEEPER}; echo after'")
        terminal.wait("\nstarted\r")
        terminal.type("\x03")
        terminal.line("echo shell $?")
        terminal.wait("\nshell 130\r\n")

    def hear_all(self):
        """What these tests were begun with is inherited, and in the background of a shell QUIT and INT are ignored."""
        for signo in (signal.SIGINT, signal.SIGQUIT):
            if signal.getsignal(signo) == signal.SIG_IGN:
                self.addCleanup(signal.signal, signo, signal.signal(signo, signal.SIG_DFL))

    def next_line(self, process, name):
        """What a signal was answered by; where nothing comes, what both processes wait for is said."""
        reading = in_thread(process.stdout.readline)
        reading.join(60)
        if reading.is_alive():
            pids = [process.pid, *map(int, pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
                                      .read_text(encoding="ascii").split())]
            states = [pathlib.Path(f"/proc/{pid}/{file}").read_text(encoding="ascii")
                      for pid in pids for file in ("status", "wchan")]
            process.kill()
            self.fail(f"SIG{name} is not answered:\n" + "\n".join(states))
        return reading.result()

    def test_to_the_wrapper_alone(self):
        """INT, TERM, HUP, USR2 and QUIT, with and without a terminal: each once."""
        with_terminal = self.terminal()
        with_terminal.line(f"{BATON} run -q -- {PYTHON} {PROBE} & echo wrapper $!")
        wrapper = int(with_terminal.wait(r"wrapper (\d+)\r")[1])
        with_terminal.wait(r"ready (\d+)\r")
        for name in ("INT", "TERM", "HUP", "USR2", "QUIT"):
            os.kill(wrapper, getattr(signal, "SIG" + name))
            with_terminal.wait(f"{name} 1\r")
        os.kill(wrapper, signal.SIGUSR1)
        self.assertEqual(with_terminal.wait(r"all ([^\r\n]*)\r?\n")[1], "INT=1 TERM=1 HUP=1 USR2=1 QUIT=1")
        self.hear_all()
        process = self.start_cli(self.d, "run", "-q", "--", sys.executable, "-S", str(PROBE))
        self.assertRegex(process.stdout.readline(), "ready")
        for name in ("INT", "TERM", "HUP", "USR2", "QUIT"):
            process.send_signal(getattr(signal, "SIG" + name))
            self.assertEqual(self.next_line(process, name), f"{name} 1\n")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.stdout.readline(), "all INT=1 TERM=1 HUP=1 USR2=1 QUIT=1\n")
        self.assertEqual(process.wait(20), 7)

    def test_a_loop_ends(self):
        """The shell's loop around it ends at Ctrl-C, as it would without us."""
        terminal = self.terminal()
        terminal.line(f"for i in 1 2 3; do {BATON} run -q -n job -- {SLEEPER}; done; echo over")
        terminal.wait("\nstarted\r")
        terminal.type("\x03")
        terminal.line("echo next")
        terminal.wait("\nnext\r")
        self.assertEqual(self.d.holders(), [])


class Foreground(OnTerminal):
    """36: the command's group is in the foreground while it runs, the caller's before and after."""

    def test_group(self):
        """A group of its own, in the foreground; then the shell's again."""
        terminal = self.terminal()
        shell = terminal.process.pid
        pid = self.start_probe(terminal)
        wrapper = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        self.assertEqual(terminal.foreground(), os.getpgid(pid))
        self.assertNotEqual(os.getpgid(pid), os.getpgid(wrapper))
        self.end_probe(terminal, pid)
        wait_until(lambda: terminal.foreground() == shell, "the shell has the terminal")

    def test_programs_that_read(self):
        """A shell, a Python and a pager inside: they read, and change the modes, without being stopped."""
        terminal = self.terminal()
        self.start(terminal, "bash --norc -i")
        terminal.line("echo in $((40 + 2))")
        terminal.wait("in 42\r")
        terminal.line("exit 5")
        terminal.line("echo out $?")
        terminal.wait("out 5\r")
        self.start(terminal, f"{sys.executable} -q")
        terminal.wait(">>> ")
        terminal.type("print(6 * 7)\n")
        terminal.wait("\n42\r")
        terminal.type("exit(3)\n")
        terminal.line("echo out $?")
        terminal.wait("out 3\r")

    def stopped_probe(self, terminal):
        pid = self.start_probe(terminal)
        wrapper = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        terminal.type("\x1a")
        terminal.wait("Stopped")
        wait_until(lambda: state_of(pid) == state_of(wrapper) == "T", "both are stopped")
        return pid, wrapper

    def test_ctrl_z_fg_bg(self):
        """Ctrl-Z stops both and the shell has the terminal; fg and bg let both go on, in their place."""
        terminal = self.terminal()
        pid, wrapper = self.stopped_probe(terminal)
        self.assertEqual(terminal.foreground(), terminal.process.pid)
        terminal.line("fg")
        terminal.wait("CONT 1\r")
        wait_until(lambda: terminal.foreground() == os.getpgid(pid), "it is in the foreground again")
        terminal.type("\x1a")
        terminal.wait("Stopped")
        terminal.line("bg")
        terminal.wait("CONT 2\r")
        self.assertEqual(terminal.foreground(), terminal.process.pid)
        self.assertNotIn("T", state_of(pid) + state_of(wrapper))
        terminal.type("\n")
        terminal.line("fg")
        wait_until(lambda: terminal.foreground() == os.getpgid(wrapper), "the shell has put it into the foreground")
        terminal.type("\x03")
        terminal.wait("INT 1\r")
        wait_until(lambda: terminal.foreground() == os.getpgid(pid), "the command has the terminal")
        self.assertRegex(self.end_probe(terminal, pid), "^INT=1 ")

    def test_reading_in_the_background(self):
        """A job in the background that reads is stopped, and reads once it is in the foreground."""
        terminal = self.terminal()
        self.start(terminal, "head -n 1", " &")
        terminal.type("\n")
        wait_until(lambda: self.d.holders() == ["job"], "it runs")
        terminal.line("jobs")
        wait_until(lambda: terminal.type("jobs\n") or terminal.read_some(0.1) and "Stopped" in terminal.text,
                   "the shell says that it is stopped")
        terminal.type("fg\n")
        terminal.wait(r"fg\r\n[^\n]*head -n 1\r?\n")
        terminal.type("one line\n")
        terminal.wait("one line\r\none line\r")
        terminal.line("echo status $?")
        terminal.wait("status 0\r")

    def test_resize(self):
        """A change of the window reaches the command, once."""
        terminal = self.terminal()
        pid = self.start_probe(terminal)
        terminal.resize(33, 99)
        terminal.wait("size 33x99\r")
        self.assertEqual(self.end_probe(terminal, pid), "WINCH=1")

    RAW = ("import os, tty, time; tty.setraw(0); os.write(1, b'raw %d\\r\\n' % os.getpid()); time.sleep(600)")

    def test_killed_in_raw_mode(self):
        """The command dies by -9 in raw mode: the modes are as before, and the shell reads."""
        terminal = self.terminal()
        terminal.line("echo first")
        terminal.wait("first\r")
        self.start(terminal, f"{PYTHON} -c {shlex.quote(self.RAW)}")
        pid = int(terminal.wait(r"raw (\d+)\r")[1])
        os.kill(pid, signal.SIGKILL)
        terminal.line("stty -a; echo status $?")
        self.assertRegex(terminal.wait(r"(?s)speed.*status 0")[0], r"[ ;]icanon.*[ ;]echo\b")

    def test_killed_while_stopped_in_raw_mode(self):
        """Ctrl-Z is a byte in raw mode, so it is stopped by a signal; then -9: modes and prompt are as before."""
        terminal = self.terminal()
        terminal.line("echo first")
        terminal.wait("first\r")
        self.start(terminal, f"{PYTHON} -c {shlex.quote(self.RAW)}")
        pid = int(terminal.wait(r"raw (\d+)\r")[1])
        os.kill(pid, signal.SIGTSTP)
        terminal.wait("Stopped")
        terminal.line("stty -a; echo status $?")
        self.assertRegex(terminal.wait(r"(?s)speed.*status 0")[0], r"[ ;]icanon.*[ ;]echo\b")
        os.kill(pid, signal.SIGKILL)
        terminal.line("fg; stty -a; echo status $?")
        self.assertRegex(terminal.wait(r"(?s)speed.*status 0")[0], r"[ ;]icanon.*[ ;]echo\b")
        wait_until(lambda: not self.d.holders(), "the lease is over")

    def test_stopped_in_a_pipeline(self):
        """`baton run .. | cat`, both in the foreground group of the pipeline: Ctrl-Z stops all of it, the lease stays,
        fg lets all go on, and what it says comes out at the other end."""
        terminal = self.terminal()
        mark = self.d.dir / "mark"
        script = f"echo $$ > {mark}; while [ -e {mark} ]; do sleep 0.02; done; echo done"
        self.start(terminal, f"sh -c {shlex.quote(script)}", " | sed s/done/all-done/")
        pid = int(wait_until(lambda: read_text(mark).strip(), "it runs"))
        terminal.type("\x1a")
        terminal.wait("Stopped")
        wait_until(lambda: state_of(pid) == "T", "the command is stopped")
        self.assertEqual(self.d.holders(), ["job"])
        terminal.line("fg")
        wait_until(lambda: state_of(pid) != "T", "it goes on")
        mark.unlink()
        terminal.wait("all-done\r")
        wait_until(lambda: not self.d.holders(), "the lease is over")

    def test_killed_wrapper_in_a_script(self):
        """kill -9 of the wrapper, the command in raw mode, no shell with job control: the caller has the terminal."""
        script = f"{BATON} run -q -- bash --norc -i -c {shlex.quote(PYTHON + ' -c ' + shlex.quote(self.RAW))}; " \
                 "until read line; do :; done; echo got $line"
        terminal = self.terminal(["bash", "-c", script])
        before = terminal.modes()
        pid = int(terminal.wait(r"raw (\d+)\r")[1])
        stat = pathlib.Path(f"/proc/{pid}/stat")
        parent = int(stat.read_text().rpartition(")")[2].split()[1])
        while pathlib.Path(f"/proc/{parent}/comm").read_text() != "baton\n":
            parent = int(pathlib.Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid) and terminal.modes() == before, "the modes are as before")
        terminal.type("a line\n")
        terminal.wait("got a line\r")

    def test_wrapper_that_nobody_could_continue(self):
        """Ctrl-Z where no shell of the session would continue it: nothing stops, as without us."""
        terminal = self.terminal([BATON, "run", "-q", "--", sys.executable, "-S", str(PROBE)])
        pid = int(terminal.wait(r"ready (\d+)\r")[1])
        terminal.type("\x1a")
        terminal.wait("CONT 1\r")
        terminal.type("\x03")
        terminal.wait("INT 1\r")
        self.end_probe(terminal, pid)
        self.assertEqual(terminal.process.wait(20), 7)

    def test_messages_in_the_background(self):
        """What it says itself never stops it, where the terminal stops background output (stty tostop)."""
        terminal = self.terminal()
        terminal.line("stty tostop")
        self.start(terminal, f"sh -c 'exec > {os.devnull} 2>&1; sleep 0.01'", "; echo status $?", options="")
        terminal.wait("status 0\r")


class Hangup(OnTerminal):
    """37: a terminal that goes away."""

    def job(self, how):
        terminal = self.terminal()
        mark = self.d.dir / "mark"
        script = f"echo $$ > {mark}.pid; while ! [ -e {mark} ]; do sleep 0.02; done; echo done > {mark}.out"
        terminal.line(how.format(f"{BATON} run -q -n job -- sh -c '{script}'", self.d.dir))
        return terminal, mark, int(wait_until(lambda: read_text(f"{mark}.pid"), "it runs"))

    def lives_on(self, terminal, mark, pid):
        shell = terminal.process.pid
        session = [int(path.name) for path in pathlib.Path("/proc").iterdir()
                   if path.name.isdigit() and self.in_session(path, shell)]
        terminal.hang_up()
        for member in session:
            try:
                os.kill(member, signal.SIGHUP)
            except ProcessLookupError:
                pass
        terminal.process.wait(20)
        holds_for(lambda: is_alive(pid) and self.d.holders() == ["job"], "job and lease stay", 0.3)
        mark.touch()
        wait_until(lambda: pathlib.Path(f"{mark}.out").exists() and not self.d.holders(), "it ends by itself")

    @staticmethod
    def in_session(path, shell):
        try:
            return int((path / "stat").read_text().rpartition(")")[2].split()[3]) == shell
        except OSError:
            return False

    def test_closed_terminal(self):
        """Closed, and SIGHUP to all of the session: job and lease stay, in the foreground and in the background."""
        for how in ("{}", "{} &", "nohup {} > {}/log 2>&1 &"):
            with self.subTest(how=how):
                self.setUp()
                self.lives_on(*self.job(how))

    def test_killed_shell(self):
        """The same when the shell is killed first."""
        terminal, mark, pid = self.job("{} &")
        terminal.process.kill()
        self.lives_on(terminal, mark, pid)

    def test_without_any_terminal(self):
        """No terminal at all, and nobody who reads: all the same."""
        result = subprocess.run([BATON, "run", "--", "sh", "-c", "exit 4"], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                preexec_fn=die_with_parent, timeout=20, check=False)
        self.assertEqual(result.returncode, 4)


if __name__ == "__main__":
    unittest.main()
