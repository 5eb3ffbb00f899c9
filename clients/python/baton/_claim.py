"""claim: the life of one claim, from the question to its end: messages and the time in, messages and news out. No
socket, no thread, no clock. The broker is not trusted to be right: a grant that was not asked for, has no GPU or whose
fence does not rise ends the connection instead of becoming a lease."""
from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Any, Dict

from ._errors import BatonError, LeaseDenied, LeaseLost, refusal

Message = Dict[str, Any]  # one object of the protocol
NEVER = float("inf")
CONNECT_S = 4.0  # for an answer to hello, and to the release at the end
PATIENCE_S = 3.0  # how long a broker that seems to be restarting is waited for
LATE_S = 1.0  # how late the broker's own timeout may be
TTL_S = 20.0  # of leases, if the broker does not say


@dataclass(frozen=True)
class Gpu:
    """As the broker lists it; `uuid` is "" where it is not known. `maker` is nvidia, amd or intel, `maker_index` how
    CUDA (in PCI_BUS_ID order) or ROCm numbers it; "" and None where the broker does not know."""

    index: int
    name: str
    uuid: str
    maker: str = ""
    maker_index: int | None = None


@dataclass(frozen=True)
class Place:
    """In the queue. `position` 0 is next, None the first moment; `bound_s` is guaranteed, `eta_s` an estimate."""

    position: int | None
    eta_s: float | None
    bound_s: float | None
    sentence: str


@dataclass(frozen=True)
class Yield:
    """Somebody needs the GPU: give it back within `grace_s`, or it is taken."""

    reason: str
    for_whom: str
    grace_s: float | None


@dataclass(frozen=True)
class Notice:
    """Something to know of a lease that is ours: `code` is idle, over, other_gpu, gpu_lost or gpu_back, `text` one
    sentence."""

    code: str
    text: str


class Question:
    """Something asked about the lease, or `of_session`; `answer`: True, an error, or None as long as there is none."""

    def __init__(self, of_session: bool) -> None:
        self.of_session = of_session
        self.answer: bool | BatonError | None = None


class Broken(Exception):
    """The connection is of no more use."""

    def __init__(self, error: BatonError) -> None:
        super().__init__(error)
        self.error = error


def gpus_of(message: Message) -> tuple[Gpu, ...]:
    return tuple(Gpu(int(row["index"]), str(row["name"]), str(row.get("uuid") or ""), str(row.get("maker") or ""),
                     row.get("maker_index") if isinstance(row.get("maker_index"), int) else None)
                 for row in message.get("gpus") or [])


def _number(message: Message, key: str, scale: float = 1.0) -> float | None:
    value = message.get(key)
    return value * scale if isinstance(value, (int, float)) else None


class Claim:
    """The claim of one session: messages and the time in, messages (`out`) and news (`notes`) out. No socket, no
    thread, no clock. States: waiting, accepted, held, releasing (said, not answered), stopping (lost, the work may
    still run), over. Links: down, hello, up, dead."""

    def __init__(self, name: str, request: Message, timeout_s: float | None, now: float) -> None:
        self.name, self.request, self.timeout_s = name, request, timeout_s
        self.state, self.link = "waiting", "down"
        self.out: list[Message] = []
        self.notes: list[tuple[str, Any]] = []
        self.error: BatonError | None = None
        self.session: str | None = None
        self.detail = ""  # of the release: how the work ended
        self.was_up = self.requeued = self.is_ready = self.owes = False
        self.ref, self.lease, self.fence = 1, 0, 0
        self.gpus: tuple[Gpu, ...] = ()
        self.place: Place | None = None
        self.asked_to_yield: Yield | None = None
        self.questions: list[Question] = []
        self.processes: Message | None = None
        self.due = self.hello_by = NEVER
        self.linger_s, self.looked_at, self.backoff_s = TTL_S, now, 0.02
        self.retry_at = now
        self.patience_until = now + PATIENCE_S
        self.deadline = self.wait_end(now)

    def say(self, **message: Any) -> None:
        if self.link == "up":  # else both sides compare what they have after the next hello
            self.out.append(message)

    # -- the connection

    def opened(self, now: float) -> None:
        self.link, self.hello_by = "hello", now + CONNECT_S
        resume = {"resume": self.session} if self.session else {}
        self.out.append({"type": "hello", "version": 1, "id": self.name, **resume})

    def broke(self, error: BatonError, now: float, passing: bool = False) -> None:
        """`passing`: the broker seems to be restarting."""
        was_up, self.link, self.hello_by = self.link == "up", "down", NEVER
        self.out.clear()
        for question in self.questions:
            question.answer = error
        self.questions.clear()
        patient = self.was_up or (passing and now < self.patience_until)
        if not patient or error.code in ("unauthorized", "forbidden", "protocol_version"):
            self.link = "dead"
            self.end(error)
        elif was_up and self.request.get("wait") is False and self.state in ("waiting", "accepted"):
            self.end(error)
        if self.state == "releasing":  # the work was done under the lease; the broker hears of it later
            self.state, self.owes = "over", True
        self.retry_at = now + self.backoff_s * (0.5 + 0.5 * random.random())
        self.backoff_s = min(2 * self.backoff_s, 2.0 if self.was_up else 0.2)  # a broker that is back waits for 10 s

    def forget(self) -> None:
        """The broker has no session of ours."""
        self.session = None
        if self.state == "held":
            self.lose("stale")

    # -- the claim

    def wait_end(self, now: float) -> float:
        if self.request.get("wait") is False:
            return now + CONNECT_S
        return NEVER if self.timeout_s is None else now + self.timeout_s

    def acquire(self, now: float) -> None:
        self.state = "waiting"
        if self.requeued:  # unanswered: what became of the old one is unknown
            self.requeued, self.ref = False, self.ref + 1
            self.request["request_id"] = os.urandom(12).hex()
        timeout_s = None if self.timeout_s is None else max(0.001, self.deadline - now)
        self.say(type="acquire", ref=self.ref, timeout_s=timeout_s, **self.request)

    def lose(self, code: str, detail: str | None = None) -> None:
        """Held no more: whoever works must stop, and says so by release()."""
        self.state, self.error, self.asked_to_yield = "stopping", LeaseLost(code, detail), None
        self.notes.append(("lost", self.error))

    def end(self, error: BatonError) -> None:
        if self.state == "held":
            self.lose(error.code, error.detail)
        elif self.state in ("waiting", "accepted"):
            self.state, self.error = "over", error
        elif self.state == "releasing":
            self.state, self.error = "over", LeaseLost(error.code, error.detail)

    def fail(self, error: BatonError) -> None:
        """Nobody looks after it any more."""
        self.link = "dead"
        for question in self.questions:
            question.answer = error
        self.end(error)

    def stopped(self, requeue: bool, now: float) -> None:
        """The work has stopped: gives the lease back, or ends the wait for one."""
        if self.state == "held" and requeue:
            self.say(type="release", lease=self.lease, requeue=True)
            self.state, self.requeued, self.asked_to_yield = "waiting", True, None
            self.due, self.deadline = NEVER, self.wait_end(now)
        elif self.state == "held":
            self.say(**self.release())
            self.state, self.owes = ("releasing", False) if self.link == "up" else ("over", True)
        elif self.state == "stopping":
            self.say(**self.release())
            self.state, self.owes = "over", self.link in ("down", "hello")
        elif self.state in ("waiting", "accepted"):
            self.say(type="cancel", ref=self.ref)
            self.state, self.error = "over", LeaseDenied("cancelled")

    def release(self) -> Message:
        return {"type": "release", "lease": self.lease, **({"detail": self.detail} if self.detail else {})}

    def hold(self, message: Message) -> None:
        fence, gpus = int(message["fence"]), gpus_of(message)
        if self.state == "held" and fence == self.fence:
            return
        if self.state == "held" or fence <= self.fence or not message.get("lease") or not gpus:
            raise Broken(BatonError("protocol", "the broker granted without a GPU or a new fence"))
        self.state, self.lease, self.fence, self.gpus = "held", int(message["lease"]), fence, gpus
        self.is_ready, self.asked_to_yield, self.due, self.place = False, None, NEVER, None

    def tick(self, now: float) -> None:
        """Deadlines."""
        if self.link == "up":
            self.looked_at = now
        elif self.link == "hello" and now >= self.hello_by:
            self.broke(refusal("unreachable", "the broker did not answer hello"), now)
        if self.state in ("waiting", "accepted") and now >= self.deadline + (LATE_S if self.link == "up" else 0):
            self.say(type="cancel", ref=self.ref)
            self.end(refusal("timeout"))
        if self.state == "held" and self.link != "up" and now >= self.lost_at():
            self.lose("stale", "no connection to the broker for too long")

    def lost_at(self) -> float:
        """Half of the time that the broker keeps a lease after a break, counted from the last look at the connection:
        two clocks may run apart by a factor of two."""
        return self.looked_at + self.linger_s / 2

    def next_at(self) -> float:
        """When a tick or a retry is due."""
        wake = self.deadline if self.state in ("waiting", "accepted") else NEVER
        if self.link == "up":
            return min(wake + LATE_S, self.looked_at + self.linger_s / 8 if self.state == "held" else NEVER)
        wake = min(wake, self.lost_at() if self.state == "held" else NEVER)
        return min(wake, {"hello": self.hello_by, "down": self.retry_at}.get(self.link, NEVER))

    # -- messages

    def hear(self, message: Message, now: float) -> None:
        kind = message.get("type")
        early = self.link == "hello" and kind not in ("welcome", "heartbeat", "denied", "close")
        handler = getattr(self, f"_on_{kind}", None)
        if handler and early:
            raise Broken(BatonError("protocol", f"{kind} before welcome"))
        if handler:
            handler(message, now)

    def is_mine(self, message: Message) -> bool:
        ref = message.get("ref")
        return ref == self.ref if ref else bool(self.lease) and message.get("lease") == self.lease

    def is_live(self, message: Message) -> bool:
        return self.is_mine(message) and self.state in ("waiting", "accepted", "held")

    def decline(self, message: Message, waits: bool) -> None:
        """The broker has something for us that we do not want; what still stops gives its lease back itself."""
        if self.is_mine(message) and self.state in ("stopping", "releasing"):
            return
        if waits:
            self.say(type="cancel", ref=message["ref"])
        else:
            self.say(type="release", lease=message["lease"])

    def _on_welcome(self, m: Message, now: float) -> None:
        if self.link != "hello" or not isinstance(m.get("session"), str):
            raise Broken(BatonError("protocol", "welcome, and nobody said hello"))
        resumed = bool(self.session) and m.get("resumed") is True
        self.session, self.link, self.was_up = m["session"], "up", True
        self.hello_by, self.backoff_s, self.looked_at = NEVER, 0.25, now
        self.linger_s = _number(m, "linger_s") or _number(m, "session_ttl_s") or TTL_S
        self.owes = self.owes and resumed
        if self.processes and self.state != "over":
            self.say(type="processes", **self.processes)
        if self.state == "held" and not resumed:
            self.lose("stale")
        elif self.state == "held":  # denied if it is ours no more
            self.say(type="ready" if self.is_ready else "renew", lease=self.lease)
        elif self.state in ("waiting", "accepted"):
            self.acquire(now)

    def _on_heartbeat(self, _m: Message, _now: float) -> None:
        self.out.append({"type": "alive"})

    def _on_close(self, m: Message, now: float) -> None:
        codes = {4401: "unauthorized", 4403: "forbidden", 4409: "protocol_version", 4429: "too_many_connections",
                 4503: "draining"}
        self.owes = self.owes and m.get("code") != 1000  # the session is over there, too
        raise Broken(refusal(codes.get(m.get("code", 0), "unreachable"), m.get("reason")))

    def _on_queued(self, m: Message, _now: float) -> None:
        if not self.is_live(m):
            self.decline(m, True)
        elif self.state != "held":
            self.state, self.requeued, self.lease = "waiting", False, m.get("lease") or self.lease
            position = _number(m, "position")
            self.place = Place(None if position is None else int(position), _number(m, "eta_s"), _number(m, "bound_s"),
                               str(m.get("sentence") or (m.get("why") or {}).get("text") or ""))
            self.notes.append(("place", self.place))

    def _on_offered(self, m: Message, _now: float) -> None:
        if not self.is_live(m):
            self.decline(m, True)
        elif self.state != "held":
            self.state, self.lease = "accepted", m["lease"]
            self.say(type="accept", lease=self.lease)

    def _on_granted(self, m: Message, _now: float) -> None:
        if not self.is_live(m) or self.requeued:
            self.decline(m, False)
        else:
            self.hold(m)

    def _on_claim(self, m: Message, now: float) -> None:
        state = m.get("state")
        if not self.is_live(m):
            if state != "ended" and not (self.is_mine(m) and self.state == "stopping"):
                self.decline(m, state in ("queued", "offered"))
        elif state == "offered":
            self._on_offered(m, now)
        elif state in ("held", "loading", "yielding"):
            self.hold(m)
            if state != "yielding":
                self._on_keep(m, now)
            elif not self.asked_to_yield:
                self._on_yield(m, now)
        elif state != "queued" or self.state == "held":
            self.end(LeaseDenied("stale"))

    def _on_yield(self, m: Message, now: float) -> None:
        if self.is_live(m) and self.state == "held":
            grace_s = _number(m, "grace_ms", 1e-3)
            self.asked_to_yield = Yield(str(m.get("reason") or "preempted"), str(m.get("for") or ""), grace_s)
            self.due = NEVER if grace_s is None else now + grace_s
            self.notes.append(("yield", self.asked_to_yield))
        elif not self.is_live(m):
            self.decline(m, False)

    def _on_notice(self, m: Message, _now: float) -> None:
        if self.is_live(m) and self.state == "held":
            self.notes.append(("notice", Notice(str(m.get("code") or ""), str(m.get("text") or ""))))

    def _on_keep(self, m: Message, _now: float) -> None:
        if self.is_live(m) and self.asked_to_yield:
            self.asked_to_yield, self.due = None, NEVER

    def _on_revoked(self, m: Message, now: float) -> None:
        if self.is_mine(m):
            words = ": ".join(filter(None, (m.get("reason"), m.get("detail"))))
            self.end(LeaseDenied("revoked", words))
            grace_s = _number(m, "grace_ms", 1e-3)
            self.due = NEVER if grace_s is None else now + grace_s

    def _on_released(self, m: Message, _now: float) -> None:
        reason = m.get("reason")
        if not self.is_mine(m) or (self.requeued and not reason):
            return
        if self.state == "releasing" and reason == "released":
            self.state = "over"
        elif self.state in ("waiting", "accepted") and reason == "disconnected" and not self.requeued:
            self.end(LeaseDenied("missed"))
        else:
            code = "revoked" if reason in ("revoked", "expired") else "released"
            self.end(LeaseDenied(code, m.get("detail") or reason))

    def _on_timeout(self, m: Message, _now: float) -> None:
        if self.is_live(m):
            self.end(refusal("timeout"))

    def _on_denied(self, m: Message, now: float) -> None:
        make = BatonError if self.state == "held" and self.link == "up" else refusal  # the lease may go on
        error = make(str(m.get("code")), m.get("detail"), m.get("message"), _number(m, "retry_after_s"))
        over = error.code in ("stale", "revoked", "released")
        if self.link == "hello":
            if error.code == "stale":
                self.forget()
            raise Broken(error)
        if not self.is_mine(m):
            if not m.get("ref") and not m.get("lease"):
                self.answer(error, of_session=True)
        elif self.state == "accepted":
            self.state = "waiting"  # the offer had passed; the place is kept
        elif self.state == "held" and not over:
            self.answer(error)
        elif self.state == "held" or self.state in ("waiting", "releasing"):
            self.end(error)

    def answer(self, answer: bool | BatonError, of_session: bool = False) -> None:
        for question in self.questions:
            if question.of_session == of_session:
                question.answer = answer
                self.questions.remove(question)
                return

    def _on_renewed(self, m: Message, now: float) -> None:
        left_s = _number(m, "expires_in_s")
        if self.is_live(m) and self.asked_to_yield and m.get("yield") and left_s is not None:
            self.due = now + left_s
        self.answer(True)

    def _on_changed(self, _m: Message, _now: float) -> None:
        self.answer(True)

    def _on_ok(self, _m: Message, _now: float) -> None:
        self.answer(True, of_session=True)
