"""virtual: plays a scenario with a driver process in virtual time.

The driver is a client whose clock and socket are ours. It gets a line with the time and what
happened, does all that is due, and answers with what it did and when it wants to be called next:

    > {"now": 1000, "listening": "yes", "do": [{"op": "message", "conn": 1, "text": ".."}]}
    < {"out": [{"ev": "sent", "conn": 1, "text": ".."}, {"ev": "using"}], "next": 1500}

`op`: start (program), message, closed (code), tell (what). `ev`: connect, sent, closed, using,
stopped, ended, exited. Ten minutes of this take milliseconds.
"""
import json
import subprocess

from play import Play

SLACK_MS = 5
ROUNDS_MAX = 20000


class Virtual:
    slack_ms = SLACK_MS

    def __init__(self, command, scenario, binding):
        self.driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.binding = binding
        self.now, self.conn, self.listening = 0, 0, "yes"
        self.todo = [{"op": "start", "program": scenario.get("program", {})}]
        self.play = Play(scenario, self, binding)

    # ---- the play's wishes ----

    def say(self, text):
        if self.conn:
            self.todo.append({"op": "message", "conn": self.conn, "text": text})

    def close(self, code, reason):
        if not self.conn:
            return
        if self.binding == "native" and code != 1006:
            self.say(json.dumps({"type": "close", "code": code, "reason": reason}))
        self.todo.append({"op": "closed", "conn": self.conn, "code": code})
        self.conn = 0
        self.play.event(self.now, "closed", by="broker")

    def net(self, how):
        if how == "break":
            self.close(1006, "")
        else:
            self.listening = {"listen": "yes", "refuse": "no", "stall": "stall"}[how]

    def tell(self, what):
        self.todo.append({"op": "tell", "what": what})

    # ---- the driver ----

    def exchange(self):
        todo, self.todo = self.todo, []
        self.driver.stdin.write(json.dumps({"now": self.now, "listening": self.listening, "do": todo}) + "\n")
        line = self.driver.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended with {self.driver.wait()}")
        answer = json.loads(line)
        for out in answer["out"]:
            self.take(out)
        return answer["next"]

    def take(self, out):
        kind, conn = out.pop("ev"), out.get("conn")
        if kind == "connect":
            if self.listening != "stall":
                self.conn = conn
            self.play.event(self.now, "connect")
        elif kind == "sent":
            if conn == self.conn:
                self.play.event(self.now, "heard", msg=json.loads(out["text"]))
        elif kind == "closed":
            if conn == self.conn:
                self.conn = 0
                self.play.event(self.now, "closed", by="client")
        else:
            self.play.event(self.now, kind, **out)

    def run(self):
        try:
            for _ in range(ROUNDS_MAX):
                wake = self.exchange()
                self.play.go_on(self.now)
                if self.play.is_over() and not self.todo:
                    break
                if self.todo:
                    continue
                times = [t for t in (wake, self.play.next_at()) if t is not None]
                self.now = max(self.now, min(times))
                self.play.go_on(self.now)
        finally:
            self.driver.kill()
            self.driver.wait()
            self.driver.stdin.close()
            self.driver.stdout.close()
        self.play.log.append({"t": self.now, "what": "end"})
        return self.play
