"""Goal: whatever dies and whenever, two jobs never run at the same time, and work goes on (T6 in small).

Method: `baton run` in a loop from several threads; each job writes when it began and ended, with its fence.
Meanwhile runners are killed and stopped, and the daemon is killed and started again. The record is then
checked as a history: fences strictly rise and name one job each, and no job begins before the one before
it ended. A control without Baton shows that the check can see.
"""
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from lib.daemon import BATON, DaemonTest, die_with_parent
from lib.wait import holds_for, wait_until

# One write per line, so lines of different jobs do not mix. The work polls nothing and ends by itself.
JOB = """
import os, sys, time
record = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
fence = os.environ.get("BATON_FENCE", sys.argv[2])
os.write(record, f"begin {time.monotonic_ns()} {fence}\\n".encode())
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    pass
os.write(record, f"end {time.monotonic_ns()} {fence}\\n".encode())
"""


def check_history(lines):
    """Problems in a record. A job that was killed has no end; that it began in order is all one can say."""
    jobs = {}
    order = []
    for line in lines:
        word, at, fence = line.split()
        if word == "begin":
            if fence in jobs:
                yield f"two jobs with fence {fence}"
            jobs[fence] = {"begin": int(at), "end": None}
            order.append(fence)
        else:
            jobs[fence]["end"] = int(at)
    for before, after in zip(order, order[1:]):
        if int(after) <= int(before):
            yield f"fence {after} after {before}"
        end = jobs[before]["end"]
        if end is not None and jobs[after]["begin"] < end:
            yield f"fence {after} began {(end - jobs[after]['begin']) / 1e6:.1f} ms before {before} ended"


class Chaos(DaemonTest):
    def setUp(self):
        self.random = random.Random(20251223)
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.runners = {}
        self.record = None

    def work(self, daemon, name):
        env = {**daemon.environment(), "BATON_SOCKET": daemon.socket}
        while not self.stop.is_set():
            job = [sys.executable, "-c", JOB, str(self.record), "0", "0.02"]
            process = subprocess.Popen([BATON, "run", "-q", "--name", name, "--wait", "20s", "--", *job],
                                       env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       preexec_fn=die_with_parent)
            with self.lock:
                self.runners[name] = process
            process.wait()

    def hurt(self, daemon):
        """One fault. Returns its name."""
        fault = self.random.choice(["kill", "kill", "stop", "stop", "daemon"])
        with self.lock:
            process = self.random.choice(list(self.runners.values()))
        if fault == "daemon":
            daemon.kill()
            daemon.start()
        elif process.poll() is None and fault == "kill":
            process.kill()
        elif process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            holds_for(lambda: True, "stopped for a moment", 0.1)
            process.send_signal(signal.SIGCONT)
        return fault

    def jobs_ended(self):
        return sum(line.startswith("end") for line in self.record.read_text(encoding="ascii").splitlines())

    def test_two_jobs_never_run_at_once(self):
        """I1, I2, T6: under kills, stops and restarts jobs run one after the other, and go on running."""
        daemon = self.daemon(timing={"restart_linger_s": 2, "session_ttl_s": 3, "heartbeat_s": 0.5})
        self.record = pathlib.Path(daemon.dir) / "record"
        threads = [threading.Thread(target=self.work, args=(daemon, f"worker-{i}"), daemon=True) for i in range(5)]
        for thread in threads:
            thread.start()
        wait_until(self.record.exists, "the first job runs")
        faults = []
        end, at_last = time.monotonic() + 12, time.monotonic() + 90
        while time.monotonic() < end or self.jobs_ended() <= 20 and time.monotonic() < at_last:
            faults.append(self.hurt(daemon))
            holds_for(lambda: True, "a moment of peace", self.random.uniform(0.05, 0.4))
        before = self.record.stat().st_size
        wait_until(lambda: self.record.stat().st_size > before, "jobs go on after the last fault", 30)
        self.stop.set()
        for thread in threads:
            thread.join(40)
        lines = self.record.read_text(encoding="ascii").splitlines()
        ended = self.jobs_ended()
        print(f"chaos: {len(faults)} faults ({faults.count('daemon')} of the daemon), {ended} jobs ended")
        self.assertEqual(list(check_history(lines)), [])
        self.assertGreater(ended, 20)

    def test_the_check_can_see(self):
        """Control: the same jobs without Baton overlap, and the check says so."""
        self.record = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="bt-"))) / "record"
        jobs = [subprocess.Popen([sys.executable, "-c", JOB, str(self.record), str(i + 1), "0.3"]) for i in range(4)]
        for job in jobs:
            job.wait()
        problems = list(check_history(self.record.read_text(encoding="ascii").splitlines()))
        self.assertTrue([p for p in problems if "ended" in p], problems)


if __name__ == "__main__":
    unittest.main()
