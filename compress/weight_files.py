"""Files of weights as plain arrays by name: HDF5, Keras's .keras, which is a zip with HDF5 in it, and .npz.

Keras's loader is not used: a link in an HDF5 file can lead anywhere on the machine, and a model file can carry code.
Here only numeric datasets of the file itself are read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from compress.errors import BadInputError, first_line
from compress.untrusted import GIT_LFS, check_fetched

if TYPE_CHECKING:
    import numpy as np

HDF5, KERAS, NPZ = (".h5", ".hdf5"), ".keras", ".npz"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
IN_KERAS = "model.weights.h5"  # the member of a .keras file that holds the weights
RIGHT = "should be weights in .h5, .weights.h5, .keras or .npz"
MAX_FOLD = 4  # times a file's size that its arrays may take: weights do not compress better
MAX_ARRAYS = 10_000
NOT_WEIGHTS = ("optimizer", "top_level_model_weights")  # groups of Keras's files


@dataclass(frozen=True)
class Arrays:
    """The arrays of floats in a file by their names in it, in which slashes separate the groups of HDF5.

    `layers` has the names that Keras 3 writes beside those groups, by group: it numbers the groups themselves.
    """

    arrays: Mapping[str, np.ndarray]
    layers: Mapping[str, str]


def check_file(file: Path) -> None:
    """Raise `BadInputError` if this is not a file of weights: missing, unreadable, or of another kind."""
    try:
        if not file.is_file():
            raise BadInputError(f"{file}: no such file; {RIGHT}, imagenet, or none")
        with file.open("rb") as stream:
            begin = stream.read(len(GIT_LFS))
    except OSError as error:
        raise BadInputError(f"{str(file)[:100]}: {error.strerror}") from error
    kind = file.suffix.lower()
    if kind not in (*HDF5, KERAS, NPZ):
        raise BadInputError(f"{file}: {RIGHT}")
    check_fetched(begin, str(file))
    if kind in HDF5 and not begin.startswith(SIGNATURE):
        raise BadInputError(f"{file}: is not an HDF5 file")
    if kind == KERAS and begin.startswith(SIGNATURE):
        raise BadInputError(f"{file}: is an HDF5 file, not the zip that {KERAS} means; should be named .h5")


def read(file: Path) -> Arrays:
    """Return the arrays of a file; raises `BadInputError` if it holds anything but plain numbers, or cannot be read."""
    check_file(file)
    kind = file.suffix.lower()
    try:
        if kind == NPZ:
            return _read_npz(file)
        return _read_keras(file) if kind == KERAS else _read_hdf5(file, file, file.stat().st_size)
    except BadInputError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and h5py raise many kinds for broken files
        name = "HDF5" if kind in HDF5 else kind
        raise BadInputError(f"{file}: cannot be read as {name}: {first_line(error)}") from error


def _read_npz(file: Path) -> Arrays:
    import numpy as np

    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        check_size(file, sum(member.file_size for member in members), len(members), file.stat().st_size)
    with np.load(file, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files if f"{name}.npy" in arrays.zip.namelist()}
    return Arrays({name: array for name, array in found.items() if array.dtype.kind == "f"}, {})


def _read_keras(file: Path) -> Arrays:
    """Read the weights out of a .keras file; the description of its layers, which may carry code, is left alone."""
    with zipfile.ZipFile(file) as archive:
        if IN_KERAS not in archive.namelist():
            raise BadInputError(f"{file}: holds no {IN_KERAS}; should be what Keras's model.save writes")
        size = archive.getinfo(IN_KERAS).file_size
        check_size(file, size, 1, file.stat().st_size)
        with archive.open(IN_KERAS) as stream:
            data = stream.read(size)
    return _read_hdf5(io.BytesIO(data), file, len(data))


def _read_hdf5(source: Path | IO[bytes], file: Path, size: int) -> Arrays:
    """Read HDF5 of `size` bytes, in `file` itself or in a member of it."""
    import h5py

    with h5py.File(source, "r") as opened:
        datasets: dict[str, Any] = {}
        layers: dict[str, str] = {}
        _collect(opened, file, datasets, layers)
        check_size(file, sum(dataset.nbytes for dataset in datasets.values()), len(datasets), size)
        return Arrays({name: dataset[()] for name, dataset in datasets.items()}, layers)


def _collect(opened: Any, file: Path, datasets: dict[str, Any], layers: dict[str, str]) -> None:
    """Collect all datasets, each once, and names of layers; raises `BadInputError` for links and external values."""
    import h5py

    def visit(name: str, item: Any) -> None:
        if name.startswith(NOT_WEIGHTS):
            return
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise BadInputError(f"{file}: {name}: its values are in another file; should be in this one")
            if item.dtype.kind == "f":
                datasets[name] = item
        else:
            _check_links(name, item)
            given = item.attrs.get("name")
            if isinstance(given, str):
                layers[name] = given

    def _check_links(name: str, group: Any) -> None:
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise BadInputError(
                    f"{file}: {f'{name}/{key}'.lstrip('/')}: is a link to elsewhere; should hold the values"
                )

    _check_links("", opened)
    opened.visititems(visit)


def check_size(file: Path, size: int, count: int, held: int) -> None:
    """Raise `BadInputError` if `count` arrays of `size` bytes together cannot be in a file of `held` bytes."""
    if size > MAX_FOLD * held or count > MAX_ARRAYS:
        raise BadInputError(f"{file}: claims {count} arrays of {size:,} bytes, more than such a file can hold")


def in_words(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return the shapes of a layer's arrays for a message."""
    return " and ".join(map(str, shapes)) or "no weights"
