"""Timing calls in interleaved rounds, so that other load on the machine affects all of them alike."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

# In a round, an arm is timed for at most this long and this many calls: all arms are measured over the same minutes
SLICE_SECONDS = 0.02
SLICE_CALLS = 10
WARM_UP_SECONDS = 0.2

Call = Callable[[], object]
Arm = TypeVar("Arm")


def warm_up(call: Call) -> None:
    """Call repeatedly for 0.2 s, so that what only the first calls do is not timed later."""
    _slice(call, WARM_UP_SECONDS)


def interleaved(calls: Mapping[Arm, Call], seconds: float, order: random.Random) -> dict[Arm, list[int]]:
    """Time the calls of several arms for `seconds` in all; return each arm's times in ns.

    Each round gives every arm one slice of calls, in random order.
    """
    samples: dict[Arm, list[int]] = {arm: [] for arm in calls}
    end = time.perf_counter() + seconds
    with without_garbage_collection():
        while calls and time.perf_counter() < end:
            for arm in order.sample(list(calls), len(calls)):
                calls[arm]()  # not timed: the caches still hold the previous model's weights
                samples[arm] += _slice(calls[arm], SLICE_SECONDS, SLICE_CALLS)
    return samples


def _slice(call: Call, seconds: float, max_calls: float = math.inf) -> list[int]:
    times: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    while not times or (time.perf_counter_ns() < end and len(times) < max_calls):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return times


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep Python's garbage collector from running in the middle of a call."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
