"""A job whose workers outlive their leader and hide: tree.py FOLDER END.

Each worker writes FOLDER/NAME with its pid. END is how the leader ends once all are there: 0, 1, kill (by
SIGKILL), or stay.

session   in a session of its own
hidden    double-forked, in a session of its own, renamed, all descriptors closed
deaf      ignores SIGTERM, SIGINT and SIGHUP
cleared   double-forked, in a session of its own, with an empty environment
other     runs as another user, where that is possible
"""
import ctypes
import os
import signal
import sys

folder, end = sys.argv[1:3]
OTHER_USER = 65534


def live(name):
    fd = os.open(os.path.join(folder, name + ".new"), os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, str(os.getpid()).encode())
    os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))
    while True:
        signal.pause()


def session():
    os.setsid()


def hidden():
    os.setsid()
    if os.fork():
        os._exit(0)
    ctypes.CDLL(None).prctl(15, b"VLLM::EngineCor", 0, 0, 0)
    os.closerange(0, 4096)


def cleared():
    os.setsid()
    if os.fork():
        os._exit(0)
    path = os.path.join(folder, "cleared")
    os.execve("/bin/sh", ["sh", "-c", f"echo $$ > {path}.new; mv {path}.new {path}; exec sleep 600"], {})


def deaf():
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signo, signal.SIG_IGN)


def other():
    if os.getuid() == 0:
        os.setuid(OTHER_USER)


os.chmod(folder, 0o777)
for become in (session, hidden, cleared, deaf, other):
    if os.fork() == 0:
        become()
        live(become.__name__)
names = {"session", "hidden", "cleared", "deaf", "other"}
while not names <= set(os.listdir(folder)):
    signal.sigtimedwait([], 0.005)
print("ready", flush=True)
if end == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif end == "stay":
    live("leader")
else:
    sys.stdin.readline()
    os._exit(int(end))
