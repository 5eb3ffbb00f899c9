"""nginx as a plain reverse proxy before one server, as it is set up for streams: what others are held against."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

CONFIG = """\
daemon off;
{user}worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  client_max_body_size 0;
  keepalive_requests 1000000;
  upstream model {{ server {upstream}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""


def installed():
    """Its program; Debian keeps it out of users' PATH."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def version():
    out = subprocess.run([installed(), "-v"], capture_output=True, text=True, check=True)
    return out.stderr.strip().rpartition("/")[2]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Nginx:
    def __init__(self, upstream):
        """`upstream` is HOST:PORT."""
        self.dir = tempfile.mkdtemp(prefix="nginx-")
        self.port = free_port()  # it cannot pick one itself
        self.address = f"127.0.0.1:{self.port}"
        config = pathlib.Path(self.dir, "nginx.conf")
        config.write_text(CONFIG.format(dir=self.dir, port=self.port, upstream=upstream,
                                        user="user root;\n" if os.geteuid() == 0 else ""), encoding="ascii")
        self.process = subprocess.Popen([installed(), "-p", self.dir, "-c", str(config),
                                         "-e", f"{self.dir}/error.log"])
        self.wait()

    def wait(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("nginx did not come up: " + pathlib.Path(self.dir, "error.log").read_text(encoding="utf-8"))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
