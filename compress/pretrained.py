"""Weights that others have trained: read as plain numbers from HDF5 or .npz, checked layer by layer, never executed.

Keras's loader is not used: a link in an HDF5 file can lead anywhere on the machine, and a model file can carry code.
Here only numeric datasets of the file itself are read.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import BadInputError, first_line

if TYPE_CHECKING:
    import numpy as np

IMAGENET, NONE = "imagenet", "none"
HDF5, NPZ = (".h5", ".hdf5"), ".npz"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_FOLD = 4  # times a file's size that its arrays may take: weights do not compress better
MAX_ARRAYS = 10_000
NUMBERED = re.compile(r"(arr_)?\d+")
NOT_WEIGHTS = ("optimizer", "top_level_model_weights")  # groups of Keras's files


@dataclass(frozen=True)
class Layer:
    """A layer's kernel `(3, 3, in, out)` or `(in, out)` and bias `(out,)`, by the name that it has in the file."""

    name: str
    kernel: np.ndarray
    bias: np.ndarray | None


def file_of(weights: str, teacher: Any) -> Path:
    """Return the file that the setting teacher.weights names; "imagenet" is Keras's, downloaded if missing.

    Raises `MachineError` if the download fails, `BadInputError` if another file has its name.
    """
    if weights != IMAGENET:
        return Path(weights)
    from compress.downloads import fetched, keras_folder

    source = teacher.IMAGENET
    [file] = fetched({source["file"]: source["md5"]}, source["url"], keras_folder().parent / "models")
    if hashlib.md5(file.read_bytes()).hexdigest() != source["md5"]:
        raise BadInputError(f"{file}: is not the published file; delete it, and it is downloaded again")
    return file


def check_file(file: Path) -> None:
    """Raise `BadInputError` if this is not a file of weights: missing, unreadable, or of another kind."""
    try:
        if not file.is_file():
            raise BadInputError(
                f"{file}: no such file; should be weights in .h5, .weights.h5 or .npz, imagenet, or none"
            )
        with file.open("rb") as stream:
            begin = stream.read(len(SIGNATURE))
    except OSError as error:
        raise BadInputError(f"{str(file)[:100]}: {error.strerror}") from error
    if file.suffix.lower() not in (*HDF5, NPZ):
        raise BadInputError(f"{file}: should be weights in .h5, .weights.h5 or .npz")
    if file.suffix.lower() in HDF5 and begin != SIGNATURE:
        raise BadInputError(f"{file}: is not an HDF5 file")


def load_into(model: Any, blocks: tuple[str, ...], file: Path, *, from_bgr: bool) -> None:
    """Set the weights of a Keras model's convolutions to those in a file; the head stays as it is.

    Layers are matched by name if the file has the model's names, else in order. With `from_bgr`, the first layer's
    input channels are reversed: the file's network expects blue, green and red, this one red, green and blue. Raises
    `BadInputError`, which names the first layer that differs.
    """
    wanted = [
        layer for layer in model.layers if layer.weights and layer.name.startswith(tuple(f"{b}_" for b in blocks))
    ]
    found = [layer for layer in read(file) if layer.kernel.ndim == 4]
    named = {layer.name: layer for layer in found}
    ordered = [named.get(layer.name) for layer in wanted]
    if not any(ordered):
        ordered = [*found, *[None] * (len(wanted) - len(found))][: len(wanted)]
    for i, (layer, source) in enumerate(zip(wanted, ordered, strict=True)):
        given = [] if source is None else [source.kernel, *([] if source.bias is None else [source.bias])]
        shapes, should = [array.shape for array in given], [tuple(weight.shape) for weight in layer.weights]
        if shapes != should:
            raise BadInputError(
                f"{file}: {layer.name}: has {_shapes(shapes)}; should have {_shapes(should)}, as {model.name} does"
            )
        if i == 0 and from_bgr:
            given[0] = given[0][:, :, ::-1]
        layer.set_weights(given)
    left = [source.name for source in found if not any(source is used for used in ordered)]
    if left:
        raise BadInputError(f"{file}: {left[0]}: {model.name} has no such layer; should be weights of {model.name}")


def read(file: Path) -> list[Layer]:
    """Return the layers of a file in its order; raises `BadInputError` if it holds anything but plain numbers."""
    check_file(file)
    arrays = _read_npz(file) if file.suffix.lower() == NPZ else _read_hdf5(file)
    try:
        return _layers(arrays)
    except BadInputError as error:
        raise BadInputError(f"{file}: {error}") from error


def _layers(arrays: Mapping[str, np.ndarray]) -> list[Layer]:
    """Return a layer for each kernel, an array of two or four dimensions, with the bias, of one, of the same layer.

    Names are `.../LAYER/kernel:0` or, in Keras 3's files, `layers/LAYER/vars/0`. If they are just numbers, a bias
    comes after its kernel; raises `BadInputError` if two do.
    """
    names = sorted(arrays, key=_natural)
    layers = {_layer_name(name): name for name in names if arrays[name].ndim in (2, 4)}
    biases: dict[str, np.ndarray] = {}
    last = ""
    for name in names:
        if arrays[name].ndim in (2, 4):
            last = _layer_name(name)
        elif NUMBERED.fullmatch(name) and last in biases:
            raise BadInputError(
                f"array {name}: a second one after a kernel; should be kernel, bias, kernel, bias and so on"
            )
        elif arrays[name].ndim == 1:
            biases.setdefault(last if NUMBERED.fullmatch(name) else _layer_name(name), arrays[name])
    return [Layer(layer, arrays[name], biases.get(layer)) for layer, name in layers.items()]


def _layer_name(name: str) -> str:
    if "/" not in name:
        return re.sub(r"[_.](kernel|bias)(:0)?$", "", name)
    groups = name.split("/")[:-1]
    return groups[-2] if groups[-1] == "vars" and len(groups) > 1 else groups[-1]


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts conv2d_10 after conv2d_9, and conv2d before both."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name) if part]


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes)) or "no weights"


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_size(file, sum(member.file_size for member in members), len(members))
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files if f"{name}.npy" in arrays.zip.namelist()}
    except BadInputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds for broken files
        raise BadInputError(f"{file}: cannot be read as .npz: {first_line(error)}") from error
    return {name: array for name, array in found.items() if array.dtype.kind == "f"}


def _read_hdf5(file: Path) -> dict[str, np.ndarray]:
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            datasets: dict[str, Any] = {}
            _collect(opened, file, datasets)
            _check_size(file, sum(dataset.nbytes for dataset in datasets.values()), len(datasets))
            return {name: dataset[()] for name, dataset in datasets.items()}
    except BadInputError:
        raise
    except Exception as error:  # h5py raises many kinds for broken files
        raise BadInputError(f"{file}: cannot be read as HDF5: {first_line(error)}") from error


def _collect(opened: Any, file: Path, datasets: dict[str, Any]) -> None:
    """Collect all datasets into `datasets`, each once; raises `BadInputError` for links and external values."""
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

    def _check_links(name: str, group: Any) -> None:
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise BadInputError(
                    f"{file}: {f'{name}/{key}'.lstrip('/')}: is a link to elsewhere; should hold the values"
                )

    _check_links("", opened)
    opened.visititems(visit)


def _check_size(file: Path, size: int, count: int) -> None:
    if size > MAX_FOLD * file.stat().st_size or count > MAX_ARRAYS:
        raise BadInputError(f"{file}: claims {count} arrays of {size:,} bytes, more than such a file can hold")
