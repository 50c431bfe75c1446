from __future__ import annotations

import json
from typing import Any

from compress.data.describe import dark, description_text, warnings, without_names

FOUND = {"count": 1, "examples": [["a.jpg", "b.jpg"]]}
DESCRIPTION: dict[str, Any] = {
    "images": 9,
    "duplicates": {**FOUND, "images": 1},
    "conflicts": FOUND,
    "leaks": {"train/test": FOUND},
    "group_leaks": {"train/test": {"count": 1, "examples": ["a.jpg"]}},
    "left_out": [{"name": "a.jpg", "why": "is empty"}],
    "imbalance": 1.0,
    "notes": ["3 files are no images and left out: 3 .xmp"],
    "classes": {"Cat": {"train": 2, "test": 1}, "cat": {"train": 2, "test": 0}, "dog": {"train": 2, "test": 0}},
    "brightest": {"train": 255, "validation": 254, "test": 14},
    "proportions": {
        "size": 32,
        "fit": "crop",
        "width_to_height": 4.0,
        "share": 0.75,
        "largest_share": 0.75,
        "better_size": None,
    },
}


def test_a_description_without_names_has_the_same_counts_and_warnings() -> None:
    unnamed = without_names(DESCRIPTION)

    assert ".jpg" not in description_text(unnamed)
    assert ".jpg" not in " ".join(warnings(unnamed))
    assert len(warnings(unnamed)) == len(warnings(DESCRIPTION)) == 10
    assert (unnamed["images"], unnamed["leaks"]["train/test"]["count"]) == (9, 1)
    assert json.loads(description_text(DESCRIPTION)) == DESCRIPTION
    assert "image is in both train and test, such as a.jpg and b.jpg" in " ".join(warnings(DESCRIPTION))


def test_the_brightest_pixel_is_told_where_it_is_far_below_255() -> None:
    def said(**brightest: int) -> list[str]:
        return [line.partition(";")[0] for line in dark(brightest)]

    assert said(train=14, validation=13, test=14) == ["the brightest pixel of all images is 14 of 255"]
    assert said(train=255, validation=200, test=15) == ["the brightest pixel of all test images is 15 of 255"]
    assert said(train=0) == ["the brightest pixel of all images is 0 of 255"]
    assert said(train=255, validation=128, test=255) == []


def test_slips_and_notes_are_among_the_warnings() -> None:
    lines = warnings(DESCRIPTION)

    assert lines[0] == "3 files are no images and left out: 3 .xmp"
    assert "2 classes have no image in test, such as cat" in lines
    assert lines[1].startswith("classes with nearly the same name: 'Cat' and 'cat'")
