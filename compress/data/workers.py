"""Processes that decode images: Python's global lock keeps threads that decode small ones to about one core."""

from __future__ import annotations

import math
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from compress.children import spawned
from compress.errors import MachineError
from compress.machine import available_cores

READ_BYTES = 4 << 20  # of pixels that are read at a time
AHEAD = 4  # results per worker that may be computed before they are needed
MIN_IMAGES = 2000  # with fewer, it is not worth the half second that starting processes takes

_state: Any = None  # in a worker: what it was started with


class Workers:
    """One process per core, each started with the same state; with few images, this process does the work itself.

    The processes ignore interrupts, which the main process handles.
    """

    def __init__(self, state: Any, images: int) -> None:
        self._state = state
        self._pool = spawned(available_cores(), _begin, (state,)) if images >= MIN_IMAGES else None

    def submit(self, function: Callable[[Any, Any], Any], item: Any) -> Future[Any]:
        """Call `function(state, item)` in a worker or, without workers, here; function, item and result are pickled.

        Raises `MachineError` if a worker was killed; so does `result_of`, given a future that was returned before.
        """
        if self._pool:
            with _as_machine_error():
                return self._pool.submit(_call, function, item)
        done: Future[Any] = Future()
        done.set_result(function(self._state, item))
        return done


def result_of(future: Future[Any]) -> Any:
    """Wait for a result and return it; raises what the call raised, and `MachineError` if its worker was killed."""
    with _as_machine_error():
        return future.result()


@contextmanager
def _as_machine_error() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise MachineError(
            "a process that decodes images was killed, perhaps because memory ran out; start the run again"
        ) from error


def at_once(shape: Sequence[int], max_images: int) -> int:
    """Return how many images of a shape to read at once: fewer if they are large, so that memory stays bounded."""
    return max(1, min(max_images, READ_BYTES // math.prod(shape)))


def in_order(submit: Callable[[Any], Future[Any]], items: Sequence[Any]) -> Iterator[Any]:
    """Yield the results of `submit(item)` for each item in order, submitting some items ahead."""
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            waiting.append(submit(item))
            if len(waiting) > AHEAD * available_cores():
                yield result_of(waiting.popleft())
        while waiting:
            yield result_of(waiting.popleft())
    finally:
        for future in waiting:
            future.cancel()


def _begin(state: Any) -> None:
    global _state
    _state = state
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(function: Callable[[Any, Any], Any], item: Any) -> Any:
    return function(_state, item)
