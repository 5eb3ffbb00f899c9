"""Goal: a daemon that stays reachable: it says when it is ready, ends with its own terminal and not with another,
binds again what was swept away, keeps a door for its operator, and clients find it. Method: the real daemon, real
terminals, real files.
"""
import contextlib
import os
import pty
import signal
import socket
import subprocess
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent
from lib.wait import DEADLINE_S, holds_for, wait_until


class Ready(DaemonTest):
    """Whoever starts it can know when to go on."""

    def test_ready_fd(self):
        """--ready-fd: one line once everybody is served, then the end of the file."""
        daemon = self.daemon(start=False)
        daemon.dir.joinpath("run").mkdir(mode=0o700)
        read, write = os.pipe()
        with open(daemon.log_path, "wb") as log:
            daemon.process = subprocess.Popen([*daemon.command(), "--ready-fd", str(write)], pass_fds=[write],
                                              stdout=log, stderr=log, env=daemon.environment(),
                                              preexec_fn=die_with_parent)
        os.close(write)
        with open(read, encoding="utf-8") as lines:
            text = lines.read()
        self.assertRegex(text, r"^listens on http://127\.0\.0\.1:\d+ and \S+/baton\.sock\n$")
        self.assertEqual(self.run_cli(daemon, "status").returncode, 0, "served at once")

    def test_ready_fd_not_open(self):
        """A descriptor that is not there is wrong usage, before anything is made."""
        daemon = self.daemon(start=False)
        for value in ("97", "x", "-1"):
            done = subprocess.run([*daemon.command(), "--ready-fd", value], capture_output=True, text=True,
                                  env=daemon.environment(), check=False)
            self.assertEqual(done.returncode, 64, done.stderr)
        self.assertFalse(daemon.state.exists())

    def test_notify_socket(self):
        """$NOTIFY_SOCKET: READY, RELOADING and READY again, STOPPING, as Type=notify wants them."""
        daemon = self.daemon(start=False)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind(str(daemon.dir / "notify"))
            heard.settimeout(DEADLINE_S)
            daemon.env["NOTIFY_SOCKET"] = str(daemon.dir / "notify")
            daemon.start()
            self.assertIn(b"READY=1\nSTATUS=listens on http://", heard.recv(1000))
            daemon.process.send_signal(signal.SIGHUP)
            self.assertRegex(heard.recv(1000), rb"^RELOADING=1\nMONOTONIC_USEC=\d+\n")
            self.assertEqual(heard.recv(1000), b"READY=1\n")
            self.assertEqual(daemon.terminate(), 0)
            self.assertTrue(heard.recv(1000).startswith(b"STOPPING=1\n"))


class Check(DaemonTest):
    """--check: like `nginx -t`, nothing is started or made."""

    def check(self, daemon, *args):
        return subprocess.run([*daemon.command(), "--check", *args], capture_output=True, text=True,
                              env=daemon.environment(), timeout=30, check=False)

    def test_check(self):
        daemon = self.daemon(start=False)
        good = self.check(daemon)
        self.assertEqual((good.returncode, good.stderr), (0, ""))
        self.assertIn(str(daemon.config_path), good.stdout)
        daemon.config_path.write_text("timing:\n  ack_s: 2\n  grace_s: -1\n", encoding="utf-8")
        bad = self.check(daemon)
        self.assertEqual(bad.returncode, 78)
        self.assertIn(f"{daemon.config_path}:3: timing/grace_s", bad.stderr)
        self.assertFalse(daemon.state.exists(), "no state folder is made")

    def test_names_and_addresses(self):
        """localhost:PORT is taken; a GPU that no request could name is not, by file and by flag alike."""
        daemon = self.daemon(start=False)
        self.assertEqual(self.check(daemon, "--listen", "localhost:0", "--fake-gpu", "x:24G").returncode, 0)
        for name in ("any", "0", "12", "a,b", "a b"):
            daemon.write_config({"gpus": [{"name": name}]})
            done = self.check(daemon)
            self.assertEqual(done.returncode, 78, name)
            self.assertIn("gpus/0/name", done.stderr)
            daemon.write_config({})
            self.assertEqual(self.check(daemon, "--fake-gpu", f"{name}:24G").returncode, 64, name)


class Terminal(DaemonTest):
    """Closing its own terminal ends it, as it ends any program in the foreground."""

    def in_terminal(self, daemon, shell_words):
        """`shell_words` as the leader of a session with a terminal of its own; its process and the terminal."""
        daemon.dir.joinpath("run").mkdir(mode=0o700, exist_ok=True)
        pid, terminal = pty.fork()
        if pid == 0:
            die_with_parent()
            os.execve("/bin/bash", ["bash", "--norc", "-c", shell_words, "bash", *daemon.command()],
                      daemon.environment())
        self.addCleanup(self.reap, pid)
        wait_until(lambda: self.run_cli(daemon, "status").returncode == 0, "the daemon answers")
        return pid, terminal

    def reap(self, pid):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(pid, 0)

    def serving(self, daemon):
        """The process that has the state folder."""
        return int((daemon.state / "lock").read_text(encoding="ascii"))

    def gone(self, pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
        except OSError:
            return True

    def test_closed(self):
        """In the foreground and as a job of the shell: gone in order, and leases stay in the journal."""
        for words in ('exec "$@"', '"$@"', '"$@" & wait'):
            with self.subTest(words):
                daemon = self.daemon(start=False)
                _, terminal = self.in_terminal(daemon, words)
                holder = daemon.session("holder")
                holder.hold()
                serving = self.serving(daemon)
                os.close(terminal)
                wait_until(lambda: self.gone(serving), "it ended with its terminal")
                self.assertFalse(os.path.exists(daemon.socket), "in order: the socket is removed")
                daemon.start()
                self.assertEqual(daemon.holders(), ["holder"])

    def test_outlives(self):
        """nohup, setsid: the terminal is not its own, so it serves on, and SIGHUP reloads."""
        for words in ('nohup "$@" & wait', 'setsid "$@" & wait'):
            with self.subTest(words):
                daemon = self.daemon(start=False)
                _, terminal = self.in_terminal(daemon, words)
                serving = self.serving(daemon)
                self.addCleanup(self.reap, serving)
                os.close(terminal)
                holds_for(lambda: not self.gone(serving), "it serves on", 0.3)
                daemon.write_config({"queue": {"per_session_max": 3}})
                os.kill(serving, signal.SIGHUP)
                wait_until(lambda: "configuration read again" in self.run_cli(daemon, "logs").stdout,
                           "SIGHUP reloads")
                os.kill(serving, signal.SIGTERM)
                wait_until(lambda: self.gone(serving), "SIGTERM stops it")

    def test_hangup_reloads_in_a_terminal_that_is_there(self):
        daemon = self.daemon(start=False)
        _, terminal = self.in_terminal(daemon, 'exec "$@"')
        serving = self.serving(daemon)
        os.kill(serving, signal.SIGHUP)
        wait_until(lambda: "configuration read again" in self.run_cli(daemon, "logs").stdout, "reloaded")
        self.assertFalse(self.gone(serving))
        os.close(terminal)
        wait_until(lambda: self.gone(serving), "it ended with its terminal")


if __name__ == "__main__":
    unittest.main()
