"""errors: what can go wrong. The codes are those of the broker's one table."""
from __future__ import annotations

# protocol: errors (by exit status)
_EXIT_CODES: dict[int, str] = {
    65: "bad_request bad_json bad_field too_large headers_too_large unsupported_media_type method_not_allowed "
        "name_taken wrong_state",
    66: "not_found no_such_gpu model_not_found",
    69: "already_running unreachable upstream_unreachable model_failed",
    70: "internal",
    71: "no_memory",
    72: "never_fits",
    74: "io",
    75: "too_slow rate_limited too_many_waiting queue_full quota sites_full keys_full too_many_connections stale "
        "revoked released timeout busy paused draining journal_unavailable in_doubt no_room deadlock host_over "
        "upstream_slow outranked no_headroom stuck_vram",
    76: "protocol protocol_version upstream_broken",
    77: "bad_host bad_origin unauthorized forbidden class_not_allowed",
    78: "bad_config",
}
# /protocol

TEXTS = {  # of what is found out here, or said to somebody else by the broker
    "unreachable": "No broker answers; start it with: baton serve",
    "unauthorized": "The broker does not serve this user; ask as the user who started it.",
    "forbidden": "Not allowed: the broker belongs to another user, or the act needs more rights.",
    "bad_field": "An argument is wrong.",
    "protocol": "The peer does not speak Baton's protocol.",
    "stale": "The broker does not know this lease any more; stop using the GPU and ask again.",
    "revoked": "The lease was revoked; stop using the GPU.",
    "released": "The claim was ended by an operator; ask again.",
    "timeout": "The wait is over and the GPU was not free.",
    "cancelled": "The claim was cancelled.",
    "missed": "The GPU was offered three times and not taken: this program was stopped or busy.",
    "wrong_state": "The lease is not in a state that allows this.",
    "forked": "A forked process does not own the lease of its parent; ask for one of its own.",
}


class BatonError(Exception):
    """`code` of the error table, `detail`: the broker's words, `exit_code` for sys.exit, `retry_after_s` or None."""

    def __init__(self, code: str, detail: str | None = None, message: str | None = None,
                 retry_after_s: float | None = None) -> None:
        self.code, self.detail, self.retry_after_s = code, detail, retry_after_s
        self.exit_code: int = next((status for status, codes in _EXIT_CODES.items() if code in codes.split()), 75)
        self.message = TEXTS.get(code) or message or code
        super().__init__(f"{self.message} ({detail})" if detail else self.message)


class BadRequest(BatonError, ValueError):
    """An argument is wrong."""


class Unreachable(BatonError, ConnectionError):
    """No broker answers."""


class LeaseDenied(BatonError):
    """There is no lease and there will be none: refused, busy, cancelled, timed out."""


class LeaseTimeout(LeaseDenied, TimeoutError):
    """The wait is over."""


class LeaseLost(BatonError):
    """There was a lease and it is gone: stop using the GPU; what was computed since is not done."""


def refusal(code: str, detail: str | None = None, message: str | None = None,
             retry_after_s: float | None = None) -> BatonError:
    kinds: dict[str, type[BatonError]] = {"unreachable": Unreachable, "timeout": LeaseTimeout, "bad_field": BadRequest}
    return kinds.get(code, LeaseDenied)(code, detail, message, retry_after_s)
