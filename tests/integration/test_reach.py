"""Goal: a daemon that stays reachable: it says when it is ready, ends with its own terminal and not with another,
binds again what was swept away, keeps a door for its operator, and clients find it. Method: the real daemon, real
terminals, real files.
"""
import contextlib
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent, end_process
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
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # else a suite under nohup would not end with a terminal
            os.chdir(daemon.dir)  # where nohup may leave its file
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
        """In the foreground and as a job of the shell: gone in order, and leases stay in the journal.

        The last is as make does it, when it is the terminal's first process: it hears the hang-up, and waits.
        """
        for words in ('exec "$@"', '"$@"', '"$@" & wait', 'trap : HUP; "$@"; exit'):
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
        for words in ('nohup "$@" >/dev/null 2>&1 & wait', 'setsid "$@" & wait'):
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


class Swept(DaemonTest):
    """Whatever happens to the files of its sockets, clients find it again within a moment."""

    def found(self, daemon):
        """Both doors answer by their names."""
        return self.run_cli(daemon, "status").returncode == 0 and self.run_cli(daemon, "run", "true").returncode == 0

    def sweep(self, daemon, act):
        """A session that is there before goes on after."""
        holder = daemon.session("holder")
        lease = holder.hold()["lease"]
        act()
        wait_until(lambda: "bound again" in daemon.log() and os.path.exists(daemon.socket),
                   "it was noticed", 3)
        wait_until(lambda: self.run_cli(daemon, "status").returncode == 0, "http.sock answers")
        daemon.session("another").bye()
        self.assertEqual(daemon.holders(), ["holder"])
        holder.release(lease)
        holder.wait("released")
        self.assertTrue(self.found(daemon))
        for path in (daemon.socket, daemon.dir / "run" / "http.sock"):
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(daemon.dir / "run").st_mode & 0o777, 0o700)

    def test_files_removed(self):
        daemon = self.daemon()

        def act():
            os.unlink(daemon.socket)
            os.unlink(daemon.dir / "run" / "http.sock")
        self.sweep(daemon, act)

    def test_one_file_removed(self):
        daemon = self.daemon()
        self.sweep(daemon, lambda: os.unlink(daemon.dir / "run" / "http.sock"))

    def test_folder_removed(self):
        daemon = self.daemon()
        self.sweep(daemon, lambda: shutil.rmtree(daemon.dir / "run"))

    def test_folder_renamed(self):
        daemon = self.daemon()
        self.sweep(daemon, lambda: os.rename(daemon.dir / "run", daemon.dir / "old"))

    def test_folder_replaced(self):
        """Another folder under its name, made by somebody's script."""
        daemon = self.daemon()

        def act():
            os.rename(daemon.dir / "run", daemon.dir / "old")
            with contextlib.suppress(FileExistsError):
                os.mkdir(daemon.dir / "run", mode=0o700)
        self.sweep(daemon, act)

    def test_folder_above_renamed(self):
        daemon = self.daemon(start=False)
        daemon.socket = str(daemon.dir / "run" / "deep" / "er" / "baton.sock")
        daemon.start()
        os.rename(daemon.dir / "run" / "deep", daemon.dir / "run" / "elsewhere")
        wait_until(lambda: os.path.exists(daemon.socket), "bound again below a new folder", 3)
        wait_until(lambda: self.found(daemon), "both doors answer")

    def test_again_and_again(self):
        daemon = self.daemon()
        for _ in range(5):
            os.unlink(daemon.socket)
            wait_until(lambda: os.path.exists(daemon.socket), "bound again", 3)
        self.assertTrue(self.found(daemon))

    def test_stale_in_its_place(self):
        """A dead socket in its place is removed; a file that is no socket is not, and is said."""
        daemon = self.daemon()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(daemon.dir / "dead"))
        os.rename(daemon.dir / "dead", daemon.socket)
        wait_until(lambda: self.found(daemon), "the dead one was replaced", 3)
        (daemon.dir / "file").write_text("mine", encoding="ascii")
        os.rename(daemon.dir / "file", daemon.socket)
        wait_until(lambda: "is there and no socket" in daemon.log(), "it is said")
        with open(daemon.socket, encoding="ascii") as kept:
            self.assertEqual(kept.read(), "mine")
        os.unlink(daemon.socket)
        wait_until(lambda: self.found(daemon), "bound again once the place is free")

    def test_another_broker_in_its_place(self):
        """A live listener of somebody else is not pushed out; the place is taken when it is free again."""
        daemon = self.daemon()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(daemon.dir / "other"))
            other.listen()
            os.rename(daemon.dir / "other", daemon.socket)
            wait_until(lambda: "somebody listens" in daemon.log(), "it is said")
            inode = os.stat(daemon.socket).st_ino
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "configuration read again" in daemon.log(), "SIGHUP was heard")
            self.assertEqual(os.stat(daemon.socket).st_ino, inode, "not stolen")
            os.unlink(daemon.socket)
        wait_until(lambda: self.found(daemon), "bound again once the place is free")

    def test_other_in_place_stays_at_the_end(self):
        """Stopping removes no socket that is not its own."""
        daemon = self.daemon()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(daemon.dir / "other"))
            other.listen()
            os.rename(daemon.dir / "other", daemon.socket)
            self.assertEqual(daemon.terminate(), 0)
            self.assertTrue(os.path.exists(daemon.socket))


class Configuration(DaemonTest):
    """The file is found through links, and their switching is seen."""

    def text(self, vram_mb):
        return f"gpus: [{{name: g, vram_mb: {vram_mb}}}]\n"

    def in_force(self, daemon, vram_mb):
        wait_until(lambda: daemon.status()["gpus"][0]["vram_mb_total"] == vram_mb, f"{vram_mb} MiB are in force", 5)

    def linked(self, make):
        """A daemon whose --config is made by `make(folder)` out of links."""
        daemon = self.daemon(start=False)
        daemon.config_path = make(daemon.dir)
        daemon.start()
        self.in_force(daemon, 1000)
        return daemon

    def version(self, folder, name, vram_mb):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "config.yaml").write_text(self.text(vram_mb), encoding="utf-8")

    def switch(self, link, target):
        """As ln -sfn does it well: a new link is renamed over the old one."""
        os.symlink(target, f"{link}.new")
        os.rename(f"{link}.new", link)

    def test_link_to_a_file(self):
        """stow, home-manager: the file is a link."""
        def make(folder):
            self.version(folder, "one", 1000)
            self.version(folder, "two", 2000)
            os.symlink(folder / "one" / "config.yaml", folder / "link.yaml")
            return folder / "link.yaml"
        daemon = self.linked(make)
        (daemon.dir / "one" / "config.yaml").write_text(self.text(1500), encoding="utf-8")
        self.in_force(daemon, 1500)
        self.switch(daemon.config_path, daemon.dir / "two" / "config.yaml")
        self.in_force(daemon, 2000)
        (daemon.dir / "two" / "config.yaml").write_text(self.text(2500), encoding="utf-8")
        self.in_force(daemon, 2500)

    def test_data_link(self):
        """Kubernetes: config.yaml -> ..data/config.yaml, and ..data is switched between folders."""
        def make(folder):
            volume = folder / "volume"
            volume.mkdir()
            self.version(volume, "..v1", 1000)
            os.symlink("..v1", volume / "..data")
            os.symlink("..data/config.yaml", volume / "config.yaml")
            return volume / "config.yaml"
        daemon = self.linked(make)
        volume = daemon.dir / "volume"
        for at in range(2, 5):
            self.version(volume, f"..v{at}", at * 1000)
            self.switch(volume / "..data", f"..v{at}")
            shutil.rmtree(volume / f"..v{at - 1}")
            self.in_force(daemon, at * 1000)

    def test_folder_switched(self):
        """The folder is a link, or is moved away and another takes its name."""
        def make(folder):
            self.version(folder, "one", 1000)
            self.version(folder, "two", 2000)
            os.symlink("one", folder / "conf")
            return folder / "conf" / "config.yaml"
        daemon = self.linked(make)
        self.switch(daemon.dir / "conf", "two")
        self.in_force(daemon, 2000)
        self.version(daemon.dir, "three", 3000)
        os.rename(daemon.dir / "two", daemon.dir / "away")
        os.rename(daemon.dir / "three", daemon.dir / "two")
        self.in_force(daemon, 3000)

    def test_editors(self):
        """Renamed into place, moved to a backup and written anew, written in place, removed for a while."""
        def make(folder):
            self.version(folder, "conf", 1000)
            return folder / "conf" / "config.yaml"
        daemon = self.linked(make)
        path = daemon.config_path
        path.with_suffix(".tmp").write_text(self.text(2000), encoding="utf-8")
        os.rename(path.with_suffix(".tmp"), path)
        self.in_force(daemon, 2000)
        os.rename(path, path.with_suffix(".yaml~"))
        path.write_text(self.text(3000), encoding="utf-8")
        self.in_force(daemon, 3000)
        path.write_text(self.text(4000), encoding="utf-8")
        self.in_force(daemon, 4000)
        shutil.rmtree(path.parent)
        holds_for(lambda: daemon.status()["gpus"][0]["vram_mb_total"] == 4000, "without a file nothing changes", 0.4)
        self.assertNotIn("refused", daemon.log())
        self.version(daemon.dir, "conf", 5000)
        self.in_force(daemon, 5000)


class Places(DaemonTest):
    """Clients and refusals know where a broker of this user listens."""

    def client(self, daemon, *args, **env):
        """A command that is told nothing but these variables."""
        told = {"PATH": os.environ["PATH"], "HOME": str(daemon.dir / "home"), **env}
        return subprocess.run([BATON, *args], env=told, capture_output=True, text=True, timeout=30, check=False)

    def with_runtime_folder(self, **options):
        """A broker in its default place below $XDG_RUNTIME_DIR."""
        daemon = self.daemon(start=False, **options)
        daemon.socket = str(daemon.dir / "run" / "baton" / "baton.sock")
        return daemon.start()

    def test_other_default_place(self):
        """`su -` and ssh have no runtime folder, or another: the state folder tells."""
        daemon = self.daemon(start=False)
        daemon.state = daemon.dir / "home" / ".local" / "state" / "baton"
        daemon.start()
        for env in ({}, {"XDG_RUNTIME_DIR": str(daemon.dir / "nothing")}):
            for args in (("status",), ("run", "true"), ("version",)):
                done = self.client(daemon, *args, **env)
                self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.client(daemon, "status", BATON_SOCKET="/nowhere/x.sock").returncode, 69,
                         "what is given is not second-guessed")
        daemon.terminate()
        self.assertFalse((daemon.state / "listens").exists())

    def test_note_of_another_stays(self):
        """Who stops takes back what it wrote itself, not what lies there by then."""
        daemon = self.daemon()
        note = daemon.state / "listens"
        self.assertIn(f"pid {daemon.process.pid}\nsocket {daemon.socket}\n", note.read_text(encoding="ascii"))
        note.write_text("pid 1\nsocket /else/where.sock\nhttp http://h:1\n", encoding="ascii")
        self.assertEqual(daemon.terminate(), 0)
        self.assertTrue(note.exists())

    def test_stale_first_place(self):
        """A dead socket in the first place, a live broker in the second."""
        daemon = self.daemon(start=False)
        daemon.state = daemon.dir / "home" / ".local" / "state" / "baton"
        daemon.start()
        stale = daemon.dir / "runtime" / "baton"
        stale.mkdir(parents=True, mode=0o700)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(stale / "baton.sock"))
        done = self.client(daemon, "run", "true", XDG_RUNTIME_DIR=str(stale.parent))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_hint_names_what_was_tried(self):
        """Nobody in the places that were tried: they are named, and who listens elsewhere."""
        daemon = self.with_runtime_folder()
        for args in (("status",), ("run", "true"), ("open", "--print")):
            done = self.client(daemon, *args, XDG_RUNTIME_DIR=str(daemon.dir / "nothing"))
            self.assertEqual(done.returncode, 69)
            self.assertIn(f"{daemon.dir}/nothing/baton/baton.sock", done.stderr)
            self.assertIn(f"/tmp/baton-{os.geteuid()}/baton.sock", done.stderr)
            self.assertRegex(done.stderr, r"use one of yours that listens elsewhere: --socket \S+ \(process \d+\)")
        done = self.client(daemon, "status", BATON_SOCKET="/nowhere/x.sock")
        self.assertIn("/nowhere/x.sock", done.stderr)
        self.assertNotIn("http.sock", done.stderr)

    def second(self, daemon, *args):
        return subprocess.run([BATON, "serve", *args], env=daemon.environment(), capture_output=True, text=True,
                              timeout=30, check=False)

    def test_second_on_the_same_state(self):
        daemon = self.daemon()
        done = self.second(daemon, "--state", str(daemon.state), "--listen", "127.0.0.1:0", "--socket",
                           str(daemon.dir / "other" / "baton.sock"))
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"in use by process {daemon.process.pid}", done.stderr)
        self.assertIn(f"listens on http://{daemon.host} and {daemon.socket}", done.stderr)
        self.assertFalse((daemon.dir / "other").exists())

    def test_port_taken(self):
        """69, by whom, and nothing is made."""
        daemon = self.daemon()
        fresh = daemon.dir / "fresh"
        done = self.second(daemon, "--state", str(fresh), "--listen", daemon.host, "--socket",
                           str(daemon.dir / "other" / "baton.sock"))
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"{daemon.host} is taken by", done.stderr)
        self.assertIn(f"(process {daemon.process.pid})", done.stderr)
        self.assertFalse(fresh.exists())
        done = self.second(daemon, "--state", str(daemon.state), "--listen", daemon.host, "--socket", daemon.socket)
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"a broker of yours (process {daemon.process.pid})", done.stderr)
        self.assertIn(daemon.socket, done.stderr)
        with socket.create_server(("127.0.0.1", 0)) as other:
            done = self.second(daemon, "--state", str(fresh), "--listen", f"127.0.0.1:{other.getsockname()[1]}")
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"(process {os.getpid()})", done.stderr)
        self.assertFalse(fresh.exists())

    def test_second_beside(self):
        """A second broker in the same folder by its own --socket: its http.sock has its own name, too."""
        daemon = self.daemon()
        beside = self.daemon(start=False)
        beside.socket = str(daemon.dir / "run" / "second.sock")
        beside.start()
        self.assertTrue((daemon.dir / "run" / "second.http.sock").is_socket())
        for one in (daemon, beside):
            done = self.run_cli(one, "status", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
        holder = beside.session("only-there")
        holder.hold()
        self.assertIn("only-there", self.run_cli(beside, "status").stdout)
        self.assertNotIn("only-there", self.run_cli(daemon, "status").stdout)
        done = self.second(daemon, "--state", str(daemon.dir / "third"), "--listen", "127.0.0.1:0", "--socket",
                           beside.socket)
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"process {beside.process.pid}", done.stderr)


class Restart(DaemonTest):
    """Who comes while it restarts waits a moment; where there is none, nobody waits."""

    def test_run_and_status_wait_for_a_restart(self):
        for end in ("kill", "terminate"):
            with self.subTest(end):
                daemon = self.daemon()
                getattr(daemon, end)()
                clients = [self.start_cli(daemon, *args) for args in
                           (("run", "true"), ("status",), ("open", "--print"))]
                holds_for(lambda: all(client.poll() is None for client in clients), "they wait", 0.3)
                daemon.start()
                for client in clients:
                    self.assertEqual(client.wait(DEADLINE_S), 0, client.args)

    def test_no_broker_at_all(self):
        """No socket and no folder that had one lately: 69 at once."""
        daemon = self.daemon(start=False)
        daemon.socket = str(daemon.dir / "never" / "baton.sock")
        for args in (("run", "true"), ("status",)):
            started_at = time.monotonic()
            done = self.run_cli(daemon, *args)
            self.assertEqual(done.returncode, 69)
            self.assertLess(time.monotonic() - started_at, 2, "it did not wait")
            self.assertIn(f"no broker answers on {daemon.socket}", done.stderr)


LEAK = """
import json, socket, sys
kept, welcome = [], 0
for i in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(15)
    s.connect(sys.argv[1])
    kept.append(s)
for i, s in enumerate(kept):
    try:
        s.sendall(json.dumps({"type": "hello", "id": f"leak{i}"}).encode() + b"\\n")
        if json.loads(s.makefile().readline()).get("type") == "welcome":
            welcome += 1
            continue
    except (OSError, ValueError):
        pass
    s.close()  # refused
print(welcome, flush=True)
sys.stdin.read()
"""


class Crowd(DaemonTest):
    """However many sessions a program leaks, the operator, holders and other programs get in."""

    def leak(self, daemon, count):
        """How many of `count` idle sessions of one new process were let in; they stay."""
        process = subprocess.Popen([sys.executable, "-c", LEAK, daemon.socket, str(count)], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        self.addCleanup(end_process, process)
        self.addCleanup(process.stdin.close)
        return int(process.stdout.readline())

    def test_one_leaks(self):
        """One process has its own end: half of the places, or what is configured. Others do not notice."""
        daemon = self.daemon(config={"connections": 256, "connections_per_process": 100})
        self.assertEqual(self.leak(daemon, 150), 100)
        self.assertEqual(self.run_cli(daemon, "run", "true").returncode, 0)
        self.assertEqual(self.run_cli(daemon, "status").returncode, 0)
        daemon = self.daemon(config={"connections": 200})
        self.assertEqual(self.leak(daemon, 150), 100)

    def test_many_leak(self):
        """All places are leaked: the operator looks and acts, a holder resumes, curl is answered; new ones: 75."""
        daemon = self.daemon(config={"connections": 128, "connections_per_process": 40})
        holder = daemon.session("holder")
        lease = holder.hold()["lease"]
        self.assertEqual(self.leak(daemon, 80), 40)
        self.assertLess(self.leak(daemon, 80), 40)
        wait_until(lambda: self.leak(daemon, 1) == 0, "all places are taken")
        refused = self.run_cli(daemon, "run", "true")
        self.assertEqual(refused.returncode, 75, refused.stderr)
        for args in (("status",), ("pause",), ("resume",), ("reload",), ("release", "--now", "nobody")):
            done = self.run_cli(daemon, *args)
            self.assertIn(done.returncode, (0, 66), done.stderr)
        self.assertEqual(daemon.http("GET", "/v1/gpu/status").status, 200)
        holder.drop()
        back = daemon.session("holder", resume=holder.welcome["session"])
        self.assertEqual(back.wait("claim")["lease"], lease)
        back.release(lease)
        back.wait("released", lease=lease)
        daemon.kill()
        daemon.start()
        self.assertEqual(self.run_cli(daemon, "status").returncode, 0)


if __name__ == "__main__":
    unittest.main()
