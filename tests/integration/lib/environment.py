"""What `baton run` sets for its command, for whoever says that it sets the same."""
import json
import sys

OF_ONE_LEASE = {"BATON_LEASE": "", "BATON_FENCE": ""}  # laid over both that are compared


def two_gpus(uuids):
    return [{"name": name, "vram_mb": 8192, **({"uuid": f"GPU-{name}"} if uuids else {})} for name in ("a", "b")]


def run_environment(test, daemon, *options):
    """The variables that it sets, but for the mark by which its keeper finds the command."""
    show = (sys.executable, "-S", "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    result = test.run_cli(daemon, "run", "-q", *options, "--", *show)
    test.assertEqual(result.returncode, 0, result)
    before = {**daemon.environment(), "BATON_SOCKET": daemon.socket}
    return {name: value for name, value in json.loads(result.stdout).items()
            if before.get(name) != value and name != "BATON_RUN"}
