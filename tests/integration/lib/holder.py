"""A native client as a process of its own: holder.py SOCKET NAME [FIELD=JSON ..].

Says hello, acquires, accepts, prints one line per message, and lives until it is killed. With
`mute=true` it never answers a yield; it never exits by SIGTERM then, either. With `keep=true` a child
of its own inherits the connection and outlives it.
"""
import json
import signal
import socket
import subprocess
import sys


def main():
    path, name = sys.argv[1:3]
    fields = dict(argument.split("=", 1) for argument in sys.argv[3:])
    fields = {key: json.loads(value) for key, value in fields.items()}
    mute, keep = fields.pop("mute", False), fields.pop("keep", False)
    if mute:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)

    def send(**message):
        connection.sendall(json.dumps(message).encode() + b"\n")

    send(type="hello", id=name)
    send(type="acquire", ref=1, **fields)
    for line in connection.makefile("r", encoding="utf-8"):
        message = json.loads(line)
        if message["type"] == "offered":
            send(type="accept", lease=message["lease"])
        elif message["type"] == "heartbeat":
            send(type="alive")
        elif message["type"] == "yield" and not mute:
            send(type="release", lease=message["lease"])
        print(json.dumps(message), flush=True)
        if message["type"] == "granted" and keep:
            child = subprocess.Popen(["sleep", "600"], pass_fds=[connection.fileno()])
            print(json.dumps({"type": "child", "pid": child.pid}), flush=True)
    if mute:
        signal.pause()


main()
