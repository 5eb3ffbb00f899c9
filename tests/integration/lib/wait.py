"""Waiting for conditions, never for time: a deadline that only a broken broker reaches."""
import threading
import time

DEADLINE_S = 15.0  # generous: sanitizers and busy machines
_pause = threading.Event()


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """The first true value of `condition()`; AssertionError naming `what` at the deadline (`what()`, if it changes
    meanwhile)."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what() if callable(what) else what}")
        _pause.wait(0.005)


def holds_for(condition, what, span_s):
    """Asserts that `condition()` stays true for a span: for what must not happen."""
    end = time.monotonic() + span_s
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"did not last {span_s} s: {what}")
        _pause.wait(0.01)
