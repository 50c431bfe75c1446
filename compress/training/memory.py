"""Whether memory was too small: only one of the ways in which TensorFlow says so has a type of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from compress.errors import MachineError, first_line
from compress.tensorflow import tf

T = TypeVar("T")
SIGNS = (  # in lower case
    "dst tensor is not initialized",  # a copy to a GPU that is full
    "out of memory",
    "out_of_memory",  # CUDA's
    "alloc_failed",  # cuBLAS's, cuDNN's and cuSPARSE's
    "failed to allocate",
    "allocation fail",
    "memoryallocation",  # cudaErrorMemoryAllocation
)


def ran_out(error: tf.errors.OpError) -> bool:
    """Return whether an error says that something did not fit into memory."""
    text = str(error).lower()
    return isinstance(error, tf.errors.ResourceExhaustedError) or any(sign in text for sign in SIGNS)


def half(images: int) -> int:
    """Return how many images to take at once where `images` (2 or more) are too many: of 6, 3, 2, 1."""
    return -(-images // 2)


def with_fewer(images: int, attempt: Callable[[int], T]) -> T:
    """Return what a function of a number of images returns for `images`, or for as many as fit into memory."""
    while True:
        try:
            return attempt(images)
        except tf.errors.OpError as error:
            if not ran_out(error) or images == 1:
                raise
        images = half(images)


@contextmanager
def named(stage: str) -> Iterator[None]:
    """Raise `MachineError` where memory is too small for what does not depend on the size of a batch."""
    try:
        yield
    except tf.errors.OpError as error:
        if not ran_out(error):
            raise
        raise MachineError(
            f"{stage}: out of memory ({first_line(error)[:200]}); image.size or the network should be smaller"
        ) from error
