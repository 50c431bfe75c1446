"""What is known about a data set before anything is trained on it: data.json, schema 1."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from compress.artifacts import Dataset
from compress.data.names import slips
from compress.data.proportions import misfit, proportions
from compress.data.splits import Division
from compress.data.survey import Look, Unreadable
from compress.files import sha256_json
from compress.plural import counted

SCHEMA = 1
DESCRIPTION = "data.json"
EXAMPLES = 10  # names listed per finding; its count includes all
IMBALANCED = 10.0  # images of the largest class per image of the smallest, from which a warning is due
DARK = 128  # brightest pixel of a split below which its images may have another scale than 0 to 255
COMMON = 10  # sizes and kinds listed, the most frequent first


def describe(
    names: Sequence[str],
    labels: np.ndarray,
    classes: Sequence[str],
    looks: Sequence[Look],
    division: Division,
    left_out: Sequence[Unreadable],
    preparation: Mapping[str, Any],
    groups: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return counts, sizes, proportions, formats, brightness, duplicates, leaks and imbalance as JSON values.

    `preparation` holds the settings of `prepare`, `notes` are the source's lines. `names`, `labels`, `looks`, `groups`
    and the division's indices describe the same images. Two images are the same if the network sees the same pixels;
    `split_sha256` tells the images of a split and their order. A
    leak is an image that is in two splits; a group can be in two splits as well, if the splits were given.
    """
    indices = division.indices
    split_of = np.empty(len(looks), object)
    for split, members in indices.items():
        split_of[members] = split
    same: dict[bytes, list[int]] = defaultdict(list)
    for i, look in enumerate(looks):
        same[look.content].append(i)
    repeated = [group for group in same.values() if len(group) > 1]
    conflicts = [group for group in repeated if len({int(labels[i]) for i in group}) > 1]
    leaks, group_leaks = {}, {}
    for first, second in combinations(indices, 2):
        both = [group for group in repeated if {first, second} <= {split_of[i] for i in group}]
        leaks[f"{first}/{second}"] = _finding(both, names)
        of = {split: {groups[i] for i in indices[split]} if groups else set() for split in (first, second)}
        shared = sorted(of[first] & of[second])
        group_leaks[f"{first}/{second}"] = {"count": len(shared), "examples": shared[:EXAMPLES]}
    counts = {split: np.bincount(labels[members], minlength=len(classes)) for split, members in indices.items()}
    train = counts["train"]
    return {
        "schema": SCHEMA,
        "sha256": _digest(classes, labels, looks, split_of),
        "split_sha256": {split: _ordered_digest(looks, members) for split, members in indices.items()},
        "images": len(looks),
        "moved_to_fill_a_split": division.moved,
        "splits": {split: len(members) for split, members in indices.items()},
        "classes": {
            name: {split: int(count[label]) for split, count in counts.items()} for label, name in enumerate(classes)
        },
        "imbalance": round(float(train.max() / max(1, train.min())), 2),
        "sizes": _sizes([look.size for look in looks]),
        "brightest": {split: max(looks[i].brightest for i in members) for split, members in indices.items()},
        "proportions": proportions([look.size for look in looks], preparation),
        "kinds": dict(Counter(look.kind for look in looks).most_common(COMMON)),
        "duplicates": {**_finding(repeated, names), "images": sum(len(group) - 1 for group in repeated)},
        "conflicts": _finding(
            conflicts, [f"{name} ({classes[label]})" for name, label in zip(names, labels, strict=True)]
        ),
        "leaks": leaks,
        "group_leaks": group_leaks,
        "left_out": [{"name": bad.name, "why": bad.why} for bad in left_out],
        "notes": list(notes),
    }


def _ordered_digest(looks: Sequence[Look], members: np.ndarray) -> str:
    """Return the sha256 of prepared images in this order."""
    return sha256_json([looks[i].content.hex() for i in members])


def _digest(classes: Sequence[str], labels: np.ndarray, looks: Sequence[Look], split_of: np.ndarray) -> str:
    """Return the sha256 of all prepared images with class and split, whatever their order, file names and formats."""
    images = sorted(
        (look.content.hex(), classes[label], split) for look, label, split in zip(looks, labels, split_of, strict=True)
    )
    return sha256_json(images)


def description_of(data: Dataset) -> dict[str, Any]:
    """Return what `describe` returned when the data stage ran."""
    return json.loads((data.folder / DESCRIPTION).read_bytes())


def without_names(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description without names of files and groups: only counts."""
    pairs = {
        key: {pair: _unnamed(found) for pair, found in description[key].items()} for key in ("leaks", "group_leaks")
    }
    return {
        **description,
        **pairs,
        "duplicates": _unnamed(description["duplicates"]),
        "conflicts": _unnamed(description["conflicts"]),
        "left_out": [{"name": "", "why": bad["why"]} for bad in description["left_out"]],
    }


def description_text(description: Mapping[str, Any]) -> str:
    """Return the text of data.json."""
    return json.dumps(description, indent=1, ensure_ascii=False) + "\n"


def _unnamed(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {**finding, "examples": []}


def warnings(description: Mapping[str, Any]) -> list[str]:
    """Return one line for each finding that a user should look at before training."""
    lines = [*description["notes"], *slips(description["classes"]), *dark(description["brightest"])]
    lines += _absent(description["classes"])
    lines += misfit(description["proportions"])
    if description["left_out"]:
        lines.append(f"{_images(len(description['left_out']), 'unreadable ')} left out")
    if description["duplicates"]["images"]:
        lines.append(f"{_images(description['duplicates']['images'])} copies of another")
    conflicts = description["conflicts"]
    if conflicts["count"]:
        lines.append(f"{_images(conflicts['count'])} under two labels{_such_as(conflicts)}")
    for pair, leak in description["leaks"].items():
        if leak["count"]:
            lines.append(f"{_images(leak['count'])} in both {' and '.join(pair.split('/'))}{_such_as(leak)}")
    for pair, leak in description["group_leaks"].items():
        if leak["count"]:
            groups = "group is" if leak["count"] == 1 else "groups are"
            both = " and ".join(pair.split("/"))
            such_as = f", such as {leak['examples'][0]}" if leak["examples"] else ""
            lines.append(f"{leak['count']:,} {groups} in both {both}{such_as}")
    if description["imbalance"] >= IMBALANCED:
        lines.append(
            f"the largest class has {description['imbalance']:.0f} times the images of the smallest; see balance.method"
        )
    return lines


def dark(brightest: Mapping[str, int]) -> list[str]:
    """Return a line for each split whose brightest pixel is far below 255, or one for all of them."""
    found = {split: value for split, value in brightest.items() if value < DARK}
    if len(found) == len(brightest):
        found = {"": max(found.values())}
    return [
        f"the brightest pixel of all {split and f'{split} '}images is {value} of 255; if it should be white, scale them"
        for split, value in found.items()
    ]


def _absent(classes: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a line for each split that has no image of some class, whose score there would mean nothing."""
    lacking: dict[str, list[str]] = {}
    for name, counts in classes.items():
        for split, count in counts.items():
            if not count:
                lacking.setdefault(split, []).append(name)
    return [
        f"{counted(len(names), 'class has', 'classes have')} no image in {split}, such as {names[0]}"
        for split, names in lacking.items()
    ]


def _such_as(finding: Mapping[str, Any]) -> str:
    return f", such as {' and '.join(finding['examples'][0])}" if finding["examples"] else ""


def _images(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}image is" if count == 1 else f"{count:,} {kind}images are"


def _finding(groups: Sequence[Sequence[int]], names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(groups), "examples": [[names[i] for i in group[:EXAMPLES]] for group in groups[:EXAMPLES]]}


def _sizes(sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    return {
        "smallest": _size(min(sizes, key=np.prod)),
        "largest": _size(max(sizes, key=np.prod)),
        "common": dict(Counter(map(_size, sizes)).most_common(COMMON)),
    }


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
