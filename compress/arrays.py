"""Plain arrays on disk: written completely or not at all, never unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np

from compress.errors import BadInputError, first_line
from compress.files import replacing
from compress.untrusted import GIT_LFS, check_fetched

NUMBERS, TEXT = "biuf", "SU"  # NumPy's dtype kinds
# Real images compress about tenfold at most, mostly empty ones a hundredfold; deflate's limit is 1032-fold.
MAX_FOLD = 200
SMALL = 64 << 20  # bytes; arrays up to this size do no harm, however strongly they are compressed


def save_array(path: Path, array: np.ndarray) -> None:
    """Write one array as .npy, ready to be memory-mapped."""
    with replacing(path) as stream:
        np.lib.format.write_array(_Stream(stream), np.asanyarray(array), allow_pickle=False)


@contextmanager
def array_writer(path: Path, shape: tuple[int, ...], dtype: str = "|u1") -> Iterator[Callable[[np.ndarray], None]]:
    """Write a .npy of `shape` part by part along its first axis: yields the function that writes the next part.

    `dtype` is spelled as in the header of a .npy file; the default is uint8.
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
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def array_size(archive: zipfile.ZipFile, name: str, file_size: int, what: str) -> int:
    """Return the size in bytes of an array in an untrusted .npz; arguments and errors as those of `array_header`."""
    shape, dtype = array_header(archive, name, file_size, what)
    return math.prod(shape) * dtype.itemsize


def array_header(
    archive: zipfile.ZipFile, name: str, file_size: int, what: str
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array in an untrusted .npz, without believing any size that the file states.

    The size in the header has to agree with the member's, and the member's has to be plausible for its compressed
    size. `file_size` is the size of the whole file in bytes; `what` names the array in messages. Raises `BadInputError`
    if the sizes disagree or the array holds neither numbers nor text.
    """
    member = archive.getinfo(f"{name}.npy")
    packed = min(member.compress_size, file_size)
    with npz_errors(what), archive.open(member) as stream:
        header = _checked_header(stream, member.file_size, what)
    fold = member.file_size / max(1, packed)
    if fold > MAX_FOLD and member.file_size > SMALL:
        raise BadInputError(f"{what}: decompresses {fold:.0f}-fold, which images do not")
    return header


def read_npy(file: Path, what: str, check: Callable[[int], None]) -> np.ndarray:
    """Return the array of an untrusted .npy in native byte order; raises `BadInputError`.

    `check` is called with the array's size in bytes before it is read.
    """
    with npz_errors(what, ".npy"), file.open("rb") as stream:
        shape, dtype = _checked_header(stream, file.stat().st_size, what)
        check(math.prod(shape) * dtype.itemsize)
        stream.seek(0)
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _checked_header(stream: IO[bytes], total: int, what: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of `total` bytes of .npy; return shape and type, whose size has to be that of the rest."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    size = total - stream.tell()
    if dtype.hasobject:
        raise BadInputError(f"{what}: holds Python objects, which are never unpickled; should be numbers or text")
    if dtype.kind not in NUMBERS + TEXT or dtype.itemsize == 0:
        raise BadInputError(f"{what}: has type {dtype}; should be numbers or text")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise BadInputError(f"{what}: has {size:,} bytes, which does not fit its header: {dtype} of shape {shape}")
    return shape, dtype


def read_member(archive: zipfile.ZipFile, name: str, what: str) -> np.ndarray:
    """Return an array of an untrusted .npz in native byte order; raises `BadInputError`.

    Call `array_size` first, which checks the array's size.
    """
    with npz_errors(what), archive.open(f"{name}.npy") as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_members(source: Path | IO[bytes], file_size: int, names: Sequence[str], what: str) -> dict[str, np.ndarray]:
    """Return the named arrays of a small untrusted .npz of `file_size` bytes; raises `BadInputError`."""
    arrays: dict[str, np.ndarray] = {}
    with npz_errors(what), open_npz(source, what) as archive:
        for name in names:
            array_size(archive, name, file_size, f"{what}: {name}")
            arrays[name] = read_member(archive, name, f"{what}: {name}")
    return arrays


def open_npz(source: Path | IO[bytes], what: str) -> zipfile.ZipFile:
    """Open an untrusted .npz; raises `BadInputError`."""
    with npz_errors(what):
        try:
            return zipfile.ZipFile(source)
        except zipfile.BadZipFile:
            with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
                stream.seek(0)
                check_fetched(stream.read(len(GIT_LFS)), what)
            raise


@contextmanager
def npz_errors(what: str, kind: str = ".npz") -> Iterator[None]:
    """Turn whatever zipfile, zlib and NumPy raise for a broken file into `BadInputError`."""
    try:
        yield
    except BadInputError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise BadInputError(f"{what}: cannot be read as {kind}: {reason}") from error


class _Stream:
    """A file that NumPy writes to through Python; if it wrote to the file directly, a full disk would go unnoticed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write
