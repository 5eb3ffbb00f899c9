"""Goal: when the record of who holds is lost, nobody is granted beside an old holder, and everybody is
told why; when it cannot be written, every door says so at once and nobody loses what he has. Method:
the real daemon, whose state folder is damaged, removed, replaced, filled up or closed under it.
"""
import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

from lib.daemon import BATON, Daemon, DaemonTest
from lib.wait import holds_for, wait_until

TTL_S = 3  # all that is asked in a time of doubt is asked within it, on a busy machine, too
TIMING = {"session_ttl_s": TTL_S, "heartbeat_s": 0.3, "restart_linger_s": 2, "native_linger_s": 1,
          "http_ttl_s": 1, "grace_s": 0.3}
FULL_BYTES = 4096  # the first page of a journal, not the second


def damage(daemon):
    for path in daemon.state.glob("journal.db*"):
        path.write_bytes(os.urandom(4096))


def remove(daemon):
    shutil.rmtree(daemon.state)


def fill_disk(process, size=FULL_BYTES):
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def free_disk(process):
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def start_full():
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))


class Doubt(DaemonTest):
    def lose(self, loss):
        """A holder, a daemon that is killed, and what `loss` does meanwhile; (daemon, old lease, start)."""
        daemon = self.daemon(timing=TIMING)
        held = daemon.session("old").hold()
        daemon.kill()
        loss(daemon)
        before = time.monotonic()
        daemon.start()
        return daemon, held, before

    def check_told(self, daemon):
        """Status, health, metrics and the command line say what is waited for."""
        grants = daemon.status()["grants"]
        self.assertEqual((grants["allowed"], grants["reason"]), (False, "in_doubt"), grants)
        self.assertTrue(0 < grants["remaining_s"] <= TTL_S, grants)
        health = daemon.http("GET", "/health", token=None).json()
        self.assertEqual(health["grants"]["reason"], "in_doubt")
        metrics = daemon.http("GET", "/metrics").body.decode()
        self.assertIn('baton_grants_stopped{reason="in_doubt"} 1', metrics)
        self.assertIn("nothing is granted for another", self.run_cli(daemon, "status").stdout)

    def check_doubt(self, daemon, held, started):
        waiter = daemon.session("new")
        waiter.queue()
        row = daemon.status()["waiting"][0]
        self.assertEqual(row["why"]["code"], "in_doubt", row)
        self.assertIsNone(row["bound_s"])
        self.check_told(daemon)
        self.assertError(daemon.lock("hasty", wait=False), 503, "in_doubt")
        granted = waiter.wait("granted")
        print(f"granted {granted['at'] - started:.2f} s after the start, the lease was good for {TTL_S} s")
        self.assertGreater(granted["at"] - started, TTL_S - 0.2)
        self.assertGreater(granted["fence"], held["fence"])
        self.assertTrue(daemon.status()["grants"]["allowed"])

    def test_unreadable_journal(self):
        """A quarantined journal: nobody is granted before the longest lease must have ended."""
        self.check_doubt(*self.lose(damage))

    def test_removed_folder(self):
        """rm -r of the state folder while the daemon is down: the same, and fences go on rising."""
        self.check_doubt(*self.lose(remove))

    def test_removed_journal(self):
        """Only the journal is gone."""
        def loss(daemon):
            for path in daemon.state.glob("journal.db*"):
                path.unlink()
        self.check_doubt(*self.lose(loss))

    def test_older_journal(self):
        """Somebody put an older copy in its place."""
        daemon = self.daemon(timing=TIMING)
        self.assertEqual(daemon.terminate(), 0)
        old = (daemon.state / "journal.db").read_bytes()
        daemon.start()
        held = daemon.session("old").hold()
        daemon.kill()
        for path in daemon.state.glob("journal.db*"):
            path.unlink()
        (daemon.state / "journal.db").write_bytes(old)
        before = time.monotonic()
        daemon.start()
        self.check_doubt(daemon, held, before)

    def test_old_job_ends_before_the_next(self):
        """The command of an old holder, which traps SIGTERM, is gone when the next one is granted."""
        daemon = self.daemon(timing={**TIMING, "session_ttl_s": 4})
        alive = daemon.dir / "alive"
        job = self.start_cli(daemon, "run", "-q", "--grace", "300ms", "--", "sh", "-c",
                             f"trap '' TERM; while :; do : > {alive}; done")
        wait_until(alive.exists, "it works")
        daemon.kill()
        remove(daemon)
        daemon.start()
        granted = daemon.session("new").hold()
        wall_at_grant = time.time() - (time.monotonic() - granted["at"])
        self.assertEqual(job.wait(10), 75)
        self.assertLess(alive.stat().st_mtime, wall_at_grant)

    def test_old_session_is_told(self):
        """A session that comes back with its secret learns that it is a new one: its leases are lost."""
        daemon = self.daemon(timing=TIMING)
        old = daemon.session("old")
        old.hold()
        daemon.kill()
        remove(daemon)
        daemon.start()
        again = daemon.session("old", resume=old.welcome["session"])
        self.assertFalse(again.welcome["resumed"])
        self.assertEqual(again.messages("claim"), [])

    def test_doubt_outlives_its_broker(self):
        """Killed or stopped in the time of doubt, it begins anew: a clean journal of a moment ago proves
        nothing."""
        daemon, held, _ = self.lose(remove)
        for end in (daemon.kill, daemon.terminate):
            self.assertEqual(daemon.status()["grants"]["reason"], "in_doubt")
            end()
            before = time.monotonic()
            daemon.start()
        self.check_doubt(daemon, held, before)
        daemon.kill()
        daemon.start()
        self.assertTrue(daemon.status()["grants"]["allowed"])

    def test_operator_ends_doubt(self):
        """Who knows that nobody goes on says `baton resume`."""
        daemon, _, started = self.lose(remove)
        self.assertEqual(self.run_cli(daemon, "resume").returncode, 0)
        granted = daemon.session("new").hold()
        self.assertLess(granted["at"] - started, TTL_S)

    def test_plain_lease_counts(self):
        """A plain HTTP lease outlives its broker by its whole TTL, so that is waited for."""
        daemon = self.daemon(timing=TIMING)
        self.assertEqual(daemon.lock("plain", ttl_s=30).status, 200)
        daemon.kill()
        remove(daemon)
        daemon.start()
        self.assertTrue(20 < daemon.status()["grants"]["remaining_s"] <= 30)

    def test_first_start(self):
        """Where no broker ran before, the first one is granted at once, fence 1."""
        daemon = self.daemon(timing=TIMING)
        self.assertEqual(daemon.status()["grants"], {"allowed": True})
        answer = daemon.lock("first", wait=False)
        self.assertEqual((answer.status, answer.json()["fence"]), (200, 1))

    def test_idle_stop(self):
        """Stopped while nobody held or waited: there is no doubt, whatever is lost; fences rise."""
        daemon = self.daemon(timing=TIMING)
        answer = daemon.lock("x").json()
        daemon.unlock(answer["token"])
        self.assertEqual(daemon.terminate(), 0)
        remove(daemon)
        daemon.start()
        again = daemon.lock("y", wait=False)
        self.assertEqual(again.status, 200)
        self.assertGreater(again.json()["fence"], answer["fence"])


class Running(DaemonTest):
    """The folder goes while the daemon runs."""

    def check_goes_on(self, daemon, holder, held, waiter):
        """All that lived is in the new journal: the next daemon knows it."""
        wait_until(lambda: daemon.status()["grants"]["allowed"], "it grants again")
        daemon.kill()
        daemon.start()
        self.assertEqual((daemon.holders(), daemon.waiting()), (["holder"], ["waiter"]))
        holder = daemon.session("holder", resume=holder.welcome["session"])
        waiter = daemon.session("waiter", resume=waiter.welcome["session"])
        self.assertTrue(holder.welcome["resumed"] and waiter.welcome["resumed"])
        holder.release(held["lease"])
        self.assertGreater(waiter.wait("granted")["fence"], held["fence"])

    def lose(self, loss):
        daemon = self.daemon(timing=TIMING)
        holder, waiter = daemon.session("holder"), daemon.session("waiter")
        held = holder.hold()
        waiter.queue()
        token = daemon.token
        loss(daemon)
        wait_until(lambda: "the journal is lost" in daemon.log(), "it notices")
        wait_until(lambda: (daemon.state / "token").exists(), "the token is there again")
        self.assertEqual(daemon.token, token)
        self.check_goes_on(daemon, holder, held, waiter)

    def ask(self, daemon):
        return daemon.http("GET", "/health", token=None)

    def test_removed_folder(self):
        """rm -r: noticed within a second or so, and begun anew with all that lives."""
        def loss(daemon):
            remove(daemon)
            wait_until(lambda: self.ask(daemon) and "the journal is lost" in daemon.log(), "it notices")
        self.lose(loss)

    def test_renamed_folder(self):
        """mv: what is written must not go where nobody looks for it."""
        def loss(daemon):
            daemon.state.rename(daemon.dir / "elsewhere")
            wait_until(lambda: self.ask(daemon) and "the journal is lost" in daemon.log(), "it notices")
        self.lose(loss)

    def test_removed_journal(self):
        """Only the journal."""
        def loss(daemon):
            (daemon.state / "journal.db").unlink()
            wait_until(lambda: self.ask(daemon) and "the journal is lost" in daemon.log(), "it notices")
        self.lose(loss)

    def test_folder_of_another_broker(self):
        """Another broker has begun in that folder: this one grants nothing any more and says who it is."""
        daemon = self.daemon(timing=TIMING)
        holder = daemon.session("holder")
        held = holder.hold()
        daemon.process.send_signal(signal.SIGSTOP)
        remove(daemon)
        other = Daemon(timing=TIMING)
        other.state = daemon.state
        self.addCleanup(other.cleanup)
        other.start()
        daemon.process.send_signal(signal.SIGCONT)
        wait_until(lambda: not daemon.status_by_socket()["grants"]["allowed"], "it notices")
        wait_until(lambda: f"process {other.process.pid}" in
                   daemon.status_by_socket()["grants"].get("detail", ""), "it says who")
        done = self.run_cli(daemon, "run", "--wait", "2s", "--", "true")
        self.assertEqual(done.returncode, 75, done)
        holder.release(held["lease"])
        holder.wait("released")
        self.assertEqual(other.lock("x").status, 200)


class Unwritable(DaemonTest):
    def check_doors(self, daemon):
        """Every door answers at once, and with the same words."""
        begin = time.monotonic()
        self.assertError(daemon.http("POST", "/v1/gpu/lock", {"id": "x"}, unix=True), 503,
                         "journal_unavailable")
        stream = daemon.http("POST", "/v1/gpu/lock", {"id": "x"}, {"Accept": "text/event-stream"}, unix=True)
        self.assertIn("journal_unavailable", str(stream.body))
        done = self.run_cli(daemon, "run", "--", "true")
        self.assertEqual(done.returncode, 75, done)
        self.assertIn("grants nothing now", done.stderr)
        self.assertFalse(daemon.status_by_socket()["grants"]["allowed"])
        self.assertLess(time.monotonic() - begin, 5)

    def test_full_from_the_start(self):
        """A first start on a full disk: it runs, refuses, and begins by itself when there is room."""
        daemon = self.daemon(timing=TIMING, start=False, preexec=start_full)
        daemon.start()
        self.check_doors(daemon)
        free_disk(daemon.process)
        wait_until(lambda: daemon.status_by_socket()["grants"]["allowed"], "it grants")
        self.assertEqual(daemon.lock("x").json()["fence"], 1)

    def test_full_with_an_old_journal(self):
        """Holders are taken up again, keep what they have, may give it back; nobody new is let in."""
        daemon = self.daemon(timing=TIMING)
        holder, waiter = daemon.session("holder"), daemon.session("waiter")
        held = holder.hold()
        waiter.queue()
        daemon.kill()
        os.truncate(daemon.log_path, 0)
        daemon.preexec = start_full
        daemon.start()
        holder = daemon.session("holder", resume=holder.welcome["session"])
        self.assertTrue(holder.welcome["resumed"])
        holder.wait("claim", lease=held["lease"], state="held")
        waiter = daemon.session("waiter", resume=waiter.welcome["session"])
        self.check_doors(daemon)
        holds_for(lambda: daemon.holders() == ["holder"], "it keeps its lease", TTL_S + 0.5)
        holder.release(held["lease"])
        holder.wait("released")
        self.assertEqual(daemon.holders(), [])
        free_disk(daemon.process)
        self.assertGreater(waiter.wait("granted")["fence"], held["fence"])

    def test_full_while_it_runs(self):
        """The first to come when nothing can be written is refused at once, too; resuming works."""
        daemon = self.daemon(timing=TIMING)
        holder = daemon.session("holder")
        held = holder.hold()
        fill_disk(daemon.process, 0)
        done = self.run_cli(daemon, "run", "--wait", "2s", "--", "true")
        self.assertEqual(done.returncode, 75, done)
        self.check_doors(daemon)
        holder.drop()
        again = daemon.session("holder", resume=holder.welcome["session"])
        self.assertTrue(again.welcome["resumed"])
        again.wait("claim", lease=held["lease"], state="held")
        free_disk(daemon.process)
        wait_until(lambda: daemon.status()["grants"]["allowed"], "it grants again")

    @unittest.skipIf(os.geteuid() == 0, "root writes everywhere")
    def test_read_only_folder(self):
        """A folder without the right to write: the same."""
        daemon = self.daemon(timing=TIMING)
        held = daemon.session("holder").hold()
        daemon.kill()
        daemon.state.chmod(0o500)
        self.addCleanup(lambda: daemon.state.exists() and daemon.state.chmod(0o700))
        daemon.start()
        self.assertEqual([row["lease"] for row in daemon.status()["leases"]], [held["lease"]])
        self.check_doors(daemon)
        daemon.state.chmod(0o700)
        wait_until(lambda: daemon.status()["grants"]["allowed"], "it grants again")


class Crowd(DaemonTest):
    """Prints figures; the limits are those of a busy machine with sanitizers."""

    def test_thousands_leave_at_once(self):
        sessions, each = 100, 100
        daemon = self.daemon(timing={"native_linger_s": 1},
                             config={"queue": {"max": 2 * sessions * each, "per_session_max": each,
                                               "per_principal_max": sessions * each}})
        daemon.session("holder").hold()
        crowd = [daemon.session(f"c{i}") for i in range(sessions)]
        for session in crowd:
            for ref in range(each):
                session.send(type="acquire", ref=1000 + ref, timeout_s=None)
        wait_until(lambda: self.depth(daemon) == sessions * each, "all wait", 60)
        for session in crowd:
            session.send(type="bye")
        begin, worst = time.monotonic(), 0
        while self.depth(daemon) > 0:
            asked = time.monotonic()
            self.assertEqual(daemon.http("GET", "/health", token=None).status, 200)
            worst = max(worst, time.monotonic() - asked)
            self.assertLess(asked - begin, 30)
        print(f"{sessions * each} claims left within {time.monotonic() - begin:.2f} s; "
              f"the longest that another waited was {worst * 1000:.0f} ms")

    def depth(self, daemon):
        return daemon.http("GET", "/v1/gpu/status?limit=0").json()["queue_depth"]


if __name__ == "__main__":
    unittest.main()
