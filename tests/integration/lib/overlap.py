"""Whether a job of `baton run` ever works beside the next holder: one run of each situation, and many.

A run has its own daemon, a job that leaves signs of life (job.py) and a next one in line. Its result is the
gap between the last sign of life of any process of the job and the moment in which the GPU was offered to
the next one. Below zero both were on it at once.
"""
import concurrent.futures
import ctypes
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

from .daemon import BATON, Daemon, die_with_parent
from .wait import wait_until

KINDS = ("trap", "half", "forked", "deaf")
JOB, HOLDER = (pathlib.Path(__file__).with_name(name) for name in ("job.py", "holder.py"))
PIDFD_GETFD = 438
# Deadlines short enough for many runs; the session's TTL is what a lost session or broker waits for.
TIMING = {"grace_s": 0.3, "heartbeat_s": 0.2, "session_ttl_s": 1.6, "native_linger_s": 0.3,
          "restart_linger_s": 0.5, "settle_s": 0.5}


class Run:
    def __init__(self, situation, kind, seed):
        self.situation, self.kind = situation, kind
        self.random = random.Random(f"{situation} {kind} {seed}")
        self.grace_s = self.random.choice([0.2, 0.3, 0.5])
        config = {"classes": {"background": {"hold_max_s": 0.5 if situation == "hold limit" else 30}}}
        self.daemon = Daemon(timing=TIMING, config=config)
        self.folder = self.daemon.dir / "job"
        self.wrapper = None
        self.processes = []

    # -- the job

    @property
    def link(self):
        """The job's own way to the socket, so that it can be cut without the broker's knowing."""
        return self.daemon.dir / "way.sock"

    def start_job(self):
        self.folder.mkdir()
        self.link.symlink_to(self.daemon.socket)
        env = {**self.daemon.environment(), "BATON_SOCKET": str(self.link)}
        self.wrapper = self.process(
            [BATON, "run", "-q", "-c", "background", "-n", "job", "--grace", f"{int(self.grace_s * 1000)}ms", "--",
             sys.executable, "-S", str(JOB), str(self.folder), self.kind, str(self.grace_s)],
            env=env)
        count = 3 if self.kind == "forked" else 1
        wait_until(lambda: len(self.signs()) == count and all(self.signs().values()), "the job is at work")

    def process(self, command, env=None):
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.processes.append(process)
        return process

    def signs(self):
        """Process id -> its last sign of life."""
        found = {}
        for path in self.folder.glob("alive-*"):
            data = path.read_bytes()
            found[int(path.name[6:])] = struct.unpack("d", data)[0] if len(data) == 8 else None
        return found

    def await_term(self):
        """Until the job heard of it, or, if it cannot hear, for a part of its grace."""
        end = time.monotonic() + self.grace_s * self.random.random()
        wait_until(lambda: (self.folder / "term").exists() or time.monotonic() > end, "the job heard")

    # -- situations: each returns when the GPU was offered to the next one

    def next_one(self, name="next", **fields):
        session = self.daemon.session(name)
        ref = session.acquire(**fields)
        session.wait("queued", ref=ref)
        return session, ref

    @staticmethod
    def offered(session, ref):
        session.wait("granted", ref=ref, deadline_s=30)
        session.bye()  # or the broker would end this process for what it holds when its daemon is stopped
        return session.messages("offered", ref=ref)[0]["at"]

    def preempt(self):
        return self.offered(*self.next_one(**{"class": "voice"}))

    def hold_limit(self):
        return self.offered(*self.next_one(**{"class": "background"}))

    def reset(self):
        waiter = self.next_one(**{"class": "background"})
        self.daemon.http("POST", "/v1/gpu/reset", unix=True)
        return self.offered(*waiter)

    def release_now(self):
        waiter = self.next_one(**{"class": "background"})
        lease = self.daemon.status()["leases"][0]["lease"]
        self.daemon.http("POST", f"/v1/gpu/leases/{lease}/revoke", unix=True)
        return self.offered(*waiter)

    def session_lost(self):
        """The connection breaks, and the job's side finds no way back."""
        waiter = self.next_one(**{"class": "background"})
        self.link.unlink()
        break_sockets(self.wrapper.pid)
        return self.offered(*waiter)

    def broker_killed(self):
        """In the midst of a grace, or with a holder that does not find the next broker."""
        lost = self.random.random() < 0.5
        # A process of its own: were it granted in this moment, the broker would end it for it later.
        waiter = self.process([sys.executable, str(HOLDER), self.daemon.socket, "next",
                               'class="background"' if lost else 'class="voice"'])
        wait_until(lambda: "next" in self.daemon.waiting() + self.daemon.holders(), "it waits")
        if lost:
            self.link.unlink()
        else:
            self.await_term()
        self.daemon.kill()
        waiter.kill()
        self.daemon.start()
        return self.offered(*self.next_one("again", **{"class": "voice"}))

    def state_lost(self):
        self.daemon.kill()
        shutil.rmtree(self.daemon.state)
        self.daemon.start()
        return self.offered(*self.next_one(**{"class": "voice"}))

    # -- one run

    def measure(self):
        self.daemon.start()
        self.start_job()
        offered_at = getattr(self, self.situation.replace(" ", "_"))()
        status = self.wrapper.wait(30)
        wait_until(lambda: not any(is_alive(pid) for pid in self.signs()), "the job is gone")
        last = max(self.signs().values())
        return {"situation": self.situation, "kind": self.kind, "gap_ms": (offered_at - last) * 1000,
                "status": status}

    def cleanup(self):
        for pid in self.signs():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.processes:
            process.kill()
            process.wait()
        self.daemon.cleanup()


SITUATIONS = ("preempt", "hold limit", "reset", "release now", "session lost", "broker killed", "state lost")


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def break_sockets(pid):
    """Shuts the connections of another process down, as if the kernel had lost them."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            if not os.readlink(path).startswith("socket:"):
                continue
            fd = libc.syscall(PIDFD_GETFD, pidfd, int(path.name), 0)
            if fd < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            with socket.socket(fileno=fd) as connection:
                connection.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(pidfd)


def run_once(situation, kind, seed):
    """One run. An error is a result, too: nothing may go unseen."""
    run = Run(situation, kind, seed)
    try:
        return run.measure()
    except Exception as error:  # reported with its place
        return {"situation": situation, "kind": kind, "error": f"{type(error).__name__}: {error}",
                "log": run.daemon.log()[-1500:]}
    finally:
        run.cleanup()


def run_many(per_situation, situations=SITUATIONS, kinds=KINDS, jobs=None, seed=0):
    """So many runs of each situation, the kinds in turn, several side by side. All results."""
    work = [(situation, kinds[i % len(kinds)], seed + i) for i in range(per_situation) for situation in situations]
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(jobs or 2 * (os.cpu_count() or 1), mp_context=context) as pool:
        return list(pool.map(run_once, *zip(*work)))


def table(results):
    """Lines for people: of each situation how many runs, the smallest gap, and what was wrong."""
    yield "situation       runs  overlaps  min gap ms   median   statuses  errors"
    for situation in dict.fromkeys(result["situation"] for result in results):
        rows = [result for result in results if result["situation"] == situation]
        gaps = sorted(result["gap_ms"] for result in rows if "gap_ms" in result)
        statuses = ",".join(str(s) for s in sorted({r["status"] for r in rows if "status" in r}))
        errors = len(rows) - len(gaps)
        yield (f"{situation:14} {len(rows):5} {sum(gap < 0 for gap in gaps):9} "
               f"{gaps[0] if gaps else 0:11.1f} {gaps[len(gaps) // 2] if gaps else 0:8.1f} "
               f"{statuses:>10} {errors:7}")


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    situations = sys.argv[2].split(",") if len(sys.argv) > 2 else SITUATIONS
    results = run_many(runs, situations)
    print("\n".join(table(results)))
    bad = [result for result in results if result.get("gap_ms", -1) < 0]
    for result in bad[:10]:
        print(json.dumps(result), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
