"""Processes for what Python's lock would keep to one core: Pillow decodes small images no faster in two threads."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from compress.errors import MachineError
from compress.machine import available_cores

READ_BYTES = 4 << 20  # of pixels at once
AHEAD = 4  # results a worker that wait to be taken
WORTH_PROCESSES = 2000  # images; starting processes takes half a second

_state: Any = None  # in a worker: what it was started with


class Workers:
    """A process a core, each started with the same state; none where there are too few images to decode.

    They are spawned, not forked (TensorFlow's threads would not survive that), ignore an interrupt, which is the main
    process's to handle, and end when it does, however it ends.
    """

    def __init__(self, state: Any, images: int) -> None:
        self._state, self._pool = state, None
        if images >= WORTH_PROCESSES:
            self._pool = ProcessPoolExecutor(
                available_cores(), multiprocessing.get_context("spawn"), initializer=_begin, initargs=(state,)
            )

    def submit(self, function: Callable[[Any, Any], Any], item: Any) -> Future[Any]:
        """Let a worker call `function(state, item)`, or this process; function, item and result must be picklable.

        Raises `MachineError` where a worker was killed; so does `result_of` for what it returned before.
        """
        if self._pool:
            with _as_machine_error():
                return self._pool.submit(_call, function, item)
        done: Future[Any] = Future()
        done.set_result(function(self._state, item))
        return done


def result_of(future: Future[Any]) -> Any:
    """Wait for a result and return it; raises what the call raised, and `MachineError` where its worker was killed."""
    with _as_machine_error():
        return future.result()


@contextmanager
def _as_machine_error() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise MachineError(
            "a process that decodes images was killed, perhaps for want of memory; start the run again"
        ) from error


def at_once(shape: Sequence[int], max_images: int) -> int:
    """Return how many images of a shape are read at once: so many that memory does not grow with their size."""
    return max(1, min(max_images, READ_BYTES // math.prod(shape)))


def in_order(submit: Callable[[Any], Future[Any]], items: Sequence[Any]) -> Iterator[Any]:
    """Yield the results of `submit(item)` for each item in order, some submitted ahead of what is taken."""
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
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Any, Any], Any], item: Any) -> Any:
    return function(_state, item)
