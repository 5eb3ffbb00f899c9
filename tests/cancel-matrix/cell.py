"""One cell of the matrix: a request is brought to its stage, something happens to it, and what follows is judged."""
import time

from caller import Caller
from routes import PATHS
from upstream import STAGES

EVENTS = ("closes", "half-closes", "resets", "lease revoked", "upstream dies")
LEAVES = {"closes": Caller.close, "half-closes": Caller.half_close, "resets": Caller.abort}
WAITS = ("queued", "loading")  # stages in which nothing was forwarded yet


class NotReached(Exception):
    """The request never came into its stage."""


class Cell:
    def __init__(self, kit, stage, route, event):
        self.kit, self.stage, self.route, self.event = kit, stage, route, event
        self.closed_ms = self.free_ms = self.client = None
        self.problems, self.late = [], False
        self.none = self.absent()

    def absent(self):
        """Why this proxy does not have the cell; or None."""
        if self.stage in WAITS and not self.kit.broker.is_broker:
            return "no queue, no loads"
        if self.event == "lease revoked":
            if not self.kit.broker.can_revoke:
                return "no leases" if not self.kit.broker.is_broker else "no --baton-socket"
            if self.stage == "queued":
                return "no lease yet"
        return None

    @property
    def passed(self):
        return not self.none and not self.problems and not self.late

    def run(self):
        kit = self.kit
        self.model = kit.fresh_model() if self.stage == "loading" else kit.model
        self.scene = kit.upstream.scene(self.stage, self.route, self.model)
        self.died = False
        try:
            if self.stage == "queued":
                kit.broker.occupy()
            self.caller = Caller(kit.base_url, kit.key, self.route, self.model, self.scene.marker,
                                 self.stage != "non-streaming")
            self.reach()
            self.happen()
        except (OSError, ValueError, NotReached) as error:
            self.problems.append(f"{type(error).__name__}: {error}")
        self.clean_up()
        return self

    def reach(self):
        if self.stage == "queued":
            reached = self.kit.broker.wait_until_queued(self.kit.patience_s)
        elif self.stage == "loading":
            reached = self.scene.load_began.wait(self.kit.patience_s)
        else:
            reached = self.scene.in_place.wait(self.kit.patience_s)
        if not reached:
            raise NotReached(f"{self.caller.got[:200]!r}")
        # Some proxies keep a head or the first bytes back; then the client leaves without them.
        if self.stage == "before first token":
            self.caller.read_until(lambda: b"\r\n\r\n" in self.caller.got, 0.3)
        elif self.stage == "mid-stream":
            self.caller.read_until(lambda: b"first" in self.caller.got or b"0.1," in self.caller.got, 0.3)

    def happen(self):
        if self.event in LEAVES:
            self.began = time.monotonic()
            LEAVES[self.event](self.caller)
            self.judge_left()
        elif self.event == "upstream dies":
            self.began = time.monotonic()
            self.died = True
            self.kit.upstream.die()
            self.judge_died()
        else:
            self.began = self.kit.broker.revoke(self.model)
            self.judge_revoked()

    # -- what is right

    def judge_left(self):
        if self.stage not in WAITS:
            self.see_close()
        self.see_claim()
        if self.event == "half-closes":
            self.see_client()
        if self.stage in WAITS:
            self.go_on()
            self.kit.settle(self.model)
            if self.scene.arrived:
                self.problems.append("forwarded although its client had left")

    def judge_died(self):
        if self.stage == "queued":
            self.began = time.monotonic()  # only now does anybody ask the server
            self.kit.broker.free()
        self.see_client()
        self.see_claim()

    def judge_revoked(self):
        if self.stage == "loading":
            self.judge_load_revoked()
            return
        self.see_client()
        self.see_close()
        self.see_claim()

    def judge_load_revoked(self):
        """Right is an error, or that it waits on, is loaded again and served."""
        self.scene.load_gate.set()
        if self.scene.in_place.wait(self.kit.patience_s):
            self.client = "loaded again"
            return
        self.see_client()

    # -- what was seen

    def see_close(self):
        self.scene.closed.wait(self.kit.patience_s)
        if self.scene.closed_at is None:
            self.problems.append("upstream never saw the close")
            return
        self.closed_ms = (self.scene.closed_at - self.began) * 1e3
        self.late = self.late or self.closed_ms > self.kit.limit_ms

    def see_claim(self):
        if not self.kit.broker.is_broker:
            return
        self.free_ms = self.kit.broker.wait_until_idle(self.began, self.kit.patience_s)
        if self.free_ms is None:
            self.problems.append("claim not freed")
            return
        self.late = self.late or self.free_ms > self.kit.limit_ms

    def see_client(self):
        self.client = self.caller.verdict(self.kit.patience_s)
        if self.client in ("complete", "silence"):
            self.problems.append(f"the client sees: {self.client}")

    # -- afterwards

    def go_on(self):
        """What held it up is over."""
        self.scene.load_gate.set()
        if self.stage == "queued":
            self.kit.broker.free()

    def clean_up(self):
        if hasattr(self, "caller"):
            self.caller.close()
        if self.stage in WAITS:
            self.go_on()
        if self.died:
            self.kit.upstream.revive()
        self.kit.broker.wait_until_idle(time.monotonic(), self.kit.patience_s)
        self.kit.settle()


def all_cells(kit, stages=STAGES, names=tuple(PATHS), events=EVENTS):
    return [Cell(kit, stage, route, event) for event in events for stage in stages for route in names]
