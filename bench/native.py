#!/usr/bin/env python3
"""How soon native programs give the GPU to the next, and what watching them costs: the real broker, real process
trees. Usage: native.py BUILD [ROUNDS]; prints a line a figure, each beside what is wanted of it. Not run by
`make bench`: it takes a minute, and what it measures a busy machine stretches.
"""
import ctypes
import os
import pathlib
import pty
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(sys.argv[1]).resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 30
os.environ["BATON_BIN"] = str(BUILD / "baton")
sys.path.insert(0, str(ROOT / "tests/integration"))
from lib.daemon import BATON, Daemon, die_with_parent  # noqa: E402
from lib.wait import wait_until  # noqa: E402

LIBRARY = BUILD / "tests/lib/nvml/libnvidia-ml.so"
GPUS, PROCESSES, SPAN_S = 8, 500, 20
# A leader, a child, one in a session of its own, and one that both its parents have left.
TREE = "sleep 600 & setsid sleep 600 & (setsid sleep 600 &) ; echo up; exec sleep 600"
NS_PER_S = 1e9


def start(d, *words, **options):
    return subprocess.Popen([BATON, *words], env={**d.environment(), "BATON_SOCKET": d.socket}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent, **options)


def say(what, values, wanted):
    values = sorted(values)
    print(f"{what}: median {statistics.median(values):.1f} ms, most {values[-1]:.1f} of {len(values)}; wanted {wanted}")


def descendants(pid):
    """All below it, by what /proc says now."""
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        try:
            children = pathlib.Path(f"/proc/{at}/task/{at}/children").read_text(encoding="ascii").split()
        except OSError:
            continue
        todo += [int(child) for child in children]
        found += [int(child) for child in children]
    return found


def cpu_s(pid):
    """Of all its threads, to the nanosecond."""
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0])
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / NS_PER_S


def next_grant(d, name, kill):
    """From what `kill` does to the offer to whoever waits."""
    waiter = d.session(name)
    waiter.queue()
    begun = time.monotonic()
    kill()
    offered = waiter.wait("offered")
    waiter.release(waiter.wait("granted")["lease"])
    waiter.bye()
    return (offered["at"] - begun) * 1000


def deaths(d):
    """A whole tree is killed, each process by itself; the wrapper alone is killed, and its keeper ends the tree."""
    trees, wrappers = [], []
    for i in range(ROUNDS):
        for waits, whole in ((trees, True), (wrappers, False)):
            job = start(d, "run", "-q", "--", "sh", "-c", TREE)
            job.stdout.readline()
            keeper = {pid for pid in descendants(job.pid) if name_of(pid) == "baton-keeper"}
            tree = [pid for pid in descendants(job.pid) if pid not in keeper]

            def end(job=job, tree=tree, whole=whole):
                for pid in tree if whole else [job.pid]:
                    os.kill(pid, signal.SIGKILL)
            waits.append(next_grant(d, f"waiter-{i}-{whole}", end))
            job.wait()
            job.stdout.close()
            wait_until(lambda: not d.holders(), "all is over")
    say("tree killed, to the next offer", trees, "100 ms")
    say("wrapper killed, to the next offer (its tree is killed meanwhile)", wrappers, "100 ms")


def name_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()


def noticed(d):
    """A command without children is killed: noticed, told to the broker, and the next has its offer."""
    waits = []
    for i in range(ROUNDS):
        job = start(d, "run", "-q", "--", "sh", "-c", "echo $$; exec sleep 600")
        pid = int(job.stdout.readline())
        waits.append(next_grant(d, f"next-{i}", lambda pid=pid: os.kill(pid, signal.SIGKILL)))
        job.wait()
        job.stdout.close()
        wait_until(lambda: not d.holders(), "all is over")
    say("a process killed: noticed, and the next offered", waits, "20 ms to notice")


def freezes(d):
    """A voice comes while a tree that can be frozen holds."""
    job = start(d, "run", "-q", "-c", "background", "--on-yield", "freeze", "--", "sh", "-c", TREE)
    job.stdout.readline()
    waits = []
    for i in range(ROUNDS):
        voice = d.session(f"voice-{i}")
        begun = time.monotonic()
        lease = voice.hold(**{"class": "voice"})["lease"]
        offered = next(message["at"] for message in voice.messages("offered") if message["lease"] == lease)
        waits.append((offered - begun) * 1000)
        voice.release(lease)
        voice.bye()
        wait_until(lambda: not d.waiting(), "the job has its turn again")
    say("freeze, to the next offer", waits, "50 ms")
    job.kill()
    job.wait()


def share(pid, span_s=SPAN_S):
    before, begun = cpu_s(pid), time.monotonic()
    threading.Event().wait(span_s)
    return 100 * (cpu_s(pid) - before) / (time.monotonic() - begun)


def watching(folder):
    """What the broker takes with eight GPUs and 500 processes on them: while somebody holds, and when nobody does."""
    scenario = pathlib.Path(folder) / "nvml.txt"
    children = [subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent) for _ in range(PROCESSES)]
    lines = []
    for gpu in range(GPUS):
        lines.append(f"gpu GPU-{gpu} 00000000:{gpu + 1:02x}:00.0 total=81920 used=40000 util=50 temp=60 power=250000")
        lines += [f"process {child.pid} {100 + i} compute" for i, child in enumerate(children) if i % GPUS == gpu]
    scenario.write_text("\n".join(lines) + "\n", encoding="ascii")
    calls = pathlib.Path(folder) / "calls.txt"
    d = Daemon(args=["--nvml", str(LIBRARY), "--sysfs", folder, "--procfs", "/proc"],
               env={"BATON_NVML_SCENARIO": str(scenario), "BATON_NVML_CALLS": str(calls)}).start()
    try:
        holder = d.session("holder")
        lease = holder.hold()["lease"]
        share(d.process.pid, 5)
        print(f"broker, one holds, {GPUS} GPUs, {PROCESSES} processes: {share(d.process.pid):.2f} % of a CPU; "
              "wanted 1 %")
        holder.release(lease)
        holder.bye()
        wait_until(lambda: calls.read_text(encoding="ascii").count("shutdown") == 2, "it rests", 60)
        opened = calls.read_text(encoding="ascii").count("init")
        print(f"broker at rest: {share(d.process.pid):.3f} % of a CPU, driver opened "
              f"{calls.read_text(encoding='ascii').count('init') - opened} times; wanted none")
    finally:
        d.cleanup()
        for child in children:
            child.kill()
            child.wait()


def top(d):
    """On a terminal of 80 columns, with a holder and a waiter."""
    holder, waiter = d.session("holder"), d.session("waiter")
    holder.hold()
    waiter.queue()
    controller, terminal = pty.openpty()
    process = subprocess.Popen([BATON, "top"], stdin=terminal, stdout=terminal, stderr=terminal, process_group=0,
                               env={**d.environment(), "BATON_SOCKET": d.socket, "TERM": "xterm"},
                               preexec_fn=die_with_parent)
    os.close(terminal)
    threading.Thread(target=drain, args=(controller,), daemon=True).start()
    share(process.pid, 2)
    print(f"baton top: {share(process.pid):.2f} % of a CPU; wanted 1 %")
    process.terminate()
    process.wait()
    waiter.bye()
    holder.bye()


def drain(fd):
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass


def main():
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what a killed wrapper leaves comes here
    print("load:", pathlib.Path("/proc/loadavg").read_text(encoding="ascii").split()[0])
    d = Daemon(args=["--fake-gpu", "a:24576"], config={"timing": {"min_run_s": 0}}).start()
    try:
        deaths(d)
        noticed(d)
        freezes(d)
        top(d)
    finally:
        d.cleanup()
    with tempfile.TemporaryDirectory() as folder:
        watching(folder)
    print("load:", pathlib.Path("/proc/loadavg").read_text(encoding="ascii").split()[0])


if __name__ == "__main__":
    main()
