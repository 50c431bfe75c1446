"""Weights that others have trained, set into a network after each layer was checked against it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import weight_files
from compress.errors import BadInputError
from compress.weight_files import Arrays, in_words

if TYPE_CHECKING:
    import numpy as np

ANSWERS_SECONDS = 3.0
IMAGENET, NONE = "imagenet", "none"
KERNEL, NEW_LAYER = 4, (2, 4)  # dimensions of a convolution's kernel; of any kernel, which numbered arrays begin with
NUMBERED = re.compile(r"(arr_)?\d+")


@dataclass(frozen=True)
class Layer:
    """A convolution in a file: the path of its group, its own name, kernel `(3, 3, in, out)` and bias `(out,)`."""

    path: str
    name: str
    kernel: np.ndarray
    bias: np.ndarray | None


def file_of(weights: str, teacher: Any) -> Path:
    """Return the file that the setting teacher.weights names; "imagenet" is Keras's, downloaded if missing.

    Raises `MachineError` if the download fails, `BadInputError` if another file has its name.
    """
    if weights != IMAGENET:
        return Path(weights)
    from compress.downloads import fetched

    source = teacher.IMAGENET
    [file] = fetched({source["file"]: source["md5"]}, source["url"], _models())
    if hashlib.md5(file.read_bytes()).hexdigest() != source["md5"]:
        raise BadInputError(f"{file}: is not the published file; delete it, and it is downloaded again")
    return file


def why_not(teacher: Any) -> str:
    """Return why a teacher's published weights cannot be had, empty if their file is there or can be downloaded."""
    from compress.downloads import out_of_reach

    if is_there(teacher):
        return ""
    source = teacher.IMAGENET
    reason = out_of_reach(source["url"] + source["file"], ANSWERS_SECONDS)
    return reason and f"{_models() / source['file']} is not there, and cannot be downloaded: {reason}"


def is_there(teacher: Any) -> bool:
    """Tell whether the file of a teacher's published weights is where Keras keeps it."""
    return (_models() / teacher.IMAGENET["file"]).is_file()


def _models() -> Path:
    """Return the folder in which Keras keeps published weights."""
    from compress.downloads import keras_folder

    return keras_folder().parent / "models"


def load_into(model: Any, blocks: tuple[str, ...], file: Path, *, from_bgr: bool) -> None:
    """Set the weights of a Keras model's convolutions to those in a file; the head stays as it is.

    Layers are matched by name if the file has the model's names, else in order. With `from_bgr`, the first layer's
    input channels are reversed: the file's network expects blue, green and red, this one red, green and blue. Raises
    `BadInputError`, which names the first layer that differs.
    """
    wanted = [
        layer for layer in model.layers if layer.weights and layer.name.startswith(tuple(f"{b}_" for b in blocks))
    ]
    try:
        found = layers(weight_files.read(file))
        sources = _matched([layer.name for layer in wanted], found)
        for i, (layer, source) in enumerate(zip(wanted, sources, strict=True)):
            given = [] if source is None else [source.kernel, *([] if source.bias is None else [source.bias])]
            shapes, should = [array.shape for array in given], [tuple(weight.shape) for weight in layer.weights]
            if shapes != should:
                raise BadInputError(
                    f"{layer.name}: has {in_words(shapes)}; should have {in_words(should)}, as {model.name} does"
                )
            if i == 0 and from_bgr:
                given[0] = given[0][:, :, ::-1]
            layer.set_weights(given)
        left = [source.path for source in found if not any(source is used for used in sources)]
        if left:
            raise BadInputError(f"{left[0]}: {model.name} has no such layer; should be weights of {model.name}")
    except BadInputError as error:
        raise BadInputError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error


def layers(held: Arrays) -> list[Layer]:
    """Return the convolutions among the arrays of a file, in the natural order of their paths.

    A layer's arrays are in one group: `.../LAYER/kernel:0` or, in Keras 3's files, `.../LAYER/vars/0`, and are told
    apart by that whole path, since networks within a network repeat the names of layers. Arrays with just numbers for
    names begin a layer with each kernel. Raises `BadInputError` for a layer that is more than a kernel and a bias, and
    for normalization after each, without which the convolutions mean something else.
    """
    groups: dict[str, list[np.ndarray]] = {}
    path = ""
    for name in sorted(held.arrays, key=_natural):
        if not NUMBERED.fullmatch(name):
            path = _path(name)
        elif held.arrays[name].ndim in NEW_LAYER or not path:
            path = name
        groups.setdefault(path, []).append(held.arrays[name])
    found = []
    for path, arrays in groups.items():
        kernels = [array for array in arrays if array.ndim == KERNEL]
        rest = [array for array in arrays if array.ndim != KERNEL]
        if not kernels:
            continue
        if len(kernels) > 1 or [array.ndim for array in rest] not in ([], [1]):
            shapes = in_words([array.shape for array in arrays])
            raise BadInputError(f"{path}: has {shapes}; should have one kernel and at most a bias")
        own_name = held.layers.get(f"{path}/vars") or held.layers.get(path) or path.rpartition("/")[2]
        found.append(Layer(path, own_name, kernels[0], rest[0] if rest else None))
    norms = [path for path, arrays in groups.items() if len(arrays) > 1 and all(array.ndim == 1 for array in arrays)]
    if len(norms) >= len(found) > 0:  # fewer may be in the head, which is not read
        raise BadInputError(f"{norms[0]}: normalizes a convolution; should be weights of a network without such layers")
    return found


def _matched(wanted: Sequence[str], found: Sequence[Layer]) -> list[Layer | None]:
    """Return the layer of the file for each name, None if it has none; by order if it has none of the names."""
    named: dict[str, Layer] = {}
    for layer in found:
        if layer.name in wanted and layer.name in named:
            twice = f"{named[layer.name].path} and {layer.path}"
            raise BadInputError(f"{layer.name}: is there twice, as {twice}; should be weights of one network")
        named[layer.name] = layer
    if not any(name in named for name in wanted):
        _check_order(found, wanted)
        return [*found, *[None] * (len(wanted) - len(found))][: len(wanted)]
    return [named.get(name) for name in wanted]


def _check_order(found: Sequence[Layer], wanted: Sequence[str]) -> None:
    """Raise `BadInputError` if paths differ in more than their numbers, so that they do not tell the layers' order."""
    for layer in found[1:]:
        if _words(layer.path) != _words(found[0].path):
            raise BadInputError(
                f"{found[0].path} and {layer.path}: do not tell which comes first; layers should be numbered, or named "
                f"{', '.join(wanted[:2])} and so on"
            )


def _words(path: str) -> str:
    """Return a path without the numbers that count layers: the same for conv2d and conv2d_7, block1/a and block2/a."""
    return re.sub(r"\d+", "0", re.sub(r"_\d+(?=/|$)", "", path))


def _path(name: str) -> str:
    """Return the path of the layer that an array's name states."""
    if "/" not in name:
        return re.sub(r"[_.](kernel|bias)(:0)?$", "", name)
    groups = name.split("/")[:-1]
    return "/".join(groups[:-1] if groups[-1] == "vars" and len(groups) > 1 else groups)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts conv2d_10 after conv2d_9, and conv2d before both."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name) if part]
