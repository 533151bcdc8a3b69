"""What a call costs right after a policy's forward pass, which empties the cache, and in a loop.

    python benchmarks/first_calls.py

Prints microseconds of the first call after a forward pass (median) and of one call among many.
Each kind of call is measured alone, so that no other has warmed what it runs through.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from stable_baselines3 import PPO

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.envs.compiled import compiled
from looplab.envs.desks.ops_desk import OpsDesk

LANES = 16
ROUNDS, CALLS = 400, 20_000
NANO = 1_000.0


@compiled
def _two(out: Any, a: Any) -> None:
    for lane in range(len(out)):
        out[lane] = a[lane]


@compiled
def _twelve(
    out: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, j: Any, k: Any
) -> None:
    for lane in range(len(out)):
        out[lane] = a[lane] + b[lane] + c[lane] + d[lane] + e[lane] + f[lane] + g[lane]
        out[lane] += h[lane] + i[lane] + j[lane] + k[lane]


def kinds() -> dict[str, Callable[[], Any]]:
    """Kinds of calls on arrays of 16 numbers, by what they are called."""
    rows = [np.zeros(LANES) for _ in range(12)]
    mask = np.zeros(LANES, np.bool_)
    return {
        "nothing": lambda: None,
        "compiled, 2 arrays": lambda: _two(*rows[:2]),
        "compiled, 12 arrays": lambda: _twelve(*rows),
        "a > 0.5": lambda: rows[0] > 0.5,
        "mask & mask": lambda: mask & mask,
        "np.copyto(where=)": lambda: np.copyto(rows[0], rows[1], where=mask),
        "np.vdot": lambda: np.vdot(rows[0], rows[1]),
        "scipy expit": lambda: expit(rows[0], out=rows[1]),
        "a.copy()": lambda: rows[0].copy(),
    }


def main() -> None:
    torch.set_num_threads(1)
    model = PPO("MlpPolicy", LanesVecEnv(OpsDesk(LANES)), device="cpu", seed=0)
    assert model.env is not None
    seen, calls = torch.as_tensor(model.env.reset()), kinds()
    first: dict[str, list[int]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # compiles
    order = list(calls)
    for _ in range(ROUNDS):
        random.shuffle(order)
        for name in order:
            with torch.no_grad():
                model.policy(seen)
            began = time.perf_counter_ns()
            calls[name]()
            first[name].append(time.perf_counter_ns() - began)
    print(f"{'microseconds':22s} {'first':>7s} {'in a loop':>10s}")
    for name, call in calls.items():
        began = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        often = (time.perf_counter_ns() - began) / CALLS / NANO
        print(f"{name:22s} {statistics.median(first[name]) / NANO:7.2f} {often:10.2f}")


if __name__ == "__main__":
    main()
