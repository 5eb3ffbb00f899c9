"""A program under `baton run` that says what happens to it: probe.py [same|own] [SAVE_S].

Prints "ready PID", then "NAME COUNT" for each signal that it gets. `own` moves it into a group of its own. An
INT takes SAVE_S to save by, as if in the background; USR1 prints all counts and ends it with 7.
"""
import os
import select
import signal
import sys
import time

COUNTED = ("INT", "TERM", "HUP", "USR2", "QUIT", "WINCH", "CONT")
counts = dict.fromkeys(COUNTED, 0)
saved_at = []


def count(signo, _):
    name = signal.Signals(signo).name[3:]
    counts[name] += 1
    if name == "WINCH":
        size = os.get_terminal_size(0)
        say(f"size {size.lines}x{size.columns}")
        return
    if name == "INT" and not saved_at:
        saved_at.append(time.monotonic() + float(sys.argv[2]) if len(sys.argv) > 2 else None)
    say(f"{name} {counts[name]}")


def say(text):
    os.write(1, f"{text}\n".encode())


def tell_all(*_):
    say("all " + " ".join(f"{name}={number}" for name, number in counts.items() if number))
    os._exit(7)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "own":
        os.setpgrp()
    for name in COUNTED:
        signal.signal(getattr(signal, "SIG" + name), count)
    signal.signal(signal.SIGUSR1, tell_all)
    # A signal that comes right before pause() would be counted only after the next one.
    awake, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    say(f"ready {os.getpid()}")
    while True:
        if select.select([awake], [], [], 0.01 if saved_at else None)[0]:
            os.read(awake, 64)
        if saved_at and saved_at[0] and time.monotonic() >= saved_at[0]:
            saved_at[0] = None
            say("saved")


main()
