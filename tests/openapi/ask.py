"""Goal: the daemon does what its OpenAPI document says. Method: schemathesis makes requests from the document that it
serves, valid ones and broken ones, from a fixed seed, and judges each answer: status, media type, form of the body,
who may ask at all. Usage: ask.py SCHEMATHESIS, installed from requirements.txt; BATON_BIN names the daemon.
"""
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from lib.daemon import Daemon  # noqa: E402

EXAMPLES = 15  # of each route, besides those that cover each field's limits
UNENDING = "/v1/gpu/events"  # a stream: integration/test_watch.py reads it


def command(program, daemon):
    base = f"http://{daemon.host}"
    admin = (daemon.state / "admin-token").read_text(encoding="ascii").strip()
    return [program, "--config-file", str(HERE / "schemathesis.toml"), "run",
            f"{base}/openapi.json", "--url", base, "--header", f"Authorization: Bearer {admin}", "--seed", "1",
            "--max-examples", str(EXAMPLES), "--exclude-path", UNENDING, "--generation-database", "none"]


def main(program):
    if not os.access(program, os.X_OK):
        print(f"ask.py: there is no {program}; install it with: tools/dev/deps.sh test")
        return 2
    daemon = Daemon(args=["--fake-gpu", "a:24000", "--fake-gpu", "b:8000"])
    began = time.monotonic()
    try:
        daemon.start()
        env = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "NO_COLOR": "1"}
        status = subprocess.run(command(program, daemon), env=env, cwd=daemon.dir, check=False).returncode
        alive = daemon.process.poll() is None
    finally:
        daemon.cleanup()
    print(f"ask.py: {time.monotonic() - began:.0f} s")
    if not alive:
        print("ask.py: the daemon ended under it")
    return status if alive else 1


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
