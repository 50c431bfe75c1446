"""Plain arrays on disk: written whole or not at all, never unpickled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from compress.store import replacing


def save_array(path: Path, array: np.ndarray) -> None:
    """Write one array as .npy, ready to be memory-mapped."""
    with replacing(path) as stream:
        np.lib.format.write_array(_Stream(stream), np.asanyarray(array), allow_pickle=False)


@contextmanager
def array_writer(path: Path, shape: tuple[int, ...], dtype: str = "|u1") -> Iterator[Callable[[np.ndarray], None]]:
    """Write a .npy of `shape` part by part along its first axis: give the parts to what this yields.

    `dtype` is as NumPy spells it in files, by default uint8.
    """
    with replacing(path) as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})

        def write(part: np.ndarray) -> None:
            stream.write(np.ascontiguousarray(part).data)

        yield write


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed .npz; the same arrays give the same bytes."""
    with replacing(path) as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `save_arrays` wrote; raises `ValueError` for pickled objects."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


class _Stream:
    """A file that numpy writes to through Python: its own way past it loses the error of a full disk."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write
