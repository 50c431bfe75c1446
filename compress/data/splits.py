"""The division into images to train on, to choose by and to report on, as a function of each image as it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from compress.artifacts import Split
from compress.data.names import slips
from compress.errors import BadInputError
from compress.plural import counted

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Division:
    """The indices of each split's images, in a random order that depends only on the images.

    `moved` counts images that are in another split than their hash says because a class would have had none there.
    """

    indices: dict[Split, np.ndarray]
    moved: int


def divide(
    sources: Sequence[bytes],
    contents: Sequence[bytes],
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    validation: float,
    test: float,
    seed: int,
    given: Sequence[Split] | None = None,
    groups: Sequence[str] | None = None,
) -> Division:
    """Divide images into train, validation and test, every class in about the same proportion.

    A number from 0 to 1, hashed from the seed and an image's source, decides: below `test`, the image is in test; below
    `test + validation`, it is in validation. So no setting and no library's release moves an image, and adding images
    moves none of the old ones. Images of equal content stay together, as do all images of one of the `groups`: the
    smallest source among them, or the smallest digest of a group's name, decides. If a class is so small that a split
    would have none of it, the image with the nearest number is moved there; only then, or by being a copy, can adding
    an image move an old one. `given` splits are kept; a split that is missing among them is drawn from the images given
    as train.

    `sources` are digests of the images as they were given, `contents` of what a network sees of them; they and `labels`
    `(n,) int64` describe the same images. Raises `BadInputError` if a class has too few
    different images (or groups) to be in every split, or none in the train split that was given.
    """
    units = _units(sources, contents, groups)
    numbers = _numbers(units, seed)
    given_splits = np.array(given if given is not None else ["train"] * len(contents), object)
    missing = [split for split in SPLITS if not (given_splits == split).any()]
    shares = {"test": test, "validation": validation}
    for label, name in enumerate(classes):
        if not (given_splits[labels == label] == "train").any():
            hint = "".join(f"; {line}" for line in slips(classes))
            raise BadInputError(f"class {name!r} has no image in train; should have some to learn from{hint}")
    splits = given_splits.copy()
    from_train, lower = given_splits == "train", 0.0
    for split in ("test", "validation"):
        if split in missing:
            splits[from_train & (numbers >= lower) & (numbers < lower + shares[split])] = split
            lower += shares[split]
    moved = _fill(splits, [s for s in ("test", "validation") if s in missing], from_train, numbers, labels, classes)
    order = np.lexsort((labels, _numbers(sources, seed)))
    return Division({split: order[splits[order] == split] for split in SPLITS}, moved)


def share_left(given: Collection[Split], *, validation: float, test: float) -> float:
    """Return the fraction of the images given as train that `divide` leaves there; `given` are the source's splits."""
    return 1.0 - (0 if "validation" in given else validation) - (0 if "test" in given else test)


def _units(sources: Sequence[bytes], contents: Sequence[bytes], groups: Sequence[str] | None) -> list[bytes]:
    """Return what decides on each image's split: its source or that of a copy or, if there are groups, its group.

    Groups that share an image are merged: otherwise that image would be in two splits.
    """
    if groups is None:
        first_source: dict[bytes, bytes] = {}
        for source, content in zip(sources, contents, strict=True):
            first_source[content] = min(source, first_source.get(content, source))
        return [first_source[content] for content in contents]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    hashed = [hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest() for group in groups]
    _, rows = np.unique(np.array(hashed, "S32"), return_inverse=True)
    _, columns = np.unique(np.array(contents, "S32"), return_inverse=True)
    size = int(rows.max()) + int(columns.max()) + 2
    links = coo_array((np.ones(len(rows), np.int8), (rows, columns + rows.max() + 1)), shape=(size, size))
    _, components = connected_components(links, directed=False)
    first: dict[int, bytes] = {}
    for component, name in zip(components[rows], hashed, strict=True):
        first[component] = min(name, first.get(component, name))
    return [first[component] for component in components[rows]]


def _numbers(units: Sequence[bytes], seed: int) -> np.ndarray:
    """Return a number from 0 to 1 for each unit, `(n,) float64`."""
    salt = hashlib.sha256(str(seed).encode()).digest()
    return np.array([int.from_bytes(hashlib.sha256(salt + unit).digest()[:7], "big") for unit in units]) / 2.0**56


def _fill(
    splits: np.ndarray,
    wanted: Sequence[str],
    from_train: np.ndarray,
    numbers: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
) -> int:
    """Move images so that each class has one in train and in every split of `wanted`; return how many were moved."""
    before = splits.copy()
    for label, name in enumerate(classes):
        mine = from_train & (labels == label)
        if len(np.unique(numbers[mine])) < len(wanted) + 1 and wanted:
            raise BadInputError(
                f"class {name!r} has {counted(int(mine.sum()), 'image')}; should have at least "
                f"{len(wanted) + 1} different ones (or groups), one each for train, {' and '.join(reversed(wanted))}"
            )
        for split in (*wanted, "train"):
            if (mine & (splits == split)).any():
                continue
            donors = [u for u in np.unique(numbers[mine]) if _can_give(u, splits, from_train, numbers, labels)]
            if not donors:
                raise BadInputError(
                    f"class {name!r} cannot be in {split}: its images are tied to those of other classes, by groups or "
                    "by being under two labels, and too few are not"
                )
            sizes = {s: len(np.unique(numbers[mine & (splits == s)])) for s in (*wanted, "train")}
            nearest = -1.0 if split == "train" else 1.0
            unit = min(donors, key=lambda u: (-sizes[splits[from_train & (numbers == u)][0]], nearest * u))
            splits[from_train & (numbers == unit)] = split
    return int((splits != before).sum())


def _can_give(unit: float, splits: np.ndarray, from_train: np.ndarray, numbers: np.ndarray, labels: np.ndarray) -> bool:
    """Tell whether a unit can leave its split, all its classes having another one there."""
    members = from_train & (numbers == unit)
    others = from_train & (splits == splits[members][0]) & ~members
    return set(labels[members]) <= set(labels[others])
