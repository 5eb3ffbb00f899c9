"""Other gateways before one model server, as they come: npm's Portkey, PyPI's LiteLLM. tools/dev/deps.sh rivals
installs both; what is not installed is left out."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import nginx

HERE = pathlib.Path(__file__).resolve().parent
PORTKEY = HERE / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
LITELLM = HERE.parents[1] / "build-rivals" / "bin" / "litellm"
UP_S = 120


class Rival:
    """`key` is what bench/requests shows as its key; further header fields may stand behind it."""

    key = "none"

    def __init__(self, upstream):
        self.dir = tempfile.TemporaryDirectory(prefix="rival-")
        self.port = nginx.free_port()  # it cannot pick one itself
        self.address = f"127.0.0.1:{self.port}"
        with open(f"{self.dir.name}/log", "wb") as log:
            self.process = subprocess.Popen(self.command(upstream), stdout=log, stderr=log, env=self.environment())

    @staticmethod
    def environment():
        return {**os.environ, "NO_PROXY": "*"}

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}{self.ready}", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def __enter__(self):
        deadline = time.monotonic() + UP_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not come up: " + pathlib.Path(self.dir.name, "log").read_text())
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.dir.cleanup()


class Portkey(Rival):
    name, ready = "portkey", "/"

    @staticmethod
    def installed():
        return PORTKEY.exists() and shutil.which("node")

    def command(self, upstream):
        self.key = f"none\r\nx-portkey-provider: openai\r\nx-portkey-custom-host: http://{upstream}/v1"
        return ["node", str(PORTKEY), "--headless", f"--port={self.port}"]


class LiteLLM(Rival):
    name, ready = "litellm", "/health/liveliness"

    @staticmethod
    def installed():
        return LITELLM.exists()

    def environment(self):
        return {**super().environment(), "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}

    def command(self, upstream):
        config = pathlib.Path(self.dir.name, "config.yaml")
        config.write_text("model_list:\n  - {model_name: m, litellm_params: {model: openai/m, api_key: none, "
                          f"api_base: 'http://{upstream}/v1'}}}}\n", encoding="ascii")
        return [str(LITELLM), "--config", str(config), "--host", "127.0.0.1", "--port", str(self.port),
                "--telemetry", "False"]


def installed():
    return [rival for rival in (Portkey, LiteLLM) if rival.installed()]
