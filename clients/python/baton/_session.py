"""session: a claim with its socket and its thread, which answers heartbeats and reconnects while the program
computes."""
from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import threading
import time
import weakref
from typing import Any, Callable

from ._address import is_private
from ._claim import CONNECT_S, NEVER, TTL_S, Broken, Claim
from ._errors import BatonError, LeaseLost, refusal

_LINE_BYTES = 64 * 1024

_living: weakref.WeakSet[Session] = weakref.WeakSet()


class Session:
    """A claim with its socket and its thread. `changed` guards the claim and tells of news."""

    def __init__(self, path: str, claim: Claim, tell: Callable[[str, Any], None]) -> None:
        self.path, self.claim, self.tell = path, claim, tell
        self.changed = threading.Condition()
        self.watchers: list[Callable[[], None]] = []
        self.sock: socket.socket | None = None
        self.unread = self.unsent = b""
        self.leave_at = NEVER  # bye was said: so long its answer is waited for
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.thread = threading.Thread(target=self.run, name="baton", daemon=True)
        _living.add(self)

    def start(self) -> None:
        """When the lease has this session: its handlers are called at once, and ask the lease."""
        # The program's signals stay with its own threads.
        before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        try:
            self.thread.start()
        except RuntimeError as error:  # no more threads
            self.claim.fail(BatonError("internal", str(error)))
            self.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    # -- under the lock

    def open(self, now: float) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.connect(self.path)
        except OSError as error:
            sock.close()
            code = "forbidden" if isinstance(error, PermissionError) else "unreachable"
            self.claim.broke(refusal(code, f"{self.path}: {error.strerror or error}"), now, self.may_return())
            return
        self.sock, self.unread, self.unsent = sock, b"", b""
        self.claim.opened(now)

    def may_return(self) -> bool:
        """A socket that nobody listens on, or a folder that changed a moment ago: it may be restarting."""
        folder = os.path.dirname(self.path) or "."
        try:
            return os.path.exists(self.path) or (is_private(folder) and -1 < time.time() - os.stat(folder).st_mtime < 3)
        except OSError:
            return False

    def flush(self) -> None:
        claim = self.claim
        self.unsent += b"".join(json.dumps(message).encode() + b"\n" for message in claim.out)
        claim.out.clear()
        try:
            while self.sock and self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent, socket.MSG_NOSIGNAL):]
        except BlockingIOError:
            pass
        except OSError:
            pass  # the next read shows it, after the broker's last words

    def read(self, now: float) -> None:
        while self.sock:
            try:
                got = self.sock.recv(_LINE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                got = b""
            *lines, self.unread = (self.unread + got).split(b"\n")
            if len(self.unread) > _LINE_BYTES:
                raise Broken(BatonError("protocol", "a message is too long"))
            for line in lines:
                self.hear(line, now)
            if not got:
                raise Broken(refusal("unreachable", "the broker closed the connection"))

    def hear(self, line: bytes, now: float) -> None:
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("no object")
            self.claim.hear(message, now)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise Broken(BatonError("protocol", f"the broker sent what is no message: {error!r:.80}")) from None

    def step(self) -> None:
        """Does what is due and never waits."""
        claim, now = self.claim, time.monotonic()
        if claim.link == "down" and now >= claim.retry_at:
            self.open(now)
        try:
            self.flush()
            self.read(now)
        except Broken as broken:
            cut_off = broken.error.code in ("unreachable", "draining")
            claim.broke(broken.error, now, passing=cut_off and self.may_return())
        claim.tick(now)
        self.settle()

    def settle(self) -> None:
        if self.sock and self.claim.link in ("down", "dead"):
            self.sock.close()
            self.sock, self.leave_at = None, NEVER
        self.flush()
        self.changed.notify_all()
        if self.wake_write >= 0 and threading.current_thread() is not self.thread:
            self.wake()

    def wake(self) -> None:
        """The thread looks again."""
        try:
            os.write(self.wake_write, b"x")
        except BlockingIOError:
            pass  # it will

    def look(self) -> None:
        """Reads what has come, if the last look is not fresh: a program that was stopped may have lost its lease."""
        if time.monotonic() - self.claim.looked_at > min(self.claim.linger_s / 8, 0.5):
            self.step()

    # -- the thread

    def is_done(self) -> bool:
        """Closing sooner than the broker may lose what was said last."""
        claim, now = self.claim, time.monotonic()
        if claim.state != "over":
            return False
        if claim.link == "up" and self.leave_at == NEVER:
            if claim.owes:
                claim.say(**claim.release())
            claim.say(type="bye")
            self.flush()
            self.leave_at = now + CONNECT_S
        if claim.link == "up":
            return now >= self.leave_at
        return claim.link == "dead" or not claim.owes or now >= claim.looked_at + TTL_S

    def turn(self) -> bool:
        """Waits for something to do, and does it. False: there is nothing more."""
        with self.changed:
            self.step()
            done, claim = self.is_done(), self.claim
            poll = select.poll()
            poll.register(self.wake_read, select.POLLIN)
            if self.sock:
                poll.register(self.sock, select.POLLIN | (select.POLLOUT if self.unsent else 0))
            wake_at = min(claim.next_at(), self.leave_at)
        self.pass_on()
        if done:
            return False
        wait_s = min(wake_at - time.monotonic(), 3600.0)
        poll.poll(max(0, int(1000 * wait_s) + 1))
        try:
            os.read(self.wake_read, 512)
        except BlockingIOError:
            pass
        return True

    def pass_on(self) -> None:
        """Tells the news, not under the lock."""
        with self.changed:
            notes, self.claim.notes = self.claim.notes, []
            watchers = list(self.watchers)
        for watcher in watchers:
            watcher()
        for kind, news in notes:
            self.tell(kind, news)

    def run(self) -> None:
        try:
            while self.turn():
                pass
        except Exception as error:  # a bug: nobody may wait for a thread that is gone, or compute without it
            with self.changed:
                self.claim.fail(BatonError("internal", f"{error!r:.200}"))
                self.changed.notify_all()
            self.pass_on()
            raise
        finally:
            with self.changed:
                self.close()
                self.changed.notify_all()

    def close(self) -> None:
        """No thread and no socket any more."""
        for fd in (self.wake_read, self.wake_write):
            if fd >= 0:
                os.close(fd)
        self.wake_read = self.wake_write = -1
        if self.sock:
            self.sock.close()
        self.sock = None

    # -- ends

    def end_at_exit(self) -> None:
        """The interpreter ends: nothing computes any more."""
        if self.changed.acquire(timeout=1):
            try:
                self.claim.stopped(False, time.monotonic())
                self.claim.say(type="bye")
                self.flush()
            finally:
                self.changed.release()

    def after_fork(self) -> None:
        """In the child: no thread, no lease, and the parent's connection is its own."""
        self.changed = threading.Condition()
        self.claim.state, self.claim.error = "over", LeaseLost("forked")
        self.claim.link, self.claim.out, self.unsent = "dead", [], b""
        self.close()


def _end_all() -> None:
    for session in list(_living):
        session.end_at_exit()


def _after_fork() -> None:
    for session in list(_living):
        session.after_fork()
    _living.clear()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_after_fork)
