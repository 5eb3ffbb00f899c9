"""A server with pages as a command: `page_command.py PORT`."""
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from lib.page_server import PageServer  # noqa: E402

if __name__ == "__main__":
    PageServer(port=int(sys.argv[1]))
    threading.Event().wait()
