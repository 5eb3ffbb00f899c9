"""Goal: the daemon may be killed, stopped or restarted at any time; no lease and no place is lost, and
nothing is granted twice. Method: the real daemon under SIGKILL, SIGSTOP and SIGTERM, and journals that
were damaged by hand.
"""
import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import time
import unittest

from lib.daemon import DaemonTest
from lib.wait import DEADLINE_S, holds_for, wait_until


TRIES = 5


def journal_of(daemon):
    files = [p for p in pathlib.Path(daemon.state).iterdir() if p.suffix == ".db"]
    assert len(files) == 1, files
    return files[0]


class Restart(DaemonTest):
    def crowd(self, daemon, count):
        """A holder and `count` waiters of mixed classes, each with a session; in order of service."""
        holder = daemon.session("holder")
        held = holder.hold(preemptible=False)
        sessions = {"holder": holder}
        for i in range(count):
            name = f"waiter-{i}"
            sessions[name] = daemon.session(name)
            sessions[name].queue(**{"class": ("normal", "chat", "background", "voice")[i % 4]})
        return held, sessions, daemon.waiting()

    def resume_all(self, daemon, sessions):
        resumed = {}
        for name, old in sessions.items():
            resumed[name] = daemon.session(name, resume=old.welcome["session"])
            self.assertTrue(resumed[name].welcome["resumed"], name)
        return resumed

    def check_survival(self, daemon, held, sessions, order):
        """After the restart: same order, epoch + 1, holder re-attached, next grant with a higher fence."""
        self.assertEqual(daemon.holders(), ["holder"])
        self.assertEqual(daemon.waiting(), order)
        resumed = self.resume_all(daemon, sessions)
        epoch = sessions["holder"].welcome["epoch"]
        self.assertEqual(resumed["holder"].welcome["epoch"], epoch + 1)
        claim = resumed["holder"].wait("claim", lease=held["lease"])
        self.assertEqual((claim["state"], claim["fence"]), ("held", held["fence"]))
        holds_for(lambda: daemon.holders() == ["holder"], "no grant beside the old holder", 0.5)
        fences = [held["fence"]]
        lease, owner = held["lease"], "holder"
        for name in order:
            resumed[owner].release(lease)
            granted = resumed[name].wait("granted")
            fences.append(granted["fence"])
            lease, owner = granted["lease"], name
        self.assertEqual(fences, sorted(set(fences)), "fences rise strictly")

    def test_s10_killed_daemon_keeps_leases_and_places(self):
        """S10, P10: kill -9 with a holder and 20 waiters: all are back in order within a second."""
        daemon = self.daemon(config={"classes": {c: {"hold_max_s": 300} for c in
                                                 ("voice", "chat", "normal", "background")}})
        held, sessions, order = self.crowd(daemon, 20)
        self.assertEqual(len(order), 20)
        daemon.kill()
        started_at = time.monotonic()
        daemon.start()
        print(f"S10: restart to first answer {time.monotonic() - started_at:.2f} s, 21 claims")
        self.check_survival(daemon, held, sessions, order)

    def test_s12_terminated_daemon_keeps_leases_and_places(self):
        """S12 as far as it goes without the upgrade in place: SIGTERM and a start lose nothing."""
        daemon = self.daemon(config={"classes": {c: {"hold_max_s": 300} for c in
                                                 ("voice", "chat", "normal", "background")}})
        held, sessions, order = self.crowd(daemon, 8)
        self.assertEqual(daemon.terminate(), 0)
        daemon.start()
        self.check_survival(daemon, held, sessions, order)

    def test_unlock_while_stopping_grants_nobody(self):
        """A release that comes while the daemon stops makes no lease that nobody was told of."""
        for _ in range(TRIES):
            if self.unlocked_while_stopping():
                return
        self.fail("it had stopped each time before the release came")

    def unlocked_while_stopping(self):
        """Whether the release came in time: there is a tenth of a second for it."""
        daemon = self.daemon()
        holder = daemon.connect()
        self.addCleanup(holder.close)
        holder.send(daemon.request("POST", "/v1/gpu/lock", {"id": "holder"}))
        token = holder.read_answer().json()["token"]
        daemon.parked("waiter")
        unread = daemon.connect()  # keeps the daemon from stopping at once
        self.addCleanup(unread.close)
        os.kill(daemon.process.pid, signal.SIGTERM)
        wait_until(lambda: "stopping" in daemon.log(), "it stops")
        with contextlib.suppress(ConnectionError):
            holder.send(daemon.request("POST", "/v1/gpu/unlock", {"token": token}))
        answer = holder.read_answer()
        if answer.status is None:
            return False
        self.assertEqual(answer.status, 200)
        self.assertEqual(daemon.process.wait(DEADLINE_S), 0)
        daemon.start()
        self.assertEqual(daemon.holders(), [])
        self.assertEqual(daemon.lock("later", wait=False).status, 200)
        return True

    def test_gpus_in_another_order(self):
        """A lease stays on its GPU by name when the configuration names the GPUs in another order."""
        gpus = [{"name": name, "vram_mb": 8000} for name in ("g0", "g1", "g2")]
        daemon = self.daemon(config={"gpus": gpus})
        self.assertEqual(daemon.lock("first", gpu="g1").json()["gpu"], "g1")
        self.assertEqual(daemon.lock("second", gpu="g0").json()["gpu"], "g0")
        waiter = daemon.session("waiter")
        waiter.queue(gpu=["g1"])
        for order in ("g2 g1 g0", "g1 g2", "g0 g1 g2"):
            daemon.kill()
            daemon.write_config({**daemon.config, "gpus": [{"name": name, "vram_mb": 8000}
                                                           for name in order.split()]})
            daemon.start()
            at = {lease["id"]: lease.get("gpu") for lease in daemon.status()["leases"]}
            self.assertEqual(at["first"], "g1", order)
            self.assertEqual(daemon.lock("other", gpu="g1", wait=False).status, 503, order)
            answer = daemon.lock("free", gpu="g2", wait=False)
            self.assertEqual((answer.status, answer.json()["gpu"]), (200, "g2"), order)
            daemon.unlock(answer.json()["token"])
        self.assertEqual(daemon.lock("third", gpu="g0", wait=False).status, 503, "kept while it was away")

    def test_s10_holder_that_does_not_come_back(self):
        """S10: no grant before the old holder's process is known to be gone; then the next one has it."""
        daemon = self.daemon(timing={"restart_linger_s": 3, "session_ttl_s": 2, "heartbeat_s": 0.5})
        holder = daemon.websocket("gone")
        fence = holder.hold()["fence"]
        waiter = daemon.session("next")
        waiter.queue()
        daemon.kill()
        daemon.start()
        back = daemon.session("next", resume=waiter.welcome["session"])
        self.assertEqual(daemon.holders(), ["gone"])
        granted = back.wait("granted")
        self.assertGreater(granted["fence"], fence)

    def test_s10_place_that_does_not_come_back(self):
        """S10, I4: a waiter that stays away loses its place when the re-attach timer ends."""
        daemon = self.daemon(timing={"restart_linger_s": 3, "session_ttl_s": 30})
        holder = daemon.session("holder")
        holder.hold()
        daemon.websocket("away").queue()
        daemon.kill()
        daemon.start()
        daemon.session("holder", resume=holder.welcome["session"])
        wait_until(lambda: not daemon.waiting(), "the place is given up")
        self.assertEqual(daemon.holders(), ["holder"])

    def test_http_lease_survives_kill(self):
        """P10: a plain HTTP lease is good after a restart: its token still releases, nobody else held."""
        daemon = self.daemon()
        token = daemon.lock("curl").json()["token"]
        daemon.kill()
        daemon.start()
        self.assertError(daemon.lock("other", wait=False), 503, "busy")
        self.assertEqual(daemon.unlock(token).status, 200)
        self.assertError(daemon.unlock(token), 409, "stale")

    def test_p12_fences_rise_over_restarts(self):
        """P12, I2: fences rise strictly over ten kills."""
        daemon = self.daemon(start=False)
        fences = []
        for _ in range(10):
            daemon.start()
            for _ in range(3):
                answer = daemon.lock("f").json()
                fences.append(answer["fence"])
                self.assertEqual(daemon.unlock(answer["token"]).status, 200)
            daemon.kill()
        self.assertEqual(fences, sorted(set(fences)))
        print(f"P12: {len(fences)} fences over 10 kills, {fences[0]} to {fences[-1]}")

    def test_kill_at_random_moments(self):
        """T7 in small: kills while clients lock and unlock lose no lease that was answered."""
        daemon = self.daemon()
        for round_number in range(8):
            answers = []
            tokens = []
            try:
                while len(answers) < 40:
                    if len(answers) == 5 * round_number:
                        daemon.process.kill()
                    answer = daemon.lock("r", wait=False)
                    answers.append(answer.status)
                    if answer.status == 200:
                        tokens.append(answer.json()["token"])
                        released = daemon.unlock(tokens[-1])
                        if released.status == 200:
                            tokens.pop()
            except (OSError, ValueError):
                pass
            daemon.process.wait()
            daemon.start()
            for token in tokens:  # answered, and not released: must still be held, or just released
                self.assertIn(daemon.unlock(token).status, (200, 409))
            # A grant whose answer never arrived is held until its TTL: an operator clears it.
            self.assertEqual(daemon.http("POST", "/v1/gpu/reset", unix=True).status, 200)
            wait_until(lambda: not daemon.holders(), "the reset frees")


class Stopped(DaemonTest):
    def test_s11_stopped_daemon_ends_no_live_lease(self):
        """S11, C43: SIGSTOP for 2.5 TTLs; a holder whose signs of life waited keeps all, a mute one goes.

        Five minutes at a TTL of 20 s are 15 TTLs; here it is 2.5 s at a TTL of 1 s.
        """
        daemon = self.daemon(timing={"session_ttl_s": 1, "heartbeat_s": 0.3, "settle_s": 1},
                             config={"gpus": [{"name": "a"}, {"name": "b"}]})
        alive = daemon.session("alive")
        alive_lease = alive.hold(gpu="a")["lease"]
        mute = daemon.websocket("mute")
        mute_lease = mute.hold(gpu="b")["lease"]
        waiter = daemon.session("waiter")
        waiter.queue(gpu="a")
        daemon.process.send_signal(signal.SIGSTOP)
        mute.alive = False
        for session in (alive, waiter):
            session.send(type="alive")
        stat = pathlib.Path(f"/proc/{daemon.process.pid}/stat")
        wait_until(lambda: stat.read_text().split(")")[1].split()[0] == "T", "it stopped")
        holds_for(lambda: stat.read_text().split(")")[1].split()[0] == "T", "it stays stopped", 2.5)
        daemon.process.send_signal(signal.SIGCONT)
        resumed_at = time.monotonic()
        revoked = mute.wait("revoked", lease=mute_lease)
        print(f"S11: the mute one is revoked {revoked['at'] - resumed_at:.2f} s after SIGCONT (settle 1 s)")
        self.assertGreater(revoked["at"] - resumed_at, 0.8)
        self.assertEqual(alive.messages("revoked") + alive.messages("yield"), [])
        self.assertEqual(daemon.waiting(), ["waiter"])
        self.assertIn("alive", daemon.holders())
        alive.release(alive_lease)
        waiter.wait("granted")


# What a lost journal may have promised to anybody: nothing is granted for so long.
SHORT_DOUBT = {"session_ttl_s": 1, "heartbeat_s": 0.3, "http_ttl_s": 2, "restart_linger_s": 1}


class Journal(DaemonTest):
    def test_c41_second_daemon_refuses(self):
        """C41: a second daemon on one state folder refuses with 69, and the first goes on."""
        daemon = self.daemon()
        command = daemon.command()
        command[command.index("--socket") + 1] = str(daemon.dir / "run" / "second.sock")
        second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False,
                                env=daemon.environment())
        self.assertEqual(second.returncode, 69, second)
        self.assertRegex(second.stderr, "in use|already")
        self.assertEqual(daemon.lock("x").status, 200)

    def restart_with(self, damage):
        """Holds a lease, stops, damages the journal, starts again; (daemon, old fence, old bytes)."""
        daemon = self.daemon(timing=SHORT_DOUBT)
        fence = daemon.lock("before").json()["fence"]
        self.assertEqual(daemon.terminate(), 0)
        path = journal_of(daemon)
        damage(path)
        damaged = path.read_bytes()
        daemon.start()
        return daemon, fence, damaged

    def check_quarantine(self, daemon, fence, damaged):
        aside = [p for p in daemon.state.iterdir() if p.is_file() and p.read_bytes() == damaged]
        self.assertTrue(aside, f"the damaged file lies nowhere: {list(daemon.state.iterdir())}")
        answer = daemon.lock("after", timeout_s=30)
        self.assertEqual(answer.status, 200, answer)
        self.assertGreater(answer.json()["fence"], fence)

    def test_c41_truncated(self):
        """C41, E14: a journal cut in half is set aside, never overwritten; fences go on rising."""
        def damage(path):
            os.truncate(path, path.stat().st_size // 2 + 100)
        self.check_quarantine(*self.restart_with(damage))

    def test_c41_bit_flipped(self):
        """C41, E14: a journal with a damaged page is set aside."""
        def damage(path):
            with open(path, "r+b") as file:
                file.seek(20)
                file.write(b"\xff" * 64)
        self.check_quarantine(*self.restart_with(damage))

    def test_c41_not_a_database(self):
        """C41, E14: a file of another kind in the journal's place is set aside."""
        def damage(path):
            path.write_bytes(b"not a database, but somebody's notes\n" * 100)
        self.check_quarantine(*self.restart_with(damage))

    def test_c41_newer_version(self):
        """C41: a journal of a newer version is set aside, not downgraded."""
        def damage(path):
            with sqlite3.connect(path) as base:
                base.execute("PRAGMA user_version = 9999")
            base.close()
        self.check_quarantine(*self.restart_with(damage))

    def test_c41_empty(self):
        """C41: an empty journal begins anew."""
        daemon, _, _ = self.restart_with(lambda path: os.truncate(path, 0))
        self.assertEqual(daemon.lock("after", timeout_s=30).status, 200)

    def test_c40_folders_of_others(self):
        """A state or socket folder in which others may write is refused, with what to do about it."""
        for name in ("state", "run"):
            daemon = self.daemon(start=False)
            folder = daemon.dir / name
            folder.mkdir()
            folder.chmod(0o770)
            done = subprocess.run(daemon.command(), env=daemon.environment(), capture_output=True, text=True,
                                  timeout=DEADLINE_S)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"{folder}: others may write there; try: chmod go-w", done.stderr)
            folder.chmod(0o700)
            daemon.start()

    def test_c41_state_folder_unusable(self):
        """C41: a state folder that is a file is refused in words, with a status of its own."""
        daemon = self.daemon(start=False)
        daemon.state.write_text("a file", encoding="ascii")
        result = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20,
                                check=False, env=daemon.environment())
        self.assertIn(result.returncode, (69, 73, 74, 77, 78))
        self.assertIn("state", result.stderr + result.stdout)


if __name__ == "__main__":
    unittest.main()
