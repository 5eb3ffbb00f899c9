"""train: a training loop that takes turns. It saves when somebody else needs the GPU, gives way, and goes on from
there; also after it was killed. Pure Python, so that it runs anywhere: put your step where train_step is.

    python3 train.py --steps 200 --save checkpoint.json
"""
import argparse
import json
import os
import random
import sys

import baton


def train_step(weights, rng):
    """Where the GPU would work: one step of fitting y = 3 x + 1, shorter than the grace."""
    x = rng.uniform(-1, 1)
    error = weights["a"] * x + weights["b"] - (3 * x + 1)
    weights["a"] -= 0.1 * error * x
    weights["b"] -= 0.1 * error


def save(path, step, fence, weights):
    """Whole or not at all, and never over what a later lease has written."""
    state = load(path)
    if state["fence"] > fence:
        raise SystemExit(f"train: a later lease ({state['fence']}) has written {path}; this one is {fence}")
    with open(path + ".new", "w", encoding="ascii") as file:
        json.dump({"step": step, "fence": fence, "weights": weights}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def load(path):
    try:
        with open(path, encoding="ascii") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"step": 0, "fence": 0, "weights": {"a": 0.0, "b": 0.0}}


def train(lease, path, steps):
    state = load(path)
    step, weights = state["step"], state["weights"]
    while step < steps:
        if lease.should_yield():  # raises LeaseLost when the GPU is not ours any more
            save(path, step, lease.fence, weights)
            print(f"step {step}: giving way to {lease.yield_requested}", flush=True)
            lease.give_way()
            print(f"step {step}: going on under fence {lease.fence}", flush=True)
        train_step(weights, random.Random(step))
        step += 1
    lease.check()
    save(path, step, lease.fence, weights)
    return weights


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--save", default="checkpoint.json")
    args = parser.parse_args()
    try:
        with baton.lease(vram="8G", klass="background", grace="5s", name="train") as lease:
            weights = train(lease, args.save, args.steps)
        print(f"done: a {weights['a']:.2f}, b {weights['b']:.2f}")
    except baton.BatonError as error:
        print(f"train: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
