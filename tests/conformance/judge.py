"""judge: reads the log of a scenario and says what the client did wrong.

RULES hold in every scenario, whatever it is about; `expect` of the scenario adds what it is about.
The judge shares no code with any client and with no broker.
"""
NEVER = float("inf")
ANSWER_MS = 1000          # a heartbeat is answered within this
TIMEOUT_S_MAX = 365 * 86400
TYPES = {"hello", "acquire", "accept", "cancel", "release", "yielding", "renew", "change", "lend", "processes", "alive",
         "bye", "status", "subscribe", "logs", "about", "admin", "open", "reload", "clients", "samples", "events"}


class Log:
    """A finished log, with what several rules ask of it."""

    def __init__(self, play, slack_ms):
        self.entries, self.marks, self.slack_ms = play.log, play.marks, slack_ms
        self.scenario, self.binding = play.scenario, play.binding
        self.end = self.entries[-1]["t"] if self.entries else 0
        self.uses = self.find_uses()

    def find_uses(self):
        """[start, end) of each time in which the GPU was used."""
        uses, count, start = [], 0, 0
        for entry in self.entries:
            if entry["what"] == "using":
                start = entry["t"] if count == 0 else start
                count += 1
            elif entry["what"] == "stopped":
                count -= 1
                if count == 0:
                    uses.append((start, entry["t"]))
        if count > 0:
            uses.append((start, NEVER))
        return uses

    def heard(self, kind=None, **has):
        for entry in self.entries:
            msg = entry.get("msg", {})
            if entry["what"] == "heard" and kind in (None, msg.get("type")) and \
                    all(msg.get(key) == value for key, value in has.items()):
                yield entry

    def said(self, kind):
        return [e for e in self.entries if e["what"] == "said" and e["msg"].get("type") == kind]

    def in_use(self, t):
        return any(start <= t < end for start, end in self.uses)


def rule_grant_first(log):
    """no use of the GPU before `granted`, nor after it was given back"""
    may = False
    for entry in log.entries:
        msg = entry.get("msg", {})
        kind = msg.get("type")
        if entry["what"] == "said" and not entry.get("lost"):
            may |= kind == "granted" or (kind == "claim" and msg.get("state") in ("held", "yielding"))
            if kind == "revoked" or (kind == "welcome" and not msg.get("resumed")) or (
                    kind == "claim" and msg.get("state") == "queued"):
                may = False
        elif entry["what"] == "heard" and kind == "release":
            may = False
        elif entry["what"] == "using" and not may:
            yield f"used the GPU at {entry['t']} ms without a lease"


def rule_stop_then_say(log):
    """`release` and `bye` are said only when the GPU is not used any more"""
    using = 0
    for entry in log.entries:
        using += {"using": 1, "stopped": -1}.get(entry["what"], 0)
        kind = entry.get("msg", {}).get("type")
        if entry["what"] == "heard" and kind in ("release", "bye") and using > 0:
            yield f"said {kind} at {entry['t']} ms while the GPU was in use"


def linger_ms(log, welcome):
    if "linger_s" in welcome:
        return welcome["linger_s"] * 1000
    return 2000 if log.binding == "tab" else welcome["session_ttl_s"] * 1000


def rule_linger(log):
    """nobody uses the GPU when the linger after a break is over: the next one may be there"""
    linger, broken = None, None
    for entry in log.entries + [{"t": log.end, "what": "end"}]:
        if entry["what"] == "said" and entry["msg"].get("type") == "welcome":
            linger, broken = linger_ms(log, entry["msg"]), None
        elif entry["what"] == "closed" and broken is None:
            broken = entry["t"]
        if broken is not None and linger is not None and entry["t"] >= broken + linger:
            if log.in_use(broken + linger) or any(broken + linger < s < entry["t"] for s, _ in log.uses):
                yield f"used the GPU at {broken + linger} ms: {linger} ms after the connection had broken"
            broken = None


def rule_sane_questions(log):
    """acquire has a number of its own, and a time that the broker takes"""
    for entry in log.heard("acquire"):
        msg = entry["msg"]
        timeout = msg.get("timeout_s")
        if timeout is not None and not 0 <= timeout <= TIMEOUT_S_MAX:
            yield f"acquire with timeout_s {timeout}"
        if not isinstance(msg.get("ref"), int) or msg["ref"] < 1:
            yield f"acquire with ref {msg.get('ref')}"


def rule_one_place(log):
    """a claim is asked for again under the same request_id, so that nobody waits twice"""
    ids = [entry["msg"].get("request_id") for entry in log.heard("acquire")]
    allowed = log.scenario.get("asks", 1)
    if len(set(ids)) > allowed:
        yield f"asked under {len(set(ids))} request ids where {allowed} was right"
    if len(ids) > 1 and None in ids:
        yield "asked more than once without a request_id"


def rule_hello_first(log):
    """hello comes first on each connection, and shows the session of before"""
    fresh, had, lost = False, None, False
    for entry in log.entries:
        msg = entry.get("msg", {})
        if entry["what"] == "connect":
            fresh = True
        elif entry["what"] == "said" and msg.get("type") == "welcome":
            had, lost = msg["session"], False
        elif entry["what"] == "said" and msg.get("code") == "stale":
            lost = True
        elif entry["what"] == "heard" and fresh:
            fresh = False
            if msg.get("type") != "hello":
                yield f"said {msg.get('type')} before hello"
            elif had and not lost and msg.get("resume") != had:
                yield "said hello without the session it had"


def rule_accept_offers(log):
    """accept answers an offer, nothing else"""
    offered = False
    for entry in log.entries:
        msg = entry.get("msg", {})
        kind = msg.get("type")
        if entry["what"] == "said":
            offered |= kind == "offered" or (kind == "claim" and msg.get("state") == "offered")
        elif entry["what"] == "heard" and kind == "accept" and not offered:
            yield f"said accept at {entry['t']} ms without an offer"


def rule_alive(log):
    """a heartbeat is answered within a second"""
    if log.scenario.get("deaf"):
        return
    for entry in log.said("heartbeat"):
        t = entry["t"]
        later = [e for e in log.entries if e["t"] >= t and e is not entry and e["what"] in ("heard", "closed", "net")]
        until = min([e["t"] for e in later], default=NEVER)
        if until > t + ANSWER_MS + log.slack_ms and log.end > t + ANSWER_MS + log.slack_ms:
            yield f"did not answer the heartbeat of {t} ms"


def rule_words(log):
    """every message is one of the protocol's"""
    for entry in log.entries:
        if entry["what"] == "heard" and entry["msg"].get("type") not in TYPES:
            yield f"said something that is no message: {entry['msg']}"


RULES = [rule_grant_first, rule_stop_then_say, rule_linger, rule_sane_questions, rule_one_place, rule_hello_first,
         rule_accept_offers, rule_alive, rule_words]


# ---- what a scenario is about ----

def mark_of(log, name, default):
    return default if name is None else log.marks[name]


def stopped_by(log, want):
    at = round(log.marks[want["stopped_by"]] + want["ms"] + log.slack_ms)
    grants = [e["t"] for e in log.said("granted") if e["t"] > log.marks[want["stopped_by"]]]
    until = min(grants, default=log.end)
    for start, end in log.uses:
        if end > at and start < until and at < until:
            last = "to the end" if end == NEVER else f"until {end} ms"
            yield f"used the GPU {last}; it had to stop by {at} ms ({want['ms']} after {want['stopped_by']})"


def using_at(log, want):
    at = log.marks[want["using_at"]] + want["ms"]
    if not log.in_use(at):
        yield f"did not use the GPU at {at} ms, where its lease was good ({want['ms']} after {want['using_at']})"


def idle_at(log, want):
    at = log.marks[want["idle_at"]] + want.get("ms", 0)
    if any(start < at < end for start, end in log.uses):
        yield f"used the GPU at {at} ms ({want['idle_at']})"


def matching(log, want, kind):
    start = mark_of(log, want.get("from"), 0)
    end = mark_of(log, want.get("to"), NEVER)
    if kind in ("connect", "using", "stopped", "ended", "exited"):
        return [e for e in log.entries if e["what"] == kind and start <= e["t"] <= end]
    return [e for e in log.heard(kind, **want.get("has", {})) if start <= e["t"] <= end]


def says(log, want):
    found = matching(log, want, want["says"])
    since = mark_of(log, want.get("from"), 0)
    limit = since + want["ms"] + log.slack_ms if "ms" in want else NEVER
    if not any(entry["t"] <= limit for entry in found):
        within = f" within {want['ms']} ms" if "ms" in want else ""
        yield f"did not say {want['says']} {want.get('has', '')}{within} after {want.get('from', 'the start')}"


def never(log, want):
    for entry in matching(log, want, want["never"]):
        yield f"{want['never']} at {entry['t']} ms: {want.get('why', 'it must not')}"


def at_most(log, want):
    found = matching(log, want, want["at_most"])
    if len(found) > want["count"]:
        yield f"{want['at_most']} {len(found)} times, where {want['count']} was the most"


WANTS = {"stopped_by": stopped_by, "using_at": using_at, "idle_at": idle_at, "says": says, "never": never,
         "at_most": at_most}


def judge(play, slack_ms):
    """What was wrong, as sentences; none: the client conforms."""
    log = Log(play, slack_ms)
    faults = [play.failure] if play.failure else []
    for rule in RULES:
        faults += [f"{fault} [{rule.__doc__}]" for fault in rule(log)]
    for want in play.scenario.get("expect", []):
        only = want.get("only")
        if only and play.binding != only:
            continue
        kind = next(key for key in WANTS if key in want)
        try:
            faults += WANTS[kind](log, want)
        except KeyError as error:
            if not play.left:
                faults.append(f"never came to {error}")
    return faults
