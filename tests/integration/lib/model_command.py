"""A model server as a command: `model_command.py PORT MODEL [BEHAVIOUR..]`. What it does wrong it is told by words:
hang (never ready), fail (ends at once with status 3), deaf (ignores SIGTERM), flood (its output never ends),
child (leaves a process of another session behind), crash (ends with its first answer)."""
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from lib.model_server import ModelServer  # noqa: E402


def flood():
    while True:
        print("x" * 200, flush=True)


def main(port, model, *words):
    print(f"started with {os.environ.get('WORD', 'nothing')}", flush=True)
    if "fail" in words:
        sys.exit(3)
    if "deaf" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in words:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "left-behind-" + port],
                         start_new_session=True)
    if "flood" in words:
        threading.Thread(target=flood, daemon=True).start()
    if "hang" in words:
        time.sleep(600)
    server = ModelServer("openai", [model], port=int(port))
    if "crash" in words:
        server.begins = lambda: os._exit(7)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
