"""sees: a suite that sees nothing would be green, too. The example client conforms; each of its faults
is seen in the scenario that is about it, and the WebSocket of the runner speaks RFC 6455."""
import concurrent.futures
import contextlib
import io
import os
import pathlib
import signal
import socket
import struct
import sys
import time
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tools" / "check")]

from canary import Canary  # noqa: E402
from clients import Client, find  # noqa: E402
from conformance import LATE_MS, PLAYS_MAX, play_fairly  # noqa: E402
from judge import judge  # noqa: E402
from lines import WebSocketStream  # noqa: E402
from play import Play, load  # noqa: E402

# fault: (scenario that must see it, words of its verdict)
FAULTS = {
    "says-before-it-stops": ("revoke-slow-stop", "while the GPU was in use"),
    "waits-too-long": ("break-refused", "it had to stop by"),
    "believes-what-it-had": ("resume-unknown", "it had to stop by"),
    "asks-twice": ("waiter-forgotten", "request ids"),
    "starts-unasked": ("offers-missed", "without a lease"),
    "is-mute": ("heartbeat", "within 1000 ms"),
    "takes-any-fence": ("fence-too-small", "its fence is smaller"),
}


def faults_of(scenario, fault):
    command = f"python3 -S -E {HERE / 'example_client.py'}" + (f" --fault {fault}" if fault else "")
    play = find(command, "native", "").play(scenario)
    return judge(play, play.world.slack_ms)


class Sees(unittest.TestCase):
    def test_faults_are_seen_and_only_faults(self):
        scenarios = load(HERE / "scenarios")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = []
            for fault, (name, words) in FAULTS.items():
                bad, good = [pool.submit(faults_of, scenarios[name], which) for which in (fault, None)]
                runs.append((fault, words, bad, good))
            for fault, words, bad, good in runs:
                with self.subTest(fault):
                    self.assertIn(words, "\n".join(bad.result()))
                    self.assertEqual(good.result(), [])

    def test_a_stopped_canary_is_late(self):
        canary = Canary()
        self.addCleanup(canary.end)
        begun = time.monotonic()
        os.kill(canary.pid, signal.SIGSTOP)
        while time.monotonic() < begun + 2 * LATE_MS / 1000:
            self.assertEqual(canary.late_ms(time.monotonic(), time.monotonic()), 0)
        os.kill(canary.pid, signal.SIGCONT)
        while canary.late_ms(begun, time.monotonic()) < LATE_MS:
            self.assertLess(time.monotonic(), begun + 20)
        self.assertEqual(canary.late_ms(begun - 2, begun - 1), 0)

    def test_void_is_what_the_machine_spoiled(self):
        """Played again, so many times at most; a fault on a machine that was in time, or in virtual time, counts at
        once."""
        for late_ms, in_real_time, faulty, played in ((LATE_MS, True, 1, 2), (LATE_MS, True, 99, PLAYS_MAX),
                                                      (LATE_MS - 1, True, 99, 1), (LATE_MS, False, 99, 1),
                                                      (LATE_MS, True, 0, 1)):
            with self.subTest(late_ms=late_ms, in_real_time=in_real_time, faulty=faulty):
                plays = []

                def start(scenario, plays=plays, faulty=faulty):
                    play = Play(scenario, types.SimpleNamespace(slack_ms=0), "native")
                    plays.append(play)
                    play.failure = "late" if len(plays) <= faulty else None
                    return types.SimpleNamespace(run=lambda: play)
                client = Client("it", "native", set(), 1, start, in_real_time)
                canary = types.SimpleNamespace(late_ms=lambda *_, late_ms=late_ms: late_ms)
                with contextlib.redirect_stdout(io.StringIO()):
                    _, faults = play_fairly(client, {"name": "x", "script": [], "begin": "nothing"}, canary)
                self.assertEqual((len(plays), faults), (played, ["late"] if faulty >= played else []))

    def test_the_websocket_takes_masked_frames_in_pieces(self):
        ours, theirs = socket.socketpair()
        stream = WebSocketStream(ours)
        theirs.sendall(b"GET /v1/gpu/session HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        self.assertEqual(list(stream.read()), [None])
        self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", theirs.recv(4096))  # RFC 6455, 1.3
        text = "x" * 300
        frame = struct.pack("!BBH", 0x81, 0x80 | 126, len(text)) + b"\1\2\3\4"
        frame += bytes(byte ^ (1, 2, 3, 4)[i % 4] for i, byte in enumerate(text.encode()))
        theirs.sendall(frame[:100])
        self.assertEqual(list(stream.read()), [])
        theirs.sendall(frame[100:])
        self.assertEqual(list(stream.read()), [text])
        stream.close(4503, "stopping")
        self.assertEqual(theirs.recv(4096)[:4], bytes([0x88, 10]) + struct.pack("!H", 4503))
        theirs.close()

    def test_every_scenario_says_what_it_is_about_and_is_judged(self):
        for name, scenario in load(HERE / "scenarios").items():
            with self.subTest(name):
                self.assertTrue(scenario["about"].endswith((".", ")")))
                self.assertTrue(scenario["expect"])


if __name__ == "__main__":
    unittest.main()
