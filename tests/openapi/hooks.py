"""hooks: what schemathesis is to do besides: no lock request waits for its GPU longer than a moment."""
import schemathesis

WAIT_S = 0.05


@schemathesis.hook
def before_call(_context, case, _kwargs):
    body = case.body
    if case.operation.path != "/v1/gpu/lock" or not isinstance(body, dict):
        return
    wait = body.get("timeout_s")
    if wait is None or (type(wait) in (int, float) and wait > WAIT_S):
        body["timeout_s"] = WAIT_S
