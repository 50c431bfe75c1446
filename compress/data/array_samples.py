"""From arrays of images and labels to checked samples, for all sources whose data are arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from compress.arrays import TEXT
from compress.artifacts import Split
from compress.data.checks import checked_images, checked_labels, from_one_hot, one_per_image
from compress.data.names import canonical, spellings
from compress.data.samples import Pixels, Samples, by_class_name
from compress.errors import BadInputError
from compress.plural import counted


@dataclass(frozen=True)
class Part:
    """Images of one split and their labels, each with its name in messages."""

    images: np.ndarray
    labels: np.ndarray
    images_name: str
    labels_name: str


def array_samples(where: str, parts: Mapping[Split, Part], classes: Sequence[str] = ()) -> Samples:
    """Return the images and labels of all parts, checked and joined; if there is only train, without splits.

    Labels are indices into `classes`, or one-hot rows with a column for each; without these they are class names, or
    integers from 0 or from 1 that are names themselves.
    Raises `BadInputError`, which names the file or folder `where`, as `checked_images` and `checked_labels` do, and if
    the parts do not fit each other.
    """
    images = np.concatenate(_alike(where, parts))
    classes = _with_columns(where, parts, classes)
    labels = [_labels(part, f"{where}: {part.labels_name}") for part in parts.values()]
    name = " + ".join(part.labels_name for part in parts.values())
    what = f"{where}: {name if len(parts) == 1 else f'({name})'}"
    if len({array.dtype.kind in TEXT for array in labels}) > 1:
        raise BadInputError(f"{what}: holds text and numbers; should hold one or the other")
    names: list[str] = []
    if labels[0].dtype.kind in TEXT and not classes:
        names = [name for array in labels for name in texts(array, what)]
        classes, indices = by_class_name(names, what)
    elif labels[0].dtype.kind in TEXT:
        names = [name for array in labels for name in texts(array, what)]
        indices = _indices(names, classes, what)
    else:
        joined = np.concatenate(labels)
        first = 1 if not classes and _counts_from_one(joined) else 0
        indices = checked_labels(joined - 1 if first else joined, len(images), what, classes)
        classes = classes or [str(i + first) for i in range(indices.max() + 1)]
    splits = [split for split, part in parts.items() for _ in range(len(part.images))]
    given = None if set(parts) == {"train"} else splits
    return Samples(tuple(classes), indices, Pixels(images), given, notes=spellings(names))


def _indices(names: Sequence[str], classes: Sequence[str], what: str) -> np.ndarray:
    """Return the place of each name in `classes`, `(n,) int64`; raises `BadInputError` for one that is not there."""
    places = {name: i for i, name in enumerate(classes)}
    unknown = next((name for name in names if canonical(name) not in places), None)
    if unknown is not None:
        raise BadInputError(f"{what}: {unknown!r} is not one of the classes: {', '.join(classes)[:200]}")
    return np.array([places[canonical(name)] for name in names], np.int64)


def _with_columns(where: str, parts: Mapping[Split, Part], classes: Sequence[str]) -> Sequence[str]:
    """Return the classes or, if there are none and labels are one-hot, the numbers of their columns."""
    columns = {part.labels_name: part.labels.shape[1] for part in parts.values() if _is_table(part)}
    for name, count in columns.items():
        first = next(iter(columns.values()))
        if count != (len(classes) or first):
            right = len(classes) or f"{first}, as {next(iter(columns))} has"
            raise BadInputError(f"{where}: {name}: has {counted(count, 'column')}; should have {right}")
    return classes or [str(i) for i in range(max(columns.values(), default=0))]


def _labels(part: Part, what: str) -> np.ndarray:
    labels = from_one_hot(part.labels, what) if _is_table(part) else part.labels
    return one_per_image(labels, len(part.images), what)


def _is_table(part: Part) -> bool:
    """Tell whether there is a row of labels for each image, with one column per class."""
    return part.labels.ndim == 2 and part.labels.shape[1] > 1


def _counts_from_one(labels: np.ndarray) -> bool:
    """Tell whether labels are all numbers from 1 to the last, as in EMNIST's letters and files from MATLAB."""
    different = np.unique(labels) if labels.dtype.kind in "uif" else np.empty(0)
    return len(different) > 0 and different[0] == 1 and different[-1] == len(different)


def _alike(where: str, parts: Mapping[Split, Part]) -> list[np.ndarray]:
    arrays = checked_images({f"{where}: {part.images_name}": part.images for part in parts.values()})
    for part, array in zip(parts.values(), arrays, strict=True):
        if array.shape[1:] != arrays[0].shape[1:]:
            first = next(iter(parts.values())).images_name
            raise BadInputError(
                f"{where}: {part.images_name}: has images of {array.shape[1:]}, {first} of {arrays[0].shape[1:]}; "
                "should be the same"
            )
    return arrays


def texts(array: np.ndarray, what: str) -> list[str]:
    """Return an array's texts; bytes that are not UTF-8 become surrogates, which class names must not contain."""
    try:
        values = array.tolist()
    except (ValueError, SystemError) as error:  # which of them depends on the code point
        raise BadInputError(f"{what}: holds code points that are not characters; should be Unicode text") from error
    return [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in values]


def checked_classes(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the canonical names of classes in the order given; raises `BadInputError` if one is bad or there twice."""
    by_class_name(names, what)
    names = [canonical(name) for name in names]
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise BadInputError(f"{what}: {twice!r} is listed twice; should be listed once")
    return tuple(names)


def checked_names(array: np.ndarray, what: str) -> tuple[str, ...]:
    """Return the names in an array `(classes,)` of text; raises `BadInputError`, as `checked_classes` does too."""
    if array.ndim != 1 or array.dtype.kind not in TEXT or not len(array):
        raise BadInputError(f"{what}: is {array.dtype} of shape {array.shape}; should be a list of names")
    return checked_classes(texts(array, what), what)


def refuse_groups(group: str) -> None:
    """Raise `BadInputError` where data.group is set."""
    if group:
        raise BadInputError(
            f"data.group = {group!r}: arrays have no file names or columns to group by; should be empty"
        )


def check_memory(n: int, what: str) -> None:
    """Raise `BadInputError` if `n` bytes are more than this machine has free."""
    free = psutil.virtual_memory().available
    if n > free:
        raise BadInputError(f"{what}: needs {n:,} bytes of memory, {free:,} are free; give a folder of files instead")
