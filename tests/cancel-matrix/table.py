"""The matrix for people: one row for each event and stage, one column for each route."""
from cell import EVENTS
from routes import PATHS
from upstream import STAGES

EXPLAINED = """\
upstream: milliseconds until the upstream saw the close; claim: until nothing of the request was left in the
broker; both from the event on. In words: what the client's program sees. FAILED cells are listed below."""


def shown(cell):
    if cell.none:
        return "none"
    if not cell.passed:
        return "FAILED"
    parts = []
    if cell.closed_ms is not None:
        parts.append(f"up {cell.closed_ms:.0f}")
    if cell.free_ms is not None:
        parts.append(f"claim {cell.free_ms:.0f}")
    if cell.client:
        parts.append(cell.client)
    return ", ".join(parts) or "ok"


def rows(cells):
    found = {(cell.event, cell.stage, cell.route): cell for cell in cells}
    for event in EVENTS:
        for stage in STAGES:
            row = [found.get((event, stage, route)) for route in PATHS]
            if any(row):
                yield event, stage, [shown(cell) if cell else "" for cell in row]


def as_text(cells):
    lines = [["", "", *PATHS]] + [[event, stage, *row] for event, stage, row in rows(cells)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines)


def failures(cells):
    for cell in cells:
        if not cell.none and not cell.passed:
            what = "; ".join(cell.problems) or f"late: upstream {cell.closed_ms} ms, claim {cell.free_ms} ms"
            yield f"FAILED {cell.event} / {cell.stage} / {cell.route}: {what}"


def summary(cells):
    ran = [cell for cell in cells if not cell.none]
    times = sorted(ms for cell in ran for ms in (cell.closed_ms, cell.free_ms) if ms is not None)
    text = f"{sum(cell.passed for cell in ran)} of {len(ran)} cells pass, {len(cells) - len(ran)} none"
    return text + (f"; half within {times[len(times) // 2]:.1f} ms, the longest {times[-1]:.0f} ms" if times else "")


def as_values(cells):
    return [{"event": cell.event, "stage": cell.stage, "route": cell.route, "none": cell.none,
             "passed": cell.passed if not cell.none else None, "upstream_closed_ms": cell.closed_ms,
             "claim_free_ms": cell.free_ms, "client": cell.client, "problems": cell.problems, "late": cell.late}
            for cell in cells]


def longest(cells, what):
    times = [getattr(cell, what) for cell in cells if getattr(cell, what) is not None]
    return f"{max(times):.0f}" if times else None


def in_short(cells):
    """One event and stage over all routes."""
    ran = [cell for cell in cells if not cell.none]
    if not ran:
        return "none"
    if not all(cell.passed for cell in ran):
        return f"**{sum(not cell.passed for cell in ran)} of {len(ran)} failed**"
    closed, free = longest(ran, "closed_ms"), longest(ran, "free_ms")
    words = [f"closed {closed}"] if closed else []
    words += [f"claim {free}"] if free else []
    return ", ".join(words + sorted({cell.client for cell in ran if cell.client})) or "ok"


def as_markdown(found):
    """Proxies side by side; `found` is {name: cells}."""
    lines = ["| | | " + " | ".join(found) + " |", "|---|---|" + "---|" * len(found)]
    for event in EVENTS:
        for stage in STAGES:
            columns = [in_short([cell for cell in cells if (cell.event, cell.stage) == (event, stage)])
                       for cells in found.values()]
            if set(columns) != {"none"}:
                lines.append(f"| {event} | {stage} | " + " | ".join(columns) + " |")
    return "\n".join(lines)
