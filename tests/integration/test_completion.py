"""Goal: Tab completes what Baton knows, in bash, zsh and fish, and never what would run by itself.

Method: the real shells on a terminal, as bare as their flags make them, and a key that shows the line as it is
then; fish is asked by `complete -C`. Shells that are not installed are skipped.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import unittest

from lib.daemon import BATON, DaemonTest, end_process
from lib.wait import DEADLINE_S, wait_until

HOSTILE = ("$(touch hit)", "`touch hit`", "a;touch hit", "-rf", "two words", "'quote")

BASH = r"""
PS1='ready> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'
bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 0'; bind 'set page-completions off'
show() { printf '\n<<%s>>\n' "$READLINE_LINE"; READLINE_LINE=; READLINE_POINT=0; }; bind -x '"\C-g": show'
"""
ZSH = r"""
PS1='ready> '; unsetopt beep zle_bracketed_paste 2>/dev/null; zstyle ':completion:*' list-prompt ''
unset zle_bracketed_paste
show() { print -r -- $'\n'"<<$BUFFER>>"; BUFFER=; CURSOR=0; zle -R }; zle -N show; bindkey '^G' show
"""


class Terminal:
    """A shell that was started on a pty and is typed into."""

    def __init__(self, args, env, folder):
        controller, terminal = pty.openpty()
        self.controller = controller
        self.process = subprocess.Popen(args, stdin=terminal, stdout=terminal, stderr=terminal, env=env, cwd=folder,
                                        start_new_session=True)
        os.close(terminal)
        self.screen = ""

    def read_until(self, pattern, what):
        def found():
            if select.select([self.controller], [], [], 0.05)[0]:
                self.screen += os.read(self.controller, 65536).decode(errors="replace")
            return re.search(pattern, self.screen, re.S)
        try:
            return wait_until(found, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.screen!r}") from error

    def send(self, text):
        self.screen = ""
        os.write(self.controller, text.encode())

    def command(self, text):
        """Types a line and waits for its end."""
        self.send(text + "; echo en''ded\n")
        self.read_until("ended", text)

    def complete(self, line):
        """What a Tab makes of the line, and what the shell said meanwhile."""
        self.send(line + "\t\x07")
        shown = self.read_until(r"<<(.*?)>>", line)
        return shown[1], self.screen[:shown.start()].replace(line, "", 1)

    def close(self):
        end_process(self.process)
        os.close(self.controller)


class Shells:
    """What each shell must do; a class below says how to ask it."""

    def setUp(self):
        self.d = self.daemon(args=["--fake-gpu", "alpha:8192", "--fake-gpu", "beta:8192"])
        self.folder = self.d.dir / "work"
        (self.folder / "sub").mkdir(parents=True)
        (self.folder / "train.py").touch()
        (self.folder / "tools.sh").touch()
        self.programs = self.d.dir / "programs"
        self.programs.mkdir()
        (self.programs / "baton").symlink_to(BATON)
        (self.programs / "pythagoras").symlink_to("/bin/true")
        self.begin()

    def env(self):
        env = {**self.d.environment(), "BATON_SOCKET": self.d.socket, "TERM": "dumb", "HOME": str(self.d.dir),
               "PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        env.pop("ENV", None)
        return env

    def becomes(self, line, wanted):
        self.assertEqual(self.complete(line)[0].rstrip(" "), wanted, line)

    def test_commands_and_options(self):
        """Commands, options and their choices, by the tables; short and attached values too."""
        self.becomes("baton sta", "baton status")
        self.becomes("baton --socket /x sta", "baton --socket /x status")
        self.becomes("baton run --cl", "baton run --class")
        self.becomes("baton run --class v", "baton run --class voice")
        self.becomes("baton run --class=v", "baton run --class=voice")
        self.becomes("baton run -c v", "baton run -c voice")
        self.becomes("baton run --on-yield SIGUSR1", "baton run --on-yield SIGUSR1")
        self.becomes("baton serve --log-level=deb", "baton serve --log-level=debug")
        self.becomes("baton completion fi", "baton completion fish")
        self.becomes("baton keys rev", "baton keys revoke")
        self.becomes("baton sites al", "baton sites allow")
        self.becomes("baton keys new --mod", "baton keys new --models")

    def test_choices_are_listed(self):
        """`--class=`, `-c ` and `--class ` list the classes and insert nothing, least of all `--`."""
        for line in ("baton run --class=", "baton run -c ", "baton run --class "):
            became, screen = self.complete(line)
            self.assertEqual(became, line)
            for choice in ("voice", "background"):
                self.assertIn(choice, screen, line)

    def test_command_to_run(self):
        """run: completes the program and its arguments, with and without `--`, and prints no error."""
        for before in ("baton run ", "baton run -- ", "baton run -c chat ", "baton run --class=chat --quiet -- "):
            self.becomes(before + "pythag", before + "pythagoras")
            became, screen = self.complete(before + "python3 tr")
            self.assertEqual(became.rstrip(" "), before + "python3 train.py")
            self.assertNotIn("bad math", screen)
            self.assertNotIn("error", screen.lower())

    def test_folders_get_no_blank(self):
        """--state and files: a folder ends in a slash, so that one can go on."""
        for line in ("baton serve --state su", "baton serve --state=su", "baton run ls su"):
            self.assertEqual(self.complete(line)[0].rstrip(" "), line + "b/", line)

    def test_live_names(self):
        """--gpu, --lease, release, why: names that the broker knows now; none when it is gone."""
        self.d.lock("the-holder", gpus=2)
        self.d.parked("a-waiter")
        self.becomes("baton run --gpu al", "baton run --gpu alpha")
        self.becomes("baton run --gpu=be", "baton run --gpu=beta")
        self.becomes("baton force-release --lease the", "baton force-release --lease the-holder")
        self.becomes("baton release th", "baton release the-holder")
        self.becomes("baton why a-", "baton why a-waiter")
        self.becomes(f"baton --socket {self.d.socket} why a-", f"baton --socket {self.d.socket} why a-waiter")
        self.d.terminate()
        self.becomes("baton why a-", "baton why a-")

    def test_hostile_names(self):
        """A name that a shell would run or take for an option is offered by its number."""
        for number, name in enumerate(HOSTILE):
            self.d.parked(name) if number else self.d.lock(name, gpus=2)
        rows = self.d.status()
        number = str(rows["leases"][0]["lease"])
        _, screen = self.complete("baton why ")
        self.assertIn(number, screen)
        for name in HOSTILE:
            self.assertNotIn(name, screen)
        self.assertFalse((self.folder / "hit").exists())


class Bash(Shells, DaemonTest):
    def begin(self):
        self.terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], self.env(), self.folder)
        self.addCleanup(self.terminal.close)
        self.terminal.read_until(r"\$ |# |ready>", "the shell")
        for line in BASH.strip().splitlines():
            self.terminal.command(line)
        self.terminal.command("source <(baton completion bash)")

    def complete(self, line):
        return self.terminal.complete(line)


class BashWithoutMarks(Bash):
    """For who took `=` out of COMP_WORDBREAKS."""

    def begin(self):
        super().begin()
        self.terminal.command("COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}")


@unittest.skipUnless(shutil.which("zsh"), "no zsh here")
class Zsh(Shells, DaemonTest):
    COMPINIT = "autoload -Uz compinit; compinit -D -i"

    def begin(self):
        self.terminal = Terminal(["zsh", "-f", "-i"], self.env(), self.folder)
        self.addCleanup(self.terminal.close)
        self.terminal.read_until(r"% |# |ready>", "the shell")
        for line in ZSH.strip().splitlines():
            self.terminal.command(line)
        if self.COMPINIT:
            self.terminal.command(self.COMPINIT)
        self.load()

    def load(self):
        self.terminal.command("source <(baton completion zsh)")
        for word in ("not found", "error", "compdef"):
            self.assertNotIn(word, self.terminal.screen.split("ended")[0].replace("source <(baton", ""))

    def complete(self, line):
        return self.terminal.complete(line)


class ZshWithoutCompinit(Zsh):
    """`source` alone is enough."""

    COMPINIT = ""


class ZshInstalled(Zsh):
    """Found in a folder of fpath, as the installation lays it."""

    COMPINIT = ""

    def load(self):
        functions = self.d.dir / "functions"
        functions.mkdir()
        (functions / "_baton").write_bytes(subprocess.run([BATON, "completion", "zsh"], capture_output=True,
                                                          check=True).stdout)
        self.terminal.command(f"fpath=({functions} $fpath); autoload -Uz compinit; compinit -D -i")


@unittest.skipUnless(shutil.which("fish"), "no fish here")
class Fish(Shells, DaemonTest):
    def begin(self):
        self.script = self.d.dir / "baton.fish"
        self.script.write_bytes(subprocess.run([BATON, "completion", "fish"], capture_output=True, check=True).stdout)

    def complete(self, line):
        result = subprocess.run(["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", str(self.script),
                                 line], env=self.env(), cwd=self.folder, capture_output=True, text=True,
                                timeout=DEADLINE_S, check=True)
        words = [row.split("\t")[0] for row in result.stdout.splitlines()]
        became = line[:len(line) - len(line.rpartition(" ")[2])] + words[0] if len(words) == 1 else line
        return became, result.stdout + result.stderr


del Shells  # only its heirs are run

if __name__ == "__main__":
    unittest.main()
