"""play: one scenario being played: the scripted broker and the log of what happened.

It knows no socket and no clock: a world (virtual.py, real.py) hands it the time and what the client
did, and carries out what it says. The judge (judge.py) reads the log afterwards.
"""
import json
import pathlib

SECRET = "17-00112233445566778899aabbccddeeff"
GPUS = [{"index": 0, "name": "gpu0", "uuid": "GPU-6f1d"}]
WITHIN_MS = 5000  # an awaited thing comes within this, unless the step says otherwise

# What the broker says when a step does not say otherwise.
WORDS = {
    "welcome": {"version": 1, "session": SECRET, "resumed": False, "epoch": 3, "ping_s": 5, "session_ttl_s": 20,
                "linger_s": 2, "server": "baton/0.1.0", "rights": "token"},
    "queued": {"ref": "$ref", "lease": 7, "position": 0, "ahead": [], "eta_s": None, "eta_p90_s": None, "bound_s": None,
               "why": {"code": "holder", "text": "Somebody holds gpu0.", "holder": 5}},
    "offered": {"ref": "$ref", "lease": 7, "fence": 100, "gpu": "gpu0", "gpus": GPUS},
    "granted": {"ref": "$ref", "lease": 7, "fence": 100, "gpu": "gpu0", "gpus": GPUS,
                "token": "00112233445566778899aabbccddeeff", "expires_in_s": 20},
    "claim": {"ref": "$ref", "lease": 7, "state": "held", "fence": 100, "gpu": "gpu0", "gpus": GPUS},
    "keep": {"ref": "$ref", "lease": 7},
    "yield": {"ref": "$ref", "lease": 7, "reason": "preempted", "for": "voice", "for_lease": 9, "grace_ms": 1000},
    "revoked": {"ref": "$ref", "lease": 7, "reason": "preempted"},
    "released": {"ref": "$ref", "lease": 7},
    "timeout": {"ref": "$ref", "lease": 7, "message": "GPU Queue Timeout"},
    "denied": {"ref": "$ref", "code": "queue_full", "message": "The queue is full; try again later."},
    "renewed": {"lease": 7, "expires_in_s": 20},
    "heartbeat": {},
    "ok": {"count": 0},
}

# Beginnings that many scenarios share.
CONNECTED = [{"await": "hello"}, {"say": "welcome"}]
WAITING = CONNECTED + [{"await": "acquire"}, {"say": "queued"}]
HELD = WAITING + [{"say": "offered"}, {"await": "accept"}, {"say": "granted"}, {"until": "using"}]
BEGINNINGS = {"nothing": [], "connected": CONNECTED, "waiting": WAITING, "held": HELD}

# Said by manners, at any time: answered and never awaited by accident.
BY_THE_WAY = {"alive", "about", "subscribe", "status", "processes", "renew", "yielding", "change", "lend", "logs"}


def load(folder):
    """All scenarios of a folder, by name."""
    scenarios = {}
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        scenario = json.loads(path.read_text())
        scenario["name"] = path.stem
        scenarios[path.stem] = scenario
    return scenarios


class Play:
    """One scenario with one client. `world` has say(text), close(code, reason), net(how), tell(what)."""

    def __init__(self, scenario, world, binding):
        self.scenario, self.world, self.binding = scenario, world, binding
        self.steps = BEGINNINGS[scenario.get("begin", "held")] + scenario["script"]
        self.at, self.since = 0, None
        self.log, self.marks = [], {}
        self.inbox = []
        self.ref, self.using = 0, set()
        self.connected, self.half_open = False, False
        self.failure, self.busy = None, False
        self.left = False  # the client ended, as it may: nothing more is awaited

    # ---- what the world reports ----

    def event(self, now, what, **fields):
        """`what`: connect, closed, heard (msg), using (lease), stopped (lease), ended, exited, raw."""
        self.log.append({"t": now, "what": what, **fields})
        if what == "connect":
            self.connected, self.half_open = True, False
            self.inbox.append("connect")
        elif what == "closed":
            self.connected = False
        elif what == "heard" and not self.half_open:
            self.hear(now, fields["msg"])
        elif what == "using":
            self.using.add(fields.get("lease"))
        elif what == "stopped":
            self.using.discard(fields.get("lease"))
        elif what in ("ended", "exited"):
            self.inbox.append(what)
        if what == "exited" and self.scenario.get("may_leave"):
            self.left = True
        self.go_on(now)

    def hear(self, now, msg):
        kind = msg.get("type")
        if kind == "acquire":
            self.ref = msg.get("ref")
        self.inbox.append(msg)
        if kind in self.scenario.get("mute", []):
            return
        if kind == "subscribe":
            self.say(now, {"type": "ok", "count": 0})
        elif kind == "status":
            self.say(now, {"type": "status", "gpus": [], "leases": [], "waiting": []})
        elif kind == "processes":
            self.say(now, {"type": "ok", "count": 0})
        elif kind in ("renew", "yielding"):
            self.say(now, {"type": "renewed", "lease": msg.get("lease"), "expires_in_s": 20})
        elif kind == "release":
            self.say(now, {"type": "released", "ref": self.ref, "lease": msg.get("lease"),
                           **({} if msg.get("requeue") else {"reason": "released"})})
            if msg.get("requeue"):
                self.say(now, self.words({"say": "queued"}))
        elif kind == "cancel":
            self.say(now, {"type": "released", "ref": msg.get("ref"), "lease": 7, "reason": "cancelled"})
        elif kind == "bye":
            self.world.close(1000, "the session ended here")

    # ---- the script ----

    def words(self, step):
        said = step["say"]
        kind = said if isinstance(said, str) else said["type"]
        extra = self.scenario.get("welcome", {}) if kind == "welcome" else {}
        msg = {"type": kind, **WORDS.get(kind, {}), **extra, **(said if isinstance(said, dict) else {}),
               **step.get("with", {})}
        msg = {key: self.ref if value == "$ref" else value for key, value in msg.items()}
        return {key: value for key, value in msg.items() if value != "$absent"}

    def say(self, now, msg):
        self.log.append({"t": now, "what": "said", "msg": msg})
        if not self.half_open:
            self.world.say(json.dumps(msg))

    def fits(self, step, entry):
        wanted = step["await"] if isinstance(step["await"], list) else [step["await"]]
        if isinstance(entry, str):
            return entry in wanted
        if entry.get("type") not in wanted:
            return False
        return all(entry.get(key) == (self.ref if value == "$ref" else value)
                   for key, value in step.get("has", {}).items())

    def try_await(self, step):
        for i, entry in enumerate(self.inbox):
            if self.fits(step, entry):
                del self.inbox[:i + 1]
                return True
        return False

    def done(self, step, now):
        """True when the step is over; what it does is done once."""
        if "await" in step:
            return self.try_await(step)
        if "until" in step:
            return bool(self.using) == (step["until"] == "using")
        if "pass" in step:
            return now >= self.since + step["pass"]
        if "say" in step:
            self.say(now, self.words(step))
        elif "raw" in step:
            self.log.append({"t": now, "what": "said", "msg": {"type": "?"}})
            self.world.say(step["raw"])
        elif "mark" in step:
            self.marks[step["mark"]] = now
        elif "net" in step:
            self.net(now, step)
        elif "tell" in step:
            self.log.append({"t": now, "what": "told", "tell": step["tell"]})
            self.world.tell(step["tell"])
        else:
            raise ValueError(f"a step that nobody knows: {step}")
        return True

    def net(self, now, step):
        how = step["net"]
        self.log.append({"t": now, "what": "net", "how": how})
        if how == "half-open":
            self.half_open = True
        elif how == "close":
            self.world.close(step.get("code", 1006), step.get("reason", ""))
        else:
            self.world.net(how)

    def go_on(self, now):
        if self.busy:
            return  # a step of ours made the event
        self.busy = True
        self.take_steps(now)
        self.busy = False

    def take_steps(self, now):
        while not self.is_over():
            step = self.steps[self.at]
            if self.since is None:
                self.since = now
            if not self.done(step, now):
                limit = step.get("within_ms", WITHIN_MS)
                if "pass" not in step and now > self.since + limit + self.world.slack_ms:
                    self.failure = f"step {self.at + 1} did not come within {limit} ms: {json.dumps(step)}"
                return
            self.at += 1
            self.since = None

    def is_over(self):
        return self.left or self.failure is not None or self.at >= len(self.steps)

    def next_at(self):
        """When the script wants to be asked again, in ms; None: it is over."""
        if self.is_over():
            return None
        step = self.steps[self.at]
        if "pass" in step:
            return self.since + step["pass"]
        return self.since + step.get("within_ms", WITHIN_MS) + self.world.slack_ms + 1
