"""address: where this user's broker listens."""
from __future__ import annotations

import os
import re
import socket
import stat

from ._errors import BatonError


def is_private(path: str) -> bool:
    """A folder that nobody else can write to."""
    try:
        st = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(st.st_mode) and st.st_uid == os.geteuid() and not st.st_mode & 0o022


def _noted_socket() -> list[str]:
    """Where the broker of the default state folder listens."""
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = state if state.startswith("/") else os.path.expanduser("~/.local/state")
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must keep nobody waiting
        with open(os.open(f"{folder}/baton/listens", flags), "rb") as note:
            st = os.fstat(note.fileno())
            if not stat.S_ISREG(st.st_mode) or st.st_uid != os.geteuid() or st.st_mode & 0o022:
                return []
            found = re.search(rb"^socket (/[^\n]{1,106})$", note.read(512), re.M)
    except OSError:
        return []
    return [os.fsdecode(found[1])] if found else []


def socket_path() -> str:
    """Where this user's broker listens: $BATON_SOCKET, else the first of the usual places that answers."""
    given = os.environ.get("BATON_SOCKET")
    if given:
        return given
    runtime, user = os.environ.get("XDG_RUNTIME_DIR", ""), os.geteuid()
    places = [f"{runtime}/baton/baton.sock"] if runtime.startswith("/") else []
    if is_private(f"/run/user/{user}"):
        places.append(f"/run/user/{user}/baton/baton.sock")
    if is_private(f"/tmp/baton-{user}") or not os.path.lexists(f"/tmp/baton-{user}"):
        places.append(f"/tmp/baton-{user}/baton.sock")  # a stranger's folder there would be a trap
    places += _noted_socket()
    if not places:
        raise BatonError("forbidden", f"/tmp/baton-{user} is not yours alone")
    there = [place for place in places if os.path.exists(place)]
    for place in there[:-1]:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(place) == 0:
                return place
    return (there or places)[-1 if there else 0]
