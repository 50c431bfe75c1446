"""Plain arrays on disk: written whole or not at all, never unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from compress.errors import BadInputError, first_line
from compress.files import replacing

NUMBERS, TEXT = "biuf", "SU"  # numpy's kinds
# Real images shrink some ten-fold at most, mostly empty ones a hundred-fold; deflate can do 1032-fold.
MAX_FOLD = 200
SMALL = 64 << 20  # bytes that do no harm, however they shrank


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


def array_size(archive: zipfile.ZipFile, name: str, file_size: int, what: str) -> int:
    """Return the bytes of an array in somebody's .npz, none of whose sizes is believed before it was compared.

    The header's has to agree with the member's, and this with what is packed. `file_size` is that of the whole file, in
    bytes. Raises `BadInputError`, where `what` is the array, also for one that is neither of numbers nor text.
    """
    member = archive.getinfo(f"{name}.npy")
    packed = min(member.compress_size, file_size)
    with npz_errors(what), archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
        size = member.file_size - stream.tell()
    if dtype.hasobject:
        raise BadInputError(f"{what}: holds Python objects, which are never unpickled; should be numbers or text")
    if dtype.kind not in NUMBERS + TEXT or dtype.itemsize == 0:
        raise BadInputError(f"{what}: has type {dtype}; should be numbers or text")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise BadInputError(f"{what}: has {size:,} bytes, which its header's {dtype} of shape {shape} does not take")
    fold = member.file_size / max(1, packed)
    if fold > MAX_FOLD and member.file_size > SMALL:
        raise BadInputError(f"{what}: decompresses {fold:.0f}-fold, which images do not")
    return size


def read_member(archive: zipfile.ZipFile, name: str, what: str) -> np.ndarray:
    """Return an array of somebody's .npz, its size checked before, in native byte order; raises `BadInputError`."""
    with npz_errors(what), archive.open(f"{name}.npy") as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_members(source: Path | IO[bytes], file_size: int, names: Sequence[str], what: str) -> dict[str, np.ndarray]:
    """Return some arrays of somebody's small .npz of `file_size` bytes, each size checked; raises `BadInputError`."""
    arrays: dict[str, np.ndarray] = {}
    with npz_errors(what), zipfile.ZipFile(source) as archive:
        for name in names:
            array_size(archive, name, file_size, f"{what}: {name}")
            arrays[name] = read_member(archive, name, f"{what}: {name}")
    return arrays


@contextmanager
def npz_errors(what: str) -> Iterator[None]:
    """Raise `BadInputError` for whatever a broken file leads zipfile, zlib and numpy into."""
    try:
        yield
    except BadInputError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise BadInputError(f"{what}: cannot be read as .npz: {reason}") from error


class _Stream:
    """A file that numpy writes to through Python: its own way past it loses the error of a full disk."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write
