"""Which arrays of a file are images and which are labels, and of which split, told from the names that people use."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from compress.artifacts import Split
from compress.data.splits import SPLITS

KINDS = {  # words for each; of two that a file holds, the first is meant
    "images": ("images", "image", "imgs", "img", "x", "data", "pixels"),
    "labels": ("labels", "label", "y", "targets", "target"),
}
CLASSES = ("classes", "class_names", "label_names", "target_names")
POSITIONAL = ("arr_0", "arr_1")  # NumPy's names for arrays that were given without, in the order of giving
SPLIT = r"(?:(?P<train{0}>train(?:ing)?)|(?P<validation{0}>val(?:id(?:ation)?)?|dev)|(?P<test{0}>test(?:ing)?))"
WORDS = "|".join(f"(?P<{kind}>{'|'.join(words)})" for kind, words in KINDS.items())
NAME = re.compile(rf"(?:{SPLIT.format(1)}[\W_]*)?(?:{WORDS})(?:[\W_]*{SPLIT.format(2)})?")
PLAIN = re.compile(r"images|labels|[xy]_(train|val|test)")  # the documented names, which need no word
MAX_NAMED = 10  # arrays listed in a message
RIGHT = "should hold images and labels, or x_train, y_train, x_test and y_test"


@dataclass(frozen=True)
class Layout:
    """The names of images and labels in each split, and of the array of class names; `notes` say what was guessed."""

    pairs: dict[Split, tuple[str, str]]
    classes: str | None
    notes: tuple[str, ...]


def layout(held: Collection[str]) -> Layout:
    """Return which of the arrays are meant; images and labels without a split are under train.

    Names may be those of Keras (x_train), MedMNIST (train_images), scikit-learn (data and target) and the like, in any
    case. Raises `ValueError` for names that leave open what is meant, and for images or labels without the other.
    """
    found: dict[str, dict[str, list[tuple[int, str]]]] = {}
    for name in sorted(held):
        if (parsed := _parsed(name)) is not None:
            split, kind, rank = parsed
            found.setdefault(split, {}).setdefault(kind, []).append((rank, name))
    chosen = {split: {kind: _one(names) for kind, names in kinds.items()} for split, kinds in found.items()}
    if not chosen and set(held) == set(POSITIONAL):
        chosen = {"": dict(zip(KINDS, POSITIONAL, strict=True))}
    whole = chosen.pop("", {})
    if whole and not chosen:
        chosen = {"train": whole}
    elif "images" in whole:
        split, kinds = next(iter(chosen.items()))
        other = next(iter(kinds.values()))
        raise ValueError(
            f"holds {whole['images']!r}, which names no split, and {other!r}; should be x_train, if it is to train on"
        )
    if not chosen:
        raise ValueError(f"holds {_listed(held)}; {RIGHT}")
    for kinds in chosen.values():
        for kind, other in (("images", "labels"), ("labels", "images")):
            if other not in kinds:
                raise ValueError(f"has no {other} for {kinds[kind]!r}; holds {_listed(held)}; {RIGHT}")
    pairs = {split: (chosen[split]["images"], chosen[split]["labels"]) for split in SPLITS if split in chosen}
    classes = next((name for name in CLASSES if name in held), None)
    return Layout(pairs, classes, _notes(pairs, {*held} - {classes}))


def _parsed(name: str) -> tuple[str, str, int] | None:
    """Return the split (empty if none), the kind, and the rank of its word; None for a name that is neither."""
    match = NAME.fullmatch(name.lower())
    if match is None:
        return None
    splits = [split for split in SPLITS for place in "12" if match[f"{split}{place}"]]
    kind = "images" if match["images"] else "labels"
    return (next(iter(splits), ""), kind, KINDS[kind].index(match[kind])) if len(splits) < 2 else None


def _one(names: list[tuple[int, str]]) -> str:
    """Return the name with the lowest rank; raises `ValueError` if two share it."""
    (rank, first), *others = sorted(names)
    if others and others[0][0] == rank:
        raise ValueError(f"holds {first!r} and {others[0][1]!r}, which mean the same; should hold one of them")
    return first


def _notes(pairs: dict[Split, tuple[str, str]], held: Collection[str]) -> tuple[str, ...]:
    used = {name for pair in pairs.values() for name in pair}
    unused = {*held} - used
    notes = []
    if not all(PLAIN.fullmatch(name) for name in used):
        taken = "; ".join(f"{split}: {images!a} and {labels!a}" for split, (images, labels) in pairs.items())
        notes.append(f"arrays taken for images and labels: {taken}")
    if unused:
        notes.append(f"arrays that are not used: {_listed(unused)}")
    return tuple(notes)


def _listed(names: Collection[str]) -> str:
    more = ", ..." if len(names) > MAX_NAMED else ""
    return (", ".join(map(ascii, sorted(names)[:MAX_NAMED])) or "no arrays") + more
