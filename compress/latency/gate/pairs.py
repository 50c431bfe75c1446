"""The gate's measurement in a new process, in pairs of samples.

Where a session's data lies in memory is a matter of chance, and affects its speed for as long as its process lives.
Every process is therefore one random draw: the gate uses several and takes only a few samples in each.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from compress.errors import BadInputError
from compress.latency.given import NOTHING, Given
from compress.latency.inputs import check_batch, feed_for, shapes
from compress.latency.model_files import first_call, open_model
from compress.latency.processes import answer, pin_to_idle_cores
from compress.latency.timing import without_garbage_collection

SAMPLE_NS = 1_000_000  # shorter samples would measure the clock and interrupts rather than the model
WARM_UP_NS = 100_000_000
PAIRS = 5  # per block
MANY_TIMES = 10.0  # an arm that takes so many times the baseline's time needs no more than one block of single calls
SLOW_SINGLE_NS = 5_000_000_000  # nor calls one by one, if these took longer
BASELINE, CANDIDATE, CONTROL = "baseline", "candidate", "control"


@dataclass(frozen=True)
class Request:
    """What a process should measure. `files` is `{arm: file}`, the baseline among the arms.

    After the blocks, `single_calls` calls of the candidate are timed one by one.
    """

    files: dict[str, str]
    provider: str
    threads: int
    blocks: int
    seed: int
    single_calls: int = 0
    given: Given = NOTHING


@dataclass(frozen=True)
class Samples:
    """What a process measured, in nanoseconds. `blocks` has one list per block for each arm, with one sample per pair.

    A sample is the time of `calls` calls, `single` the times of single calls of the candidate. If an arm is many times
    slower than the baseline, there is only one block. `first_run_ns` is the time to make each arm's session and call it
    once. `cores` are those that the process was pinned to. `fed` is the shape of each input.
    """

    calls: int
    blocks: dict[str, list[list[int]]]
    single: list[int]
    first_run_ns: dict[str, int]
    cores: list[int]
    fed: dict[str, list[int]] = field(default_factory=dict)


def main() -> None:
    """Answer the request on standard input."""
    answer(lambda request: measure(Request(**{**request, "given": Given(**request["given"])})))


def measure(request: Request) -> Samples:
    """Measure the arms side by side, pinned to the least busy cores if the system allows it.

    Raises `BadInputError` if a file cannot be run or its inputs differ from the baseline's, and `MachineError` if the
    provider is not installed or cannot run it.
    """
    order = random.Random(request.seed)
    cores = pin_to_idle_cores(request.threads)
    sessions: dict[str, Any] = {}
    first_run_ns = {}
    arms = list(request.files)
    for arm in order.sample(arms, len(arms)):
        file = Path(request.files[arm])
        start = time.perf_counter_ns()
        sessions[arm] = open_model(file, threads=request.threads, provider=request.provider)
        feed = feed_for(sessions[arm], file, given=request.given)
        first_call(sessions[arm], file, feed)
        first_run_ns[arm] = time.perf_counter_ns() - start
    _check_inputs(request, sessions)
    calls = {arm: partial(session.run, None, feed) for arm, session in sessions.items()}
    with without_garbage_collection():
        times = {arm: _warm_up(call) for arm, call in calls.items()}
        slow = max(times.values()) > MANY_TIMES * times[BASELINE]
        n = 1 if slow else math.ceil(SAMPLE_NS / times[BASELINE])
        blocks = [_block(calls, n, order) for _ in range(1 if slow else request.blocks)]
        few = slow and times[CANDIDATE] * request.single_calls > SLOW_SINGLE_NS
        single = [_time(calls[CANDIDATE], 1) for _ in range(0 if few else request.single_calls)]
    fed = {name: list(value.shape) for name, value in feed.items()}
    return Samples(n, {arm: [block[arm] for block in blocks] for arm in arms}, single, first_run_ns, cores, fed)


def _check_inputs(request: Request, sessions: Mapping[str, Any]) -> None:
    files = {arm: Path(file) for arm, file in request.files.items()}
    wanted = shapes(sessions[BASELINE], files[BASELINE], given=request.given)
    for arm, session in sessions.items():
        check_batch(session, files[arm], request.given)
        found = shapes(session, files[arm], given=request.given)
        for name in [*wanted, *found]:
            if found.get(name) != wanted.get(name):
                raise BadInputError(
                    f"{files[arm]}: input {name} is {_describe(found.get(name))}, in the baseline "
                    f"{files[BASELINE]} it is {_describe(wanted.get(name))}; both should have the same inputs"
                )


def _describe(value: tuple[str, tuple[int, ...]] | None) -> str:
    return f"{value[0]} {value[1]}" if value else "absent"


def _warm_up(call: Callable[[], object]) -> float:
    """Call for 0.1 s, at least twice; return the shortest time of a call in ns."""
    times: list[int] = []
    while len(times) < 2 or sum(times) < WARM_UP_NS:
        times.append(_time(call, 1))
    return min(times)


def _block(calls: Mapping[str, Callable[[], object]], n: int, order: random.Random) -> dict[str, list[int]]:
    """Return a block's samples of `n` calls each; the order within each pair (triple, with a control) is random."""
    samples: dict[str, list[int]] = {arm: [] for arm in calls}
    for _ in range(PAIRS):
        for arm in order.sample(list(calls), len(calls)):
            samples[arm].append(_time(calls[arm], n))
    return samples


def _time(call: Callable[[], object], n: int) -> int:
    start = time.perf_counter_ns()
    for _ in range(n):
        call()
    return time.perf_counter_ns() - start
