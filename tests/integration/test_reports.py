"""Goal: what people reported of other brokers, wrappers and daemons does not happen here.

Method: their sequence of steps, with the real daemon and the real commands. What belongs to a subject with a file of
its own is there; docs/cases.md has the list.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import unittest

from lib.daemon import BATON, DaemonTest
from lib.overlap import is_alive
from lib.wait import wait_until

THREE = ["--fake-gpu", "a:24576", "--fake-gpu", "b:16384", "--fake-gpu", "c:8192"]
ALL_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE)


class Surroundings(DaemonTest):
    """What a shell, a supervisor or a distribution sets before it starts us."""

    @unittest.skipUnless(shutil.which("localedef") and os.path.exists("/usr/share/i18n/locales/de_DE"), "no locales")
    def test_decimal_comma(self):
        """A locale with a decimal comma changes neither what is read nor what programs are told."""
        daemon = self.daemon(start=False)
        locales = daemon.dir / "locales"
        locales.mkdir()
        subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(locales / "de_DE.UTF-8")], check=False,
                       capture_output=True)
        daemon.env = {"LOCPATH": str(locales), "LC_ALL": "de_DE.UTF-8"}
        shown = subprocess.run(["python3", "-c", "import locale; locale.setlocale(locale.LC_ALL, ''); "
                                "print(locale.localeconv()['decimal_point'])"], env=daemon.environment(),
                               capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown, ",\n")  # the locale is in force
        daemon.start()
        daemon.lock("holder", timeout_s=1.5)
        status = json.loads(self.run_cli(daemon, "status", "--json").stdout)
        self.assertIsInstance(status["leases"][0]["held_s"], (int, float))
        self.assertRegex(self.run_cli(daemon, "status").stdout, r"\d\.\ds")
        self.assertEqual(self.run_cli(daemon, "run", "--wait", "0.2s", "--vram", "0.5G", "--", "true").returncode, 75)

    def test_umask_of_nothing(self):
        """umask 000: what is secret is private all the same."""
        daemon = self.daemon(preexec=lambda: os.umask(0))
        for path in (daemon.state, *daemon.state.iterdir(), *(daemon.dir / "run").iterdir()):
            with contextlib.suppress(FileNotFoundError):  # what stands beside the journal comes and goes
                mode = stat.S_IMODE(path.lstat().st_mode)
                self.assertEqual(mode & 0o077, 0, (path, oct(mode)))

    def test_ignored_and_blocked_signals(self):
        """nohup, cron and supervisors ignore or block signals: run ends, and its command inherits what it would."""
        daemon = self.daemon()
        show = "grep -E '^Sig(Blk|Ign)' /proc/self/status"

        def ignore():
            for number in ALL_SIGNALS:
                signal.signal(number, signal.SIG_IGN)

        for prepare in (ignore, lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)):
            options = {"preexec_fn": prepare, "restore_signals": False}
            direct = subprocess.run(["sh", "-c", show], capture_output=True, text=True, check=True, **options).stdout
            result = self.run_cli(daemon, "run", "-q", "--", "sh", "-c", show + "; exit 3", **options)
            self.assertEqual((result.returncode, result.stdout), (3, direct))

    def test_inherited_descriptors(self):
        """marcusquinn/aidevops#18094: the command has the descriptors of the caller and none of ours."""
        daemon = self.daemon()
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        program = ("import os; numbers = map(int, os.listdir('/proc/self/fd'));"
                   "print([n for n in numbers if os.path.exists(f'/proc/self/fd/{n}')])")
        shown = [subprocess.run([*before, "python3", "-c", program], capture_output=True, text=True, check=True,
                                pass_fds=[write], env={**daemon.environment(), "BATON_SOCKET": daemon.socket}).stdout
                 for before in ([], [BATON, "run", "-q", "--"])]
        self.assertEqual(*shown)

    def test_children_of_children(self):
        """Nukesor/pueue#347: a job that is taken away goes with the children of its children."""
        daemon = self.daemon()
        process = self.start_cli(daemon, "run", "--name", "tree", "--", "sh", "-c",
                                 "sh -c 'sleep 600 & echo $!; wait' & wait")
        grandchild = int(process.stdout.readline())
        daemon.http("POST", "/v1/gpu/force-release-all", unix=True)
        # Dead: whether it is also collected is the affair of the machine's first process.
        wait_until(lambda: not is_alive(grandchild), "the grandchild is gone")
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 75)

    def test_waiter_that_was_forgotten(self):
        """etcd-io/etcd#19597: a broker that lost its state does not leave a waiter waiting: it asks anew."""
        daemon = self.daemon()
        token = daemon.lock("holder").json()["token"]
        process = self.start_cli(daemon, "run", "--name", "patient", "--", "echo", "done")
        wait_until(lambda: daemon.waiting() == ["patient"], "it waits")
        daemon.kill()
        shutil.rmtree(daemon.state)
        daemon.start()
        self.assertNotEqual(daemon.unlock(token).status, 200)
        wait_until(lambda: daemon.waiting() == ["patient"], "it asks anew")
        self.assertEqual(self.run_cli(daemon, "resume").returncode, 0)  # who lost the state knows that nobody holds
        out, _ = process.communicate(timeout=40)
        self.assertEqual((process.returncode, out), (0, "done\n"))


class SeveralGpus(DaemonTest):
    """24, 16 and 8 GiB."""

    def setUp(self):
        self.d = self.daemon(args=THREE, timing={"grace_s": 10})  # nobody gives way before it is looked at

    def held(self, name, **fields):
        return [gpu["name"] for gpu in self.d.websocket(name).hold(**fields)["gpus"]]

    def why(self, name):
        return {row["id"]: row for row in self.d.status()["waiting"]}[name]["why"]

    def test_best_fit(self):
        """Each goes where least is left over, so that the large room stays for the large."""
        self.assertEqual(self.held("small", vram_mb=4096, gpu="any"), ["c"])
        self.assertEqual(self.held("middle", vram_mb=12000, gpu="any"), ["b"])
        self.assertEqual(self.held("large", vram_mb=20000, gpu="any"), ["a"])

    def test_selectors(self):
        """By name, index and list."""
        self.assertEqual(self.held("by-name", gpu="b"), ["b"])
        self.assertEqual(self.held("by-index", gpu="2"), ["c"])
        self.assertEqual(self.held("by-list", gpu=["a", "b"]), ["a"])

    def test_gangs(self):
        """Two at once or none: who asked for two does not sit on one."""
        self.assertEqual(self.held("one", gpu="b"), ["b"])
        gang = self.d.websocket("gang")
        gang.queue(vram_mb=12000, gpus=2, gpu="any")
        self.assertEqual(self.d.holders(), ["one"])
        self.assertEqual(self.held("other", gpu="c"), ["c"])
        self.assertEqual(self.held("two", gpus=1, gpu="a", wait=False, **{"class": "voice"}), ["a"])

    def test_refusals(self):
        """What can never be is refused at once, with the numbers and names."""
        self.d.lock("holder", gpus=3)
        rows = (({"vram_mb": 30000}, "never_fits", ("a", "23.5")), ({"vram_mb": 12000, "gpus": 3}, "never_fits", ()),
                ({"vram_mb": 12000, "gpu": "c"}, "never_fits", ("c", "7.5")),
                ({"vram_mb": 24576}, "never_fits", ("23.5 of 24.0",)),
                ({"gpu": "nosuch"}, "no_such_gpu", ("nosuch",)), ({"gpu": ["a", "zz"]}, "no_such_gpu", ("zz",)))
        for fields, code, words in rows:
            answer = self.d.lock("x", **fields)
            self.assertEqual(answer.json()["error"]["code"], code, (fields, answer))
            for word in words:
                self.assertIn(word, answer.json()["error"]["detail"], fields)
        self.assertEqual(self.d.waiting(), [])
        self.d.park("fits", vram_mb=24064)
        wait_until(lambda: self.d.waiting() == ["fits"], "what fits to the last MiB waits")

    def test_all_holders_are_told(self):
        """Who could use any of three GPUs is told all three holders, in status, `queued` and why."""
        for name, gpu in (("first", "a"), ("second", "b"), ("third", "c")):
            self.held(name, gpu=gpu)
        waiter = self.d.websocket("any")
        text = "3 GPUs are held, by first, second and third."
        self.assertEqual(waiter.queue(gpu="any")["why"]["text"], text)
        self.assertEqual(self.why("any")["text"], text)
        self.assertIn(text, self.run_cli(self.d, "why", "any").stdout)
        self.d.websocket("one").queue(gpu="b")
        self.assertRegex(self.why("one")["text"], "^second holds b( and|\\.)")

    def test_eviction(self):
        """Only one resident is asked: the one that is cheap to load again; none in vain, and never a pinned one."""
        dear, cheap, pinned = (self.d.websocket(name) for name in ("dear", "cheap", "pinned"))
        dear.hold(slots=0, vram_mb=10000, gpu="a", evictable=True, load_ms=8000)
        lease = cheap.hold(slots=0, vram_mb=8000, gpu="a", evictable=True, load_ms=500)["lease"]
        pinned.hold(slots=0, vram_mb=3000, gpu="a")
        asker = self.d.websocket("asker")
        ref = asker.acquire(gpu="a", vram_mb=8000)
        self.assertEqual(cheap.wait("yield")["reason"], "evicted")
        wait_until(lambda: self.d.waiting() == ["asker"], "it waits")
        self.assertIn("cheap is asked to unload from a", self.why("asker")["text"])
        cheap.release(lease)
        asker.release(asker.wait("granted", ref=ref)["lease"])
        self.assertEqual((dear.messages("yield"), pinned.messages("yield")), ([], []))

    def test_pinned_model_is_the_reason(self):
        """A model that nobody may unload, a need that does not fit beside it: the waiter is told so, with numbers."""
        evictable, pinned = self.d.websocket("evictable"), self.d.websocket("pinned")
        evictable.hold(slots=0, vram_mb=10000, gpu="a", evictable=True)
        lease = pinned.hold(slots=0, vram_mb=3072, gpu="a")["lease"]
        asker = self.d.websocket("asker")
        ref = asker.acquire(gpu="a", vram_mb=22528)
        wait_until(lambda: self.d.waiting() == ["asker"], "it waits")
        self.assertEqual(self.why("asker")["code"], "pinned")
        text = "pinned keeps 3.0 GiB of VRAM on a and ends only by itself; 22.0 GiB do not fit beside it."
        self.assertEqual(self.why("asker")["text"], text)
        self.assertEqual(evictable.messages("yield"), [])  # it would not help
        pinned.release(lease)
        evictable.release(evictable.wait("yield")["lease"])
        asker.wait("granted", ref=ref)


if __name__ == "__main__":
    unittest.main()
