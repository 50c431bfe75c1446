"""Processes that this one starts, and that end when it ends, however that happens.

They are spawned, not forked: TensorFlow's threads would not survive that.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from compress.errors import MachineError


def spawned(processes: int, begin: Callable[..., None] | None = None, state: Sequence[Any] = ()) -> ProcessPoolExecutor:
    """Return processes that work on what is submitted to them, each begun by `begin(*state)`."""
    return ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(begin, state)
    )


@contextmanager
def one_child(if_killed: str) -> Iterator[ProcessPoolExecutor]:
    """Start a process that works in place of this one, in which TensorFlow is then as if nothing had run.

    Raises `MachineError` with the text `if_killed` if the system ends it, as it does when memory is short.
    """
    with spawned(1) as child:
        try:
            yield child
        except BrokenProcessPool as error:
            raise MachineError(if_killed) from error


def _begin(begin: Callable[..., None] | None, state: Sequence[Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin:
        begin(*state)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
