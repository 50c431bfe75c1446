from __future__ import annotations

import json
from typing import Any

from compress.data.describe import description_text, warnings, without_names

FOUND = {"count": 1, "examples": [["a.jpg", "b.jpg"]]}
DESCRIPTION: dict[str, Any] = {
    "images": 9,
    "duplicates": {**FOUND, "images": 1},
    "conflicts": FOUND,
    "leaks": {"train/test": FOUND},
    "group_leaks": {"train/test": {"count": 1, "examples": ["a.jpg"]}},
    "left_out": [{"name": "a.jpg", "why": "is empty"}],
    "imbalance": 1.0,
}


def test_a_description_without_names_has_the_same_counts_and_warnings() -> None:
    unnamed = without_names(DESCRIPTION)

    assert ".jpg" not in description_text(unnamed)
    assert ".jpg" not in " ".join(warnings(unnamed))
    assert len(warnings(unnamed)) == len(warnings(DESCRIPTION)) == 5
    assert (unnamed["images"], unnamed["leaks"]["train/test"]["count"]) == (9, 1)
    assert json.loads(description_text(DESCRIPTION)) == DESCRIPTION
    assert "image is in both train and test, such as a.jpg and b.jpg" in " ".join(warnings(DESCRIPTION))
