"""Servers by hand, for what no server of a library would do: bytes that are no HTTP, silence, half an answer."""
import socket
import threading


class Listener:
    """Gives each connection to `serve`, in a thread of its own, on a free port of the loopback until it is closed."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        raise NotImplementedError

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # or it would accept once more
        self.socket.close()
