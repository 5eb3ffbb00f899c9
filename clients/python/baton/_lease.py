"""lease: the right to use the GPU, for programs that wait by blocking."""
from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import Any, Callable, Generator, Sequence

from ._address import socket_path
from ._claim import CONNECT_S, NEVER, Claim, Gpu, Message, Notice, Place, Question, Yield
from ._environment import variables
from ._errors import BatonError, LeaseLost, refusal
from ._session import Session
from ._units import mib, milliseconds, parse_duration, plain, words

Steps = Generator[Callable[[], bool], None, None]  # each gives the condition that it waits for


def _own_name() -> str:
    """The program's, as far as it can be a name."""
    name = "".join(filter(str.isprintable, os.path.basename(sys.argv[0])))
    return f"{name.encode()[:100].decode(errors='ignore') or 'python'}-{os.getpid()}"


def ended_by(error: BaseException | None) -> str | None:
    """How a block ended, by the exception's type alone: its message may hold what nobody else is to read. None: well,
    or by what the broker knows."""
    if error is None or isinstance(error, (LeaseLost, GeneratorExit)):
        return None
    if isinstance(error, SystemExit) and not error.code:
        return None
    name = type(error).__name__
    return f"ended by {name}" if name.isascii() and name.isidentifier() and len(name) <= 80 else "ended by an exception"


class Base:
    """What both kinds of lease have in common."""

    def __init__(self, vram: int | str | None = None, *, klass: str | None = None, slots: int | str = 1,
                 gpu: str | int | Sequence[str | int] | None = None, gpus: int = 1,
                 timeout: float | str | None = None, wait: bool = True, name: str | None = None,
                 label: str | None = None, grace: float | str | None = None, preemptible: bool = True,
                 evictable: bool = False, loads: bool = False, load_time: float | str | None = None,
                 min_residence: float | str | None = None, parent: int | None = None, host: int | None = None,
                 guests: int = 0, guests_open: bool = False, request_id: str | None = None,
                 socket: str | os.PathLike[str] | None = None, on_yield: Callable[[Yield], object] | None = None,
                 on_lost: Callable[[LeaseLost], object] | None = None,
                 on_place: Callable[[Place], object] | None = None,
                 on_notice: Callable[[Notice], object] | None = None) -> None:
        """Asks for nothing yet. `timeout`: the longest wait, None: for ever; `wait=False`: LeaseDenied (busy) instead
        of a place in the queue. `grace`: the longest step that cannot be cut short. `parent`: the lease whose holder
        waits for this one; under `baton run` that is its. The handlers run in the lease's own thread and must not
        wait. docs/python.md explains each."""
        if not parent and not host and os.environ.get("BATON_LEASE", "").isdigit():
            parent = int(os.environ["BATON_LEASE"])
        fields: Message = {
            "class": klass, "vram_mb": mib(vram) if vram else None, "slots": slots,
            "gpu": list(map(str, gpu)) if isinstance(gpu, (list, tuple)) else None if gpu is None else str(gpu),
            "gpus": gpus, "accept": True, "uninterruptible_ms": milliseconds(grace),
            "min_residence_ms": milliseconds(min_residence), "load_ms": milliseconds(load_time), "label": label,
            "parent": parent or None, "host": host or None, "preemptible": None if preemptible else False,
            "wait": None if wait else False, "evictable": evictable or None, "loads": loads or None,
            "guests": guests or None, "guests_open": guests_open or None,
            "request_id": request_id or os.urandom(12).hex()}
        self._request = plain({key: value for key, value in fields.items() if value is not None})
        self._timeout_s = None if timeout is None else parse_duration(timeout)
        self._name = plain({"name": name or _own_name()})["name"]
        self._path = os.fspath(socket) if socket else None
        self._handlers: dict[str, Callable[[Any], object] | None] = {
            "yield": on_yield, "lost": on_lost, "place": on_place, "notice": on_notice}
        self._session: Session | None = None

    # -- what it is

    @property
    def held(self) -> bool:
        """Whether the GPU is ours now. Never raises."""
        session = self._session
        if not session:
            return False
        with session.changed:
            session.look()
            return session.claim.state == "held"

    def check(self) -> None:
        """Raises LeaseLost unless the GPU is ours now. Cheap enough for each step."""
        session = self._owned()
        with session.changed:
            session.look()
            if session.claim.state != "held":
                raise self._why_not(session.claim)

    def should_yield(self) -> bool:
        """Whether somebody else needs the GPU. Raises LeaseLost when it is not ours any more."""
        self.check()
        return self.yield_requested is not None

    @property
    def yield_requested(self) -> Yield | None:
        """What was asked, or None; None too when nobody needs it any more."""
        session = self._session
        return session.claim.asked_to_yield if session else None

    def time_left(self) -> float | None:
        """Seconds in which the work may still go on, after a yield or a loss; None: nothing was said."""
        session = self._session
        if not session or session.claim.due == NEVER:
            return None
        return max(0.0, session.claim.due - time.monotonic())

    @property
    def id(self) -> int:
        """The number of the claim in lists (`baton why ID`); 0 until the broker answered."""
        return self._session.claim.lease if self._session else 0

    @property
    def fence(self) -> int:
        """Rises with every grant, for ever: whoever stores results refuses a smaller one. Stays after the end."""
        return self._session.claim.fence if self._session else 0

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """What was granted."""
        return self._session.claim.gpus if self._session else ()

    @property
    def place(self) -> Place | None:
        """In the queue, while it waits."""
        return self._session.claim.place if self._session else None

    def environment(self) -> dict[str, str]:
        """os.environ for a child that computes on these GPUs, as `baton run` sets it."""
        before = {name: value for name, value in os.environ.items() if name != "BATON_GPU_UUIDS"}
        return {**before, **variables(self.id, self.fence, self.gpus)}

    def cancel(self, detail: str | None = None) -> None:
        """Ends the wait, or gives the lease back (`detail`: as release). From any thread; whoever waits gets
        LeaseDenied (cancelled)."""
        if self._session:
            self._explain(self._session, detail)
            self._stop(self._session, False)

    # -- what both do: each step gives the condition that it waits for

    def _tell(self, kind: str, news: Any) -> None:
        handler = self._handlers.get(kind)
        try:
            if handler:
                handler(news)
        except BaseException:  # even sys.exit: it ends no thread but this, and heartbeats go on
            traceback.print_exc()

    def _owned(self) -> Session:
        if not self._session:
            raise BatonError("wrong_state", "nothing was asked for yet")
        return self._session

    @staticmethod
    def _why_not(claim: Claim) -> BatonError:
        return claim.error or BatonError("wrong_state", "the lease was given back")

    @staticmethod
    def _explain(session: Session, detail: str | None) -> None:
        if detail is not None:
            said = words(detail)
            with session.changed:
                session.claim.detail = said

    def _stop(self, session: Session, requeue: bool) -> None:
        """The work has stopped. What came in meanwhile counts first."""
        with session.changed:
            session.step()
            if session.claim.state == "held" or not requeue:
                session.claim.stopped(requeue, time.monotonic())
            session.settle()

    def _acquiring(self) -> Steps:
        if self._session and self._session.claim.state != "over":
            raise BatonError("wrong_state", "it is asked for already")
        claim = Claim(self._name, dict(self._request), self._timeout_s, time.monotonic())
        self._session = Session(self._path or socket_path(), claim, self._tell)
        self._session.start()
        yield from self._waiting(self._session)

    def _waiting(self, session: Session) -> Steps:
        try:
            yield lambda: session.claim.state not in ("waiting", "accepted")
        except BaseException:  # such as Ctrl-C: nobody waits any more
            self._stop(session, False)
            raise
        if session.claim.state != "held":
            raise self._why_not(session.claim)

    def _giving_way(self) -> Steps:
        self.check()
        session = self._owned()
        self._stop(session, True)
        yield from self._waiting(session)

    def _releasing(self, detail: str | None) -> Steps:
        session, late = self._owned(), time.monotonic() + CONNECT_S
        self._explain(session, detail)
        self._stop(session, False)
        yield lambda: session.claim.state == "over" or time.monotonic() > late
        if isinstance(session.claim.error, LeaseLost) and session.claim.error.code != "forked":
            raise session.claim.error

    def _asking(self, kind: str, **fields: Any) -> Steps:
        session, question, late = self._owned(), Question(kind == "processes"), time.monotonic() + CONNECT_S
        fields = plain(fields)
        with session.changed:
            session.look()
            claim = session.claim
            if claim.state != "held":
                raise self._why_not(claim)
            if claim.link != "up":
                raise refusal("unreachable", "the broker is away for the moment")
            claim.questions.append(question)
            claim.say(type=kind, **fields)
            claim.is_ready = claim.is_ready or kind == "ready"
            claim.processes = fields if kind == "processes" else claim.processes  # said again after a break
            session.settle()
        yield lambda: question.answer is not None or time.monotonic() > late
        if question.answer is not True:
            raise question.answer or refusal("unreachable", f"the broker did not answer {kind}")


class Lease(Base):
    """The right to use the GPU, asked for by `with` or acquire()."""

    def _do(self, steps: Steps) -> None:
        if self._session and threading.current_thread() is self._session.thread:
            raise BatonError("wrong_state", "a handler must not wait")  # before the first step does anything
        for ready in steps:
            session = self._owned()
            try:
                with session.changed:
                    while not session.changed.wait_for(ready, 1):
                        pass
            except BaseException as error:
                steps.throw(error)

    def acquire(self) -> Lease:
        """Waits for the GPU. Raises LeaseDenied, LeaseTimeout, Unreachable or BadRequest: then there is none."""
        self._do(self._acquiring())
        return self

    def release(self, detail: str | None = None) -> None:
        """The work has stopped: gives the GPU back. Raises LeaseLost if it was not ours to the end. `detail`: how it
        ended, for history and events ("exit status 1"), 120 bytes at most."""
        self._do(self._releasing(detail))

    def give_way(self) -> None:
        """The work is saved and has stopped: gives the GPU back, keeps the place, and returns when it is ours again,
        maybe another one (`gpus`), under a new `fence`."""
        self._do(self._giving_way())

    def need(self, seconds: float | str) -> None:
        """Answers a yield: so long until a safe point. No longer than `grace` said; time_left() knows."""
        self._do(self._asking("yielding", lease=self.id, need_ms=milliseconds(seconds)))

    def ready(self) -> None:
        """With `loads`: the model is there, and the turn begins."""
        self._do(self._asking("ready", lease=self.id))

    def change(self, slots: int, vram: int | str) -> None:
        """What it needs from now on, such as 0 slots and its VRAM while a model is only kept loaded."""
        self._do(self._asking("change", lease=self.id, slots=slots, vram_mb=mib(vram)))

    def processes(self, *pids: int) -> None:
        """Names other processes that use the GPU for this lease: it is free when all of them are gone, and they are
        killed with this one. Replaces what was named before."""
        self._do(self._asking("processes", pids=list(pids)))

    def __enter__(self) -> Lease:
        return self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _tb: object) -> None:
        try:
            self.release(ended_by(error))
        except LeaseLost:
            if error is None:
                raise
