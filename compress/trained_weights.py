"""All weights of a network that a run has trained: recognized by what a file holds, and checked layer by layer.

Such a file is an .npz of arrays 0000, 0001 and so on, in Keras's order, as `networks.save` writes them. One that `keep`
has written describes its network as well; the weights in a workspace do not.
"""

from __future__ import annotations

import inspect
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compress.arrays import array_header, load_arrays, npz_errors, open_npz, read_member, save_arrays
from compress.artifacts import Network
from compress.errors import BadInputError
from compress.plugins import Choice
from compress.plural import counted
from compress.weight_files import NPZ, check_file, check_size, in_words

DESCRIPTION = "network.json"  # the name of the array that holds the description, as text
NUMBER = re.compile(r"\d{4}")
TRUNK = re.compile(r"(4 (1 )?)+")  # dimensions of its arrays: kernels of convolutions, each with a bias or without
RIGHT = "teacher.architecture, with its options, should be that of the run that wrote it"


class Description(BaseModel):
    """What a file tells about its network: how it is built, and the images and classes that it was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    architecture: str
    options: dict[str, Any]
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...] = Field(min_length=1)


def keep(network: Network, classes: Sequence[str], path: Path) -> None:
    """Write a network's weights with its description, as plain arrays of numbers and text."""
    described = Description(
        architecture=network.architecture,
        options=network.options,
        image_shape=network.image_shape,
        classes=tuple(classes),
    )
    text = json.dumps(described.model_dump(mode="json"))
    save_arrays(path, {**load_arrays(network.weights), DESCRIPTION: np.array(text)})


def is_whole(file: Path) -> bool:
    """Tell whether a file holds all layers of a network, and not only a trunk's; raises `BadInputError` like `read`."""
    if file.suffix.lower() != NPZ:
        return False
    with _opened(file) as archive:
        names = _names(archive)
        size = file.stat().st_size
        shapes = [array_header(archive, n, size, f"{file}: {n}")[0] for n in sorted(names) if NUMBER.fullmatch(n)]
    is_trunk = TRUNK.fullmatch("".join(f"{len(shape)} " for shape in shapes))
    return DESCRIPTION in names or (bool(shapes) and not is_trunk)


def described(file: Path) -> Description | None:
    """Return the description of a file's network, None if it has none; raises `BadInputError` if it is not valid."""
    what = f"{file}: {DESCRIPTION}"
    with _opened(file) as archive:
        if DESCRIPTION not in _names(archive):
            return None
        shape, dtype = array_header(archive, DESCRIPTION, file.stat().st_size, what)
        if shape or dtype.kind != "U":
            raise BadInputError(f"{what}: is {dtype} of shape {shape}; should be one text")
        text = str(read_member(archive, DESCRIPTION, what))
    try:
        return Description.model_validate_json(text)
    except (ValidationError, UnicodeError) as error:
        raise BadInputError(f"{what}: should tell architecture, options, image_shape and classes") from error


def architecture(description: Description, kind: type[Choice], file: Path) -> Choice:
    """Return the architecture that a file describes; raises `BadInputError` if there is none of that name and options.

    `kind` is the choice among the architectures of a family.
    """
    try:
        return kind(name=description.architecture, options=description.options)
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in mistake["loc"])
        raise BadInputError(f"{file}: {DESCRIPTION}: {where}: {mistake['msg']}") from error


def agreed(given: Any, told: Choice, file: Path) -> Any:
    """Return what a user has set of an architecture, completed by what a file tells of it.

    `given` is a name, a section, or a choice. Raises `BadInputError` if it contradicts the file.
    """
    section = given.model_dump() if isinstance(given, Choice) else given
    section = {"name": section} if isinstance(section, str) else section
    options = section.get("options", {}) if isinstance(section, dict) else None
    if not isinstance(options, dict):
        return given  # refused where the settings are checked
    name = section.get("name", told.name)
    if name != told.name:
        raise BadInputError(
            f"teacher.architecture = {name!r}: should be {told.name!r}, of which {file} has the weights"
        )
    parameters = inspect.signature(getattr(told.module, told.entry)).parameters.values()
    built_with = {parameter.name: parameter.default for parameter in parameters} | told.options
    for key, value in options.items():
        theirs = list(built_with[key]) if isinstance(built_with.get(key), tuple) else built_with.get(key)
        if key in built_with and value != theirs:
            raise BadInputError(
                f"teacher.architecture.options.{key} = {value!r}: should be {theirs!r}, as {file} tells"
            )
    return {**section, "name": name, "options": {**told.options, **options}}


def read(file: Path) -> list[np.ndarray]:
    """Return the arrays of a whole network in order.

    Raises `BadInputError` if the file is damaged, holds something else than numbers, or arrays are missing.
    """
    with _opened(file) as archive:
        names = sorted(set(_names(archive)) - {DESCRIPTION})
        for i, name in enumerate(names):
            if name != f"{i:04d}":
                raise BadInputError(f"{file}: has {name!r:.50} where {i:04d} should be, as a run numbers its arrays")
        for name in names:
            array_header(archive, name, file.stat().st_size, f"{file}: {name}")
        return [read_member(archive, name, f"{file}: {name}") for name in names]


def load_into(model: Any, file: Path, image_shape: tuple[int, int, int], classes: Sequence[str]) -> Description | None:
    """Set all weights of a Keras model to those in a file; return the file's description of them, if it has one.

    `image_shape` is (height, width, channels) of the data's images. Raises `BadInputError`, which names the first layer
    that differs, or the first class, as the order of the outputs is that of the classes.
    """
    description, arrays = described(file), read(file)
    layers = [layer for layer in model.layers if layer.weights]
    given: list[np.ndarray] = []
    for layer in layers:
        own = arrays[len(given) : len(given) + len(layer.weights)]
        _check_layer(layer, own, model.name, f"{file}: {layer.name}", layers, (image_shape[2], len(classes)))
        given += own
    if len(arrays) > len(given):
        raise BadInputError(f"{file}: has {len(arrays)} arrays, {len(given)} of them in {model.name}; {RIGHT}")
    if description and description.classes != tuple(classes):
        _refuse_classes(description.classes, classes, file)
    model.set_weights(given)
    return description


def _check_layer(
    layer: Any, own: Sequence[np.ndarray], network: str, what: str, layers: Sequence[Any], data: tuple[int, int]
) -> None:
    """Raise `BadInputError` unless `own` are a layer's weights; `data` are the numbers of channels and of classes."""
    found, should = [array.shape for array in own], [tuple(weight.shape) for weight in layer.weights]
    channels, classes = data
    if found != should:
        kernel, ours = found[0] if found else (), should[0]
        if layer is layers[-1] and kernel[:-1] == ours[:-1] and kernel != ours:
            raise BadInputError(
                f"{what}: the head has {counted(kernel[-1], 'output')}, the data has {classes} classes; should be "
                "weights for the same classes"
            )
        if layer is layers[0] and kernel != ours and _without_channels(kernel) == _without_channels(ours):
            raise BadInputError(
                f"{what}: takes images of {counted(kernel[-2], 'channel')}, the data's have {channels}; image.color "
                f"should be {'grey' if kernel[-2] == 1 else 'rgb'}"
            )
        raise BadInputError(
            f"{what}: has {in_words(found)}; should have {in_words(should)}, as {network} does; {RIGHT}"
        )
    for array in own:
        if array.dtype != np.float32:
            raise BadInputError(f"{what}: has type {array.dtype}; should be float32, as a run writes it")
        if not np.isfinite(array).all():
            raise BadInputError(
                f"{what}: has weights that are not finite; should be those of a training that went well"
            )


def _refuse_classes(found: Sequence[str], classes: Sequence[str], file: Path) -> None:
    if len(found) != len(classes):
        raise BadInputError(
            f"{file}: {DESCRIPTION}: names {counted(len(found), 'class', 'classes')}, the head has {len(classes)} "
            "outputs; should be as a run wrote it"
        )
    i, theirs, ours = next((i, a, b) for i, (a, b) in enumerate(zip(found, classes, strict=True), start=1) if a != b)
    order = " in another order" if sorted(found) == sorted(classes) else ""
    raise BadInputError(
        f"{file}: was trained on other classes{order}: the first that differs, number {i}, is {theirs!r:.100}, the "
        f"data's {ours!r:.100}; should be weights for the same classes in the same order"
    )


def _without_channels(kernel: tuple[int, ...]) -> tuple[int, ...]:
    return (*kernel[:-2], *kernel[-1:])


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    check_file(file)
    with npz_errors(str(file)), open_npz(file, str(file)) as archive:
        members = archive.infolist()
        check_size(file, sum(member.file_size for member in members), len(members), file.stat().st_size)
        yield archive


def _names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the arrays; raises `BadInputError` for two of one name."""
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInputError(f"{archive.filename}: has two arrays {twice[0]!r:.50}; should have one of each name")
    return names
