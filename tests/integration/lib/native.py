"""Processes of `baton run` in tests, and cgroups: whether this user may make one, and a process that may not."""
import contextlib
import ctypes
import os
import pathlib
import re

from .daemon import die_with_parent
from .wait import wait_until

CGROUP_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
CAP_SETGID = 6


def own_cgroup():
    """The cgroup v2 folder of this process, if it may make others below it; else None."""
    lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    for root in CGROUP_ROOTS:
        folder = pathlib.Path(root + (path or ""))
        if path and (folder / "cgroup.procs").exists() and (folder / "cgroup.controllers").exists():
            return folder if os.access(folder, os.W_OK) else None
    return None


def keeper_now(wrapper):
    """The process beside a wrapper that outlives it; None while there is none, or before it has taken its name."""
    for child in pathlib.Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # gone meanwhile
            if pathlib.Path(f"/proc/{child}/comm").read_text() == "baton-keeper\n":
                return int(child)
    return None


def keeper_of(wrapper):
    """Its keeper, once there is one: a job may be up before its keeper has taken its name."""
    return wait_until(lambda: keeper_now(wrapper), f"wrapper {wrapper} has a keeper")


def removed(folder):
    """Whether this empty cgroup is gone now."""
    try:
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True


def is_pending(pid, signo):
    """Whether it was sent a signal that it has not taken yet."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    pending = next(line for line in status.splitlines() if line.startswith("ShdPnd"))
    return bool(int(pending.split()[1], 16) >> signo - 1 & 1)


def without_rights(folder):
    """Why a program in there gets none by its file, whatever that says; None: it does."""
    status = pathlib.Path("/proc/self/status").read_text()
    if os.statvfs(folder).f_flag & os.ST_NOSUID:
        return f"{folder} is mounted nosuid"
    if re.search(r"^NoNewPrivs:\s*1$", status, re.M):
        return "nothing may gain privileges here"
    if not int(re.search(r"^CapBnd:\s*(\w+)$", status, re.M)[1], 16) >> CAP_SETGID & 1:
        return "nobody may have the capability here"
    return None


def without_cgroups():
    """In a child: no cgroups can be seen, as for a user without rights."""
    die_with_parent()
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() == 0:
        hidden = (libc.unshare(CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
                  and libc.mount(b"tmpfs", b"/sys/fs/cgroup", b"tmpfs", 0, None) == 0)
        why = os.strerror(ctypes.get_errno())
        # The root of a container may mount nothing, and then, mostly, make no cgroup either.
        assert hidden or not own_cgroup(), why
