"""units: sizes and times as people write them, read as `baton run` reads them; what JSON can say."""
from __future__ import annotations

import json
import operator
import re
from typing import Any

from ._errors import BadRequest

_DETAIL_BYTES = 120
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U000e0000-\U000e0fff]")


def parse_size(value: int | str) -> int:
    """Bytes of "8G", "512MiB", "1.5T" as `baton run --vram` reads them; a number is bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= 1 << 60:
            return value
    elif isinstance(value, str) and len(value) < 40:
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?:([KMGTP])(?:i?B)?|B)", value, re.I | re.A)
        if found:
            size = float(found[1]) * (1 << 10 * "BKMGTP".index((found[2] or "B").upper()))
            if size <= 1 << 60:
                return int(size)
    raise BadRequest("bad_field", f"a size such as \"8G\" or \"512M\", not {value!r:.60}")


def parse_duration(value: float | str) -> float:
    """Seconds of "90s", "5m", "1h30m"; a number is seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if 0 <= value <= 1e12:
            return float(value)
    elif isinstance(value, str) and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value, re.A):
        return parse_duration(float(value))
    elif isinstance(value, str) and re.fullmatch(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+", value, re.A):
        units = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
        parts = re.findall(r"([0-9.]+)([a-z]+)", value)
        return parse_duration(sum(float(number) * units[unit] for number, unit in parts))
    raise BadRequest("bad_field", f"a time such as \"90s\", \"5m\" or a number of seconds, not {value!r:.60}")


def mib(size: int | str) -> int:
    return (parse_size(size) + (1 << 20) - 1) >> 20


def milliseconds(value: float | str | None) -> int | None:
    return None if value is None else round(1000 * parse_duration(value))


def words(detail: str) -> str:
    """What the broker takes as `detail`: 1 to 120 bytes that can be seen. Else the release would be refused, and the
    lease would stay."""
    if isinstance(detail, str) and detail.isprintable() and not _UNSEEN.search(detail):
        if 1 <= len(detail.encode()) <= _DETAIL_BYTES:
            return detail
    raise BadRequest("bad_field", f"detail: 1 to {_DETAIL_BYTES} printable bytes, not {detail!r:.60}")


def plain(fields: dict[str, Any]) -> dict[str, Any]:
    """As the broker will read them: a number of numpy is one. What JSON cannot say is refused where it is said."""
    try:
        text = json.dumps(fields, default=operator.index, allow_nan=False, ensure_ascii=False)
        text.encode()
        read: dict[str, Any] = json.loads(text, parse_int=_whole)
        return read
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest("bad_field", f"{error!s:.200}") from None


def _whole(digits: str) -> int:
    if -(1 << 63) <= int(digits) < 1 << 63:
        return int(digits)
    raise ValueError(f"{digits:.40} is too large")
